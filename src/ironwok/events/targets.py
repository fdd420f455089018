"""From annotations to the cells that a model should find: the other direction of `ironwok.events.decoding`.

An event becomes nodes (its trigger, its arguments; for a role with values the value, at the place of the trigger or,
without one, at the first token), and every pair of its nodes a link from head to head and from tail to tail.
"""

# K right cells

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ironwok.events.annotations import AnnotatedText
from ironwok.events.classes import OBJECT, SUBJECT, TaskClasses
from ironwok.events.schema import SpanClass
from ironwok.results import Event, Span
from ironwok.text.windows import Window, char_span_to_token_span


class Cell(NamedTuple):
    """One right cell: class, first position, second position, counted in the model's input."""

    kind: int
    first: int
    second: int


@dataclass(frozen=True, slots=True)
class Targets:
    """The right cells of one window."""

    spans: frozenset[Cell] = frozenset()
    heads: frozenset[Cell] = frozenset()
    tails: frozenset[Cell] = frozenset()

    def array(self, name: str) -> np.ndarray:
        """int64 [K, 3], sorted. name: "spans", "heads" or "tails"."""
        return np.array(sorted(getattr(self, name)), dtype=np.int64).reshape(-1, 3)


@dataclass(slots=True)
class Misfits:
    """Annotations that the tokens cannot express exactly.

    split: spans that begin or end within a token; the whole token is trained on. lost: spans without a token.
    alone: events without anything to find them by. Spans in two windows count twice.
    """

    split: int = 0
    lost: int = 0
    alone: int = 0


def targets_of(
    text: AnnotatedText, window: Window, classes: TaskClasses, *, offset: int, misfits: Misfits | None = None
) -> Targets:
    """The right cells of a window of a text.

    offset: position of the window's first token in the model's input. misfits: counts what does not fit.
    What lies outside of the window is left out: an event is then there with the part that lies inside.
    """
    misfits = Misfits() if misfits is None else misfits
    place = _Places(window, offset, misfits)
    if classes.task == "entities":
        return _entity_targets(text, classes, place)
    if classes.task == "relations":
        return _relation_targets(text, classes, place)
    return _event_targets(text, classes, place, misfits)


class _Places:
    """Positions of spans in the input of one window."""

    def __init__(self, window: Window, offset: int, misfits: Misfits) -> None:
        self._window, self._offset, self._misfits = window, offset, misfits

    def of(self, span: Span) -> tuple[int, int] | None:
        """First and last position, or None for a span that is not wholly in the window, or has no token."""
        inside, offsets = self._window.span, self._window.offsets
        if span.end <= inside.start or span.start >= inside.end:
            return None
        found = char_span_to_token_span(offsets, span.start, span.end) if span.end > span.start else None
        if found is None:
            self._misfits.lost += 1
            return None
        if span.start < inside.start or span.end > inside.end:
            return None  # cut by the window; another one holds it whole
        first, last = found
        if offsets[first][0] < span.start or offsets[last][1] > span.end:
            self._misfits.split += 1
        return self._offset + first, self._offset + last


def _entity_targets(text: AnnotatedText, classes: TaskClasses, place: _Places) -> Targets:
    numbers = {span_class.type: number for number, span_class in enumerate(classes.spans)}
    cells = set()
    for entity in text.entities:
        if entity.type in numbers and (found := place.of(entity.span)) is not None:
            cells.add(Cell(numbers[entity.type], *found))
    return Targets(spans=frozenset(cells))


def _relation_targets(text: AnnotatedText, classes: TaskClasses, place: _Places) -> Targets:
    numbers = {predicate: number for number, predicate in enumerate(classes.links)}
    spans, heads, tails = set(), set(), set()
    for relation in text.relations:
        if relation.predicate not in numbers:
            continue
        subject, object_ = place.of(relation.subject), place.of(relation.object)
        if subject is None or object_ is None:
            continue
        kind = numbers[relation.predicate]
        spans |= {Cell(SUBJECT, *subject), Cell(OBJECT, *object_)}
        heads.add(Cell(kind, subject[0], object_[0]))
        tails.add(Cell(kind, subject[1], object_[1]))
    return Targets(frozenset(spans), frozenset(heads), frozenset(tails))


def _event_targets(text: AnnotatedText, classes: TaskClasses, place: _Places, misfits: Misfits) -> Targets:
    numbers = classes.numbers
    spans, heads, tails = set(), set(), set()
    for event in text.events:
        nodes = _nodes(event, numbers, place)
        misfits.alone += not nodes and not event.spans
        spans |= nodes
        for a, b in itertools.combinations(sorted(nodes), 2):
            heads.add(Cell(0, min(a.first, b.first), max(a.first, b.first)))
            tails.add(Cell(0, min(a.second, b.second), max(a.second, b.second)))
    return Targets(frozenset(spans), frozenset(heads), frozenset(tails))


def _nodes(event: Event, numbers: dict[SpanClass, int], place: _Places) -> set[Cell]:
    """The nodes of an event that lie in the window."""
    nodes: set[Cell] = set()
    trigger = None if event.trigger is None else place.of(event.trigger)
    own = numbers.get(SpanClass(event.type, None, None))
    if trigger is not None and own is not None:
        nodes.add(Cell(own, *trigger))
    for argument in event.arguments:
        number = numbers.get(SpanClass(event.type, argument.role, None))
        if argument.value is None and argument.span is not None and number is not None:
            found = place.of(argument.span)
            nodes |= {Cell(number, *found)} if found is not None else set()
    # values stand where the trigger stands; without one, at the first token of the windows that hold other arguments
    whole = (0, 0) if nodes or not event.spans else None
    anchor = trigger if own is not None else whole
    for argument in event.arguments:
        number = numbers.get(SpanClass(event.type, argument.role, argument.value))
        if argument.value is not None and number is not None and anchor is not None:
            nodes.add(Cell(number, *anchor))
    return nodes
