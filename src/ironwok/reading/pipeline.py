"""The main job: files → documents → passages → readers → results on disk → report.

Nothing here knows what a reader finds; see `readers` for that, `journal` for what survives an interruption, `html` for
the page.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ironwok import __version__
from ironwok.errors import ConfigError, DocumentError, InputError, NoDocumentsError, OutputError
from ironwok.files import replace_file
from ironwok.reading import html
from ironwok.reading.ahead import CutDocument, ReadAhead
from ironwok.reading.answer_reader import AnswerReader
from ironwok.reading.event_reader import EventReader
from ironwok.reading.events import Advanced, Answered, Observer, Planned, Skipped, Stopped
from ironwok.reading.files import FileIdentity
from ironwok.reading.journal import Journal
from ironwok.reading.readers import LabelReader, PassageReader
from ironwok.reading.sources import DEFAULT_MAX_CHARS, SourceOptions, list_files, open_file, passages_of
from ironwok.results import DocumentResult, PassageResult, Report, Skip

if TYPE_CHECKING:
    from ironwok.events import Schema

# how long to look ahead before the first passage is read
LOOK_AHEAD_SECONDS = 3.0
LANGUAGES = ("en", "zh")


def read(
    paths: Iterable[str | os.PathLike[str]] | str | os.PathLike[str],
    *,
    labels: Any = None,
    schema: str | os.PathLike[str] | Schema | None = None,
    out: str | os.PathLike[str] = "report",
    label_separator: str | None = None,
    template: str | Sequence[str] | None = None,
    multi_label: bool = False,
    threshold: float | None = None,
    calibrate: bool | None = None,
    adapt: Iterable[str | os.PathLike[str]] | str | os.PathLike[str] | None = None,
    model: str = "ironwok-small",
    scorer: str = "nsp",
    device: str | None = None,
    dtype: str | None = None,
    batch_size: int = 64,
    event_model: str | os.PathLike[str] | None = None,
    tolerance: float = 0.0,
    ask: str | Sequence[str] | None = None,
    answer_model: str | None = None,
    max_chars: int = DEFAULT_MAX_CHARS,
    text_field: str | None = None,
    title_field: str | None = None,
    encoding: str | None = None,
    fresh: bool = False,
    language: str = "en",
    classifier: Any = None,
    extractor: Any = None,
    answerer: Any = None,
    on_event: Observer | None = None,
) -> Report:
    """Read files and folders: labels and events of every passage, answers from all of them; leave a report in a folder.

    paths: files and folders of .txt .md .html .pdf .docx .csv .jsonl and their relatives.
    labels, label_separator … batch_size, classifier: see `LabelReader`; None: no labels.
    adapt: files and folders, ``paths`` themselves or others of the kind, whose passages labels adapt to first; what is
    found then depends on them, too, and a run with other passages there is another run.
    schema, event_model, tolerance, extractor: see `EventReader`; without schema, model and extractor: no events.
    ask, answer_model, answerer: questions about all documents together, see `AnswerReader`; ``ask`` None: no answers.
    At least one of these kinds of results is asked for.
    max_chars … encoding: see `SourceOptions`.
    out: folder of the report. Where an earlier run with the same settings was interrupted, this one goes on; finished
    files that have not changed are not read again. fresh: start over instead.
    language: "en" or "zh", what the page opens in. on_event: told what lies ahead, what is done, what is skipped.

    Writes results.jsonl, documents.jsonl, skipped.jsonl, files.jsonl, run.json and index.html, events.csv where events
    were asked for, and answers.jsonl where questions were. Offsets index the text of the document as extracted from
    its file.

    Raises LabelError, TemplateError or InputError for what cannot be used as given, NoDocumentsError where there is
    nothing to read, ModelError from loading the model, ConfigError where ``out`` holds something else, OutputError
    where it cannot be written: what was written until then is kept.
    """
    if language not in LANGUAGES:
        raise InputError(f"language {language!r} is not one of {', '.join(LANGUAGES)}")
    readers: list[PassageReader] = []
    if adapt is not None and (labels is None or multi_label):
        way_out = "name some" if labels is None else "leave multi_label out"
        raise InputError(f"it is labels that adapt to texts, where each text has one: {way_out}, or leave adapt out")
    if labels is not None:
        readers.append(
            LabelReader(
                labels=labels,
                label_separator=label_separator,
                template=template,
                multi_label=multi_label,
                threshold=threshold,
                calibrate=calibrate,
                model=model,
                scorer=scorer,
                device=device,
                dtype=dtype,
                batch_size=batch_size,
                classifier=classifier,
            )
        )
    if schema is not None or event_model is not None or extractor is not None:
        readers.append(
            EventReader(
                schema=schema,
                model=event_model,
                tolerance=tolerance,
                device=device,
                dtype=dtype,
                extractor=extractor,
            )
        )
    if ask is not None:
        readers.append(
            AnswerReader(
                ask,
                model=answer_model,
                device=device,
                dtype=dtype,
                answerer=answerer,
                on_answer=lambda done, total: (on_event or _nobody)(Answered(done, total)),
            )
        )
    if not readers:
        raise InputError(
            "nothing is asked for: give labels, a schema of events (such as schema='finance'), or a question"
        )
    options = SourceOptions(max_chars=max_chars, text_field=text_field, title_field=title_field, encoding=encoding)
    sources = _named(paths)
    folder = Path(out)
    found = list_files(sources, outside=folder)
    files = list(found)
    if adapt is not None and isinstance(readers[0], LabelReader):
        # what cannot be read of the files of this run is told when their turn comes
        readers[0].adapt_to(_passages(_named(adapt), options, folder, told=found, notify=on_event or _nobody))
    started = _now()
    about = {"version": __version__, "started": started, "directory": os.getcwd(), "sources": list(sources)}
    settings = options.settings()
    for reader in readers:
        settings |= reader.settings()
    chunk = min(reader.portion for reader in readers)
    with Journal(folder, settings=settings, about=about, chunk=chunk, fresh=fresh) as journal:
        run = _Run(journal, found, readers, options, on_event or _nobody)
        try:
            run.read_all()
            if not any(journal.documents(files)):
                raise NoDocumentsError(_nothing_read(sources, tuple(journal.skips(files))))
            report = Report(
                documents=tuple(journal.documents(files)),
                skipped=tuple(journal.skips(files)),
                folder=folder,
                sources=sources,
            )
            for reader in readers:
                report = reader.complete(report)
            made = datetime.now().astimezone().date()
            page = html.render(report, language=language, made=made, version=__version__)
            replace_file(report.page, page.encode("utf-8"))
            for reader in readers:
                for name, content in reader.files(report).items():
                    replace_file(folder / name, content)
            journal.finish(files, {"version": __version__, "sources": list(sources), "finished": _now()})
        except BaseException as error:
            run.notify(Stopped(*journal.kept))
            if isinstance(error, OutputError):
                raise OutputError(f"{error}; {_kept(journal)}") from error
            raise
    return report


def _named(paths: Iterable[str | os.PathLike[str]] | str | os.PathLike[str]) -> tuple[str, ...]:
    given = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    return tuple(os.fspath(path) for path in given)


def _passages(
    sources: Sequence[str], options: SourceOptions, folder: Path, *, told: Container[str], notify: Observer
) -> list[str]:
    """Texts of all passages of files. Raises NoDocumentsError where there is none.

    told: files of which nobody wants to hear here what cannot be read of them.
    """
    found: list[str] = []
    for path, skip in list_files(sources, outside=folder).items():
        for item in open_file(path, options) if skip is None else (skip,):
            if isinstance(item, CutDocument):
                found += [span.text for span in item.passages]
            elif path not in told:
                notify(Skipped(item))
    if not found:
        raise NoDocumentsError(f"{', '.join(sources)}: has no passage that labels could adapt to")
    return found


@dataclass(slots=True)
class _OpenDocument:
    """A document of which some passages still wait for the readers."""

    cut: CutDocument
    done: list[PassageResult] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return len(self.done) == len(self.cut.passages)


class _Run:
    """One pass over the files that are not done yet."""

    def __init__(
        self,
        journal: Journal,
        files: Mapping[str, Skip | None],
        readers: Sequence[PassageReader],
        options: SourceOptions,
        notify: Observer,
    ) -> None:
        self.journal = journal
        self.files = files  # with the skips of those that cannot be opened at all
        self.readers = readers
        self.options = options
        self.notify = notify
        self.done = 0

    def read_all(self) -> None:
        changed, vanished = self.journal.reconcile(list(self.files))
        done = [path for path in self.files if path in self.journal.progress and self.journal.progress[path].done]
        pending = [path for path in self.files if path not in set(done)]
        ahead = ReadAhead(
            [path for path in pending if self.files[path] is None], lambda path: open_file(path, self.options)
        )
        ahead.look(LOOK_AHEAD_SECONDS)
        passages, exact = ahead.passages()
        kept, _ = self.journal.kept
        begun = sum(len(self.journal.progress[path].passages) for path in pending if path in self.journal.progress)
        seconds = [reader.predict_seconds(ahead.sample(), passages - begun) for reader in self.readers]
        self.notify(
            Planned(
                files=len(self.files),
                files_done=len(done),
                passages_done=kept,
                passages=passages - begun,
                exact=exact,
                seconds=sum(known) if (known := [one for one in seconds if one is not None]) else None,
                changed=tuple(changed),
                vanished=tuple(vanished),
            )
        )
        for path in pending:
            self._read_file(path, ahead, begun)

    def _read_file(self, path: str, ahead: ReadAhead, begun: int) -> None:
        """Read one file, a chunk of passages at a time."""
        identity = self._identity_of(path)
        if isinstance(identity, Skip):
            # begun, with no identity, and never done: the next run tries again
            self.notify(Skipped(identity))
            self.journal.begin(path, FileIdentity(0, 0, ""))
            self.journal.add(path, skips=[identity])
            return
        kept = deque(self.journal.begin(path, identity))
        open_documents: deque[_OpenDocument] = deque()
        waiting: list[tuple[_OpenDocument, PassageResult]] = []
        skips: list[Skip] = []
        for item in ahead.items(path):
            if isinstance(item, Skip):
                self.notify(Skipped(item))
                skips.append(item)
                continue
            document = _OpenDocument(item)
            open_documents.append(document)
            for passage in passages_of(item):
                if kept:
                    document.done.append(_same_place(kept.popleft(), passage))
                    continue
                waiting.append((document, passage))
                if len(waiting) == self.journal.chunk:
                    self._flush(path, open_documents, waiting, skips)
                    self.notify(Advanced(self.done, max(self.done, ahead.passages()[0] - begun), path))
        self._flush(path, open_documents, waiting, skips)
        self.journal.end(path)
        self.notify(Advanced(self.done, max(self.done, ahead.passages()[0] - begun), path))

    def _identity_of(self, path: str) -> FileIdentity | Skip:
        if (skip := self.files[path]) is not None:
            return skip
        try:
            return FileIdentity.of(Path(path))
        except DocumentError as error:
            return Skip(path, str(error))

    def _flush(
        self,
        path: str,
        open_documents: deque[_OpenDocument],
        waiting: list[tuple[_OpenDocument, PassageResult]],
        skips: list[Skip],
    ) -> None:
        """Send the waiting passages through the readers and put down what is complete."""
        passages = [passage for _, passage in waiting]
        for reader in self.readers if passages else ():
            passages = reader.read(passages)
        for (document, _), passage in zip(waiting, passages, strict=True):
            document.done.append(passage)
        documents = []
        while open_documents and open_documents[0].complete:
            documents.append(self._document(open_documents.popleft()))
        self.journal.add(path, passages=passages, documents=documents, skips=skips)
        self.done += len(passages)
        waiting.clear()
        skips.clear()

    def _document(self, document: _OpenDocument) -> DocumentResult:
        source = document.cut.document
        result = DocumentResult(
            document=source.path,
            record=source.record,
            title=source.title,
            passages=tuple(document.done),
            line=source.line,
            replaced=source.replaced,
            metadata=source.metadata,
        )
        for reader in self.readers:
            result = reader.conclude(result)
        return result


def _same_place(kept: PassageResult, passage: PassageResult) -> PassageResult:
    """A passage from an earlier run, if the file is still cut the same way."""
    if (kept.record, kept.index, kept.span) != (passage.record, passage.index, passage.span):
        raise ConfigError(
            f"{passage.document} is cut into other passages than in the earlier run (another version of Ironwok?): "
            "pass --fresh (fresh=True) to read everything anew"
        )
    return kept


def _nothing_read(sources: Sequence[str], skips: Sequence[Skip]) -> str:
    last = f"; the last: {skips[-1].reason}" if skips else ""
    return f"{', '.join(sources)}: nothing could be read ({len(skips)} skipped{last})"


def _kept(journal: Journal) -> str:
    passages, documents = journal.kept
    return (
        f"{passages} passages of {documents} finished documents are kept in {journal.folder}: mend it (make room, "
        "allow writing), and the same call goes on from there"
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _nobody(event: object) -> None:
    """Listen to nothing: nobody asked to be told."""
