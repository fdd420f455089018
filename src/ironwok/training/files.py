"""Corpus files: plain text and JSON Lines, packed or not, as documents of paragraphs."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ironwok.errors import DataError, DocumentError
from ironwok.text.encodings import detect_lines
from ironwok.text.formats.files import open_file, unpacked_name

_JSON = (".jsonl", ".ndjson", ".json")
_HEAD = 1 << 18  # bytes that the encoding is told from
_TELL_EVERY = 200_000  # characters

OnBytes = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Source:
    """One source of running text.

    name: what it is called in metrics and recipes.
    files: paths in order; .jsonl, or anything else as text (a paragraph a line, a blank line between documents),
        also packed: .xz .gz .bz2 .zst.
    fields: for .jsonl: the text fields, each a document of its own.
    """

    name: str
    files: tuple[Path, ...]
    fields: tuple[str, ...] = ("text",)

    def sizes(self) -> list[int]:
        """Bytes of each file as it lies on the disk. Raises DataError for one that is not there."""
        try:
            return [file.stat().st_size for file in self.files]
        except OSError as error:
            raise DataError(f"source {self.name}: {error.filename}: cannot be read ({error.strerror})") from error


def read_lines(path: Path, *, on_bytes: OnBytes = lambda count: None) -> Iterator[str]:
    """The lines of a text file, unpacked by suffix, its encoding told from its beginning.

    Broken bytes become U+FFFD: one damaged character must not end a corpus of gigabytes.
    on_bytes: told now and then how many more bytes of the (packed) file are behind us; their sum is the file's size.
    Raises DataError for a file that cannot be read, is damaged or is no text.
    """
    told = 0
    try:
        size = path.stat().st_size
        with open_file(path) as file:
            codec = detect_lines(io.BytesIO(file.read(_HEAD)), name=str(path))
        with open_file(path) as file, io.TextIOWrapper(file, encoding=codec, errors="replace", newline="\n") as lines:
            characters = 0
            for number, line in enumerate(lines):
                yield line if number else line.removeprefix("\ufeff")
                characters += len(line)
                if characters > _TELL_EVERY:
                    characters, position = 0, _position(file)
                    on_bytes(position - told)
                    told = position
    except DocumentError as error:
        raise DataError(str(error)) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    on_bytes(size - told)


def _position(file: BinaryIO) -> int:
    with suppress(OSError):  # an unpacker that does not tell: the file counts when it is done
        return os.lseek(file.fileno(), 0, os.SEEK_CUR)
    return 0


def read_records(path: Path) -> Iterator[tuple[int, dict]]:
    """The objects of a JSON Lines file with their line numbers, from 1. Raises DataError with file and line."""
    return _records(path, read_lines(path))


def _records(path: Path, lines: Iterator[str]) -> Iterator[tuple[int, dict]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise DataError(f"{path}:{number}: not a JSON object ({error})") from error
        if not isinstance(record, dict):
            raise DataError(f"{path}:{number}: not a JSON object (but {type(record).__name__})")
        yield number, record


def read_source(source: Source, *, on_bytes: OnBytes = lambda count: None) -> Iterator[list[str]]:
    """Documents of a source, each a list of non-empty paragraphs.

    Raises DataError, with file and line, for a record that is not JSON or has text in none of the fields.
    """
    for path in source.files:
        lines = read_lines(path, on_bytes=on_bytes)
        if unpacked_name(path).suffix.lower() in _JSON:
            yield from _json_documents(path, lines, source.fields)
        else:
            yield from _text_documents(lines)


def _text_documents(lines: Iterator[str]) -> Iterator[list[str]]:
    paragraphs: list[str] = []
    for line in lines:
        paragraph = line.strip()
        if paragraph:
            paragraphs.append(paragraph)
        elif paragraphs:
            yield paragraphs
            paragraphs = []
    if paragraphs:
        yield paragraphs


def _json_documents(path: Path, lines: Iterator[str], fields: Sequence[str]) -> Iterator[list[str]]:
    for number, record in _records(path, lines):
        texts = [record[field] for field in fields if isinstance(record.get(field), str)]
        if not texts:
            raise DataError(f"{path}:{number}: none of the fields {', '.join(fields)} holds text")
        for text in texts:
            paragraphs = [part.strip() for part in text.splitlines() if part.strip()]
            if paragraphs:
                yield paragraphs
