"""Events as annotation tools hold them: labelled spans, and labelled arrows between spans.

doccano and Label Studio know no events. The convention here, which people can follow by hand in either tool:

- an entity is a span with its type, a relation an arrow with its predicate;
- an event is the span of its trigger, labelled with the event type and ``触发词`` (as PaddleNLP's UIE does it) or
  `` trigger``, and an arrow to each argument; arrow and the argument's span are labelled with the role;
- an event without a trigger hangs on the span of its first argument, labelled with the type and ``无触发词`` or
  `` without trigger``;
- the value of an enumerated role is a span on the trigger, labelled ``role=value``.

With a schema, the bare name of an event type will do as the label of a trigger.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ironwok.events.annotations import AnnotatedText
from ironwok.events.formats.checking import Tell
from ironwok.events.formats.drafts import (
    DraftArgument,
    DraftEntity,
    DraftEvent,
    DraftRelation,
    DraftText,
    Mention,
)
from ironwok.events.schema import Schema
from ironwok.results import Argument, Event, Span
from ironwok.text.characters import has_han

# longest first: one is the end of the other
_BARE = ("无触发词", " without trigger")
_TRIGGER = ("触发词", " trigger")
# label of the end of a relation that is not annotated as an entity
_NAMELESS = "span"


@dataclass(frozen=True, slots=True)
class Node:
    """A labelled span. id: unique in its text."""

    id: str
    label: str
    mention: Mention
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class Edge:
    """A labelled arrow between two nodes, given by their ids."""

    source: str
    target: str
    label: str


def draft_from_graph(draft: DraftText, nodes: Sequence[Node], edges: Iterable[Edge], *, schema: Schema | None) -> None:
    """Put the events, entities and relations of a graph into a draft."""
    by_id = {node.id: node for node in nodes}
    if len(by_id) < len(nodes):
        draft.faults.append(
            ("bad annotation", f"{len(nodes) - len(by_id)} spans share the id of another: arrows may err")
        )
    events = {node.id: event for node in nodes if (event := _event_of(node, schema)) is not None}
    taken: set[str] = set()  # nodes that are there for an event only
    for edge in edges:
        source, target = by_id.get(edge.source), by_id.get(edge.target)
        if source is None or target is None:
            draft.faults.append(("bad annotation", f"arrow {edge.label!r}: {edge.source} or {edge.target} is no span"))
        elif source.id in events:
            event = events[source.id]
            role, value = _value_of(target, edge.label)
            event.arguments.append(
                DraftArgument(edge.label, target.mention, None, target.score)
                if value is None
                else DraftArgument(role, None, value, target.score)
            )
            if target.label == edge.label or value is not None:
                taken.add(target.id)
        else:
            draft.relations.append(DraftRelation(edge.label, source.mention, target.mention))
    draft.events += events.values()
    kept = (node for node in nodes if node.id not in events and node.id not in taken and node.label != _NAMELESS)
    draft.entities += [DraftEntity(node.label, node.mention, node.score) for node in kept]


def graph_of(text: AnnotatedText, tell: Tell) -> tuple[list[Node], list[Edge]]:
    """The spans and arrows of a text; ids are "1", "2" and so on."""
    nodes: list[Node] = []
    edges: list[Edge] = []

    def add(label: str, span: Span, score: float) -> Node:
        nodes.append(Node(str(len(nodes) + 1), label, Mention(span.text, span.start, span.end), score))
        return nodes[-1]

    entities: dict[Span, Node] = {}
    for entity in text.entities:
        entities[entity.span] = add(entity.type, entity.span, entity.score)
    for event in text.events:
        anchor = event.trigger or next((one.span for one in event.arguments if one.span is not None), None)
        if anchor is None:
            tell("no place in the format", f"an event of type {event.type} that stands nowhere in the text")
            continue
        head = add(_event_label(event), anchor, event.trigger_score if event.trigger else event.score)
        for argument in event.arguments:
            target = add(_argument_label(argument), argument.span or anchor, argument.score)
            edges.append(Edge(head.id, target.id, argument.role))
    for relation in text.relations:
        ends = []
        for span in (relation.subject, relation.object):
            if span not in entities:
                entities[span] = add(_NAMELESS, span, 1.0)
            ends.append(entities[span].id)
        edges.append(Edge(ends[0], ends[1], relation.predicate))
    return nodes, edges


def labels_of(schema: Schema) -> tuple[list[str], list[str]]:
    """Labels of spans and of arrows that a project for this schema needs, in order, each once."""
    spans = [entity.name for entity in schema.entities]
    arrows = [relation.predicate for relation in schema.relations]
    for event in schema.events:
        spans.append(event.name + _suffix(event.name, _TRIGGER if event.trigger else _BARE))
        for role in event.roles:
            spans += [f"{role.name}={value}" for value in role.values] or [role.name]
            arrows.append(role.name)
    return list(dict.fromkeys(spans)), list(dict.fromkeys(arrows))


def _event_of(node: Node, schema: Schema | None) -> DraftEvent | None:
    for endings, bare in ((_BARE, True), (_TRIGGER, False)):
        for ending in endings:
            if node.label.endswith(ending) and node.label.removesuffix(ending).strip():
                name = node.label.removesuffix(ending)
                if bare:
                    return DraftEvent(name, score=node.score)
                return DraftEvent(name, node.mention, trigger_score=node.score)
    if schema is not None and node.label in {event.name for event in schema.events}:
        return DraftEvent(node.label, node.mention, trigger_score=node.score)
    return None


def _value_of(node: Node, role: str) -> tuple[str, str | None]:
    """Role and value of an enumerated role's node, no value for another node."""
    if node.label.startswith(f"{role}=") and node.label != f"{role}=":
        return role, node.label.removeprefix(f"{role}=")
    return role, None


def _event_label(event: Event) -> str:
    return event.type + _suffix(event.type, _BARE if event.trigger is None else _TRIGGER)


def _argument_label(argument: Argument) -> str:
    return argument.role if argument.value is None else f"{argument.role}={argument.value}"


def _suffix(name: str, endings: tuple[str, str]) -> str:
    return endings[0] if has_han(name) else endings[1]
