"""Tables (.csv, .tsv) row by row: one column is the text, one may be the title, the others are metadata."""

from __future__ import annotations

import csv
import itertools
import re
import statistics
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ironwok.errors import EmptyDocumentError, EncodingError, UnreadableDocumentError
from ironwok.text.formats.fields import SAMPLED_RECORDS, is_known_name, text_name, title_name
from ironwok.text.formats.files import read_lines, unpacked_name
from ironwok.text.formats.values import Document, ReadOptions, Skip

_DELIMITERS = ",\t;|"
_SAMPLED_LINES = 200
_SENTENCE_MARKS = frozenset("。！？!?；…，")
_LONGEST_HEADER = 40  # characters of a column's name
_LONGEST_ROW = 20_000  # lines; a longer one is a quotation mark that was never closed
_MOST_REPAIRS = 1000  # so many unclosed quotation marks: the file does not quote at all
_LONE_RETURN = re.compile("\r(?!\n)")  # how spreadsheets on old Macs ended a row
_DECLARATION = re.compile(r'\s*"?sep=([^\w\s"]|\t)"?\s*', re.IGNORECASE)
_LINE = re.compile("[^\n]*\n|[^\n]+")


@dataclass(frozen=True, slots=True)
class Row:
    """line: where it begins, from 1. replaced: broken bytes in it."""

    cells: list[str]
    line: int
    encoding: str
    replaced: int = 0


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    number: int
    encoding: str
    replaced: int


@dataclass(frozen=True, slots=True)
class _Columns:
    """names: of all columns. text, title: positions among them."""

    names: tuple[str, ...]
    text: int
    title: int | None
    header: bool


@dataclass(frozen=True, slots=True)
class TableLayout:
    """How a table is read. header: whether its first row names the columns."""

    delimiter: str
    names: tuple[str, ...]
    text_field: str
    header: bool
    declared: bool  # whether the first line says what the delimiter is


def table_layout(path: Path, options: ReadOptions) -> TableLayout:
    """What `read_table` finds out about a table by its first rows. Raises as it does."""
    table = _open_table(path, options)
    columns = table.columns
    return TableLayout(table.delimiter, columns.names, columns.names[columns.text], columns.header, table.declared)


def read_table(path: Path, options: ReadOptions) -> Iterator[Document | Skip]:
    try:
        table = _open_table(path, options)
    except _NoRows as error:
        yield from error.skips
        raise EmptyDocumentError(str(error)) from None
    record = -1
    skip_header = table.columns.header
    for row in itertools.chain(table.head, table.rest):
        if isinstance(row, Skip):
            yield row
        elif skip_header:
            skip_header = False
        else:
            record += 1
            yield _document_from(path, row, table.columns, table.delimiter, record)


@dataclass(frozen=True, slots=True)
class TableRecord:
    """A row by the names of its columns. line: where it begins, from 1."""

    cells: dict[str, str]
    line: int


