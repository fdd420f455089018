"""Linear layers over n-grams and over vectors of an encoder, fitted with scikit-learn."""

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
_FEWEST_TO_CHOOSE = 30


@dataclass(frozen=True, slots=True)
class Linear:
    """weights: float64 [D, C]. bias: float64 [C]. strength: inverse regularisation it was fitted with."""

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    strength: float

    def scores(self, features: Any) -> NDArray[np.float64]:
        return features @ self.weights + self.bias


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


def fit_best(
    fit: Callable[[NDArray[np.bool_], float], Linear],
    agreement: Callable[[Linear, NDArray[np.bool_]], float],
    *,
    aside: NDArray[np.bool_],
    strengths: Sequence[float],
) -> Linear:
    """Fit with each strength without the rows set aside, then with all rows and the strength that agreed best there.

    fit: takes a mask of rows and a strength. agreement: of a layer with the teacher on a mask of rows.
    Of equal ones the smaller strength wins. With few rows aside the middle one is taken untried.
    """
    everything = np.ones_like(aside)
    if aside.sum() < _FEWEST_TO_CHOOSE or len(strengths) == 1:
        return fit(everything, strengths[len(strengths) // 2])
    tried = [(agreement(fit(~aside, strength), aside), -strength) for strength in sorted(strengths)]
    return fit(everything, -max(tried)[1])


def standardised(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
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
