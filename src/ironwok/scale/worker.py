"""A worker: one pipeline, and parts that it does one after the other."""

from __future__ import annotations

import io
import json
import os
import socket
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ironwok.errors import IronwokError
from ironwok.files import json_line
from ironwok.scale.plan import Part, pyarrow_parquet
from ironwok.scale.rows import BadRow, Item, Row
from ironwok.scale.storage import Storage
from ironwok.scale.work import Pipeline, Work

PartFormat = Literal["parquet", "jsonl"]

_ROWS_AT_ONCE = 256
_CHARACTERS_AT_ONCE = 1 << 20
# A worker may die because its machine does; if a second one dies at the same part, it may be a row of the part.
CAREFUL_AFTER = 2
_FATAL_AFTER = 2  # deaths with the same row in hand


@dataclass(frozen=True, slots=True)
class Folders:
    """Where a job writes. root: the folder of its parts."""

    storage: Storage
    root: str

    def part(self, part: Part, form: PartFormat) -> str:
        return f"{self.root}/{part.name}.{form}"

    def quarantine(self, part: Part) -> str:
        return f"{self.root}/_quarantine/{part.name}.jsonl"

    def done(self, part: Part) -> str:
        return f"{self.root}/_job/done/{part.name}.json"

    def in_hand(self, part: Part) -> str:
        return f"{self.root}/_job/in_hand/{part.name}.json"

    @property
    def job(self) -> str:
        return f"{self.root}/_job/job.json"


@dataclass(frozen=True, slots=True)
class PartDone:
    """A part that is written. quarantined: its rows that could not be done. refused: those of them that the pipeline
    refused, not the reader, and reason: why it refused the first of them. replaced: its rows with broken bytes.
    """

    number: int
    rows: int
    quarantined: int
    refused: int
    replaced: int
    characters: int
    seconds: float
    cpu_seconds: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a worker could not go on: an error as its name and words, which survive any journey."""

    error: str
    message: str
    trace: str

    @classmethod
    def of(cls, error: Exception) -> Failure:
        return cls(type(error).__name__, str(error), traceback.format_exc())


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker that has loaded its model, and where it runs."""

    pid: int
    host: str
    node: str = ""


