"""A job from its first part to its last: what is asked for, what is done already, who does the rest."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from ironwok.errors import InputError, OutputError, ScaleError
from ironwok.scale.plan import Part, Plan, make_plan, pyarrow_parquet
from ironwok.scale.storage import Storage
from ironwok.scale.work import Work, plain
from ironwok.scale.worker import Failure, Folders, PartDone, PartFormat, Ready, Worker, raise_failure

FORMAT = 1
DEFAULT_PART_BYTES = 4 << 20
# So many times a part is tried whose worker says that it cannot be done; storage far away fails now and then.
MOST_FAILURES = 3
# With so many rows refused, and most of all, it is the question that is wrong, not the rows.
_MANY_REFUSED = 100


@dataclass(frozen=True, slots=True)
class Fleet:
    """Who does the work.

    engine: "here", in this process, one part after the other; or "ray", by actors of a cluster.
    address: of the cluster, "auto" for the one that this machine is part of; None starts one on this machine alone.
    workers: how many; None for as many as the cluster has room for. cpus, gpus: of each worker.
    patience: seconds to wait for the first worker.
    """

    engine: Literal["here", "ray"] = "here"
    address: str | None = None
    workers: int | None = None
    cpus: float = 1
    gpus: float = 0
    patience: float = 600.0

    def __post_init__(self) -> None:
        if self.engine not in ("here", "ray"):
            raise InputError(f"engine {self.engine!r} is not one of here, ray")
        if self.workers is not None and self.workers < 1:
            raise InputError(f"{self.workers} workers do nothing: give 1 or more")
        if self.cpus < 0 or self.gpus < 0 or self.cpus + self.gpus <= 0:
            raise InputError(f"a worker with {self.cpus} CPUs and {self.gpus} GPUs has nothing to work with")


@dataclass(frozen=True, slots=True)
class Began:
    """The plan is made. parts, done: how many there are, and how many of them an earlier run has finished."""

    parts: int
    done: int


@dataclass(frozen=True, slots=True)
class Joined:
    """A worker is ready."""

    worker: int
    ready: Ready


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker died, or its machine did. part: what it was at, which others do again."""

    worker: int
    part: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Finished:
    """A part is written."""

    worker: int
    done: PartDone


JobEvent: TypeAlias = Began | Joined | Lost | Finished
Observer: TypeAlias = Callable[[JobEvent], None]


class Engine(Protocol):
    """Does parts, in any order, each until it is done. Raises what stops the job."""

    def run(self, parts: Sequence[Part], make: WorkerMaker, notify: Observer) -> Iterator[PartDone]: ...


@dataclass(frozen=True, slots=True)
class WorkerMaker:
    """All that a worker is made of; travels."""

    work: Work
    inputs: Storage
    folders: Folders
    form: PartFormat

    def __call__(self, threads: int | None) -> Worker:
        return Worker(self.work, self.inputs, self.folders, self.form, threads)


@dataclass(frozen=True, slots=True)
class JobReport:
    """What a job has done, earlier runs of it included.

    out: where its parts lie. rows: written. quarantined: put aside, in _quarantine/ of ``out``; replaced: rows in which
    broken bytes stand as U+FFFD. unreadable: files that could not be read at all, and why. earlier: parts that were
    done before this run. lost: workers that died in this run. seconds: of this run.
    """

    out: str
    parts: int
    rows: int
    quarantined: int
    replaced: int
    characters: int
    unreadable: tuple[tuple[str, str], ...] = ()
    earlier: int = 0
    lost: int = 0
    seconds: float = 0.0
    done: tuple[PartDone, ...] = field(default=(), repr=False)


