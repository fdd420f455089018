"""What there is to do, cut into parts, before anything is done: the same files and options give the same parts.

Text and JSON lines are cut by bytes, without reading them: a line belongs to the piece in which its first byte lies.
Tables are read through once to find where rows begin, since a line break may stand inside a cell. Parquet is cut
between row groups. Packed files and documents are not cut.
"""

from __future__ import annotations

import csv
import io
import itertools
import lzma
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from gzip import BadGzipFile
from pathlib import Path
from typing import Any, Literal

from ironwok.errors import (
    DocumentError,
    EmptyDocumentError,
    InputError,
    NoDocumentsError,
    UnreadableDocumentError,
    UnsupportedFormatError,
)
from ironwok.scale.storage import Found, Storage
from ironwok.text.documents import readable_suffixes
from ironwok.text.encodings import detect_lines, is_wide, known_codec
from ironwok.text.formats.files import PACKED, open_file, unpacked_name
from ironwok.text.formats.records import record_fields
from ironwok.text.formats.tables import TableLayout, table_layout
from ironwok.text.formats.values import ReadOptions

Format = Literal["text", "jsonl", "table", "parquet", "document"]

_FORMATS: dict[str, Format] = {
    ".txt": "text",
    ".text": "text",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "table",
    ".tsv": "table",
    ".parquet": "parquet",
}
_DOCUMENTS = (".json", ".md", ".markdown", ".html", ".htm", ".xhtml", ".pdf", ".docx")
_HEAD = 1 << 18  # bytes at the beginning of a file by which its encoding and its columns are known
_MOST_LINES = 20_000  # of one row of a table; a longer one is a quotation mark that was never closed
_AT_ONCE = 16  # files looked at together: stores far away answer slowly
WHOLE = -1  # as the end of a piece


