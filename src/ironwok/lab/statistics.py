"""Means and intervals over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

from ironwok.errors import InputError

RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with a bootstrap interval. values: how many it rests on; low and high are NaN for a single one."""

    mean: float
    low: float
    high: float
    values: int


def bootstrap_interval(values: Sequence[float], *, level: float = 0.95, seed: int = 0) -> Interval:
    """The expanded percentile interval of the mean.

    Percentiles of resampled means are too close together for a handful of values: they divide by n where n - 1 is
    due, and know no t-distribution. So the level is widened until it makes up for both (Hesterberg 2015, "What teachers
    should know about the bootstrap", section 3): percentiles at Phi(-+ sqrt(n / (n - 1)) t_(n-1)).
    Raises InputError for no values, or values that are not finite.
    """
    data = np.asarray(values, dtype=np.float64)
    if not data.size or not np.isfinite(data).all():
        raise InputError(f"an interval needs finite values, at least one; these are {list(values)}")
    mean = float(data.mean())
    if data.size == 1:
        return Interval(mean, math.nan, math.nan, 1)
    drawn = np.random.default_rng(seed).integers(data.size, size=(RESAMPLES, data.size))
    means = data[drawn].mean(axis=1)
    tail = norm.cdf(-math.sqrt(data.size / (data.size - 1)) * t.ppf(0.5 + level / 2, data.size - 1))
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(mean, float(low), float(high), int(data.size))
