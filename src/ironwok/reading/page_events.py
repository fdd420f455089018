"""What the page knows about events, as plain JSON values. An entity is an event whose one role is its type."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from typing import Any

from ironwok.results import Argument, DocumentResult, Entity, Event, EventsAsked, Report, Span

# digits of a score on the page
_DIGITS = 4


def events_asked(report: Report) -> dict[str, Any] | None:
    """Roles and types, with how often each type occurs; None where neither events nor entities were asked for.

    A type names its roles by their numbers in ``roles``; the descriptions of its roles are under these numbers.
    """
    asked = report.events
    if asked is None:
        return None
    number = _role_numbers(asked)
    events = Counter(event.type for document in report.documents for event in document.found)
    documents = Counter(type for document in report.documents for type in {event.type for event in document.found})
    return {
        "task": asked.task,
        "model": asked.model,
        "roles": [{"name": role} for role in number],
        "types": [
            {
                "name": type,
                "description": asked.descriptions.get(type, ""),
                "roles": [number[role] for role in roles],
                "descriptions": {
                    number[role]: text for role in roles if (text := asked.descriptions.get(f"{type}/{role}"))
                },
                "events": events[type],
                "documents": documents[type],
            }
            for type, roles in asked.types
        ],
    }


def document_events(document: DocumentResult, asked: EventsAsked | None) -> list[dict[str, Any]]:
    """Of each passage of a document, ``events`` that begin there and ``marks`` of events that begin elsewhere.

    Types and roles are numbers; offsets count UTF-16 units of the text of their passage, for JavaScript.
    event: trigger [start, end, score, words]; arguments [role, start, end, score, value, words]. What stands in another
    passage has no offsets but its words. mark: [passage, number of the event there, role (-1: trigger), start, end].
    Raises KeyError for an event of a type or role that was not asked for.
    """
    passages = document.passages
    found: list[dict[str, Any]] = [{"events": [], "marks": []} for _ in passages]
    if asked is None:
        return found
    starts = [passage.span.start for passage in passages]
    role_number = _role_numbers(asked)
    type_number = {type: index for index, (type, _) in enumerate(asked.types)}
    for home, passage in enumerate(passages):
        for number, event in enumerate(map(_event, passage.found)):

            def placed(span: Span | None, role: int, home: int = home, number: int = number) -> list[Any]:
                """Start, end and, where it stands in another passage, words; the mark goes there."""
                if span is None:
                    return [None, None, None]
                there = max(bisect_right(starts, span.start) - 1, 0)
                place = _utf16(passages[there].span, span)
                if there == home:
                    return [*place, None if passages[there].span.end >= span.end else span.text]
                found[there]["marks"].append([home, number, role, *place])
                return [None, None, span.text]

            trigger = None
            if event.trigger is not None:
                start, end, words = placed(event.trigger, -1)
                trigger = [start, end, round(event.trigger_score, _DIGITS), words]
            arguments = []
            for argument in event.arguments:
                role = role_number[argument.role]
                start, end, words = placed(argument.span, role)
                score = round(argument.score, _DIGITS)
                arguments.append([role, start, end, score, argument.value, words])
            found[home]["events"].append(
                {
                    "type": type_number[event.type],
                    "score": round(event.score, _DIGITS),
                    "trigger": trigger,
                    "arguments": arguments,
                    "unlinked": [list(pair) for pair in event.unlinked],
                }
            )
    return found


def _event(one: Event | Entity) -> Event:
    return (
        Event(one.type, (Argument(one.type, one.span, one.score),), score=one.score) if isinstance(one, Entity) else one
    )


def _role_numbers(asked: EventsAsked) -> dict[str, int]:
    """Roles of the same name are one role on the page: they have one colour and one column."""
    names = dict.fromkeys(role for _, roles in asked.types for role in roles)
    return {role: index for index, role in enumerate(names)}


def _utf16(passage: Span, span: Span) -> tuple[int, int]:
    """A span of the document as offsets in a passage as JavaScript counts them, cut off at its end."""
    text = passage.text

    def units(offset: int) -> int:
        before = text[: offset - passage.start]
        return len(before) if before.isascii() else len(before.encode("utf-16-le", "surrogatepass")) // 2

    return units(span.start), units(min(span.end, passage.end))