@dataclass(frozen=True, slots=True)
class Source:
    """A file to read. codec, text_field, delimiter, names: as found out from its beginning, where its format has them.

    named: whether the user named the codec. start: where its first line, or its first row below the header, begins.
    """

    url: str
    path: str
    size: int
    stamp: str
    format: Format
    packed: bool = False
    codec: str | None = None
    named: bool = False
    text_field: str | None = None
    title_field: str | None = None
    delimiter: str | None = None
    names: tuple[str, ...] = ()
    start: int = 0

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Source:
        values: dict[str, Any] = {**record, "names": tuple(record["names"])}
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a source: bytes [start, stop) of text, row groups of Parquet; stop is WHOLE for all of a file."""

    source: Source
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Part:
    """What is done and written together. Its number names its files."""

    number: int
    pieces: tuple[Piece, ...]

    @property
    def name(self) -> str:
        return f"part-{self.number:07d}"


@dataclass(frozen=True, slots=True)
class Plan:
    """All parts, and the files that cannot be read, with the reason."""

    parts: tuple[Part, ...]
    unreadable: tuple[tuple[str, str, str], ...]  # url, kind of error, message

    def to_dict(self) -> dict[str, Any]:
        sources = list(dict.fromkeys(piece.source for part in self.parts for piece in part.pieces))
        number = {source: i for i, source in enumerate(sources)}
        parts = [[[number[piece.source], piece.start, piece.stop] for piece in part.pieces] for part in self.parts]
        return {"sources": [asdict(source) for source in sources], "parts": parts, "unreadable": self.unreadable}

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Plan:
        sources = [Source.from_dict(source) for source in record["sources"]]
        parts = (
            Part(number, tuple(Piece(sources[source], start, stop) for source, start, stop in pieces))
            for number, pieces in enumerate(record["parts"])
        )
        return cls(tuple(parts), tuple((url, kind, message) for url, kind, message in record["unreadable"]))

    @property
    def sources(self) -> tuple[Source, ...]:
        return tuple(dict.fromkeys(piece.source for part in self.parts for piece in part.pieces))


def make_plan(
    inputs: Sequence[str],
    storage: Storage,
    paths: Sequence[str],
    *,
    part_bytes: int,
    documents: bool = False,
    text_field: str | None = None,
    encoding: str | None = None,
) -> Plan:
    """Look at the files and cut them.

    inputs, paths: files, folders and patterns, as the user named them and in the storage.
    part_bytes: about how much of the input goes into a part. documents: do not cut; each file is read as a whole.
    Raises UnreadableDocumentError or NoDocumentsError where there is nothing to read, InputError for options that do
    not fit; what is wrong with one file of many is part of the plan.
    """
    if part_bytes < 1:
        raise InputError(f"a part of {part_bytes} bytes holds nothing: give 1 or more (--part-size is in megabytes)")
    options = ReadOptions(text_field=text_field, encoding=encoding)
    found = _files(inputs, storage, paths, documents)

    def look(file: Found) -> tuple[Source, list[int]] | DocumentError:
        try:
            return _look(file, storage, part_bytes, documents, options)
        except DocumentError as error:
            return error

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        looks = list(pool.map(look, found))
    unreadable = [(file, look) for file, look in zip(found, looks, strict=True) if isinstance(look, DocumentError)]
    if len(unreadable) == len(found):
        raise unreadable[0][1]
    pieces = (
        Piece(source, start, stop)
        for source, cuts in (look for look in looks if not isinstance(look, DocumentError))
        for start, stop in itertools.pairwise(cuts)
    )
    parts = tuple(Part(number, tuple(group)) for number, group in enumerate(_grouped(pieces, part_bytes)))
    return Plan(parts, tuple((file.url, type(error).__name__, str(error)) for file, error in unreadable))


def _files(inputs: Sequence[str], storage: Storage, paths: Sequence[str], documents: bool) -> list[Found]:
    wanted = (*readable_suffixes(), ".parquet") if not documents else readable_suffixes()
    if not documents:
        wanted = tuple(suffix for suffix in wanted if suffix in _FORMATS)
    files: dict[str, Found] = {}
    for url, path in zip(inputs, paths, strict=True):
        below = list(storage.find(url, path))
        is_folder = not (len(below) == 1 and below[0].path == path)
        chosen = [file for file in below if not is_folder or _suffix(file.path) in wanted]
        if not chosen:
            raise NoDocumentsError(f"{url}: nothing to read in it; readable are {' '.join(wanted)}")
        files |= {file.path: file for file in chosen}
    return list(files.values())


def _suffix(path: str) -> str:
    return unpacked_name(Path(path)).suffix.lower()


def _look(
    file: Found, storage: Storage, part_bytes: int, documents: bool, options: ReadOptions
) -> tuple[Source, list[int]]:
    """The source and where it is cut."""
    # asked for as `rows_of` will ask: a listing may tell of other times than the file itself
    file = storage.info(file.url, file.path)
    suffix, packed = _suffix(file.path), Path(file.path).suffix.lower() in PACKED
    if documents:
        return Source(file.url, file.path, file.size, file.stamp, "document", packed), [0, WHOLE]
    if suffix in _DOCUMENTS:
        way = "write it as .jsonl" if suffix == ".json" else "use `ironwok read` for documents"
        raise UnsupportedFormatError(f"{file.url} is not made of lines or rows: {way}")
    kind = _FORMATS.get(suffix, "text")
    if file.size == 0:
        raise EmptyDocumentError(f"{file.url}: empty")
    if kind == "parquet":
        return _look_at_parquet(file, storage, part_bytes, options)
    return _look_at_lines(file, storage, part_bytes, options, kind, suffix, packed)


def _look_at_lines(
    file: Found, storage: Storage, part_bytes: int, options: ReadOptions, kind: Format, suffix: str, packed: bool
) -> tuple[Source, list[int]]:
    if kind == "text" and options.text_field is not None:
        raise UnsupportedFormatError(f"{file.url} is read line by line: --text-field is for .jsonl, .csv and .parquet")
    head = _head(file, storage)
    # line by line, as the plain commands do: one line in another encoding is the matter of that line
    codec = known_codec(options.encoding) if options.encoding else detect_lines(io.BytesIO(head), name=file.url)
    assert codec is not None, "ReadOptions has checked the encoding"
    if is_wide(codec):
        raise UnsupportedFormatError(
            f"{file.url} is in {codec.upper()}, which cannot be cut between lines: convert it to UTF-8, or read it "
            "without --engine ray"
        )
    named = options.encoding is not None
    fields: dict[str, Any] = {"codec": codec, "named": named}
    mark = 3 if head.startswith(b"\xef\xbb\xbf") else 0
    start = 0
    cuts: list[int] | None = None
    if kind != "text":
        with tempfile.TemporaryDirectory() as folder:
            sample = Path(folder) / f"head{suffix}"
            sample.write_bytes(head)
            given = ReadOptions(text_field=options.text_field, encoding=codec, mixed=not named)
            try:
                if kind == "jsonl":
                    text_field, title_field = record_fields(sample, given)
                    fields |= {"text_field": text_field, "title_field": title_field}
                else:
                    layout = table_layout(sample, given)
                    fields |= {"text_field": layout.text_field, "names": layout.names, "delimiter": layout.delimiter}
                    cuts = _row_starts(file, storage, part_bytes, layout, codec, packed, mark)
                    start = cuts[0]
            except DocumentError as error:
                raise type(error)(str(error).replace(str(sample), file.url)) from error
    source = Source(file.url, file.path, file.size, file.stamp, kind, packed, start=start, **fields)
    if packed:
        return source, [start, WHOLE]
    return source, cuts or [*range(0, file.size, part_bytes), file.size]


def _head(file: Found, storage: Storage) -> bytes:
    """The first whole lines, unpacked."""
    with opened(storage, file.path) as stream:
        head = stream.read(_HEAD)
        if len(head) == _HEAD:
            head += stream.readline()
    return head


def _row_starts(
    file: Found,
    storage: Storage,
    part_bytes: int,
    layout: TableLayout,
    codec: str,
    packed: bool,
    mark: int,
) -> list[int]:
    """Where a table may be cut: its first row, rows about ``part_bytes`` apart, its end.

    mark: length of the byte order mark.
    """
    position = lines_in_row = 0
    is_over = False
    with opened(storage, file.path) as stream:
        position += len(stream.read(mark))
        if layout.declared:
            position += len(stream.readline())

        def lines() -> Iterator[str]:
            nonlocal position, lines_in_row, is_over
            while lines_in_row < _MOST_LINES:
                if not (line := stream.readline()):
                    is_over = True
                    return
                position += len(line)
                lines_in_row += 1
                yield line.decode(codec, "replace")

        def rows() -> Iterator[int]:
            """Where each row ends."""
            nonlocal lines_in_row
            while not is_over:
                reader = csv.reader(lines(), delimiter=layout.delimiter)
                while True:
                    lines_in_row = 0
                    try:
                        row = next(reader, None)
                    except csv.Error:
                        row = []  # the reader of the part will say what is wrong with it
                    if row is None:
                        break
                    yield position

        ends = rows()
        if layout.header:
            next(ends, None)
        cuts = [position]
        if packed:
            return cuts
        for end in ends:
            if end - cuts[-1] >= part_bytes and end < file.size:
                cuts.append(end)
    return [*cuts, file.size] if cuts[-1] < file.size else cuts


def _look_at_parquet(file: Found, storage: Storage, part_bytes: int, options: ReadOptions) -> tuple[Source, list[int]]:
    parquet = pyarrow_parquet()
    import pyarrow

    with storage.open(file.path) as stream:
        try:
            table = parquet.ParquetFile(stream)
            sizes = [table.metadata.row_group(i).total_byte_size for i in range(table.num_row_groups)]
            columns = [
                field.name
                for field in table.schema_arrow
                if pyarrow.types.is_string(field.type) or pyarrow.types.is_large_string(field.type)
            ]
            text_field = options.text_field or _text_column(table, columns)
        except pyarrow.ArrowException as error:
            raise UnreadableDocumentError(f"{file.url}: no Parquet file, or a damaged one ({error})") from error
    if text_field not in columns:
        raise UnreadableDocumentError(
            f"{file.url}: no text column {text_field or ''!r}; its text columns are {', '.join(columns) or 'none'}"
        )
    cuts, size = [0], 0
    for number, group in enumerate(sizes):
        if size and size + group > part_bytes:
            cuts.append(number)
            size = 0
        size += group
    source = Source(file.url, file.path, file.size, file.stamp, "parquet", text_field=text_field)
    return source, [*cuts, len(sizes)] if sizes else [0]


def _text_column(table: Any, columns: Sequence[str]) -> str | None:
    from ironwok.text.formats.fields import SAMPLED_RECORDS, text_name

    batch = next(table.iter_batches(batch_size=SAMPLED_RECORDS, columns=list(columns)), None) if columns else None
    return None if batch is None else text_name(list(columns), batch.to_pylist())


def pyarrow_parquet() -> Any:
    """The module pyarrow.parquet. Raises MissingExtraError."""
    try:
        from pyarrow import parquet
    except ImportError as error:
        from ironwok.errors import MissingExtraError

        raise MissingExtraError("ray", feature="reading and writing Parquet") from error
    return parquet


def opened(storage: Storage, path: str) -> Any:
    """The unpacked bytes of a file as a stream; trouble with them is UnreadableDocumentError."""
    if storage.is_local:
        return open_file(Path(path))
    return _RemoteFile(storage, path)


class _RemoteFile:
    """A file of another machine, unpacked on the way."""

    def __init__(self, storage: Storage, path: str) -> None:
        self._storage, self._path = storage, path
        self._stream: Any = None

    def __enter__(self) -> Any:
        try:
            self._stream = self._storage.filesystem.open(self._path, "rb", compression="infer")
        except OSError as error:
            raise UnreadableDocumentError(f"{self._path}: cannot be read ({error.strerror or error})") from error
        return self._stream

    def __exit__(self, kind: type | None, error: BaseException | None, _: object) -> None:
        self._stream.close()
        if isinstance(error, (EOFError, BadGzipFile, lzma.LZMAError, zlib.error)):
            raise UnreadableDocumentError(f"{self._path}: cannot be read ({error})") from error


def _grouped(pieces: Iterable[Piece], part_bytes: int) -> Iterator[list[Piece]]:
    """Small files together, up to the size of a part."""
    group: list[Piece] = []
    size = 0
    for piece in pieces:
        length = piece.source.size
        if piece.stop != WHOLE and piece.source.format != "parquet":
            length = piece.stop - piece.start
        if group and size + length > part_bytes:
            yield group
            group, size = [], 0
        group.append(piece)
        size += length
    if group:
        yield group
