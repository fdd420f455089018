"""DuEE 1.0 and FewFC (a sentence a line, with offsets), DuEE-fin (a document a line, without offsets).

The two differ in writing only: a reader takes an offset where there is one. Enumerated roles (DuEE-fin) are known by
the schema; without one their values pass for words that do not stand in the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ironwok.errors import InputError
from ironwok.events.annotations import AnnotatedText
from ironwok.events.formats.checking import Tell
from ironwok.events.formats.drafts import (
    DraftArgument,
    DraftEvent,
    DraftText,
    Mention,
    id_of,
    list_of,
    object_of,
    offset_of,
    text_of,
)
from ironwok.results import Argument, Event

_READ = {"text", "id", "event_list"}


def draft_of(record: Mapping[str, Any]) -> DraftText:
    """A line of DuEE, FewFC or DuEE-fin. Raises InputError for a record that is none."""
    draft = DraftText(
        text=text_of(record, "text"),
        id=id_of(record),
        metadata={key: value for key, value in record.items() if key not in _READ},
    )
    for number, entry in enumerate(list_of(record, "event_list"), 1):
        try:
            draft.events.append(_event(object_of(entry, f"event {number}"), draft))
        except InputError as error:
            draft.faults.append(("bad annotation", f"event {number}: {error}"))
    return draft


def _event(entry: Mapping[str, Any], draft: DraftText) -> DraftEvent:
    event = DraftEvent(text_of(entry, "event_type"))
    if entry.get("trigger"):
        event.trigger = Mention(text_of(entry, "trigger"), offset_of(entry, "trigger_start_index"))
    for argument in list_of(entry, "arguments"):
        try:
            argument = object_of(argument, "an argument")
            mention = Mention(text_of(argument, "argument"), offset_of(argument, "argument_start_index"))
            event.arguments.append(DraftArgument(text_of(argument, "role"), mention))
        except InputError as error:
            draft.faults.append(("bad annotation", f"{event.type}: {error}"))
    return event


def duee_record(text: AnnotatedText, tell: Tell) -> dict[str, Any]:
    """A line of DuEE 1.0, with offsets."""
    return _record(text, tell, offsets=True)


def duee_fin_record(text: AnnotatedText, tell: Tell) -> dict[str, Any]:
    """A line of DuEE-fin, without offsets."""
    return _record(text, tell, offsets=False)


def _record(text: AnnotatedText, tell: Tell, *, offsets: bool) -> dict[str, Any]:
    for what, found in (("entities", text.entities), ("relations", text.relations)):
        if found:
            tell("no place in the format", f"{len(found)} {what}: DuEE holds events only")
    record: dict[str, Any] = {"text": text.text}
    if text.id:
        record["id"] = text.id
    record |= {key: value for key, value in text.metadata.items() if key not in _READ}
    record["event_list"] = [_event_record(event, offsets) for event in text.events]
    return record


def _event_record(event: Event, offsets: bool) -> dict[str, Any]:
    record: dict[str, Any] = {"event_type": event.type}
    if event.trigger is not None:
        record["trigger"] = event.trigger.text
        if offsets:
            record["trigger_start_index"] = event.trigger.start
    if offsets and "-" in event.type:
        record["class"] = event.type.split("-")[0]  # as in DuEE's own files
    record["arguments"] = [_argument_record(argument, offsets) for argument in event.arguments]
    return record


def _argument_record(argument: Argument, offsets: bool) -> dict[str, Any]:
    record: dict[str, Any] = {"role": argument.role, "argument": argument.text}
    if offsets:
        if argument.value is None and argument.span is not None:
            record["argument_start_index"] = argument.span.start
        record["alias"] = []
    return record
