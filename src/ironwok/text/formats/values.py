"""What every reader takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from ironwok.errors import DocumentError, InputError

Scalar: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Document:
    """One text, as every later offset sees it: spans index ``text``, never the file.

    path: as the user named it, or found below the folder that the user named.
    title: from the document itself (HTML title, first heading, a title column), else None.
    record: for rows of a table or a JSON file, which one, from 0, unreadable ones counted; else None.
    line: the line of the file that the record starts at, from 1; else None.
    pages: for PDF, where in ``text`` each page starts; else empty.
    encoding: the codec that the bytes were read with; None for PDF and Word.
    replaced: broken byte sequences and lone surrogates that stand in ``text`` as U+FFFD.
    metadata: what came along: the other columns of a row, the front matter of a page. Do not change it.
    """

    path: str
    text: str
    title: str | None = None
    record: int | None = None
    line: int | None = None
    pages: tuple[int, ...] = ()
    encoding: str | None = None
    replaced: int = 0
    metadata: Mapping[str, Scalar] = field(default_factory=dict, hash=False)

    @property
    def name(self) -> str:
        """The path, and the record's number after a ``#``: unique within one reading."""
        return self.path if self.record is None else f"{self.path}#{self.record}"


@dataclass(frozen=True, slots=True)
class Skip:
    """Something that was not read, and why.

    error: an instance of the class that says what kind of trouble it was; its message is made for the user.
    record, line: as in Document, when a part of a file was skipped and the rest went on.
    """

    path: str
    error: DocumentError
    record: int | None = None
    line: int | None = None

    @property
    def reason(self) -> str:
        return str(self.error)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read.

    encoding: of all text files; None detects it file by file. mixed: whether single lines of tables, of JSON lines and
    of texts read by lines may be in another encoding than this one, and are then detected by themselves.
    text_field, title_field: names of the column (.csv, .tsv) or the key (.json, .jsonl); None chooses by name, then by
    length.
    max_bytes: a file larger than this, unpacked, is skipped, as it is held in memory; tables and JSON lines are streams
    and may be larger, it is their longest line.
    """

    encoding: str | None = None
    text_field: str | None = None
    title_field: str | None = None
    max_bytes: int = 1 << 28
    mixed: bool = False

    def __post_init__(self) -> None:
        if self.max_bytes < 1:
            raise InputError(f"max_bytes is {self.max_bytes}, at least 1 is needed")
        if self.encoding is not None:
            from ironwok.text.encodings import known_codec

            if known_codec(self.encoding) is None:
                raise InputError(
                    f"Python knows no encoding called {self.encoding!r}; try 'utf-8', 'gb18030', 'big5', 'utf-16'"
                )


# A reader yields documents and skips in the order of the file, and raises DocumentError when the whole file is lost.
Reader: TypeAlias = Callable[[Path, ReadOptions], Iterator[Document | Skip]]
