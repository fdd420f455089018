"""The main job on many machines: documents to labelled passages and events, as `ironwok read` gives them."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from ironwok import __version__
from ironwok.errors import DocumentError, InputError
from ironwok.files import replace_file
from ironwok.reading import html
from ironwok.reading.event_reader import EventReader
from ironwok.reading.readers import LabelReader, PassageReader
from ironwok.reading.sources import SourceOptions, open_file, passages_of
from ironwok.results import DocumentResult, PassageResult, Report, Skip
from ironwok.scale.job import JobReport
from ironwok.scale.plan import Part, Piece, Plan, pyarrow_parquet
from ironwok.scale.rows import BadRow, Item, Row, check_unchanged, local_copy
from ironwok.scale.storage import Storage
from ironwok.scale.work import Pipeline, absolute
from ironwok.scale.worker import Folders, PartFormat

# A page with more than this is more than a browser shows, and a person reads.
MOST_ON_PAGE = 20_000  # passages


@dataclass(frozen=True)
class ReadFiles:
    """Labels and events for the passages of documents.

    labels: keyword arguments of `LabelReader`, events: of `EventReader`; None for those that were not asked for.
    options: how documents are read and cut into passages.
    A paragraph that is cut into passages is always read as one where events are concerned.
    """

    documents: ClassVar[bool] = True

    labels: dict[str, Any] | None = None
    events: dict[str, Any] | None = None
    options: SourceOptions = field(default_factory=SourceOptions)

    def __post_init__(self) -> None:
        if self.labels is None and self.events is None:
            raise InputError("nothing is asked for: give labels, or a schema of events")

    def readers(self) -> list[PassageReader]:
        """Raises LabelError, TemplateError, InputError or ModelError for what does not fit."""
        readers: list[PassageReader] = []
        if self.labels is not None:
            asked: dict[str, Any] = {**self.labels, "model": absolute(self.labels["model"])}
            readers.append(LabelReader(**asked))
        if self.events is not None:
            given = {name: _found_elsewhere(value) for name, value in self.events.items()}
            readers.append(EventReader(**given))
        return readers

    def settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {"work": "read", **self.options.settings()}
        for reader in self.readers():
            settings |= reader.settings()
        return settings

    def load(self) -> Pipeline:
        readers = self.readers()
        # models are loaded when they are first asked for; that is now
        for reader in readers:
            reader.classifier() if isinstance(reader, LabelReader) else None
            reader.extractor() if isinstance(reader, EventReader) else None
        return _Reading(readers)

    def rows(self, part: Part, storage: Storage) -> Iterator[Item]:
        for piece in part.pieces:
            check_unchanged(piece, storage)
            try:
                yield from self._documents(piece, storage)
            except DocumentError as error:
                yield BadRow(piece.source.url, 0, type(error).__name__, str(error))

    def _documents(self, piece: Piece, storage: Storage) -> Iterator[Item]:
        url = piece.source.url
        with _here(piece, storage) as path:
            for position, item in enumerate(open_file(path, self.options)):
                if isinstance(item, Skip):
                    reason = item.reason.replace(path, url)
                    skip = {"record": item.record, "line": item.line}
                    yield BadRow(url, position, "DocumentError", reason, json.dumps(skip))
                    continue
                document = replace(item.document, path=url)
                yield Row(
                    url, position, document.text, None, document.replaced, payload=replace(item, document=document)
                )

    def columns(self) -> list[tuple[str, Any]]:
        import pyarrow as pa

        label = [("label", pa.string()), ("score", pa.float64())]
        return [("title", pa.string()), *label, ("passages", pa.int64()), ("document", pa.string())]


class _Reading:
    def __init__(self, readers: Sequence[PassageReader]) -> None:
        self._readers = readers

    def answer(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        cut = [list(passages_of(row.payload)) for row in rows]
        passages = [passage for one in cut for passage in one]
        for reader in self._readers if passages else ():
            passages = reader.read(passages)
        records, done = [], 0
        for row, one in zip(rows, cut, strict=True):
            records.append(self._record(row, tuple(passages[done : done + len(one)])))
            done += len(one)
        return records

    def _record(self, row: Row, passages: tuple[PassageResult, ...]) -> dict[str, Any]:
        source = row.payload.document
        document = DocumentResult(
            document=source.path,
            record=source.record,
            title=source.title,
            passages=passages,
            line=source.line,
            replaced=source.replaced,
            metadata=source.metadata,
        )
        for reader in self._readers:
            document = reader.conclude(document)
        found = document.classification
        return {
            "title": document.title,
            "label": None if found is None else found.label,
            "score": None if found is None else found.score,
            "passages": len(passages),
            "document": document.to_dict() | {"results": [passage.to_dict() for passage in passages]},
        }


@contextlib.contextmanager
def _here(piece: Piece, storage: Storage) -> Iterator[str]:
    """The file on this machine."""
    if storage.is_local:
        yield piece.source.path
        return
    with local_copy(piece, storage) as copy:
        yield str(copy.path)


def _found_elsewhere(value: Any) -> Any:
    if isinstance(value, (str, os.PathLike)) and Path(value).expanduser().exists():
        return str(Path(value).expanduser().absolute())
    return value


def read_documents(
    out: str | os.PathLike[str], form: PartFormat, *, filesystem: Any = None
) -> Iterator[DocumentResult]:
    """The documents that a finished job has read, in the order of its inputs."""
    storage, root = Storage.of(os.fspath(out), filesystem)
    folders = Folders(storage, root.rstrip("/"))
    for part in _plan(folders).parts:
        for record in _records(storage, folders.part(part, form), form):
            document = record["document"]
            document = json.loads(document) if isinstance(document, str) else document
            yield DocumentResult.from_dict(document, map(PassageResult.from_dict, document["results"]))


def _plan(folders: Folders) -> Plan:
    return Plan.from_dict(json.loads(folders.storage.read(folders.job))["plan"])


def _records(storage: Storage, path: str, form: PartFormat) -> Iterator[dict[str, Any]]:
    if form == "jsonl":
        yield from map(json.loads, storage.read(path).splitlines())
        return
    with storage.open(path) as stream:
        yield from pyarrow_parquet().ParquetFile(stream).read(columns=["document"]).to_pylist()


def skipped(out: str, job: JobReport) -> Iterator[Skip]:
    """What a finished job could not read, in the order of its inputs."""
    storage, root = Storage.of(out)
    folders = Folders(storage, root.rstrip("/"))
    yield from (Skip(url, message) for url, message in job.unreadable)
    bad = {one.number for one in job.done if one.quarantined}
    for part in _plan(folders).parts:
        if part.number in bad:
            for row in map(json.loads, storage.read(folders.quarantine(part)).splitlines()):
                place = json.loads(row["text"]) if row["error"] == "DocumentError" else {}
                yield Skip(row["source"], row["message"], place.get("record"), place.get("line"))


def compose_report(
    work: ReadFiles,
    job: JobReport,
    *,
    sources: Sequence[str],
    form: PartFormat,
    language: str = "en",
    most: int = MOST_ON_PAGE,
) -> Report | None:
    """The report of a finished job, its page beside the parts; None where the page would be too long, or far away.

    The same report that `ironwok.read` makes of these files, but for the names of the files in it.
    """
    storage, root = Storage.of(job.out)
    if not storage.is_local:
        return None
    documents: list[DocumentResult] = []
    passages = 0
    for document in read_documents(job.out, form):
        passages += len(document.passages)
        if passages > most:
            return None
        documents.append(document)
    report = Report(
        documents=tuple(documents),
        skipped=tuple(skipped(job.out, job)),
        folder=Path(root),
        sources=tuple(sources),
    )
    readers = work.readers()
    for reader in readers:
        report = reader.complete(report)
    page = html.render(report, language=language, made=datetime.now().astimezone().date(), version=__version__)
    replace_file(report.page, page.encode("utf-8"))
    for reader in readers:
        for name, content in reader.files(report).items():
            replace_file(report.folder / name, content)
    return report
