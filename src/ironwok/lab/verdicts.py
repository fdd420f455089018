"""From the runs to a verdict on each claim, by the rule that its recipe fixed before."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ironwok.lab.plan import Cell, RunSpec
from ironwok.lab.recipe import ClaimRecipe
from ironwok.lab.statistics import Interval, bootstrap_interval

Verdict = Literal["supported", "contradicted", "undecided"]
Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Judged:
    """A claim with what was found. difference: left less right, paired by seed; None where nothing could be compared.

    reason: why it is undecided where the interval is not what decides; else "".
    """

    claim: ClaimRecipe
    verdict: Verdict
    difference: Interval | None
    left: Interval | None
    right: Interval | None
    reason: str = ""


def values_by_seed(
    records: Sequence[Record], selector: Mapping[str, str | int], metric: str, *, seeds: Sequence[int] | None = None
) -> dict[int, float]:
    """Seed -> value of a metric in the runs of one cell; runs without it are left out."""
    found = {}
    for record in records:
        spec = record["spec"]
        cell = Cell(**spec["cell"])
        value = record["metrics"].get(metric)
        if cell.matches(selector) and value is not None and (seeds is None or spec["seed"] in seeds):
            found[spec["seed"]] = float(value)
    return dict(sorted(found.items()))


def judge(claim: ClaimRecipe, records: Sequence[Record], *, seeds: Sequence[int] | None = None) -> Judged:
    """Apply the rule of a claim. seeds: of the final runs that count; None counts all."""
    left = values_by_seed(records, claim.left, claim.metric, seeds=seeds)
    if isinstance(claim.right, dict):
        right = values_by_seed(records, claim.right, claim.metric, seeds=seeds)
    else:
        right = dict.fromkeys(left, float(claim.right))
    both = sorted(left.keys() & right.keys())
    differences = [left[seed] - right[seed] for seed in both]
    if not both or not all(map(math.isfinite, differences)):
        reason = f"no seed has {claim.metric} on both sides" if not both else f"{claim.metric} is not finite everywhere"
        return Judged(claim, "undecided", None, _interval(left), _interval(right), reason)
    interval = bootstrap_interval(differences)
    reason = ""
    if len(both) < claim.least_seeds:
        reason = f"{len(both)} seeds, the rule asks for {claim.least_seeds}"
    verdict = "undecided" if reason else decide(claim, interval)
    return Judged(claim, verdict, interval, _interval(left), _interval(right), reason)


def decide(claim: ClaimRecipe, interval: Interval) -> Verdict:
    """Supported where the whole interval lies where the claim says, contradicted where all of it lies elsewhere."""
    low, high, margin = interval.low, interval.high, claim.margin
    if claim.kind == "less":
        low, high = -high, -low
    if claim.kind == "equal":
        inside, outside = -margin <= low and high <= margin, low > margin or high < -margin
    else:
        inside, outside = low > margin, high < margin
    return "supported" if inside else "contradicted" if outside else "undecided"


def _interval(values: Mapping[int, float]) -> Interval | None:
    finite = [value for value in values.values() if math.isfinite(value)]
    return bootstrap_interval(finite) if finite else None


def spec_of(record: Record) -> RunSpec:
    return RunSpec.from_dict(record["spec"])
