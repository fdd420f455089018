"""What the tasks share: results, the text around a span, contrasts over groups of pairs."""

# N items, C candidates, K labels

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ironwok.errors import InputError, LabelError, ModelError
from ironwok.results import Classification, Span
from ironwok.zero_shot import mapping
from ironwok.zero_shot.pairs import Pair, Prompt, Scorer

# Where a clause ends, for the piece of text that stands in a prompt.
CLAUSE_ENDS = frozenset("。！？!?；;\n…")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One answer with its probability, and where it stands in the text, if it does."""

    name: str
    score: float
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """Candidates for one place of a text, best first; their scores sum to 1.

    target: the place that was asked about (a blank, a pronoun, a mention), None where it is the whole text.
    """

    text: str
    target: Span | None
    candidates: tuple[Candidate, ...]

    def __post_init__(self) -> None:
        if self.target is not None:
            check_span(self.text, self.target)

    @property
    def best(self) -> Candidate:
        return self.candidates[0]


def check_span(text: str, span: Span) -> Span:
    """Raises InputError for a span that is not of this text."""
    if text[span.start : span.end] != span.text:
        raise InputError(
            f"span [{span.start}, {span.end}) is {span.text!r:.40}, but the text has "
            f"{text[span.start : span.end]!r:.40} there: offsets count characters of the text as given"
        )
    return span


def check_candidates(candidates: Sequence[str], *, of: str) -> tuple[str, ...]:
    """At least two different, non-blank candidates."""
    names = tuple(candidates)
    if len(names) < 2:
        raise LabelError(f"{of} has {len(names)} candidates: give two or more to choose from")
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise LabelError(f"{of} has a blank candidate ({name!r}): take it out")
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise LabelError(f"{of} has the candidate {double!r} twice")
    return names


def clause_around(text: str, span: Span, *, most: int) -> Span:
    """The clause that holds the span, at most ``most`` characters to either side of it."""
    start, end = span.start, span.end
    while start > 0 and span.start - start < most and text[start - 1] not in CLAUSE_ENDS:
        start -= 1
    while end < len(text) and end - span.end < most and text[end] not in CLAUSE_ENDS:
        end += 1
    if end < len(text) and text[end] in CLAUSE_ENDS - {"\n"} and end - span.end < most:
        end += 1
    return Span(start, end, text[start:end])


def context_around(text: str, span: Span, *, most: int) -> Span:
    """The text within ``most`` characters to either side of the span."""
    start, end = max(span.start - most, 0), min(span.end + most, len(text))
    return Span(start, end, text[start:end])


def filled(text: str, around: Span, place: Span, words: str) -> Prompt:
    """The piece ``around`` of the text as a prompt, with ``words`` in place of ``place``."""
    return Prompt(text[around.start : place.start], words, text[place.end : around.end])


def ask(scorer: Scorer, groups: Sequence[Sequence[Pair]]) -> list[np.ndarray]:
    """Score groups of pairs in one go; gives each group its scores back."""
    flat = [pair for group in groups for pair in group]
    scores = np.asarray(scorer.score(flat), dtype=np.float64) if flat else np.zeros(0)
    if scores.shape != (len(flat),) or not np.isfinite(scores).all():
        raise ModelError(f"the scorer {type(scorer).__name__} gave {scores.shape} for {len(flat)} pairs, or no numbers")
    bounds = np.cumsum([0, *(len(group) for group in groups)])
    return [scores[start:end] for start, end in pairwise(bounds.tolist())]


def rank(
    text: str,
    target: Span | None,
    names: Sequence[str],
    scores_C: np.ndarray,
    spans: Sequence[Span | None] | None = None,
) -> Ranking:
    """Candidates-contrast: softmax over the candidates, best first."""
    probabilities = mapping.candidates_contrast(scores_C)
    order: list[int] = np.argsort(-probabilities, kind="stable").tolist()
    where = spans or [None] * len(names)
    return Ranking(text, target, tuple(Candidate(names[i], float(probabilities[i]), where[i]) for i in order))


def bins(scores_N: np.ndarray, labels: Sequence[str], prior: Sequence[float] | None) -> list[tuple[tuple, tuple]]:
    """Samples-contrast: (labels, scores) of each item, best first. The first label is that of the highest scores."""
    shares = mapping.check_prior(prior, len(labels))
    if not len(scores_N):
        return []
    return [mapping.ranked(labels, row) for row in mapping.bin_membership(scores_N, prior=shares)]


def judged(
    texts: Sequence[str], scores_N: np.ndarray, labels: Sequence[str], prior: Sequence[float] | None
) -> list[Classification]:
    return [Classification(text, *row) for text, row in zip(texts, bins(scores_N, labels, prior), strict=True)]