def table_records(path: Path, options: ReadOptions, *, names: Collection[str]) -> Iterator[TableRecord | Skip]:
    """All cells of all rows, where no column is *the* text.

    names: of columns that may be there, in small letters: a first row that holds one of them is a header even where
    nothing else tells. A table without a header has columns "column 1", "column 2", ….
    Raises as `read_table` does.
    """
    try:
        table = _open_table(path, options)
    except _NoRows as error:
        yield from error.skips
        raise EmptyDocumentError(str(error)) from None
    columns, rows = table.columns.names, itertools.chain(table.head, table.rest)
    header = table.columns.header
    first = next((row for row in table.head if isinstance(row, Row)), None)
    if not header and first is not None and any(cell.strip().lower() in names for cell in first.cells):
        header, columns = True, _names_of(first.cells, len(first.cells))
    for row in rows:
        if isinstance(row, Skip):
            yield row
        elif header:
            header = False
        elif len(row.cells) > len(columns):
            problem = (
                f"{len(row.cells)} cells in a table of {len(columns)} columns: put quotation marks around "
                f"{table.delimiter!r} in texts"
            )
            yield Skip(str(path), UnreadableDocumentError(f"{path}, line {row.line}: {problem}"), None, row.line)
        else:
            yield TableRecord(dict(zip(columns, row.cells, strict=False)), row.line)


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of which the first rows are read."""

    delimiter: str
    declared: bool
    columns: _Columns
    head: list[Row | Skip]
    rest: Iterator[Row | Skip]


class _NoRows(EmptyDocumentError):
    """A table without rows. skips: what stood in their place."""

    def __init__(self, message: str, skips: list[Skip]) -> None:
        super().__init__(message)
        self.skips = skips


def _open_table(path: Path, options: ReadOptions) -> _Table:
    lines = _Lines(path, options)
    delimiter = _declared_delimiter(lines)
    declared = delimiter is not None
    if delimiter is None:
        sample = [line.text for line in lines.ahead(_SAMPLED_LINES)]
        delimiter = _delimiter_of(sample, default="\t" if unpacked_name(path).suffix.lower() == ".tsv" else ",")
    # The limit is one for the whole process; only ever raised, so that nobody else's reading breaks.
    csv.field_size_limit(max(csv.field_size_limit(), options.max_bytes))
    found = _rows(lines, delimiter)
    head: list[Row | Skip] = []
    for row in found:
        head.append(row)
        if sum(isinstance(item, Row) for item in head) > SAMPLED_RECORDS:
            break
    first_rows = [row for row in head if isinstance(row, Row)]
    if not first_rows:
        skips = [skip for skip in head if isinstance(skip, Skip)]
        raise _NoRows(f"{path}: empty, an empty table", skips)
    return _Table(delimiter, declared, _columns_of(path, first_rows, options), head, found)


def _document_from(path: Path, row: Row, columns: _Columns, delimiter: str, record: int) -> Document | Skip:
    cells, names = row.cells, columns.names
    if len(cells) > len(names) and columns.text == len(names) - 1:
        # the delimiter stands in the last column's text, unquoted: nothing else can be meant
        cells = [*cells[: len(names) - 1], delimiter.join(cells[len(names) - 1 :])]
    problem = None
    if len(cells) > len(names):
        problem = (
            f"{len(cells)} cells in a table of {len(names)} columns: put quotation marks around {delimiter!r} in texts"
        )
    elif len(cells) <= columns.text:
        problem = f"{len(cells)} cells, the text is in column {columns.text + 1} ({names[columns.text]!r})"
    elif not cells[columns.text].strip():
        problem = f"no text in column {names[columns.text]!r}"
    if problem:
        return Skip(str(path), UnreadableDocumentError(f"{path}, line {row.line}: {problem}"), record, row.line)
    title = cells[columns.title].strip() if columns.title is not None and columns.title < len(cells) else ""
    apart = (columns.text, columns.title)
    return Document(
        path=str(path),
        text=cells[columns.text],
        title=title or None,
        record=record,
        line=row.line,
        encoding=row.encoding,
        replaced=row.replaced,
        metadata={name: cell for i, (name, cell) in enumerate(zip(names, cells, strict=False)) if i not in apart},
    )


def _declared_delimiter(lines: _Lines) -> str | None:
    """What the first line says, where it is the one that Excel writes and no row of the table; it is taken off."""
    first = lines.ahead(1)
    match = _DECLARATION.fullmatch(first[0].text) if first else None
    if match is None:
        return None
    lines.drop()
    return match[1]


def _delimiter_of(lines: Sequence[str], *, default: str) -> str:
    """The sign that cuts most rows into as many cells as the first has; the default where none cuts at all."""
    best, best_score = default, (0.0, 0)
    for delimiter in sorted(_DELIMITERS, key=lambda sign: sign != default):
        widths = [len(row) for row in _parse(lines, delimiter) if row]
        if not widths or widths[0] < 2:
            continue
        score = (round(sum(width == widths[0] for width in widths) / len(widths), 1), widths[0])
        if score[0] >= 0.5 and score > best_score:
            best, best_score = delimiter, score
    return best


def _parse(
    lines: Sequence[str], delimiter: str, quoting: int = csv.QUOTE_MINIMAL, *, strict: bool = False
) -> list[list[str]]:
    """Rows of a piece of table; empty if it is none."""
    try:
        return list(csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=strict))  # pyright: ignore[reportArgumentType]
    except csv.Error:
        return []


def _columns_of(path: Path, rows: Sequence[Row], options: ReadOptions) -> _Columns:
    header = _has_header(rows, options)
    width = len(rows[0].cells) if header else min(statistics.multimode(len(row.cells) for row in rows))
    given = rows[0].cells if header else []
    names = _names_of(given, width)
    if options.text_field is not None and options.text_field not in names:
        raise UnreadableDocumentError(f"{path}: no column {options.text_field!r}; its columns are {', '.join(names)}")
    records = [dict(zip(names, row.cells, strict=False)) for row in rows[header:]]
    text = options.text_field or text_name(names, records)
    if text is None:
        raise UnreadableDocumentError(f"{path}: a table without rows of text (columns: {', '.join(names)})")
    title = options.title_field or title_name(names, other_than=text)
    return _Columns(names, names.index(text), names.index(title) if title in names else None, header)


def _names_of(given: Sequence[str], width: int) -> tuple[str, ...]:
    """Names of all columns, each once, also of those that have none."""
    names: list[str] = []
    for i in range(width):
        name = (given[i].strip() if i < len(given) else "") or f"column {i + 1}"
        names.append(name if name not in names else f"{name} ({i + 1})")
    return tuple(names)


def _has_header(rows: Sequence[Row], options: ReadOptions) -> bool:
    """Whether the first row names the columns: by its names, else because it is short and the texts below are long."""
    first = [cell.strip() for cell in rows[0].cells]
    if options.text_field in first or any(map(is_known_name, first)):
        return True
    could_be_names = all(
        cell and len(cell) <= _LONGEST_HEADER and not _is_number(cell) and _SENTENCE_MARKS.isdisjoint(cell)
        for cell in first
    )
    if not could_be_names or len(set(first)) < len(first) or len(rows) < 2:
        return False
    for i, cell in enumerate(first):
        below = [row.cells[i] for row in rows[1:] if i < len(row.cells)]
        if below and (all(map(_is_number, below)) or statistics.mean(map(len, below)) >= 2.5 * len(cell)):
            return True
    return False


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "").rstrip("%"))
    except ValueError:
        return False
    return True


def _rows(lines: _Lines, delimiter: str) -> Iterator[Row | Skip]:
    """Rows and what could not be read, in order.

    A quotation mark that is opened and never closed would swallow all rows up to the next one. Such a row is taken
    apart: its first line counts as one row without quoting, the lines after it are read anew.
    """
    width: int | None = None
    repairs = 0
    quoting = csv.QUOTE_MINIMAL
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting)
    while True:
        lines.begin_row()
        try:
            cells = next(reader, None)
        except csv.Error as error:
            number = lines.row[0].number
            yield from lines.take_skips()
            damage = UnreadableDocumentError(f"{lines.path}, line {number}: not a row of a table ({error})")
            yield Skip(str(lines.path), damage, None, number)
            continue
        yield from lines.take_skips()
        if cells is None:
            return
        row = lines.row
        if len(row) > 1:
            alone = _parse([line.text for line in row], delimiter, csv.QUOTE_NONE)
            quoted_well = bool(_parse([line.text for line in row], delimiter, strict=True))
            is_open = lines.stopped and not quoted_well
            glued = len(cells) != width or (not quoted_well and all(len(line) == width for line in alone))
            if alone and alone[0] and (is_open or (glued and len(alone[0]) == width)):
                cells, repairs = alone[0], repairs + 1
                lines.push_back(row[1:])
                if repairs == _MOST_REPAIRS:
                    quoting = csv.QUOTE_NONE
                reader = csv.reader(lines, delimiter=delimiter, quoting=quoting)
                row = row[:1]
        if not any(cell.strip() for cell in cells):
            continue  # an empty line, or one of delimiters only
        width = width or len(cells)
        yield Row(cells, row[0].number, row[0].encoding, sum(line.replaced for line in row))


class _Lines:
    """The lines of a file for ``csv.reader``, which remembers those of the current row and can take them back."""

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self.path = path
        self.row: list[_Line] = []
        self.stopped = False  # within a row, at the end of the file or of what a row may be
        self._skips: list[Skip] = []
        self._waiting: deque[_Line] = deque()
        self._source = self._read(options)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._waiting.popleft() if self._waiting else next(self._source, None)
        if line is None or len(self.row) >= _LONGEST_ROW:
            if line is not None:
                self._waiting.appendleft(line)
            self.stopped = True
            raise StopIteration
        self.row.append(line)
        return line.text

    def ahead(self, count: int) -> list[_Line]:
        """The next lines, without consuming them."""
        self._waiting.extend(itertools.islice(self._source, max(count - len(self._waiting), 0)))
        return list(itertools.islice(self._waiting, count))

    def drop(self) -> None:
        """Take off the next line, one that `ahead` has shown."""
        self._waiting.popleft()

    def begin_row(self) -> None:
        self.row = []
        self.stopped = False

    def push_back(self, lines: Sequence[_Line]) -> None:
        self._waiting.extendleft(reversed(lines))

    def take_skips(self) -> list[Skip]:
        taken, self._skips = self._skips, []
        return taken

    def _read(self, options: ReadOptions) -> Iterator[_Line]:
        for number, decoded in read_lines(self.path, options):
            if isinstance(decoded, EncodingError):
                self._skips.append(Skip(str(self.path), decoded, None, number))
                continue
            replaced = decoded.replaced
            for text in _LINE.findall(_LONE_RETURN.sub("\n", decoded.text)):
                yield _Line(text, number, decoded.encoding, replaced)
                replaced = 0
