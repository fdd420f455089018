"""Students taught by the teacher, and the small one by the student with the encoder as well: the second round."""

# N texts, C labels, D width of a vector

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ironwok.distill.fitting import Choice, Linear, choose_strength, fit_scores, never, standardised
from ironwok.distill.lesson import Lesson
from ironwok.distill.report import RoundReport
from ironwok.students.encoder import EncoderStudent
from ironwok.students.hashing import HashedNgrams
from ironwok.students.ngrams import NgramStudent
from ironwok.zero_shot.pairs import EmbeddingScorer

_NGRAM_STRENGTHS = (1.0, 3.0, 10.0, 30.0)
_ENCODER_STRENGTHS = (0.0003, 0.003, 0.03, 0.3)
# with so many bits the n-grams of 20,000 headlines seldom share a bucket: with 18 they shared a good deal of them
_LONGEST, _BITS = 4, 22
# from so many texts on, an n-gram that only one of them has is left out
_MANY = 2000
# vectors that are brought to 64 bits together
_AT_ONCE = 8192


@dataclass(frozen=True, slots=True)
class Head:
    """A linear layer over vectors that are first brought to mean 0 and deviation 1."""

    layer: Linear
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    def scores(self, vectors: NDArray[Any]) -> NDArray[np.float64]:
        """What it takes the teacher's log scores for [N, C], of vectors [N, D]."""
        starts = range(0, len(vectors), _AT_ONCE)
        parts = ((vectors[start : start + _AT_ONCE] - self.mean) / self.deviation for start in starts)
        return np.concatenate([self.layer.scores(part) for part in parts])


@dataclass(frozen=True, slots=True)
class Heads:
    """choice: of strength. final: learned from all that is learned from. blind: without the texts set aside."""

    choice: Choice
    final: Head
    blind: Head


@dataclass(frozen=True, slots=True)
class Rest:
    """Texts that the teacher was not asked for, with their vectors [N, D]."""

    texts: Sequence[str]
    vectors: NDArray[Any]


def teach_heads(lesson: Lesson, vectors: NDArray[Any]) -> Heads:
    """vectors: of the learned texts [N, D]."""
    numbers = lesson.learned
    targets, aside = lesson.said[numbers], lesson.aside[numbers]
    features, mean, deviation = standardised(vectors)
    choice = choose_strength(
        lambda strength: fit_scores(features[~aside], targets[~aside], strength=strength),
        lambda layer: _agreement(layer, features[aside], lesson, numbers[aside]),
        aside=int(aside.sum()),
        strengths=_ENCODER_STRENGTHS,
    )
    final = fit_scores(features, targets, strength=choice.strength)
    blind = final
    if choice.agreement is not None:
        blind = fit_scores(features[~aside], targets[~aside], strength=choice.strength)
    return Heads(choice, Head(final, mean, deviation), Head(blind, mean, deviation))


def encoder_student(
    lesson: Lesson, heads: Heads, *, embedder: EmbeddingScorer, model: str, about: Mapping[str, Any]
) -> EncoderStudent:
    head = heads.final
    layer = never(head.layer, lesson.absent)
    weights = layer.weights / head.deviation[:, None]
    bias = layer.bias - head.mean @ weights
    return EncoderStudent(
        lesson.labels,
        embedder=embedder,
        model=model,
        weights=weights.astype(np.float32),
        bias=bias.astype(np.float32),
        teacher=about,
    )


@dataclass(frozen=True, slots=True)
class Taught:
    """A student of n-grams. rounds: those that were tried, one of them kept."""

    student: NgramStudent
    strength: float
    rounds: tuple[RoundReport, ...]