def run_job(
    inputs: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    work: Work,
    *,
    out: str | os.PathLike[str],
    fleet: Fleet | None = None,
    part_format: PartFormat = "parquet",
    part_bytes: int = DEFAULT_PART_BYTES,
    text_field: str | None = None,
    encoding: str | None = None,
    filesystem: Any = None,
    resume: bool = False,
    overwrite: bool = False,
    on_event: Observer | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> JobReport:
    """Do a job part by part, and leave a folder of parts in which every row stands once.

    inputs: files, folders and patterns, as local paths or URLs (s3://, gs://, …), all of one file system.
    work: what to do with each row: `ClassifyTexts`, `ExtractTexts`, `ReadFiles`.
    out: folder, on any file system that all workers see. filesystem: of fsspec or pyarrow, for ``inputs`` and ``out``,
    where their names alone do not say it.
    part_bytes: about how much of the input goes into a part. text_field, encoding: see `ReadOptions`.
    resume: go on with what is in ``out``; parts that are done stay. overwrite: do all anew.
    on_event: told of workers and parts as they come and go.

    A row that cannot be read, that the model refuses, or that kills two workers is put aside in
    ``out``/_quarantine/part-N.jsonl with its error, and the job goes on. The same inputs and settings give the same
    rows, whatever the workers are and whatever happens to them.

    Raises OutputError where ``out`` holds something and neither ``resume`` nor ``overwrite`` is set, InputError where
    it was made with other settings, DocumentError where nothing can be read, MissingExtraError without Ray or pyarrow,
    ScaleError where the job cannot go on.
    """
    started = clock()
    fleet = fleet or Fleet()
    notify = on_event or (lambda _: None)
    if part_format not in ("parquet", "jsonl"):
        raise InputError(f"part format {part_format!r} is not one of parquet, jsonl")
    # what is not installed is said before anything is looked at
    engine = _engine(fleet)
    if part_format == "parquet":
        pyarrow_parquet()
    given = [inputs] if isinstance(inputs, (str, os.PathLike)) else list(inputs)
    names = [os.fspath(one) for one in given]
    if not names:
        raise InputError("no inputs were given: name at least one file or folder")
    storage, paths = _one_storage(names, filesystem)
    target, root = Storage.of(os.fspath(out), filesystem)
    if fleet.engine == "ray" and not (storage.is_shared and target.is_shared):
        raise InputError("memory:// is of one process alone: other workers do not see it")
    folders = Folders(target, root.rstrip("/"))
    settings = plain(
        work.settings()
        | {"inputs": names, "text_field": text_field, "encoding": encoding}
        | {"part_bytes": part_bytes, "part_format": part_format, "format": FORMAT}
    )
    with _alone(folders):
        kept = _open(folders, settings, resume=resume, overwrite=overwrite, out=os.fspath(out))
        if kept is None:
            plan = make_plan(
                names,
                storage,
                paths,
                part_bytes=part_bytes,
                documents=work.documents,
                text_field=text_field,
                encoding=encoding,
            )
            # what was asked and how it is cut in one file: they come together or not at all
            whole = {"settings": settings, "plan": plan.to_dict()}
            target.write(folders.job, json.dumps(whole, ensure_ascii=False).encode("utf-8", "backslashreplace"))
        else:
            plan = kept
        done = {one.number: one for one in _done(folders, plan)}
        earlier, lost = len(done), 0
        notify(Began(len(plan.parts), earlier))

        def hear(event: JobEvent) -> None:
            nonlocal lost
            lost += isinstance(event, Lost)
            notify(event)

        pending = [part for part in plan.parts if part.number not in done]
        if pending:
            maker = WorkerMaker(work, storage, folders, part_format)
            for one in engine.run(pending, maker, hear):
                done[one.number] = one
                _check_refusals(done.values())
        _check_refusals(done.values(), is_over=True)
        _tidy(folders)
    every = tuple(done[part.number] for part in plan.parts)
    return JobReport(
        out=os.fspath(out),
        parts=len(plan.parts),
        rows=sum(one.rows for one in every),
        quarantined=sum(one.quarantined for one in every),
        replaced=sum(one.replaced for one in every),
        characters=sum(one.characters for one in every),
        unreadable=tuple((url, message) for url, _, message in plan.unreadable),
        earlier=earlier,
        lost=lost,
        seconds=clock() - started,
        done=every,
    )


class Here:
    """The plain loop: this process does one part after the other."""

    def run(self, parts: Sequence[Part], make: WorkerMaker, notify: Observer) -> Iterator[PartDone]:
        worker = make(None)
        ready = worker.load()
        if isinstance(ready, Failure):
            raise_failure(ready)
            return
        notify(Joined(0, ready))
        for part in parts:
            for attempt in range(MOST_FAILURES):
                outcome = worker.do(part, 0)
                if isinstance(outcome, PartDone):
                    notify(Finished(0, outcome))
                    yield outcome
                    break
                if attempt == MOST_FAILURES - 1:
                    raise_failure(outcome)


def _engine(fleet: Fleet) -> Engine:
    if fleet.engine == "here":
        return Here()
    from ironwok.scale.cluster import RayEngine

    return RayEngine(fleet)


def _one_storage(names: list[str], filesystem: Any) -> tuple[Storage, list[str]]:
    places = [Storage.of(name, filesystem) for name in names]
    storages = {storage.filesystem: storage for storage, _ in places}
    if len(storages) > 1:
        raise InputError(f"{', '.join(names)}: inputs are of several file systems; run a job for each")
    return places[0][0], [path for _, path in places]


@contextlib.contextmanager
def _alone(folders: Folders) -> Iterator[None]:
    """One driver at a time, where the file system has locks. Two would do all work twice, and do no other harm."""
    if not folders.storage.is_local:
        yield
        return
    from filelock import FileLock, Timeout

    from ironwok.files import writing

    folder = Path(folders.root) / "_job"
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout as error:
        raise OutputError(f"another job is writing to {folders.root}: wait for it, or choose another --out") from error


def _open(folders: Folders, settings: dict[str, Any], *, resume: bool, overwrite: bool, out: str) -> Plan | None:
    """The plan of an earlier run to go on with, or None for a new one."""
    storage = folders.storage
    if not storage.exists(folders.job):
        strange = [name for name in storage.names(folders.root) if name not in ("_job", "_quarantine")]
        if strange:
            raise OutputError(f"{out} holds {strange[0]}, which is of no job: choose an empty or new folder")
        return None
    if overwrite:
        # first the word that they are done: should this stop here, the old job is one with more to do
        for folder in ("_job/done/", "_job/in_hand/", "_quarantine/", ""):
            for name in storage.names(f"{folders.root}/{folder}".rstrip("/")):
                if name.startswith("part-"):
                    storage.remove(f"{folders.root}/{folder}{name}")
        return None
    if not resume:
        raise OutputError(f"{out} holds a job: pass --resume to go on with it, or --overwrite to replace it")
    job = json.loads(storage.read(folders.job))
    before = job["settings"]
    changed = [name for name in {**before, **settings} if before.get(name) != settings.get(name)]
    if changed:
        told = "; ".join(f"{name}: {before.get(name)!r} there, {settings.get(name)!r} now" for name in changed)
        raise InputError(f"{out} was begun with other settings ({told:.300}): pass --overwrite to start anew")
    return Plan.from_dict(job["plan"])


def _done(folders: Folders, plan: Plan) -> Iterator[PartDone]:
    """The parts that are written."""
    there = set(folders.storage.names(f"{folders.root}/_job/done"))
    written = [part for part in plan.parts if f"{part.name}.json" in there]
    with ThreadPoolExecutor(16) as pool:  # stores far away answer slowly
        for data in pool.map(folders.storage.read, map(folders.done, written)):
            yield PartDone(**json.loads(data))


def _check_refusals(done: Any, *, is_over: bool = False) -> None:
    parts = list(done)
    refused, rows = sum(one.refused for one in parts), sum(one.rows for one in parts)
    if refused > (0 if is_over and rows == 0 else max(_MANY_REFUSED, rows)):
        reason = next(one.reason for one in parts if one.reason)
        raise ScaleError(f"the model refused {refused} of {rows + refused} rows; the first with {reason}")


def _tidy(folders: Folders) -> None:
    """Take away what workers left that died while they wrote, and what was in hand."""
    storage = folders.storage
    for folder in ("", "_quarantine/", "_job/done/", "_job/in_hand/"):
        for name in storage.names(f"{folders.root}/{folder}".rstrip("/")):
            if name.endswith(".new") or folder == "_job/in_hand/":
                storage.remove(f"{folders.root}/{folder}{name}")
