"""Texts line by line or record by record, and results as lines of JSON that an interrupted run can go on with."""

from __future__ import annotations

import json
import re
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ironwok.errors import (
    EmptyDocumentError,
    EncodingError,
    InputError,
    LabelError,
    OutputError,
    UnsupportedFormatError,
)

_RECORDS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv")
_DOCUMENTS = (".md", ".markdown", ".html", ".htm", ".pdf", ".docx")

# What people type between labels; a sign that separates the steps of a path does not separate labels.
_BETWEEN_LABELS = ",，、;；"
_LINE_END = re.compile("\r\n|\r|\n")

# A result counts as written when it is on the disk; to ask the disk for every single one would cost too much.
_MOST_WAITING = 64
_LONGEST_WAIT = 1.0


class Answer(Protocol):
    """What is found in a text: a `Classification`, say."""

    def to_dict(self) -> dict[str, Any]: ...


AnswerT = TypeVar("AnswerT")
LineT = TypeVar("LineT", bound="Line")


@dataclass(frozen=True, slots=True)
class Line:
    """A text with the line of the input that it begins at, from 1, and its "id" where a record has one."""

    number: int
    text: str
    id: Any = None

    def is_of(self, record: Mapping[str, Any]) -> bool:
        """Whether a result is the one of this line."""
        return (self.number, self.text) == (record.get("line"), record.get("text"))


def read_labels(given: str, *, separator: str | None = None) -> Any:
    """The labels as typed, or those of "@FILE": one a line, or whatever a .json file holds. Raises LabelError.

    separator: what separates the steps of a label such as "体育/足球", where labels are paths.
    """
    if not given.startswith("@"):
        between = "".join(sign for sign in _BETWEEN_LABELS if sign not in (separator or ""))
        return [name.strip() for name in re.split(f"[{between}]", given) if name.strip()]
    file = Path(given[1:])
    text = _decoded(file)
    if file.suffix.lower() != ".json":
        return [line.strip() for line in text.splitlines() if line.strip()]
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise LabelError(f"{file}, line {error.lineno}: no JSON ({error.msg})") from error


def read_lines(
    file: str,
    *,
    text_field: str | None,
    on_skip: Callable[[str], None],
    on_note: Callable[[str], None] | None = None,
    encoding: str | None = None,
) -> Iterator[Line]:
    """The texts of a file or of standard input ("-"), blank lines left out.

    text_field: the key or column of the text in .jsonl, .json, .csv and .tsv files.
    on_skip: told of every record that cannot be used, by file and line; the rest goes on.
    on_note: told of every line with broken bytes, which stand in its text as U+FFFD.
    encoding: None detects it.
    Raises UnreadableDocumentError, UnsupportedFormatError or InputError.
    """
    note = on_note or (lambda _: None)
    if file == "-":
        if text_field is not None:
            raise InputError("--text-field is for .jsonl and .csv files; standard input is read line by line")
        from ironwok.cli.standard_input import StandardInput

        return StandardInput(encoding=encoding, on_skip=on_skip, on_note=note)
    path = Path(file)
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InputError(f"{path} is no ordinary file, so it can be read only once: pass - and pipe the texts in")
    suffix = _suffix(path)
    if suffix in _RECORDS:
        return _records(path, text_field, encoding, on_skip, note)
    if suffix in _DOCUMENTS or path.is_dir():
        kind = "a folder" if path.is_dir() else f"a {suffix} document"
        raise UnsupportedFormatError(
            f"{path} is {kind}; this takes lines or records (.txt, .jsonl, .csv): use `ironwok read` for documents"
        )
    if text_field is not None:
        raise InputError(f"--text-field is for .jsonl and .csv files; {path} is read line by line")
    return _lines(path, encoding, on_skip, note)


def has_fields(file: str | Path) -> bool:
    """Whether a file holds records with fields, not lines."""
    return _suffix(Path(file)) in _RECORDS


def _suffix(path: Path) -> str:
    packed = path.suffix.lower() in (".gz", ".bz2", ".xz", ".zst")
    return (path.with_suffix("") if packed else path).suffix.lower()


def said_of(place: str, line: int, replaced: int) -> str:
    """What to tell about a line with broken bytes."""
    if replaced == 1:
        return f"{place}, line {line}: a broken byte sequence is read as U+FFFD"
    return f"{place}, line {line}: {replaced} broken byte sequences are read as U+FFFD"


