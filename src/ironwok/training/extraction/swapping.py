"""More texts from few: annotated words are put in the place of others that fill the same role.

A model that has seen a company in one role thinks it belongs there. In a copy with another company in its place only
the rest of the sentence tells. After "mention replacement" (Dai and Adel, 2020, https://aclanthology.org/2020.coling-main.343).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ironwok.events.annotations import AnnotatedText
from ironwok.results import Argument, Event, Span

Pools = Mapping[str, Sequence[str]]


def swapped_copies(texts: Sequence[AnnotatedText], copies: int, *, seed: int) -> list[AnnotatedText]:
    """So many copies of every text, each with other words; a function of texts and seed."""
    pools = pools_of(texts)
    generator = np.random.default_rng((seed, 0x5A4B))
    return [swapped(text, pools, generator) for _ in range(copies) for text in texts]


def pools_of(texts: Iterable[AnnotatedText]) -> Pools:
    """The words that fill each role (in any event type, each side of any relation) or are entities of each type.

    Each as often as it is annotated. Triggers are left out: they say what happens.
    """
    pools: dict[str, list[str]] = {}
    for text in texts:
        for kind, span in _fillers(text):
            pools.setdefault(kind, []).append(span.text)
    return pools


def swapped(text: AnnotatedText, pools: Pools, generator: np.random.Generator, *, share: float = 0.5) -> AnnotatedText:
    """A copy in which about ``share`` of the fillers are others, wherever their words stand.

    Words that stand within other annotated words, or overlap them, stay as they are. Same words, same new words.
    """
    kinds: dict[str, list[str]] = {}
    for kind, span in _fillers(text):
        kinds.setdefault(span.text, []).append(kind)
    spans = {(span.start, span.end): span for span in text.spans()}
    fixed = {span.text for span in spans.values() if any(_meet(span, other) for other in spans.values())}
    fixed |= {event.trigger.text for event in text.events if event.trigger is not None}
    new: dict[str, str] = {}
    for words, of in kinds.items():
        if generator.random() < share and len(words) > 1 and words not in fixed:
            pool = pools[of[int(generator.integers(len(of)))]]
            new[words] = pool[int(generator.integers(len(pool)))]
    return _rewritten(text, _places(text.text, spans.values(), new), new)


def _fillers(text: AnnotatedText) -> list[tuple[str, Span]]:
    found = [(f"role {one.role}", one.span) for event in text.events for one in event.arguments if one.value is None]
    found += [(f"entity {entity.type}", entity.span) for entity in text.entities]
    for one in text.relations:
        found += [(f"subject {one.predicate}", one.subject), (f"object {one.predicate}", one.object)]
    return [(kind, span) for kind, span in found if span is not None and span.text]


def _meet(one: Span, other: Span) -> bool:
    return (one.start, one.end) != (other.start, other.end) and one.start < other.end and other.start < one.end


def _places(text: str, spans: Iterable[Span], new: Mapping[str, str]) -> list[tuple[int, int]]:
    """Where words are to be changed: where they are annotated, and where nothing else is."""
    taken = [False] * len(text)
    places = []
    for span in spans:
        taken[span.start : span.end] = [True] * (span.end - span.start)
        if span.text in new:
            places.append((span.start, span.end))
    for words in sorted(new, key=lambda words: (-len(words), words)):
        for match in re.finditer(re.escape(words), text):
            start, end = match.span()
            if not any(taken[start:end]):
                places.append((start, end))
                taken[start:end] = [True] * (end - start)
    return sorted(places)


def _rewritten(text: AnnotatedText, places: Sequence[tuple[int, int]], new: Mapping[str, str]) -> AnnotatedText:
    pieces: list[str] = []
    moves: list[tuple[int, int]] = []  # from this place on, so many characters further
    at = shift = 0
    for start, end in places:
        words = new[text.text[start:end]]
        pieces += (text.text[at:start], words)
        shift += len(words) - (end - start)
        moves.append((end, shift))
        at = end
    whole = "".join([*pieces, text.text[at:]])

    def moved(span: Span) -> Span:
        start, end = (
            place + max((move for move in moves if move[0] <= place), default=(0, 0))[1]
            for place in (span.start, span.end)
        )
        return Span(start, end, whole[start:end])

    def moved_argument(one: Argument) -> Argument:
        return one if one.span is None else replace(one, span=moved(one.span))

    def moved_event(event: Event) -> Event:
        return replace(
            event,
            trigger=None if event.trigger is None else moved(event.trigger),
            arguments=tuple(map(moved_argument, event.arguments)),
        )

    return replace(
        text,
        text=whole,
        events=tuple(map(moved_event, text.events)),
        entities=tuple(replace(one, span=moved(one.span)) for one in text.entities),
        relations=tuple(replace(one, subject=moved(one.subject), object=moved(one.object)) for one in text.relations),
    )
