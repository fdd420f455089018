"""Annotated texts in files: DuEE, DuEE-fin and FewFC, doccano, Label Studio, and our own JSON lines, both ways.

Reading is forgiving and never silent: every annotation is checked against its text and the schema, repaired where that
is unambiguous, and left out where not; each such case is a `Problem` with file and line, and the rest goes on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ironwok.errors import AnnotationError, DocumentError, InputError
from ironwok.events.annotations import AnnotatedText
from ironwok.events.formats import doccano, duee, label_studio, own
from ironwok.events.formats.checking import Tell, checked
from ironwok.events.formats.drafts import DraftText, object_of
from ironwok.events.formats.problems import OUTCOMES, OnProblem, Problem
from ironwok.events.schema import Schema
from ironwok.files import json_line, replace_file
from ironwok.text.characters import without_surrogates
from ironwok.text.formats.records import BrokenRecord, json_records
from ironwok.text.formats.values import ReadOptions

__all__ = [
    "FORMATS",
    "OUTCOMES",
    "Format",
    "OnProblem",
    "Problem",
    "detect_format",
    "format_named",
    "read_annotations",
    "write_annotations",
]


@dataclass(frozen=True, slots=True)
class Format:
    """A format of annotated texts.

    draft_of: a JSON record as a draft; record_of: the inverse, for a text that holds.
    array: a file is one JSON array instead of a record a line.
    """

    name: str
    draft_of: Callable[[Mapping[str, Any], Schema | None], DraftText]
    record_of: Callable[[AnnotatedText, Tell], dict[str, Any]]
    array: bool = False


FORMATS = {
    one.name: one
    for one in (
        Format("ironwok", lambda record, schema: own.draft_of(record), own.record_of),
        Format("duee", lambda record, schema: duee.draft_of(record), duee.duee_record),
        Format("duee-fin", lambda record, schema: duee.draft_of(record), duee.duee_fin_record),
        Format("doccano", doccano.draft_of, doccano.record_of),
        Format("label-studio", label_studio.draft_of, label_studio.record_of, array=True),
    )
}


def read_annotations(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    schema: Schema | None = None,
    on_problem: OnProblem | None = None,
) -> Iterator[AnnotatedText]:
    """The annotated texts of a file, one after the other, packed files (.xz .gz .bz2 .zst) too.

    format: a name of `FORMATS`; None tells it from the first record. schema: names that it does not know are left out;
    it also tells which roles are enumerated. on_problem: told of everything that is not taken over as it stands.
    Raises AnnotationError for a file that cannot be read at all, or whose format cannot be told.
    """
    chosen = format_named(format) if format is not None else detect_format(path)
    name = os.fspath(path)
    notify = on_problem or _nobody
    for record in _records(path):
        if isinstance(record, BrokenRecord):
            notify(Problem(name, record.line, "", "bad record", record.reason))
            continue
        try:
            draft = chosen.draft_of(_clean(object_of(record.value, "the record")), schema)
        except InputError as error:
            notify(Problem(name, record.line, "", "bad record", str(error)))
            continue
        line, id_ = record.line, draft.id
        yield checked(
            draft,
            schema=schema,
            tell=lambda kind, message, line=line, id_=id_: notify(Problem(name, line, id_, kind, message)),
        )


def write_annotations(
    texts: Iterable[AnnotatedText],
    path: str | os.PathLike[str],
    *,
    format: str,
    on_problem: OnProblem | None = None,
) -> int:
    """Write annotated texts to a file, which is replaced when everything is written; returns how many there are.

    on_problem: told of what the format has no place for. Raises AnnotationError for an unknown format, OutputError
    where the file cannot be written.
    """
    chosen = format_named(format)
    notify = on_problem or _nobody
    name = os.fspath(path)
    count = 0

    def record_of(text: AnnotatedText) -> dict[str, Any]:
        nonlocal count
        count += 1
        return chosen.record_of(text, lambda kind, message: notify(Problem(name, None, text.id, kind, message)))

    records = map(record_of, texts)
    replace_file(Path(path), _array(records) if chosen.array else map(json_line, records))
    return count


def format_named(name: str) -> Format:
    """The format of that name. Raises AnnotationError, which lists the names."""
    if name not in FORMATS:
        raise AnnotationError(f"there is no format {name!r} of annotations: there are {', '.join(FORMATS)}")
    return FORMATS[name]


def detect_format(path: str | os.PathLike[str]) -> Format:
    """The format of a file, told from its first record that is an object. Raises AnnotationError."""
    for record in _records(path):
        if isinstance(record, BrokenRecord) or not isinstance(record.value, dict):
            continue
        keys = set(record.value)
        if "event_list" in keys:
            return FORMATS["duee" if _has_offsets(record.value) else "duee-fin"]
        if "data" in keys and keys & {"annotations", "predictions"}:
            return FORMATS["label-studio"]
        if "text" in keys and (keys & {"events", "metadata"} or _is_own(record.value)):
            return FORMATS["ironwok"]
        if keys & {"label", "labels", "relations", "entities"} and keys & {"text", "data"}:
            return FORMATS["doccano"]
        if "text" in keys:
            return FORMATS["ironwok"]
        raise AnnotationError(
            f"{os.fspath(path)}: the format of a record with the keys {', '.join(sorted(keys))} cannot be told: "
            f"say which of {', '.join(FORMATS)} it is"
        )
    raise AnnotationError(f"{os.fspath(path)} holds no record: its format cannot be told")


def _has_offsets(record: Mapping[str, Any]) -> bool:
    text = json.dumps(record["event_list"])
    return "_start_index" in text or not record["event_list"]


def _is_own(record: Mapping[str, Any]) -> bool:
    """Entities of our own have a type, doccano's a label; doccano's relations have a type, too."""
    found = [one for key in ("entities", "relations") for one in record.get(key) or () if isinstance(one, dict)]
    return any("predicate" in one or ("type" in one and "from_id" not in one) for one in found)


def _records(path: str | os.PathLike[str]) -> Iterator[Any]:
    try:
        yield from json_records(Path(path), ReadOptions())
    except DocumentError as error:
        raise AnnotationError(str(error)) from error


def _clean(record: Any) -> Any:
    """The record with U+FFFD for halves of surrogate pairs, which nothing after us can hold; lengths stay the same."""
    try:
        json.dumps(record, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return _without_surrogates(record)
    return record


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return without_surrogates(value)[0]
    if isinstance(value, list):
        return [_without_surrogates(one) for one in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(one) for key, one in value.items()}
    return value


def _array(records: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    yield b"["
    separator = b"\n"
    for record in records:
        yield separator + json_line(record).rstrip(b"\n")
        separator = b",\n"
    yield b"\n]\n"


def _nobody(problem: Problem) -> None:
    """Nobody asked to be told."""