def _lines(
    path: Path, encoding: str | None, on_skip: Callable[[str], None], on_note: Callable[[str], None]
) -> Iterator[Line]:
    from ironwok.text.formats.files import read_lines as decoded_lines
    from ironwok.text.formats.values import ReadOptions

    returns = 0  # line ends that are a carriage return alone: old files of Macs have no others
    for number, decoded in decoded_lines(path, ReadOptions(encoding=encoding)):
        if isinstance(decoded, EncodingError):
            on_skip(f"{path}, line {number + returns}: {decoded}")
            continue
        if decoded.replaced:
            on_note(said_of(str(path), number + returns, decoded.replaced))
        whole = decoded.text.removesuffix("\n").removesuffix("\r")
        for place, part in enumerate(_LINE_END.split(whole)):
            returns += place > 0
            if text := part.strip():
                yield Line(number + returns, text)


def _records(
    path: Path,
    text_field: str | None,
    encoding: str | None,
    on_skip: Callable[[str], None],
    on_note: Callable[[str], None],
) -> Iterator[Line]:
    from ironwok.errors import DocumentError
    from ironwok.text.documents import ReadOptions, Skip, read_file

    for item in read_file(path, options=ReadOptions(text_field=text_field, encoding=encoding)):
        if isinstance(item, Skip):
            is_whole = item.record is None and item.line is None
            if is_whole and not isinstance(item.error, EmptyDocumentError):
                # the file as a whole, not one record of it
                error: DocumentError = item.error
                raise error
            on_skip(item.reason)
            continue
        number = item.line or (item.record or 0) + 1
        if item.replaced:
            on_note(said_of(str(path), number, item.replaced))
        yield Line(number, item.text, item.metadata.get("id"))


def _decoded(path: Path) -> str:
    from ironwok.text.formats.files import read_text
    from ironwok.text.formats.values import ReadOptions

    return read_text(path, ReadOptions()).text


class _Texts(Iterator[str]):
    """The texts of lines, which are remembered until their answers come.

    on_wait: called before a line is asked for, which may take long to come.
    """

    def __init__(self, lines: Iterable[Line], on_wait: Callable[[], None]) -> None:
        self._lines = iter(lines)
        self._on_wait = on_wait
        self._source_pauses: Callable[[], bool] | None = getattr(lines, "pauses", None)
        self.ahead: deque[Line] = deque()

    def __next__(self) -> str:
        self._on_wait()
        line = next(self._lines)
        self.ahead.append(line)
        return line.text

    def pauses(self) -> bool:
        """Whether the next line is yet to come."""
        return self._source_pauses is not None and self._source_pauses()


class _CountedTexts(_Texts):
    """Texts of which it is known how many there are."""

    def __init__(self, lines: list[Line], on_wait: Callable[[], None]) -> None:
        super().__init__(lines, on_wait)
        self._count = len(lines)

    def __len__(self) -> int:
        return self._count


def with_answers(
    lines: Iterable[Line],
    answer: Callable[[Iterable[str]], Iterable[AnswerT]],
    *,
    on_wait: Callable[[], None] = lambda: None,
) -> Iterator[tuple[Line, AnswerT]]:
    """Each line with its answer, as the answers come.

    answer: makes one answer for each text, in order; it may take some texts ahead of its answers. What it is handed
    has a length where the lines are a list, and a method ``pauses``, which tells whether the next text is yet to come.
    on_wait: called whenever ``answer`` asks for another text: all answers that were given by then have been passed on.
    """
    texts = _CountedTexts(lines, on_wait) if isinstance(lines, list) else _Texts(lines, on_wait)
    for result in answer(texts):
        yield texts.ahead.popleft(), result


def check_out(
    out: Path | None, file: str | Path, *, resume: bool = False, overwrite: bool = False, adapt: Path | None = None
) -> None:
    """Raises InputError where there is no file to go on with or it is to be replaced, too; OutputError where results
    would replace their texts.

    adapt: texts that are read beside those of ``file``.
    """
    if resume and out is None:
        raise InputError("--resume goes on with a file: name it with --out")
    if resume and overwrite:
        raise InputError("--resume goes on with a file and --overwrite replaces it: pass one of them")
    read = {"which is the input": None if str(file) == "-" else Path(file), "which --adapt reads": adapt}
    for said, path in read.items():
        if out is not None and path is not None and out.exists() and path.exists() and out.samefile(path):
            raise OutputError(f"--out is {out}, {said}: name another file")


