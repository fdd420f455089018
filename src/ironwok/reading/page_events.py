"""What the page knows about events, as plain JSON values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from ironwok.results import EventsAsked, PassageResult, Report, Span

# digits of a score on the page
_DIGITS = 4


def events_asked(report: Report) -> dict[str, Any] | None:
    """Roles and event types, with how often each type occurs; None where no events were asked for.

    A type names its roles by their numbers in ``roles``; the descriptions of its roles are under these numbers.
    """
    asked = report.events
    if asked is None:
        return None
    number = _role_numbers(asked)
    events = Counter(event.type for document in report.documents for event in document.events)
    documents = Counter(type for document in report.documents for type in {event.type for event in document.events})
    return {
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


def passage_events(passage: PassageResult, asked: EventsAsked | None) -> list[dict[str, Any]]:
    """The events of a passage; types and roles by number, offsets in UTF-16 units of its text, for JavaScript.

    Raises KeyError for an event of a type or role that was not asked for.
    """
    if asked is None or not passage.events:
        return []
    role_number = _role_numbers(asked)
    type_number = {type: index for index, (type, _) in enumerate(asked.types)}
    place = _utf16(passage.span)
    return [
        {
            "type": type_number[event.type],
            "score": round(event.score, _DIGITS),
            "trigger": [*place(event.trigger), round(event.trigger_score, _DIGITS)] if event.trigger else None,
            "arguments": [
                [role_number[one.role], *place(one.span), round(one.score, _DIGITS), one.value]
                for one in event.arguments
            ],
            "unlinked": [list(pair) for pair in event.unlinked],
        }
        for event in passage.events
    ]


def _role_numbers(asked: EventsAsked) -> dict[str, int]:
    """Roles of the same name are one role on the page: they have one colour and one column."""
    names = dict.fromkeys(role for _, roles in asked.types for role in roles)
    return {role: index for index, role in enumerate(names)}


def _utf16(passage: Span) -> Callable[[Span | None], tuple[int | None, int | None]]:
    """Turns a span of the document into offsets in the passage as JavaScript counts them."""
    text = passage.text
    # places of characters that are two units there, in most texts none
    wide = [index for index, character in enumerate(text) if character > "\uffff"] if not text.isascii() else []

    def unit(offset: int) -> int:
        inside = offset - passage.start
        return inside + sum(index < inside for index in wide)

    def place(span: Span | None) -> tuple[int | None, int | None]:
        return (None, None) if span is None else (unit(span.start), unit(span.end))

    return place