class Worker:
    """One pipeline. Use: `load` once, then `do` for each part. Neither raises: what goes wrong is returned."""

    def __init__(self, work: Work, inputs: Storage, folders: Folders, form: PartFormat, threads: int | None) -> None:
        self._work = work
        self._inputs = inputs
        self._folders = folders
        self._form: PartFormat = form
        self._threads = threads
        self._pipeline: Pipeline | None = None

    def load(self, node: str = "") -> Ready | Failure:
        try:
            if self._form == "parquet":
                pyarrow_parquet()
            self._pipeline = self._work.load()
            import sys

            # only where the pipeline brought it along
            if self._threads is not None and (torch := sys.modules.get("torch")) is not None:
                torch.set_num_threads(self._threads)
        except Exception as error:  # it goes to the driver, which raises it
            return Failure.of(error)
        return Ready(os.getpid(), socket.gethostname(), node)

    def do(self, part: Part, deaths: int) -> PartDone | Failure:
        """Do a part and leave it on the disk. deaths: workers that died at it before."""
        started, cpu_started = time.monotonic(), time.process_time()
        try:
            counted = _Counts()
            records: list[dict[str, Any]] = []
            bad: list[BadRow] = []
            answers = self._answers(part, counted, careful=deaths >= CAREFUL_AFTER)
            for item in answers:
                if isinstance(item, BadRow):
                    bad.append(item)
                else:
                    records.append(item)
            self._write_results(part, records, bad)
            done = PartDone(
                part.number,
                len(records),
                len(bad),
                counted.refused,
                counted.replaced,
                counted.characters,
                round(time.monotonic() - started, 3),
                round(time.process_time() - cpu_started, 3),
                counted.reason,
            )
            # the word that the part is done comes last
            self._folders.storage.write(self._folders.done(part), json.dumps(asdict(done)).encode())
        except Exception as error:
            return Failure.of(error)
        return done

    def _answers(self, part: Part, counted: _Counts, *, careful: bool) -> Iterator[dict[str, Any] | BadRow]:
        items = self._read(part, counted)
        if careful:
            yield from self._carefully(part, items, counted)
            return
        for chunk in _chunks(items):
            if isinstance(chunk, BadRow):
                yield chunk
            else:
                yield from self._answer(chunk, counted)

    def _read(self, part: Part, counted: _Counts) -> Iterator[Item]:
        for item in self._work.rows(part, self._inputs):
            if isinstance(item, Row):
                counted.replaced += item.replaced > 0
                counted.characters += len(item.text)
            yield item

    def _answer(self, rows: Sequence[Row], counted: _Counts) -> Iterator[dict[str, Any] | BadRow]:
        """Answers for rows; where they cannot be had together, for halves of them, down to the row that is to blame."""
        assert self._pipeline is not None, "load comes first"
        try:
            answers = self._pipeline.answer(rows)
            if len(answers) != len(rows):
                raise RuntimeError(f"the pipeline gave {len(answers)} answers to {len(rows)} rows")
        except Exception as error:  # any row may break any model: that is what the quarantine is for
            if len(rows) == 1:
                yield counted.refuse(rows[0], type(error).__name__, str(error))
                return
            middle = len(rows) // 2
            yield from self._answer(rows[:middle], counted)
            yield from self._answer(rows[middle:], counted)
            return
        for row, answer in zip(rows, answers, strict=True):
            record: dict[str, Any] = {"source": row.source, "position": row.position}
            if row.id is not None:
                record["id"] = row.id
            if not self._work.documents:
                record["text"] = row.text
            yield record | answer

    def _carefully(self, part: Part, items: Iterator[Item], counted: _Counts) -> Iterator[dict[str, Any] | BadRow]:
        """Row by row, each noted before it is taken in hand: who dies with it leaves its name."""
        storage, path = self._folders.storage, self._folders.in_hand(part)
        note = json.loads(storage.read(path)) if storage.exists(path) else {"deaths": []}
        # the row that was in hand when the last worker died
        deaths = [tuple(place) for place in note["deaths"]]
        if note.get("in_hand"):
            deaths.append(tuple(note["in_hand"]))
        for item in items:
            if isinstance(item, BadRow):
                yield item
                continue
            place = (item.source, item.position)
            if deaths.count(place) >= _FATAL_AFTER:
                message = f"{deaths.count(place)} workers died while they had this row in hand"
                yield counted.refuse(item, "WorkerDied", message)
                continue
            storage.write(path, json.dumps({"deaths": deaths, "in_hand": place}).encode())
            yield from self._answer([item], counted)
        storage.write(path, json.dumps({"deaths": deaths}).encode())

    def _write_results(self, part: Part, records: list[dict[str, Any]], bad: list[BadRow]) -> None:
        storage, folders = self._folders.storage, self._folders
        if bad:
            storage.write(folders.quarantine(part), b"".join(json_line(row.to_dict()) for row in bad))
        if self._form == "jsonl":
            data = b"".join(json_line(record) for record in records)
        else:
            data = _parquet(records, self._work)
        storage.write(folders.part(part, self._form), data)


@dataclass(slots=True)
class _Counts:
    replaced: int = 0
    refused: int = 0
    characters: int = 0
    reason: str = ""

    def refuse(self, row: Row, error: str, message: str) -> BadRow:
        self.refused += 1
        self.reason = self.reason or f"{error}: {message}"
        return BadRow.of(row, error, message)


def _chunks(items: Iterator[Item]) -> Iterator[list[Row] | BadRow]:
    chunk: list[Row] = []
    characters = 0
    for item in items:
        if isinstance(item, BadRow):
            if chunk:
                yield chunk
                chunk, characters = [], 0
            yield item
            continue
        chunk.append(item)
        characters += len(item.text)
        if len(chunk) >= _ROWS_AT_ONCE or characters >= _CHARACTERS_AT_ONCE:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def _parquet(records: list[dict[str, Any]], work: Work) -> bytes:
    parquet = pyarrow_parquet()
    import pyarrow as pa

    fields = [("source", pa.string()), ("position", pa.int64()), ("id", pa.string())]
    fields += [] if work.documents else [("text", pa.string())]
    schema = pa.schema([*fields, *work.columns()])
    strings = [name for name in schema.names if pa.types.is_string(schema.field(name).type)]
    for record in records:
        for name in strings:
            value = record.get(name)
            if isinstance(value, str):
                # half of a surrogate pair, which UTF-8 cannot hold
                record[name] = value.encode("utf-8", "backslashreplace").decode()
            elif value is not None:
                record[name] = json.dumps(value, ensure_ascii=False)
    out = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(records, schema=schema), out, compression="zstd")
    return out.getvalue()


def raise_failure(failure: Failure) -> None:
    """Raise what stopped a worker: an error of ours as itself, anything else with its trace."""
    from ironwok import errors
    from ironwok.errors import MissingExtraError

    kind = getattr(errors, failure.error, None)
    if isinstance(kind, type) and issubclass(kind, IronwokError) and not issubclass(kind, MissingExtraError):
        raise kind(failure.message)
    raise errors.ScaleError(f"a worker failed with {failure.error}: {failure.message}\n{failure.trace}")
