"""From what a file states to an AnnotatedText that holds: placed in the text and checked against the schema."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeVar

from ironwok.errors import SchemaError
from ironwok.events.annotations import AnnotatedText
from ironwok.events.formats.drafts import (
    DraftArgument,
    DraftEntity,
    DraftEvent,
    DraftRelation,
    DraftText,
    Mention,
)
from ironwok.events.formats.placing import nearest, place
from ironwok.events.schema import EventType, Schema
from ironwok.results import Argument, Entity, Event, Relation, Span

# a kind of problem and a message
Tell = Callable[[str, str], None]
_Found = TypeVar("_Found", Argument, Event, Entity, Relation)


def checked(draft: DraftText, *, schema: Schema | None, tell: Tell) -> AnnotatedText:
    """The annotations of a draft that hold. tell: told of everything that is left out, repaired or remarkable.

    Without a schema all names are taken. A schema that names no entity types (or predicates, or event types) at all
    says nothing about them: they are taken, too.
    """
    for kind, message in draft.faults:
        tell(kind, message)
    text = draft.text
    drafts = [event for event in draft.events if _known_type(event, schema, tell)]
    events = [event for one in drafts if (event := _event(text, one, schema, tell)) is not None]
    entities = [entity for one in draft.entities if (entity := _entity(text, one, schema, tell)) is not None]
    relations = [relation for one in draft.relations if (relation := _relation(text, one, schema, tell)) is not None]
    _tell_overlapping(events, tell)
    result = AnnotatedText(
        text=text,
        events=_unique(events, "event", tell),
        entities=_unique(entities, "entity", tell),
        relations=_unique(relations, "relation", tell),
        id=draft.id,
        metadata=draft.metadata,
    )
    if not (draft.events or draft.entities or draft.relations or draft.faults):
        tell("no annotations", "nothing is annotated in this text")
    return result


def _known_type(event: DraftEvent, schema: Schema | None, tell: Tell) -> bool:
    if schema is None or not schema.events:
        return True
    try:
        schema.event(event.type)
    except SchemaError as error:
        tell("unknown type", str(error))
        return False
    return True


def _event(text: str, draft: DraftEvent, schema: Schema | None, tell: Tell) -> Event | None:
    kind = schema.event(draft.type) if schema is not None and schema.events else None
    trigger, pending_trigger = _placed(text, draft.trigger, f"trigger of {draft.type}", tell)
    located: list[tuple[DraftArgument, str | None, Span | None]] = []
    pending: list[tuple[int, Sequence[int]]] = []
    for argument in draft.arguments:
        known, value = _value(argument, draft, kind, tell)
        if value is not None:
            located.append((argument, value, None))
        if not known or value is not None:
            continue
        span, choices = _placed(text, argument.mention, f"{draft.type} / {argument.role}", tell)
        if choices:
            pending.append((len(located), choices))
        if span is not None or choices:
            located.append((argument, None, span))
    anchors = [span for _, _, span in located if span is not None] + ([trigger] if trigger else [])
    if pending_trigger and draft.trigger is not None:
        trigger = _chosen(text, draft.trigger, pending_trigger, anchors, f"trigger of {draft.type}", tell)
        anchors.append(trigger)
    for index, choices in pending:
        argument, value, _ = located[index]
        assert argument.mention is not None, "only a mention has places to choose from"
        what = f"{draft.type} / {argument.role}"
        located[index] = (argument, value, _chosen(text, argument.mention, choices, anchors, what, tell))
    arguments = [
        Argument(one.role, trigger if value is not None else span, one.score, value) for one, value, span in located
    ]
    if trigger is None and not arguments:
        tell("empty event", f"an event of type {draft.type} has neither a trigger nor an argument that holds")
        return None
    if trigger is None and draft.trigger is None and kind is not None and kind.trigger:
        tell("no trigger", f"the schema says that {draft.type} has a trigger, this event has none")
    return Event(
        type=draft.type,
        arguments=_unique(arguments, f"argument of {draft.type}", tell),
        trigger=trigger,
        score=draft.score,
        trigger_score=draft.trigger_score,
    )


def _value(argument: DraftArgument, event: DraftEvent, kind: EventType | None, tell: Tell) -> tuple[bool, str | None]:
    """Whether the argument is known to the schema, and its value if its role is enumerated."""
    what = f"{event.type} / {argument.role}"
    if kind is None:
        return True, argument.value
    try:
        role = kind.role(argument.role)
    except SchemaError as error:
        tell("unknown role", str(error))
        return False, None
    if not role.values and argument.value is not None:
        tell("unknown value", f"{what}: the schema lists no values, the argument has {argument.value!r}")
        return False, None
    if not role.values:
        return True, None
    value = argument.value if argument.value is not None else argument.mention and argument.mention.text
    if value not in role.values:
        tell("unknown value", f"{what}: {value!r} is not one of {', '.join(role.values)}")
        return False, None
    return True, value


def _placed(text: str, mention: Mention | None, what: str, tell: Tell) -> tuple[Span | None, tuple[int, ...]]:
    """The place of a mention, or the starts to choose from."""
    if mention is None:
        return None, ()
    found = place(text, mention)
    if found.kind is not None:
        tell(found.kind, f"{what}: {found.message}")
    return found.span, found.choices


def _chosen(
    text: str, mention: Mention, choices: Sequence[int], anchors: Sequence[Span], what: str, tell: Tell
) -> Span:
    words = (mention.text or "") if (mention.text or "") in text else (mention.text or "").strip()
    start = nearest(choices, anchors)
    tell("place chosen", f"{what}: {words!r} stands {len(choices)} times, {start} is nearest to the rest of the event")
    return Span(start, start + len(words), words)


def _entity(text: str, draft: DraftEntity, schema: Schema | None, tell: Tell) -> Entity | None:
    if schema is not None and schema.entities and draft.type not in {entity.name for entity in schema.entities}:
        tell("unknown type", f"the schema has no entity type {draft.type!r}")
        return None
    span = _one_place(text, draft.mention, f"entity {draft.type}", tell)
    return None if span is None else Entity(draft.type, span, draft.score)


def _relation(text: str, draft: DraftRelation, schema: Schema | None, tell: Tell) -> Relation | None:
    known = {relation.predicate for relation in schema.relations} if schema is not None else set()
    if known and draft.predicate not in known:
        tell("unknown predicate", f"the schema has no predicate {draft.predicate!r}")
        return None
    subject = _one_place(text, draft.subject, f"subject of {draft.predicate}", tell)
    near = [subject] if subject else []
    object_ = _one_place(text, draft.object, f"object of {draft.predicate}", tell, near)
    return None if subject is None or object_ is None else Relation(draft.predicate, subject, object_, draft.score)


def _one_place(text: str, mention: Mention, what: str, tell: Tell, anchors: Sequence[Span] = ()) -> Span | None:
    span, choices = _placed(text, mention, what, tell)
    return _chosen(text, mention, choices, anchors, what, tell) if choices else span


def _unique(found: Sequence[_Found], what: str, tell: Tell) -> tuple[_Found, ...]:
    unique = tuple(dict.fromkeys(found))
    if len(unique) < len(found):
        tell("duplicate", f"{len(found) - len(unique)} times the same {what} once more: kept once")
    return unique


def _tell_overlapping(events: Sequence[Event], tell: Tell) -> None:
    """Several events on the same trigger are usual; triggers that overlap without being the same are worth a look."""
    triggers = sorted({event.trigger for event in events if event.trigger}, key=lambda span: (span.start, span.end))
    for first, second in pairwise(triggers):
        if second.start < first.end:
            tell("overlapping triggers", f"{first.text!r} at {first.start} and {second.text!r} at {second.start}")
