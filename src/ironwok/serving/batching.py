"""Requests that wait for a model are read together: dynamic micro-batches on a thread of their own."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


class Busy(Exception):
    """The queue is full."""


class Closed(Exception):
    """The server is going down."""


class Left(Exception):
    """Whoever asked is gone."""


@dataclass(slots=True)
class Job:
    """What one request asks for.

    payload: for the worker. size: how many texts. together: jobs with an equal key may be read in one batch.
    """

    payload: Any
    size: int
    together: Hashable
    future: Future = field(default_factory=Future)
    left: threading.Event = field(default_factory=threading.Event)


class MicroBatcher:
    """One thread that answers jobs, those that fit together in one go.

    work: takes the payloads of a batch, gives a result for each; an exception is raised to every job of the batch, but
    where there are several they are then tried one by one, so that one bad request harms no other.
    most: texts in a batch. wait: seconds that the first job waits for others. room: jobs that may wait.
    on_batch: told how many texts each batch has. clock: for the waiting.
    """

    def __init__(
        self,
        work: Callable[[list[Any]], Sequence[Any]],
        *,
        name: str,
        most: int,
        wait: float,
        room: int,
        on_batch: Callable[[int], None] = lambda size: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._work, self._most, self._wait, self._clock = work, most, wait, clock
        self._on_batch = on_batch
        self._room = room
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"ironwok-{name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Jobs that are accepted and not yet begun."""
        return self._waiting

    def submit(
        self, payload: Any, *, size: int = 1, together: Hashable = None, left: threading.Event | None = None
    ) -> Job:
        """Raises Busy where the queue is full, Closed after `close`.

        left: set when nobody waits for the job any more; ``work`` may look at it.
        """
        job = Job(payload, size, together, left=left or threading.Event())
        with self._lock:
            if self._closed:
                raise Closed
            if self._waiting >= self._room:
                raise Busy
            self._waiting += 1
            self._jobs.put(job)
        return job

    def close(self) -> None:
        """Finish what was accepted, then stop."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        ahead: Job | None = None
        while True:
            first = ahead or self._jobs.get()
            if first is None:
                return
            batch, ahead, ended = self._gather(first)
            with self._lock:
                self._waiting -= len(batch)
            self._answer([job for job in batch if not job.left.is_set() and job.future.set_running_or_notify_cancel()])
            if ended:
                return

    def _gather(self, first: Job) -> tuple[list[Job], Job | None, bool]:
        """The jobs of a batch; one that came after them and does not fit in; whether that was the last."""
        batch, size = [first], first.size
        until = self._clock() + self._wait
        while size < self._most:
            try:
                job = self._jobs.get(timeout=max(until - self._clock(), 0)) if self._wait else self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return batch, None, True
            if job.together != first.together or size + job.size > self._most:
                return batch, job, False
            batch.append(job)
            size += job.size
        return batch, None, False

    def _answer(self, batch: list[Job]) -> None:
        if not batch:
            return
        self._on_batch(sum(job.size for job in batch))
        try:
            results = self._work([job.payload for job in batch])
        except Exception as error:
            if len(batch) == 1:
                batch[0].future.set_exception(error)
                return
            for job in batch:
                self._answer([job])
            return
        for job, result in zip(batch, results, strict=True):
            job.future.set_result(result)


class Passes:
    """Ends work that nobody waits for any more between two passes of a model.

    model: a torch module, or None where there is none; then nothing is ended.
    """

    def __init__(self, model: Any) -> None:
        self._waiting: Sequence[threading.Event] = ()
        self._handle = None if model is None else model.register_forward_pre_hook(self._check)

    @contextmanager
    def of(self, left: Sequence[threading.Event]) -> Iterator[None]:
        """While work is done for those who set these events when they leave. Inside, a pass may raise Left."""
        self._waiting = left
        try:
            yield
        finally:
            self._waiting = ()

    def close(self) -> None:
        if self._handle is not None:
            self._handle.remove()

    def _check(self, *_: Any) -> None:
        if self._waiting and all(left.is_set() for left in self._waiting):
            raise Left


async def result_of(job: Job, *, gone: Callable[[], Any], seconds: float) -> Any:
    """Wait for a job. gone: a coroutine function that returns when the client has left.

    Raises Left, TimeoutError, or what the job raised. A job that nobody waits for any more is not begun.
    """
    answer = asyncio.wrap_future(job.future)
    leaving = asyncio.ensure_future(gone())
    try:
        done, _ = await asyncio.wait({answer, leaving}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if answer in done:
            return answer.result()
        if leaving in done:
            raise Left
        raise TimeoutError
    finally:
        leaving.cancel()
        if not answer.done():
            job.left.set()
            answer.cancel()
