"""Linear layers over n-grams and over vectors of an encoder, fitted to labels or to shares of labels."""

# N texts, C labels, D features

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
    regression, convergence_warning = _scikit_learn()
    present = sorted(set(targets))
    if len(present) < 2:
        raise DataError(
            f"the texts have {len(present)} of {len(labels)} labels ({', '.join(present) or 'none'}): there is nothing "
            "to learn; label more texts, or lower the threshold"
        )
    model = regression(C=strength, max_iter=most_steps)
    with warnings.catch_warnings():
        # what is left to gain after so many steps changes no answer
        warnings.simplefilter("ignore", convergence_warning)
        model.fit(features, np.array(targets), sample_weight=weights)
    coefficients, intercepts = np.asarray(model.coef_, np.float64), np.asarray(model.intercept_, np.float64)
    if len(model.classes_) == 2:
        # one row for the second class against the first: half of it for each says the same
        coefficients, intercepts = np.vstack([-coefficients, coefficients]) / 2, np.array([-1, 1]) * intercepts[0] / 2
    columns = [list(labels).index(str(name)) for name in model.classes_]
    spread, bias = np.zeros((features.shape[1], len(labels))), np.full(len(labels), _NEVER)
    spread[:, columns], bias[columns] = coefficients.T, intercepts
    return Linear(spread, bias, strength)


def fit_shares(
    features: Any,
    targets: NDArray[np.float64],
    *,
    weights: NDArray[np.float64] | None = None,
    strength: float,
    most_steps: int = 200,
) -> Linear:
    """The same regression where a text is of several labels at once, each with a share.

    features: [N, D], sparse or not. targets: shares [N, C], none negative, rows sum to 1. weights: of the texts [N],
    equal if None. Minimises  sum_n weight_n * crossentropy(targets_n, softmax(features_n W + b)) + |W|^2 / (2 strength)
    by L-BFGS (SciPy), which is what `fit_linear` does where every row has one label (scikit-learn, "lbfgs"); that one
    knows whole labels only. A label without any share gets probability 0.
    """
    from scipy.optimize import minimize

    present = np.flatnonzero(targets.sum(axis=0) > 0)
    shares_NC = targets[:, present]
    rows = features.astype(np.float64)
    own = np.ones(len(targets)) if weights is None else weights
    width, count = features.shape[1], len(present)

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        layer_DC, bias_C = flat[: width * count].reshape(width, count), flat[width * count :]
        scores_NC = rows @ layer_DC + bias_C
        scores_NC -= scores_NC.max(axis=1, keepdims=True)
        logs_NC = scores_NC - np.log(np.exp(scores_NC).sum(axis=1, keepdims=True))
        value = -(own * (shares_NC * logs_NC).sum(axis=1)).sum() + (layer_DC**2).sum() / (2 * strength)
        slopes_NC = own[:, None] * (np.exp(logs_NC) - shares_NC)
        slope_DC = rows.T @ slopes_NC + layer_DC / strength
        return float(value), np.concatenate([slope_DC.ravel(), slopes_NC.sum(axis=0)])

    flat = minimize(loss, np.zeros((width + 1) * count), jac=True, method="L-BFGS-B", options={"maxiter": most_steps}).x
    spread, bias = np.zeros((width, targets.shape[1])), np.full(targets.shape[1], _NEVER)
    spread[:, present], bias[present] = flat[: width * count].reshape(width, count), flat[width * count :]
    return Linear(spread, bias, strength)


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


def _scikit_learn() -> tuple[Any, Any]:
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise MissingExtraError("distill", feature="teaching a student") from error
    return LogisticRegression, ConvergenceWarning
