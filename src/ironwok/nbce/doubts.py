"""Whether the sources settle an answer: three signs that they do not, from numbers that decoding has anyway.

The bounds were measured, not guessed: benchmarks/long_context_qa.py asks every question with and without the paragraph
that answers it. docs/ask.md has the figures, and where this fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where doubt begins.

    lift: nats per token of the question that the best context must add. tie: how many nats the best must be ahead of
    the second. jumps: share of the answer's tokens, from the second on, that come from another context than the one
    before.
    """

    lift: float
    tie: float
    jumps: float


# for SmolLM2-135M-Instruct; other models: the same scale, other figures
DEFAULT_BOUNDS = Bounds(lift=0.75, tie=3.0, jumps=0.25)


def doubts(
    best: float,
    second: float | None,
    contexts: Sequence[int],
    *,
    question_tokens: int,
    bounds: Bounds = DEFAULT_BOUNDS,
) -> tuple[str, ...]:
    """The codes of `ironwok.results.Answer`, in a fixed order.

    best: the greatest r_k, nats; second: the greatest of the contexts that share no text with that one, None where
    there is no such context. contexts: of the answer's tokens, in order. question_tokens: of the question itself; the
    words around it, the same in every row, add next to nothing to the lift.
    """
    found = []
    if best < bounds.lift * question_tokens:
        found.append("unrelated")
    if second is not None and best - second < bounds.tie:
        found.append("tie")
    if jumps(contexts) > bounds.jumps:
        found.append("jumping")
    return tuple(found)


def second_best(lift: Sequence[float], places: Sequence[tuple[int, int, int]]) -> float | None:
    """The greatest lift of a stretch that shares no character with the best one: overlapping windows are no rivals.

    places: of every stretch, (number of its text, start, end).
    """
    best = max(range(len(lift)), key=lambda number: lift[number])
    text, start, end = places[best]
    apart = [
        value
        for value, (other, begin, stop) in zip(lift, places, strict=True)
        if other != text or stop <= start or end <= begin
    ]
    return max(apart, default=None)


def jumps(contexts: Sequence[int]) -> float:
    """Share of tokens, from the second on, whose context is not that of the one before; 0 for fewer than two."""
    pairs = list(pairwise(contexts))
    return sum(a != b for a, b in pairs) / len(pairs) if pairs else 0.0
