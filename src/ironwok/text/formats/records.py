"""JSON lines (.jsonl) and JSON (.json) by records: one key is the text, one may be the title, the rest is metadata."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ironwok.errors import EncodingError, UnreadableDocumentError
from ironwok.text.characters import without_surrogates
from ironwok.text.formats.fields import SAMPLED_RECORDS, text_name, title_name
from ironwok.text.formats.files import read_lines, read_text, unpacked_name
from ironwok.text.formats.values import Document, ReadOptions, Scalar, Skip

_SPACE = re.compile(r"[ \t\r\n\ufeff]*")
_BETWEEN = re.compile(r"[ \t\r\n,]*")


@dataclass(frozen=True, slots=True)
class Record:
    """A JSON value and the line at which it starts, from 1. replaced: broken bytes that became U+FFFD."""

    value: Any
    line: int
    encoding: str
    replaced: int = 0


@dataclass(frozen=True, slots=True)
class BrokenRecord:
    """A record that is no JSON. error: where the reason is its encoding."""

    reason: str
    line: int
    error: EncodingError | None = None


def read_json_lines(path: Path, options: ReadOptions) -> Iterator[Document | Skip]:
    yield from _documents(path, _records_of_lines(path, options), options)


def read_json(path: Path, options: ReadOptions) -> Iterator[Document | Skip]:
    """An array of records, a single record, or records one after the other.

    Documents that begin in the same line as another have no line: it would not tell them apart, their numbers do.
    """
    before: Document | Skip | None = None
    is_alone = True
    for item in itertools.chain(_documents(path, _records_of_file(path, options), options), (None,)):
        shares = before is not None and item is not None and item.line == before.line
        if isinstance(before, Document) and (shares or not is_alone):
            yield replace(before, line=None)
        elif before is not None:
            yield before
        before, is_alone = item, not shares


def json_records(path: Path, options: ReadOptions) -> Iterator[Record | BrokenRecord]:
    """The values of a file of JSON lines, or of a .json file, packed or not, as a stream.

    Raises UnreadableDocumentError or EncodingError for a file that cannot be read at all.
    """
    read = _records_of_file if unpacked_name(path).suffix.lower() == ".json" else _records_of_lines
    yield from read(path, options)


def _records_of_lines(path: Path, options: ReadOptions) -> Iterator[Record | BrokenRecord]:
    for number, decoded in read_lines(path, options):
        if isinstance(decoded, EncodingError):
            yield BrokenRecord(str(decoded), number, decoded)
            continue
        text = decoded.text.strip(" \t\r\n\ufeff")
        if not text:
            continue
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            yield BrokenRecord(f"no JSON: {error.msg} at column {error.colno}", number)
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, nesting beyond all reason
            yield BrokenRecord(f"no usable JSON ({error})", number)
        else:
            yield Record(value, number, decoded.encoding, decoded.replaced)


def _records_of_file(path: Path, options: ReadOptions) -> Iterator[Record | BrokenRecord]:
    """Decodes one record at a time, so that only the file's text is held, not all its records."""
    decoded = read_text(path, options)
    text = decoded.text
    decoder = json.JSONDecoder()
    position = _end(_SPACE, text, 0)
    in_array = text.startswith("[", position)
    if in_array:
        position = _end(_SPACE, text, position + 1)
    replaced = decoded.replaced
    line, counted = 1, 0
    while position < len(text) and not (in_array and text[position] == "]"):
        line += text.count("\n", counted, position)
        counted = position
        try:
            value, end = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            yield BrokenRecord(
                f"no JSON: {error.msg} (line {error.lineno}, column {error.colno}), reading stopped there", line
            )
            return
        except (ValueError, RecursionError) as error:
            yield BrokenRecord(f"no usable JSON ({error}), reading stopped there", line)
            return
        yield Record(value, line, decoded.encoding, replaced)
        replaced = 0  # which record they are in is unknown: reported once
        position = _end(_BETWEEN if in_array else _SPACE, text, end)
    if in_array and position >= len(text):
        yield BrokenRecord("the array is not closed: the file was cut off", line)


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    assert match is not None, "the pattern matches the empty string"
    return match.end()


def _documents(path: Path, records: Iterator[Record | BrokenRecord], options: ReadOptions) -> Iterator[Document | Skip]:
    head = list(itertools.islice(records, SAMPLED_RECORDS))
    text_field, title_field = _fields_of(path, head, options)
    for index, item in enumerate(itertools.chain(head, records)):
        if isinstance(item, BrokenRecord):
            error = item.error or UnreadableDocumentError(f"{path}, line {item.line}: {item.reason}")
            yield Skip(str(path), error, index, item.line)
        else:
            yield _document_from(path, item, index, text_field, title_field)


def record_fields(path: Path, options: ReadOptions) -> tuple[str | None, str | None]:
    """The keys of text and title that `read_json_lines` goes by, from the first records. Raises as it does."""
    return _fields_of(path, list(itertools.islice(_records_of_lines(path, options), SAMPLED_RECORDS)), options)


def _fields_of(
    path: Path, head: Sequence[Record | BrokenRecord], options: ReadOptions
) -> tuple[str | None, str | None]:
    sampled = [_flat(item.value) for item in head if isinstance(item, Record) and isinstance(item.value, dict)]
    names = list(dict.fromkeys(name for fields in sampled for name in fields))
    text_field = options.text_field or text_name(names, sampled)
    title_field = options.title_field or title_name(names, other_than=text_field)
    if options.text_field is not None and sampled and options.text_field not in names:
        raise UnreadableDocumentError(
            f"{path}: no key {options.text_field!r}; the records have {', '.join(names) or 'none'}"
        )
    return text_field, title_field


def _document_from(
    path: Path, record: Record, index: int, text_field: str | None, title_field: str | None
) -> Document | Skip:
    problem, text, title = None, "", None
    fields: dict[str, Scalar] = {}
    if isinstance(record.value, str):
        text = record.value
    elif isinstance(record.value, dict):
        fields = _flat(record.value)
        value = fields.pop(text_field, None) if text_field is not None else None
        if isinstance(value, str):
            text = value
        else:
            problem = f"no text under the key {text_field!r}" if text_field else "no text in the record"
        if title_field is not None and isinstance(fields.get(title_field), str):
            title = str(fields.pop(title_field)).strip()
    else:
        problem = f"a record must be an object or a string, this is {type(record.value).__name__}"
    if problem is None and not text.strip():
        problem = "the text is empty"
    if problem is not None:
        return Skip(str(path), UnreadableDocumentError(f"{path}, line {record.line}: {problem}"), index, record.line)
    text, surrogates = without_surrogates(text)
    return Document(
        path=str(path),
        text=text,
        title=without_surrogates(title)[0] if title else None,
        record=index,
        line=record.line,
        encoding=record.encoding,
        replaced=record.replaced + surrogates,
        metadata=fields,
    )


def _flat(value: Mapping[str, Any]) -> dict[str, Scalar]:
    """The plain values of an object; a list of strings is their lines (paragraphs), other structures are left out."""
    fields: dict[str, Scalar] = {}
    for name, item in value.items():
        if isinstance(item, str | int | float | bool) or item is None:
            fields[name] = item
        elif isinstance(item, list) and item and all(isinstance(part, str) for part in item):
            fields[name] = "\n".join(item)
    return fields
