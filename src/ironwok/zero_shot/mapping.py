"""From scores to answers, in plain NumPy: no model, nothing that a pencil could not check.

Two protocols turn scores into labels (Sun et al., COLING 2022, arXiv 2109.03564):

- candidates-contrast: for one text, compare the candidates. Needs nothing else.
- samples-contrast: for one candidate, rank all texts of a batch and cut the ranking by a prior. It looks at the
  whole unlabelled batch and knows the prior, so figures got that way must say so.

Scores are log-odds (the IsNext logit minus the other one) unless the scorer says otherwise; adding a constant to both
logits of a head changes nothing it was trained for, and changes nothing here either.
"""

# N texts, C candidates (labels), W windows of one text, K bins, M neutral texts

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from ironwok.errors import InputError

WindowReduction = Literal["best", "mean"]

# How sharply the soft membership of a samples-contrast bin falls off, per width of a bin.
_BIN_SHARPNESS = 4.0


def log_odds(logits: np.ndarray) -> np.ndarray:
    """Log-odds of class 0 (IsNext in Google's BERT and in transformers). logits: [..., 2] → [...]."""
    if logits.shape[-1] != 2:
        raise InputError(f"a next-sentence head gives 2 logits a pair, this one {logits.shape[-1]}")
    return logits[..., 0] - logits[..., 1]


def softmax(scores: np.ndarray, axis: int = -1) -> np.ndarray:
    """Probabilities along ``axis``, safe for large scores; -inf is a probability of 0."""
    scores = np.asarray(scores, dtype=np.float64)
    exponentials = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return exponentials / exponentials.sum(axis=axis, keepdims=True)


def sigmoid(scores: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-x), without overflow at either end."""
    scores = np.asarray(scores, dtype=np.float64)
    small = np.exp(-np.abs(scores))
    return np.where(scores >= 0, 1 / (1 + small), small / (1 + small))


def calibrate(scores_NC: np.ndarray, neutral_MC: np.ndarray) -> np.ndarray:
    """Take away what a label scores without any text (contextual calibration, Zhao et al. 2021, arXiv 2102.09690).

    scores_NC: [N, C]. neutral_MC: [M, C], the same labels beside M texts that say nothing.
    Differs from the source in working on log-odds rather than dividing probabilities: the prior's factor there is
    a summand here.
    """
    return scores_NC - neutral_MC.mean(axis=0)


def candidates_contrast(scores_NC: np.ndarray) -> np.ndarray:
    """Probabilities of the candidates of each text: softmax over the candidates. [N, C] → [N, C]."""
    return softmax(scores_NC, axis=-1)


def check_prior(prior: Sequence[float] | np.ndarray | None, size: int) -> np.ndarray:
    """The prior as [size] non-negative floats that sum to 1, uniform for None."""
    if prior is None:
        return np.full(size, 1 / size)
    try:
        shares = np.asarray(prior, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"the prior is {prior!r:.60}: give a share for each label, such as [0.2, 0.8]") from None
    if shares.shape != (size,):
        raise InputError(f"the prior has {shares.size} shares, {size} are needed, one for each label")
    if not np.isfinite(shares).all() or (shares < 0).any() or shares.sum() <= 0:
        raise InputError(
            f"the prior {shares.tolist()} is no distribution: shares are finite, not negative, and not all 0"
        )
    return shares / shares.sum()


def shares_above(scores_N: np.ndarray) -> np.ndarray:
    """For each score, the share of the batch ahead of it, in (0, 1): near 0 for the best, equal for equal scores."""
    scores_N = np.asarray(scores_N, dtype=np.float64)
    _, inverse, counts = np.unique(-scores_N, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return ((ends - counts / 2) / scores_N.size)[inverse]


def samples_contrast(scores_N: np.ndarray, *, prior: Sequence[float] | np.ndarray) -> np.ndarray:
    """Cut the ranking of one candidate's scores into bins. Returns the bin of each text, int [N].

    prior: share of each bin, the bin of the highest scores first, as in (entailment, neutral, contradiction).
    Texts of equal score share a bin, so bins may miss their size by ties.
    """
    bounds_K = np.cumsum(check_prior(prior, len(prior)))
    bins_N = np.searchsorted(bounds_K[:-1], shares_above(scores_N), side="left")
    return bins_N.astype(np.int64)


def bin_membership(scores_N: np.ndarray, *, prior: Sequence[float] | np.ndarray) -> np.ndarray:
    """How central each text lies in each bin of ``samples_contrast``: [N, K], rows sum to 1.

    The highest entry is the text's bin, entries of neighbours meet at the cut. A measure of how close a call it was,
    not a probability. A bin without a share gets 0.
    """
    shares_K = check_prior(prior, len(prior))
    bounds_K = np.cumsum(shares_K)
    centres_K = bounds_K - shares_K / 2
    with np.errstate(divide="ignore"):
        distances_NK = np.abs(shares_above(scores_N)[:, None] - centres_K) / shares_K
    return softmax(-_BIN_SHARPNESS * distances_NK)


def samples_contrast_table(scores_NC: np.ndarray, *, prior: Sequence[float] | np.ndarray | None = None) -> np.ndarray:
    """Samples-contrast for several candidates at once: [N, C], rows sum to 1.

    Each candidate's scores are replaced by where the text ranks among all texts for that candidate, as the log-odds
    of being ahead of the cut that the candidate's prior sets; then the candidates of a text are compared. So a
    candidate that scores high everywhere wins no more texts than its share suggests.
    """
    scores_NC = np.asarray(scores_NC, dtype=np.float64)
    prior_C = check_prior(prior, scores_NC.shape[1])
    ahead_NC = np.stack([shares_above(column) for column in scores_NC.T], axis=1)
    with np.errstate(divide="ignore"):
        cut_C = np.log(prior_C) - np.log1p(-prior_C)
    return softmax(np.log1p(-ahead_NC) - np.log(ahead_NC) + np.where(prior_C == 1, 0, cut_C))


def combine_windows(scores_WC: np.ndarray, how: WindowReduction) -> tuple[np.ndarray, np.ndarray]:
    """One score a label from the windows of one text, and the window that spoke loudest for each label.

    "best": a label counts by its best window. "mean": by the mean over all windows. Returns ([C], int [C]).
    """
    loudest_C = scores_WC.argmax(axis=0)
    if how == "mean":
        return scores_WC.mean(axis=0), loudest_C
    return scores_WC.max(axis=0), loudest_C


def ranked(labels: Sequence[str], scores_C: np.ndarray) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Labels and scores, best first; equal scores keep the order in which the labels were given."""
    order: list[int] = np.argsort(-scores_C, kind="stable").tolist()
    return tuple(labels[i] for i in order), tuple(float(scores_C[i]) for i in order)


def abstains(best: float, threshold: float | None) -> bool:
    """Whether the best score is too low to answer."""
    return threshold is not None and best < threshold


def check_threshold(threshold: float | None) -> float | None:
    if threshold is not None and not 0 <= threshold <= 1:
        raise InputError(f"threshold is {threshold}; scores are probabilities, so it lies between 0 and 1")
    return threshold