class ResultFile:
    """Where results go: standard output, or a file that grows line by line and that a later run can go on with.

    path: None for standard output. settings: all that shapes the results, as plain JSON; kept beside the file in a
    hidden one, so that a resumed run does not mix answers to different questions.
    dry: write nothing.
    Raises OutputError where the file exists and neither ``resume`` nor ``overwrite`` is set, or cannot be written;
    InputError where it was written with other settings.
    """

    def __init__(
        self, path: Path | None, *, settings: Mapping[str, Any], resume: bool, overwrite: bool, dry: bool = False
    ) -> None:
        self.path = path
        self.kept = 0
        self._settings = json.loads(json.dumps(dict(settings)))
        self._resume, self._overwrite, self._dry = resume, overwrite, dry
        self._done: list[dict[str, Any]] = []
        self._waiting: list[dict[str, Any]] = []
        self._since = 0.0
        self._log: Any = None
        self._begun = False  # whether the file is as this run wants it; before, an earlier one stays as it was
        self._new = self._written = False

    def __enter__(self) -> ResultFile:
        if self.path is not None and not self._dry:
            self._open(self.path)
        return self

    def __exit__(self, error: object, *_: object) -> None:
        try:
            self.flush()
            if error is None and self._log is not None:
                self._begin()
            elif self._new and not self._written and self.path is not None:
                # nothing came of it, and a file without results would only be in the way of the next try
                self.path.unlink(missing_ok=True)
                self._asked(self.path).unlink(missing_ok=True)
        finally:
            if self._log is not None:
                self._log.close()

    def without_done(self, lines: Iterator[LineT]) -> Iterator[LineT]:
        """The lines that have no result yet. Raises InputError where the input is not the one of the file."""
        for record in self._done:
            line = next(lines, None)
            if line is None or not line.is_of(record):
                found = "ends before it" if line is None else f"has {line.text!r:.40} in line {line.number}"
                raise InputError(
                    f"{self.path} holds a result for {record.get('text')!r:.40} in line {record.get('line')}, but the "
                    f"input {found}: resume with the same input, or pass --overwrite"
                )
        return lines

    def write(self, line: Line, answer: Answer) -> None:
        record: dict[str, Any] = {"line": line.number}
        if line.id is not None:
            record["id"] = line.id
        record |= {"text": line.text} | answer.to_dict()
        if self.path is None:
            sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
            sys.stdout.flush()
            return
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append(record)
        if len(self._waiting) >= _MOST_WAITING or time.monotonic() - self._since > _LONGEST_WAIT:
            self.flush()

    def flush(self) -> None:
        """Bring what waits to the disk."""
        if self._waiting and self._log is not None:
            self._begin()
            self._written = True
            waiting, self._waiting = self._waiting, []
            self._log.append(waiting)

    def _open(self, path: Path) -> None:
        from ironwok.files import LineLog, check_writable, writing

        if path.is_dir():
            raise OutputError(f"{path} is a folder: name a file, such as {path / 'labels.jsonl'}")
        if path.exists() and not path.is_file():
            raise OutputError(f"{path} is no ordinary file: leave --out out to write to standard output")
        asked = self._asked(path)
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            check_writable(path)
        self._log = LineLog(path)
        if path.exists() and not self._overwrite:
            if not self._resume:
                raise OutputError(f"{path} exists: pass --resume to go on with it, or --overwrite to replace it")
            self._compare(asked)
            try:
                self._done = self._log.load()
            except OutputError as error:
                raise OutputError(f"{path} holds a line that is no result: pass --overwrite to start anew") from error
        self.kept = len(self._done)
        self._new = not path.exists()
        if self._new:
            self._begin()  # there is nothing to lose, and whoever looks sees that it goes on

    def _begin(self) -> None:
        """Make the file what this run goes on with; not before there is something to write, or all is done."""
        from ironwok.files import json_line, replace_file

        if self._begun or self.path is None:
            return
        self._begun = True
        # a last line that was cut off goes, the rest stays as it is
        self._log.keep(json_line(record) for record in self._done)
        replace_file(self._asked(self.path), json.dumps(self._settings, ensure_ascii=False, indent=2).encode())

    def _asked(self, path: Path) -> Path:
        return path.with_name(f".{path.name}.settings")

    def _compare(self, asked: Path) -> None:
        try:
            before = json.loads(asked.read_bytes())
        except (OSError, ValueError):
            raise InputError(
                f"{self.path} has no settings beside it ({asked.name}), so it may answer another question: "
                "pass --overwrite to start anew"
            ) from None
        changed = [name for name in self._settings if before.get(name) != self._settings[name]]
        if changed:
            told = "; ".join(f"{name}: {before.get(name)!r} there, {self._settings[name]!r} now" for name in changed)
            raise InputError(
                f"{self.path} was written with other settings ({told:.300}): pass --overwrite to start anew"
            )