def ngram_student(
    lesson: Lesson,
    *,
    about: Mapping[str, Any],
    heads: Heads | None = None,
    vectors: NDArray[Any] | None = None,
    rest: Rest | None = None,
) -> Taught:
    """One round; two where there are heads, the vectors of the learned texts [N, D], and the rest.

    The first round learns what the teacher said of every label. The second learns the same texts and the rest, with
    what the student with the encoder says, and the mean of both where the teacher was asked. It is kept where it
    agrees with the teacher on more of the texts set aside. So that these are new to both rounds, the encoder's layer
    in the comparison has not seen them either; what is kept is then taught again with everything.
    """
    ways = [_first_round(lesson)]
    if heads is not None and vectors is not None and rest is not None and heads.choice.agreement is not None:
        ways.append(_second_round(lesson, heads, vectors, rest))
    choices = [way.choose(lesson) for way in ways]
    # of equal ones the earlier, which is smaller and was quicker to make
    best = max(range(len(ways)), key=lambda place: (choices[place].agreement or 0.0, -place))
    strength = choices[best].strength
    layer = never(ways[best].fit(False, strength), lesson.absent)
    student = NgramStudent(
        lesson.labels,
        features=ways[best].features,
        weights=layer.weights.astype(np.float32),
        bias=layer.bias.astype(np.float32),
        teacher=dict(about) | {"round": best + 1},
    )
    rounds = tuple(
        RoundReport(place + 1, way.texts, choice.agreement, choice.strength, kept=place == best)
        for place, (way, choice) in enumerate(zip(ways, choices, strict=True))
    )
    return Taught(student, strength, rounds)


@dataclass(frozen=True, slots=True)
class _Way:
    """texts: how many it learns from. fit: with a strength; the first argument: without the texts set aside."""

    texts: int
    features: HashedNgrams
    fit: Callable[[bool, float], Linear]

    def choose(self, lesson: Lesson) -> Choice:
        numbers = np.flatnonzero(lesson.kept & lesson.aside)
        rows = self.features.transform([lesson.texts[number] for number in numbers])
        return choose_strength(
            lambda strength: self.fit(True, strength),
            lambda layer: _agreement(layer, rows, lesson, numbers),
            aside=len(numbers),
            strengths=_NGRAM_STRENGTHS,
        )


def _first_round(lesson: Lesson) -> _Way:
    numbers = lesson.learned
    texts = [lesson.texts[number] for number in numbers]
    return _way(texts, ~lesson.aside[numbers], lesson.said[numbers], lesson.said[numbers])


def _second_round(lesson: Lesson, heads: Heads, vectors: NDArray[Any], rest: Rest) -> _Way:
    numbers = lesson.learned
    texts = [*(lesson.texts[number] for number in numbers), *rest.texts]
    new = np.concatenate([~lesson.aside[numbers], np.ones(len(rest.texts), dtype=bool)])
    said = lesson.said[numbers]
    final, blind = (
        np.concatenate([(said + head.scores(vectors)) / 2, head.scores(rest.vectors)])
        for head in (heads.final, heads.blind)
    )
    return _way(texts, new, final, blind)


def _way(texts: Sequence[str], new: NDArray[np.bool_], final: NDArray[np.float64], blind: NDArray[np.float64]) -> _Way:
    """new: texts that are not set aside [N]. final, blind: what is learned of all, and of the new ones [N, C]."""
    features = HashedNgrams.learn(texts, longest=_LONGEST, bits=_BITS, fewest=2 if len(texts) >= _MANY else 1)
    rows = features.transform(texts)

    def fit(without: bool, strength: float) -> Linear:
        return (
            fit_scores(rows[new], blind[new], strength=strength)
            if without
            else fit_scores(rows, final, strength=strength)
        )

    return _Way(len(texts), features, fit)


def _agreement(layer: Linear, features: Any, lesson: Lesson, numbers: NDArray[np.int64]) -> float:
    """How often a layer says what the teacher says of these texts."""
    best = never(layer, lesson.absent).scores(features).argmax(axis=1)
    return float(np.mean(np.array(lesson.labels)[best] == lesson.best[numbers]))
