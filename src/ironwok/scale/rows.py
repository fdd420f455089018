"""The rows of a part: read as `ironwok classify` reads a whole file, by the same readers."""

from __future__ import annotations

import contextlib
import csv
import io
import re
import shutil
import tempfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from ironwok.errors import DocumentError, EncodingError, InputError, UnreadableDocumentError
from ironwok.scale.plan import WHOLE, Part, Piece, opened, pyarrow_parquet
from ironwok.scale.storage import Storage
from ironwok.text.documents import Document, ReadOptions, read_file
from ironwok.text.formats.files import read_lines, unpacked_name

_LINE_END = re.compile("\r\n|\r|\n")
_BLOCK = 1 << 20
_LONGEST_RAW = 100_000  # characters of a row that is put aside


@dataclass(frozen=True, slots=True)
class Row:
    """A text and where it stands.

    source: the file, as the user named it. position: of text, JSON lines and tables, the byte at which the row's line
    begins (of a packed file, unpacked; rows that share a line count on by one); of Parquet the number of the row; of a
    file of documents the number of the document. Source and position tell every row from all others.
    id: what the record has under "id".
    replaced: broken byte sequences that stand in the text as U+FFFD. payload: what a reader of documents makes of it.
    """

    source: str
    position: int
    text: str
    id: Any = None
    replaced: int = 0
    payload: Any = None


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be done, and why. error: the name of its class. raw: the row as it stands, cut if very long."""

    source: str
    position: int
    error: str
    message: str
    raw: str = ""
    id: Any = None

    @classmethod
    def of(cls, row: Row, error: str, message: str) -> BadRow:
        return cls(row.source, row.position, error, message, row.text[:_LONGEST_RAW], row.id)

    def to_dict(self) -> dict[str, Any]:
        record: dict[str, Any] = {"source": self.source, "position": self.position}
        if self.id is not None:
            record["id"] = self.id
        return record | {"error": self.error, "message": self.message, "text": self.raw}


Item: TypeAlias = Row | BadRow


def rows_of(part: Part, storage: Storage) -> Iterator[Item]:
    """The rows of a part in order. A damaged file gives what can be read of it, and a `BadRow` for the rest.

    Raises InputError where a file has changed since the plan was made, OSError where the storage does not answer.
    """
    for piece in part.pieces:
        check_unchanged(piece, storage)
        try:
            yield from _told_apart(_rows_of_piece(piece, storage))
        except DocumentError as error:
            yield BadRow(piece.source.url, piece.start, type(error).__name__, str(error))


def check_unchanged(piece: Piece, storage: Storage) -> None:
    source = piece.source
    if storage.info(source.url, source.path).stamp != source.stamp:
        raise InputError(f"{source.url} has changed since the job began: start it anew with --overwrite")


def _rows_of_piece(piece: Piece, storage: Storage) -> Iterator[Item]:
    if piece.source.format == "parquet":
        yield from _rows_of_parquet(piece, storage)
        return
    with local_copy(piece, storage) as copy:
        yield from _rows_of_text(piece, copy) if piece.source.format == "text" else _rows_of_records(piece, copy)


def _told_apart(items: Iterator[Item]) -> Iterator[Item]:
    """No two rows at one position; each takes up a byte at least, so that there is room."""
    last = -1
    for item in items:
        last = max(item.position, last + 1)
        yield item if item.position == last else replace(item, position=last)


@dataclass(frozen=True, slots=True)
class Copy:
    """A piece as a file of this machine. starts: where its lines begin in the source; lines that were put in front, to
    say how the others are to be read, have -1.
    """

    path: Path
    starts: array[int]

    def position(self, line: int | None) -> int:
        return self.starts[min(line or 1, len(self.starts)) - 1]

    def raw(self, line: int | None, codec: str) -> str:
        with self.path.open("rb") as file:
            for _ in range((line or 1) - 1):
                file.readline()
            return file.readline(4 * _LONGEST_RAW).decode(codec, "replace").rstrip("\r\n")[:_LONGEST_RAW]


@contextlib.contextmanager
def local_copy(piece: Piece, storage: Storage) -> Iterator[Copy]:
    source = piece.source
    name = unpacked_name(Path(source.path)).name
    with tempfile.TemporaryDirectory(prefix="ironwok-") as folder:
        path = Path(folder) / name
        prelude = _prelude(piece)
        with path.open("wb") as file:
            file.writelines(prelude)
            begin = _copy(piece, storage, file)
        starts = array("q", [-1] * len(prelude))
        with path.open("rb") as file:
            position = begin - sum(map(len, prelude))
            for number, line in enumerate(file):
                if number >= len(prelude):
                    starts.append(position)
                position += len(line)
        yield Copy(path, starts)


def _copy(piece: Piece, storage: Storage, file: Any) -> int:
    """Write the bytes of a piece, in whole lines. Returns where they begin."""
    source = piece.source
    with opened(storage, source.path) as stream:
        if source.packed or source.format in ("table", "document"):
            _skip(stream, piece.start, source.packed)
            if piece.stop == WHOLE:
                shutil.copyfileobj(stream, file, _BLOCK)
            else:
                _copy_bytes(stream, file, piece.stop - piece.start)
            return piece.start
        # a line belongs to the piece in which its first byte lies
        begin = piece.start
        if begin:
            stream.seek(begin - 1)
            begin += len(stream.readline()) - 1
        if begin < piece.stop:
            last = _copy_bytes(stream, file, piece.stop - begin)
            if last != b"\n":
                file.write(stream.readline())
        return begin


def _skip(stream: Any, count: int, packed: bool) -> None:
    if not packed:
        stream.seek(count)
        return
    while count > 0 and (block := stream.read(min(count, _BLOCK))):
        count -= len(block)


def _copy_bytes(stream: Any, file: Any, count: int) -> bytes:
    """Returns the last byte."""
    last = b""
    while count > 0 and (block := stream.read(min(count, _BLOCK))):
        file.write(block)
        count -= len(block)
        last = block[-1:]
    return last


def _prelude(piece: Piece) -> list[bytes]:
    """Lines that say of any piece what only the first one would show."""
    source = piece.source
    if source.format == "table":
        assert source.delimiter is not None
        assert source.codec is not None
        header = io.StringIO(newline="")
        # a line break in a column's name would be one more line
        names = [" ".join(name.splitlines()) for name in source.names]
        csv.writer(header, delimiter=source.delimiter, lineterminator="\n").writerow(names)
        return [f"sep={source.delimiter}\n".encode(source.codec), header.getvalue().encode(source.codec, "replace")]
    if source.format == "jsonl" and source.text_field is not None:
        import json

        return [json.dumps({source.text_field: ""}).encode() + b"\n"]
    return []


def _rows_of_text(piece: Piece, copy: Copy) -> Iterator[Item]:
    source = piece.source
    for number, decoded in read_lines(copy.path, ReadOptions(encoding=source.codec, mixed=not source.named)):
        position = copy.position(number)
        if isinstance(decoded, EncodingError):
            raw = copy.raw(number, source.codec or "utf-8")
            yield BadRow(source.url, position, "EncodingError", _told(decoded, copy, source.url), raw)
            continue
        replaced = decoded.replaced
        # old files of Macs end their lines with a carriage return alone
        for part in _LINE_END.split(decoded.text.removesuffix("\n").removesuffix("\r")):
            if text := part.strip():
                yield Row(source.url, position, text, replaced=replaced)
                replaced = 0


def _rows_of_records(piece: Piece, copy: Copy) -> Iterator[Item]:
    source = piece.source
    text_field = source.text_field
    if text_field is not None and source.format == "table":
        text_field = " ".join(text_field.splitlines())
    options = ReadOptions(source.codec, text_field, source.title_field, mixed=not source.named)
    for item in read_file(copy.path, options=options):
        if isinstance(item, Document):
            yield Row(source.url, copy.position(item.line), item.text, item.metadata.get("id"), item.replaced)
            continue
        if item.line is None and item.record is None:
            if len(copy.starts) > len(_prelude(piece)):
                error: DocumentError = item.error
                raise type(error)(_told(error, copy, source.url)) from error
            continue  # no line begins in this piece
        position = copy.position(item.line)
        if position < 0:
            continue  # what was put in front
        raw = copy.raw(item.line, source.codec or "utf-8")
        yield BadRow(source.url, position, type(item.error).__name__, _told(item.error, copy, source.url), raw)


def _told(error: Exception, copy: Copy, url: str) -> str:
    """The message in terms of the user's file; lines are counted within the piece there, so that they go."""
    return re.sub(rf"{re.escape(str(copy.path))}(, line \d+)?", lambda _: url, str(error))


def _rows_of_parquet(piece: Piece, storage: Storage) -> Iterator[Item]:
    source = piece.source
    parquet = pyarrow_parquet()
    import pyarrow

    text_field = source.text_field
    assert text_field is not None
    try:
        with storage.open(source.path) as stream:
            table = parquet.ParquetFile(stream)
            position = sum(table.metadata.row_group(i).num_rows for i in range(piece.start))
            columns = [text_field, *(["id"] if "id" in table.schema_arrow.names and text_field != "id" else [])]
            groups = list(range(piece.start, piece.stop))
            for batch in table.iter_batches(batch_size=4096, row_groups=groups, columns=columns):
                for record in batch.to_pylist():
                    text, id_ = record[text_field], record.get("id") if text_field != "id" else None
                    if isinstance(text, str) and text.strip():
                        yield Row(source.url, position, text, id_)
                    else:
                        message = f"{source.url}, row {position}: no text in the column {text_field!r}"
                        yield BadRow(source.url, position, "UnreadableDocumentError", message, id=id_)
                    position += 1
    except pyarrow.ArrowInvalid as error:
        raise UnreadableDocumentError(f"{source.url}: a damaged Parquet file ({error})") from error
