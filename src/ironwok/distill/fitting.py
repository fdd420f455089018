"""Linear layers over n-grams and over vectors of an encoder, fitted to scores or to labels."""

# N texts, C labels, D features

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ironwok.errors import DataError, MissingExtraError

# score of a label that no text had: its probability is 0 in any number format
_NEVER = -1e4
# fewer texts than this say nothing about which strength is best
FEWEST_TO_CHOOSE = 30


@dataclass(frozen=True, slots=True)
class Linear:
    """weights: float64 [D, C]. bias: float64 [C]. strength: inverse regularisation it was fitted with."""

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    strength: float

    def scores(self, features: Any) -> NDArray[np.float64]:
        return features @ self.weights + self.bias


@dataclass(frozen=True, slots=True)
class Choice:
    """strength: the one that agreed best. agreement: how often, None where there were too few texts to try."""

    strength: float
    agreement: float | None


def fit_linear(
    features: Any,
    targets: Sequence[str],
    *,
    labels: Sequence[str],
    weights: NDArray[np.float64] | None = None,
    strength: float,
    most_steps: int = 300,
) -> Linear:
    """Multinomial logistic regression, one column a label; a label without texts gets probability 0.

    features: [N, D], sparse or not. weights: of the texts [N], equal if None.
    Raises DataError where fewer than two labels have texts.
    """
    regression = _scikit_learn("linear_model").LogisticRegression
    present = sorted(set(targets))
    if len(present) < 2:
        raise DataError(
            f"the texts have {len(present)} of {len(labels)} labels ({', '.join(present) or 'none'}): there is nothing "
            "to learn; label more texts, or lower the threshold"
        )
    model = regression(C=strength, max_iter=most_steps)
    with warnings.catch_warnings():
        # what is left to gain after so many steps changes no answer
        warnings.simplefilter("ignore", _scikit_learn("exceptions").ConvergenceWarning)
        model.fit(features, np.array(targets), sample_weight=weights)
    coefficients, intercepts = np.asarray(model.coef_, np.float64), np.asarray(model.intercept_, np.float64)
    if len(model.classes_) == 2:
        # one row for the second class against the first: half of it for each says the same
        coefficients, intercepts = np.vstack([-coefficients, coefficients]) / 2, np.array([-1, 1]) * intercepts[0] / 2
    columns = [list(labels).index(str(name)) for name in model.classes_]
    spread, bias = np.zeros((features.shape[1], len(labels))), np.full(len(labels), _NEVER)
    spread[:, columns], bias[columns] = coefficients.T, intercepts
    return Linear(spread, bias, strength)


def fit_scores(
    features: Any,
    targets: NDArray[np.float64],
    *,
    strength: float,
    most_steps: int = 100,
    tolerance: float = 1e-3,
) -> Linear:
    """Ridge regression of scores, one column a label.

    features: [N, D], sparse or not. targets: [N, C]. Minimises |features W + b - targets|^2 + |W|^2 / strength, where b
    is the mean of the targets: n-grams have no mean worth subtracting, vectors come with mean 0. Sparse features take
    conjugate gradients, of ``most_steps`` at most a column.
    """
    ridge = _scikit_learn("linear_model").Ridge
    bias = targets.mean(axis=0)
    if hasattr(features, "tocsr"):
        model = ridge(alpha=1 / strength, fit_intercept=False, solver="sparse_cg", max_iter=most_steps, tol=tolerance)
        model.fit(features.astype(np.float32), (targets - bias).astype(np.float32))
    else:
        model = ridge(alpha=1 / strength, fit_intercept=False, solver="cholesky").fit(features, targets - bias)
    return Linear(np.asarray(model.coef_, np.float64).T, bias, strength)


def never(layer: Linear, absent: NDArray[np.bool_]) -> Linear:
    """The layer, for which the probability of absent labels [C] is 0."""
    return Linear(np.where(absent, 0.0, layer.weights), np.where(absent, _NEVER, layer.bias), layer.strength)


def choose_strength(
    fit: Callable[[float], Linear],
    agreement: Callable[[Linear], float],
    *,
    aside: int,
    strengths: Sequence[float],
) -> Choice:
    """The strength whose layer agrees best with the teacher on texts that it did not learn from.

    fit: without the texts set aside. agreement: of a layer on those. aside: how many they are; with few the middle
    strength is taken untried. Of equal ones the smaller wins.
    """
    if aside < FEWEST_TO_CHOOSE:
        return Choice(strengths[len(strengths) // 2], None)
    tried = [(agreement(fit(strength)), -strength) for strength in sorted(strengths)]
    best = max(tried)
    return Choice(-best[1], best[0])


def standardised(vectors: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Vectors with mean 0 and deviation 1 in every dimension [N, D], with the mean and the deviation [D]."""
    mean = vectors.mean(axis=0, dtype=np.float64)
    deviation = vectors.std(axis=0, dtype=np.float64)
    deviation[deviation == 0] = 1
    return (vectors - mean) / deviation, mean, deviation


def require_scikit_learn() -> None:
    """Raise MissingExtraError where nothing can be fitted, before hours went into labels."""
    _scikit_learn("linear_model")


def _scikit_learn(module: str) -> Any:
    try:
        return import_module(f"sklearn.{module}")
    except ImportError as error:
        raise MissingExtraError("distill", feature="teaching a student") from error
