"""Texts line by line or record by record, and results as lines of JSON that an interrupted run can go on with."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ironwok.errors import EncodingError, InputError, LabelError, OutputError, UnsupportedFormatError

_RECORDS = (".jsonl", ".json", ".csv", ".tsv")
_DOCUMENTS = (".md", ".markdown", ".html", ".htm", ".pdf", ".docx")

# A result counts as written when it is on the disk; to ask the disk for every single one would cost too much.
_MOST_WAITING = 64
_LONGEST_WAIT = 1.0


class Answer(Protocol):
    """What is found in a text: a `Classification`, say."""

    def to_dict(self) -> dict[str, Any]: ...


AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True)
class Line:
    """A text with the line of the input that it begins at, from 1, and its "id" where a record has one."""

    number: int
    text: str
    id: Any = None


def read_labels(given: str) -> Any:
    """The labels as typed, or those of "@FILE": one a line, or whatever a .json file holds. Raises LabelError."""
    if not given.startswith("@"):
        return given
    file = Path(given[1:])
    text = _decoded(file)
    if file.suffix.lower() != ".json":
        return [line.strip() for line in text.splitlines() if line.strip()]
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise LabelError(f"{file}, line {error.lineno}: no JSON ({error.msg})") from error


def read_lines(file: str, *, text_field: str | None, on_skip: Callable[[str], None]) -> Iterator[Line]:
    """The texts of a file or of standard input ("-"), blank lines left out.

    text_field: the key or column of the text in .jsonl, .json, .csv and .tsv files.
    on_skip: told of every record that cannot be used, by file and line; the rest goes on.
    Raises UnreadableDocumentError, UnsupportedFormatError or InputError.
    """
    if file == "-":
        if text_field is not None:
            raise InputError("--text-field is for .jsonl and .csv files; standard input is read line by line")
        return _lines_of_standard_input(on_skip)
    path = Path(file)
    suffix = path.with_suffix("").suffix if path.suffix.lower() in (".gz", ".bz2", ".xz", ".zst") else path.suffix
    if suffix.lower() in _RECORDS:
        return _records(path, text_field, on_skip)
    if suffix.lower() in _DOCUMENTS or path.is_dir():
        kind = "a folder" if path.is_dir() else f"a {suffix} document"
        raise UnsupportedFormatError(
            f"{path} is {kind}; this takes lines or records (.txt, .jsonl, .csv): use `ironwok read` for documents"
        )
    if text_field is not None:
        raise InputError(f"--text-field is for .jsonl and .csv files; {path} is read line by line")
    return _lines(path, on_skip)


def _lines(path: Path, on_skip: Callable[[str], None]) -> Iterator[Line]:
    from ironwok.text.formats.files import read_lines as decoded_lines
    from ironwok.text.formats.values import ReadOptions

    for number, decoded in decoded_lines(path, ReadOptions()):
        if isinstance(decoded, EncodingError):
            on_skip(f"{path}, line {number}: {decoded}")
        elif text := decoded.text.strip():
            yield Line(number, text)


def _lines_of_standard_input(on_skip: Callable[[str], None]) -> Iterator[Line]:
    from ironwok.text.encodings import decode

    for number, data in enumerate(sys.stdin.buffer, 1):
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            try:
                text = decode(data, name=f"line {number} of standard input").text
            except EncodingError as error:
                on_skip(str(error))
                continue
        if text := text.strip():
            yield Line(number, text)


def _records(path: Path, text_field: str | None, on_skip: Callable[[str], None]) -> Iterator[Line]:
    from ironwok.errors import DocumentError
    from ironwok.text.documents import ReadOptions, Skip, read_file

    for item in read_file(path, options=ReadOptions(text_field=text_field)):
        if isinstance(item, Skip):
            if item.record is None and item.line is None:
                # the file as a whole, not one record of it
                error: DocumentError = item.error
                raise error
            on_skip(item.reason)
        else:
            yield Line(item.line or (item.record or 0) + 1, item.text, item.metadata.get("id"))


def _decoded(path: Path) -> str:
    from ironwok.text.formats.files import read_text
    from ironwok.text.formats.values import ReadOptions

    return read_text(path, ReadOptions()).text


def with_answers(
    lines: Iterable[Line], answer: Callable[[Iterable[str]], Iterable[AnswerT]]
) -> Iterator[tuple[Line, AnswerT]]:
    """Each line with its answer, as the answers come.

    answer: makes one answer for each text, in order. It is handed a list where the lines are one, so that it knows
    how many there are, else a stream, from which it may take some texts ahead of its answers.
    """
    if isinstance(lines, list):
        yield from zip(lines, answer([line.text for line in lines]), strict=True)
        return
    ahead: deque[Line] = deque()

    def texts() -> Iterator[str]:
        for line in lines:
            ahead.append(line)
            yield line.text

    for result in answer(texts()):
        yield ahead.popleft(), result


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

    def __enter__(self) -> ResultFile:
        if self.path is not None and not self._dry:
            self._open(self.path)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.flush()
        finally:
            if self._log is not None:
                self._log.close()

    def without_done(self, lines: Iterator[Line]) -> Iterator[Line]:
        """The lines that have no result yet. Raises InputError where the input is not the one of the file."""
        for record in self._done:
            line = next(lines, None)
            if line is None or (line.number, line.text) != (record.get("line"), record.get("text")):
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
            waiting, self._waiting = self._waiting, []
            self._log.append(waiting)

    def _open(self, path: Path) -> None:
        from ironwok.files import LineLog, json_line, replace_file, writing

        if path.is_dir():
            raise OutputError(f"{path} is a folder: name a file, such as {path / 'labels.jsonl'}")
        if path.exists() and not path.is_file():
            raise OutputError(f"{path} is no ordinary file: leave --out out to write to standard output")
        asked = path.with_name(f".{path.name}.settings")
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
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
        # a last line that was cut off goes, the rest stays as it is
        self._log.keep(json_line(record) for record in self._done)
        replace_file(asked, json.dumps(self._settings, ensure_ascii=False, indent=2).encode())

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
