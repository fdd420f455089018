"""The folder of a report: what was read is on the disk at once, and the next run goes on from there.

    results.jsonl     a line for every passage, as it is classified
    documents.jsonl   a line for every document, when its last passage is done
    skipped.jsonl     a line for everything that was not read, and why
    files.jsonl       which files were begun and which are done, with size, time and hash
    run.json          what was asked for; a run with other settings refuses to mix its results in
    index.html        the page (written by the pipeline)
    events.csv        a line for every event, where events were asked for (written by the pipeline)
    answers.jsonl     a line for every answer, as it is given, where questions were asked

The first four only grow while a run lasts; a line that the end of a process cut short is left out. A file counts as
done by its line in ``files.jsonl``. Of the file that was being read, whole chunks of passages are kept, so that the
model sees the rest of it in the same portions, and the end result is that of an uninterrupted run, digit for digit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ironwok.errors import ConfigError, InputError, OutputError
from ironwok.files import LineLog, json_line, replace_file, writing
from ironwok.reading.files import FileIdentity
from ironwok.results import DocumentResult, PassageResult, Skip

FORMAT = 1
MADE_BY = "ironwok read"
OUTPUTS = (
    *("results.jsonl", "documents.jsonl", "skipped.jsonl", "files.jsonl", "run.json", "index.html"),
    *("events.csv", "answers.jsonl"),
)
_START_OVER = "pass --fresh (fresh=True) to read everything anew, or choose another --out"


@dataclass(slots=True)
class FileProgress:
    """How far one file is read."""

    identity: FileIdentity
    done: bool = False
    passages: list[PassageResult] = field(default_factory=list)
    documents: list[DocumentResult] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)

    def line(self, path: str) -> dict[str, Any]:
        record = {"file": path, "state": "done" if self.done else "begun"} | self.identity.to_dict()
        if self.done:
            record |= {"documents": len(self.documents), "passages": len(self.passages), "skipped": len(self.skips)}
        return record


class Journal:
    """Reads and writes the folder; one process at a time. Use as a context manager.

    folder: made where it does not exist. settings: everything that shapes the results, as plain JSON.
    about: facts for ``run.json`` that do not shape the results. chunk: passages that are classified together.
    fresh: forget what an earlier run left.
    Raises ConfigError where the folder holds a run with other settings, OutputError where it cannot be written.
    """

    def __init__(
        self, folder: Path, *, settings: Mapping[str, Any], about: Mapping[str, Any], chunk: int, fresh: bool = False
    ) -> None:
        self.folder = folder
        self.chunk = chunk
        self.settings = dict(settings)
        self.about = dict(about)
        self.progress: dict[str, FileProgress] = {}
        self._logs = {name: LineLog(folder / f"{name}.jsonl") for name in ("results", "documents", "skipped", "files")}
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / ".lock", timeout=0)
        with writing(folder):
            try:
                self._lock.acquire()
            except Timeout as error:  # an OSError, too
                busy = f"another run is writing to {folder}: wait for it, or choose another --out"
                raise OutputError(busy) from error
        try:
            self._open(fresh)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for log in self._logs.values():
            log.close()
        self._lock.release()

    @property
    def kept(self) -> tuple[int, int]:
        """Passages and whole documents on the disk."""
        progress = self.progress.values()
        return sum(len(file.passages) for file in progress), sum(len(file.documents) for file in progress)

    def reconcile(self, files: Sequence[str]) -> tuple[list[str], list[str]]:
        """Compare with the files that are there now: forget what changed or is gone.

        Returns the changed and the vanished. Raises ConfigError where results of a file that still exists, but is not
        among ``files``, would be lost.
        """
        asked = set(files)
        old = Path(self.about.get("directory", ""))
        elsewhere = [path for path in self.progress if path not in asked and (old / path).exists()]
        if elsewhere:
            same = {os.path.realpath(path) for path in asked}
            if all(os.path.realpath(old / path) in same for path in elsewhere):
                raise ConfigError(
                    f"{self.folder} holds results of these files under other paths, such as {elsewhere[0]} (seen from "
                    f"{old}): name them in the same way to go on, {_START_OVER}"
                )
            raise ConfigError(
                f"{self.folder} holds results of {len(elsewhere)} files that are not among the given paths, such as "
                f"{elsewhere[0]} (seen from {old}): name them too, {_START_OVER}"
            )
        vanished = [path for path in self.progress if path not in asked]
        stale = [
            path for path, file in self.progress.items() if path in asked and not file.identity.still_holds(Path(path))
        ]
        # of a file that could not be opened there is nothing to forget
        changed = [path for path in stale if self.progress[path].done or self.progress[path].passages]
        for path in [*vanished, *stale]:
            del self.progress[path]
        if vanished or stale:
            self._rewrite(self.progress)
        return changed, vanished

    def begin(self, path: str, identity: FileIdentity) -> list[PassageResult]:
        """Start or go on with a file. Returns the passages of it that are already classified."""
        if path not in self.progress:
            self.progress[path] = FileProgress(identity)
            self._logs["files"].append([self.progress[path].line(path)])
        return self.progress[path].passages

    def add(
        self,
        path: str,
        *,
        passages: Sequence[PassageResult] = (),
        documents: Sequence[DocumentResult] = (),
        skips: Sequence[Skip] = (),
    ) -> None:
        """Results of a chunk; on the disk when this returns."""
        file = self.progress[path]
        self._logs["results"].append(passage.to_dict() for passage in passages)
        file.passages += passages
        self._logs["documents"].append(document.to_dict() for document in documents)
        file.documents += documents
        self._logs["skipped"].append(skip.to_dict() for skip in skips)
        file.skips += skips

    def end(self, path: str) -> None:
        self.progress[path].done = True
        self._logs["files"].append([self.progress[path].line(path)])

    def finish(self, files: Sequence[str], about: Mapping[str, Any]) -> None:
        """Bring all lines into the order of ``files`` and note that the run is complete."""
        self._rewrite(files)
        self.about |= about
        self._write_run("complete")

    def documents(self, files: Iterable[str]) -> Iterator[DocumentResult]:
        return (document for path in files if path in self.progress for document in self.progress[path].documents)

    def skips(self, files: Iterable[str]) -> Iterator[Skip]:
        return (skip for path in files if path in self.progress for skip in self.progress[path].skips)

    def _open(self, fresh: bool) -> None:
        found = [name for name in OUTPUTS if (self.folder / name).exists()]
        earlier = self._earlier_run() if found else None
        results = self.folder / "results.jsonl"
        # a run that ended before its first result, by a mistyped model perhaps, binds nobody
        if earlier is not None and not fresh and results.exists() and results.stat().st_size:
            _compare(self.folder, earlier.get("settings", {}), self.settings)
            self._load()
            # where the first run stood: its relative paths are meant from there
            self.about = {**self.about, **{key: earlier[key] for key in ("directory", "started") if key in earlier}}
        elif found:
            with writing(self.folder):
                # run.json last: until then the folder is known to be ours
                for name in sorted(found, key=lambda name: name == "run.json"):
                    (self.folder / name).unlink()
        self._write_run("reading")

    def _earlier_run(self) -> dict[str, Any]:
        """``run.json`` of the folder. Raises ConfigError where there is none: then the files are somebody else's."""
        try:
            record = json.loads((self.folder / "run.json").read_bytes())
        except (OSError, ValueError):
            record = None
        if not isinstance(record, dict) or record.get("made_by") != MADE_BY:
            raise ConfigError(
                f"{self.folder} holds files that are not from a run of ironwok read, which would overwrite them: "
                "choose another --out"
            )
        return record

    def _load(self) -> None:
        """Take over what the disk holds of earlier runs, as far as it is whole."""
        records = {name: log.load() for name, log in self._logs.items()}
        promised = {record["file"]: record for record in records["files"] if "file" in record}
        try:
            self._take_over(records)
        except (KeyError, TypeError, InputError) as error:
            raise OutputError(f"{self.folder} holds lines that are not from ironwok read: {_START_OVER}") from error
        for path, file in list(self.progress.items()):
            counts = {"documents": len(file.documents), "passages": len(file.passages), "skipped": len(file.skips)}
            if not file.done:
                # its documents and skips come again when it is read again; of its passages whole chunks stay
                file.documents, file.skips = [], []
                del file.passages[len(file.passages) // self.chunk * self.chunk :]
            elif any(promised[path][name] != count for name, count in counts.items()):
                # lines were lost after all (power cut): read it again
                del self.progress[path]
        self._rewrite(self.progress)

    def _take_over(self, records: Mapping[str, list[dict[str, Any]]]) -> None:
        for record in records["files"]:
            self.progress[record["file"]] = FileProgress(FileIdentity.from_dict(record), record["state"] == "done")
        for record in records["results"]:
            if file := self.progress.get(record["document"]):
                file.passages.append(PassageResult.from_dict(record))
        for record in records["skipped"]:
            if file := self.progress.get(record["document"]):
                file.skips.append(Skip(**record))
        for path, heads in _by_file(records["documents"]).items():
            if file := self.progress.get(path):
                file.documents = _documents(heads, file.passages)

    def _rewrite(self, files: Iterable[str]) -> None:
        """Replace the four logs by what is in memory, in the order of these files."""
        ordered = [(path, self.progress[path]) for path in files if path in self.progress]
        contents = {
            "results": (passage.to_dict() for _, file in ordered for passage in file.passages),
            "documents": (document.to_dict() for _, file in ordered for document in file.documents),
            "skipped": (skip.to_dict() for _, file in ordered for skip in file.skips),
            "files": (file.line(path) for path, file in ordered),
        }
        for name, records in contents.items():
            self._logs[name].close()
            self._logs[name].keep(json_line(record) for record in records)

    def _write_run(self, state: str) -> None:
        record = {"made_by": MADE_BY, "format": FORMAT, "state": state} | self.about | {"settings": self.settings}
        text = json.dumps(record, ensure_ascii=False, indent=2).encode("utf-8", "backslashreplace")
        replace_file(self.folder / "run.json", text + b"\n")


def _compare(folder: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    # through JSON, so that tuples are lists on both sides
    new = json.loads(json.dumps(new))
    differing = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    if differing:
        changes = "; ".join(f"{key}: {_short(old.get(key))} there, {_short(new.get(key))} now" for key in differing)
        raise ConfigError(f"{folder} holds a run with other settings ({changes}): {_START_OVER}")


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else "none" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _by_file(records: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    grouped: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        grouped.setdefault(record["document"], []).append(record)
    return grouped


def _documents(heads: Iterable[Mapping[str, Any]], passages: Iterable[PassageResult]) -> list[DocumentResult]:
    """Documents of one file from their lines and their passages."""
    by_record: dict[int | None, list[PassageResult]] = {}
    for passage in passages:
        by_record.setdefault(passage.record, []).append(passage)
    return [DocumentResult.from_dict(head, by_record.get(head["record"], [])) for head in heads]
