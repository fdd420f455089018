"""From nodes and groups in one window to results that point at characters of the text."""

# C classes, L tokens

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ironwok.events.classes import OBJECT, SUBJECT, TaskClasses
from ironwok.events.decoding import (
    Cuts,
    DecodingOptions,
    Group,
    Node,
    find_groups,
    find_nodes,
    find_relations,
    group_score,
    link_scores,
    probability_of,
    relation_scores,
    without_overlaps,
)
from ironwok.results import Argument, Entity, Event, Relation, Span
from ironwok.text.windows import Window, token_span_to_char_span

if TYPE_CHECKING:
    from numpy.typing import NDArray

Result = Event | Entity | Relation


@dataclass(frozen=True, slots=True)
class WindowScores:
    """What a model said of one window: log-odds, float [C, L, L] each; heads and tails None for entities.

    L counts the positions of the model's input, special tokens included.
    """

    spans: NDArray[np.floating]
    heads: NDArray[np.floating] | None = None
    tails: NDArray[np.floating] | None = None


@dataclass(frozen=True, slots=True)
class WindowReading:
    """What is left of the scores of a window when all hopeless cells are gone.

    links: for events float [N, N], for relations [predicates, N, N], for entities None. dropped: a bound was reached.
    """

    nodes: tuple[Node, ...]
    links: NDArray[np.float64] | None
    dropped: bool


def read_window(scores: WindowScores, classes: TaskClasses, *, offset: int, options: DecodingOptions) -> WindowReading:
    """The spans above the threshold and how they are linked.

    offset: position of the window's first token in the model's input.
    """
    most = options.max_nodes * len({span_class.type for span_class in classes.spans})
    found, dropped = find_nodes(scores.spans, threshold=options.threshold or 0.0, most=most)
    # the first token is a place for what stands nowhere, and for nothing else
    nodes = [node for node in found if (node.kind in classes.anchored) == (node.last < offset) and _whole(node, offset)]
    links = None
    if scores.heads is not None and scores.tails is not None:
        if classes.task == "relations":
            links = relation_scores(nodes, scores.heads, scores.tails)
        else:
            links = link_scores(nodes, scores.heads[0], scores.tails[0])
    return WindowReading(tuple(nodes), links, dropped)


def results_of(
    reading: WindowReading,
    window: Window,
    text: str,
    classes: TaskClasses,
    *,
    offset: int,
    options: DecodingOptions,
) -> tuple[tuple[Result, ...], Cuts]:
    """What one window holds, with offsets in ``text``, in the order of the text; and which bounds were reached.

    reading: made with a threshold that is not above that of ``options``. A trigger is not asked for here: the part of
    an event that holds it may lie in another window.
    """
    place = _Place(window, text, offset)
    kept = [i for i, node in enumerate(reading.nodes) if node.logit > (options.threshold or 0.0)]
    nodes = [reading.nodes[i] for i in kept]
    cuts = Cuts(nodes=int(reading.dropped))
    found: list[Result]
    if reading.links is None:
        found = [Entity(classes.spans[node.kind].type, place.span(node), probability_of(node.logit)) for node in nodes]
    elif classes.task == "relations":
        links = reading.links[:, kept][:, :, kept]
        found = [
            Relation(
                classes.links[pair.predicate],
                place.span(nodes[pair.subject]),
                place.span(nodes[pair.object]),
                _mean_probability([nodes[pair.subject].logit, nodes[pair.object].logit, pair.logit]),
            )
            for pair in find_relations(
                nodes, links, subject=SUBJECT, object_=OBJECT, link_threshold=options.link_threshold or 0.0
            )
        ]
    else:
        links = reading.links[np.ix_(kept, kept)]
        groups, more = find_groups(nodes, links, classes.spans, options=options)
        cuts.add(more)
        if not options.overlapping:
            cleared = (without_overlaps(group, nodes) for group in groups)
            groups = list({group.members: group for group in cleared}.values())
        found = [_event(group, nodes, links, classes, place) for group in groups]
    return tuple(sorted(found, key=reading_order)), cuts


class _Place:
    """Where a node stands in the text."""

    def __init__(self, window: Window, text: str, offset: int) -> None:
        self._window, self._text, self._offset = window, text, offset

    def span(self, node: Node) -> Span:
        start, end = token_span_to_char_span(self._window.offsets, node.first - self._offset, node.last - self._offset)
        return Span(start, end, self._text[start:end])


def _event(
    group: Group, nodes: Sequence[Node], links: NDArray[np.floating], classes: TaskClasses, place: _Place
) -> Event:
    """Groups have at most one trigger, and values of roles stand where it stands."""
    trigger: Span | None = None
    trigger_score = 1.0
    members: list[tuple[Argument, int]] = []
    own = -1
    for number in group.members:
        node, span_class = nodes[number], classes.spans[nodes[number].kind]
        span = None if node.kind in classes.anchored else place.span(node)
        if span_class.role is None:
            trigger, trigger_score, own = span, probability_of(node.logit), number
        else:
            members.append((Argument(span_class.role, span, probability_of(node.logit), span_class.value), number))
    members.sort(key=lambda member: argument_order(member[0]))
    position = {number: index for index, (_, number) in enumerate(members)} | {own: -1}
    unlinked = sorted(tuple(sorted((position[a], position[b]))) for a, b in group.unlinked)
    return Event(
        type=classes.spans[nodes[group.members[0]].kind].type,
        arguments=tuple(argument for argument, _ in members),
        trigger=trigger,
        score=group_score(group, nodes, links),
        trigger_score=trigger_score,
        unlinked=tuple((a, b) for a, b in unlinked),
    )


def _whole(node: Node, offset: int) -> bool:
    """Whether a span lies wholly inside or wholly outside of the text, not from the first token into it."""
    return (node.first < offset) == (node.last < offset)


def _mean_probability(logits: Sequence[float]) -> float:
    """The geometric mean of their probabilities."""
    return float(np.exp(-np.logaddexp(0.0, -np.array(logits)).mean()))


def argument_order(argument: Argument) -> tuple[int, int, str, str]:
    """By place, those without one last; then by role."""
    if argument.span is None:
        return 2**62, 0, argument.role, argument.value or ""
    return argument.span.start, argument.span.end, argument.role, argument.value or ""


def reading_order(result: Result) -> tuple:
    """By place in the text, an event's being that of its trigger, else of its first argument; then by name."""
    if isinstance(result, Entity):
        return result.span.start, result.span.end, result.type
    if isinstance(result, Relation):
        return result.subject.start, result.subject.end, result.object.start, result.object.end, result.predicate
    spans = result.spans
    first = result.trigger or (spans[0] if spans else None)
    place = (2**62, 0) if first is None else (first.start, first.end)
    return *place, result.type, tuple(argument_order(argument) for argument in result.arguments)
