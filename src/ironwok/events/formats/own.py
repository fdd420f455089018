"""Our own JSON lines: `AnnotatedText.to_dict`, and the same written by hand, with places left out.

    {"text": "…", "events": [{"type": "收购", "trigger": {"text": "收购", "start": 4, "end": 6},
                              "arguments": [{"role": "sub-org", "text": "…", "start": 0, "end": 4}]}],
     "entities": [{"type": "…", "text": "…", "start": 0, "end": 4}],
     "relations": [{"predicate": "…", "subject": {"text": "…"}, "object": {"text": "…"}}]}

By hand, a trigger, subject or object may be just its words, and ``start`` and ``end`` may be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ironwok.errors import InputError
from ironwok.events.annotations import AnnotatedText
from ironwok.events.formats.checking import Tell
from ironwok.events.formats.drafts import (
    DraftArgument,
    DraftEntity,
    DraftEvent,
    DraftRelation,
    DraftText,
    Mention,
    id_of,
    list_of,
    object_of,
    offset_of,
    score_of,
    text_of,
)


def draft_of(record: Mapping[str, Any]) -> DraftText:
    """A line of our own. Raises InputError for a record that is none."""
    metadata = record.get("metadata") or {}
    draft = DraftText(text_of(record, "text"), id=id_of(record), metadata=object_of(metadata, "'metadata'"))
    _each(record, "events", lambda entry: draft.events.append(_event(entry, draft)), draft)
    _each(record, "entities", lambda entry: draft.entities.append(_entity(entry)), draft)
    _each(record, "relations", lambda entry: draft.relations.append(_relation(entry)), draft)
    return draft


def record_of(text: AnnotatedText, tell: Tell) -> dict[str, Any]:
    """A line of our own; everything has its place there."""
    return text.to_dict()


def _each(record: Mapping[str, Any], key: str, take: Callable[[Mapping[str, Any]], None], draft: DraftText) -> None:
    for number, entry in enumerate(list_of(record, key), 1):
        try:
            take(object_of(entry, "the entry"))
        except InputError as error:
            draft.faults.append(("bad annotation", f"{key}, entry {number}: {error}"))


def _event(entry: Mapping[str, Any], draft: DraftText) -> DraftEvent:
    event = DraftEvent(text_of(entry, "type"), score=score_of(entry))
    if (trigger := entry.get("trigger")) is not None:
        event.trigger = _mention(trigger, "trigger")
        event.trigger_score = score_of(trigger) if isinstance(trigger, dict) else 1.0
    for argument in list_of(entry, "arguments"):
        try:
            event.arguments.append(_argument(object_of(argument, "an argument")))
        except InputError as error:
            draft.faults.append(("bad annotation", f"{event.type}: {error}"))
    return event


def _argument(entry: Mapping[str, Any]) -> DraftArgument:
    role = text_of(entry, "role")
    if entry.get("value") is not None:
        return DraftArgument(role, None, text_of(entry, "value"), score_of(entry))
    return DraftArgument(role, _mention(entry, f"the argument {role}"), None, score_of(entry))


def _entity(entry: Mapping[str, Any]) -> DraftEntity:
    return DraftEntity(text_of(entry, "type"), _mention(entry, "the entity"), score_of(entry))


def _relation(entry: Mapping[str, Any]) -> DraftRelation:
    subject, object_ = (_mention(entry.get(end), end) for end in ("subject", "object"))
    return DraftRelation(text_of(entry, "predicate"), subject, object_, score_of(entry))


def _mention(value: Any, what: str) -> Mention:
    if isinstance(value, str):
        return Mention(text_of({what: value}, what))
    entry = object_of(value, what)
    words = text_of(entry, "text") if "text" in entry else None
    start, end = offset_of(entry, "start"), offset_of(entry, "end")
    return Mention(words, start, end)
