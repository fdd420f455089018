"""Actors of Ray as workers: each holds one pipeline, reads its parts itself and writes them itself.

Only descriptions of parts and counts travel through Ray; texts and results go from storage to worker to storage. So
there is nothing in Ray's object store that a lost node could take with it, and nothing to be spilled or reconstructed:
what a node was at when it was lost is done again by another, under the same name.
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ironwok.errors import MissingExtraError, ScaleError
from ironwok.scale.plan import Part
from ironwok.scale.worker import Failure, PartDone, Ready, raise_failure

if TYPE_CHECKING:
    from ironwok.scale.job import Fleet, Observer, WorkerMaker

_OBJECT_STORE = 100 << 20  # bytes, for a cluster of our own: hardly anything is put there
_MOST_DEATHS = 50  # of workers at one part: two for each row that kills
_MOST_EARLY_DEATHS = 5  # of workers in a row that never loaded their model
_KNOCKING = 10.0  # seconds for a cluster to answer at its address
_LOOK = 1.0  # seconds between looks at who is there


@dataclass(slots=True)
class _Actor:
    number: int
    handle: Any
    part: Part | None = None  # None while it loads


class RayEngine:
    """Keeps so many actors alive, and gives each the next part when it has done one.

    Ray itself restarts nothing: an actor that is lost gives its part back, and a new actor takes its place where there
    is room for one, when there is. Raises MissingExtraError without Ray, ScaleError where nobody is at the address.
    """

    def __init__(self, fleet: Fleet, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._fleet = fleet
        self._clock = clock
        self._ray = _ray()
        if fleet.address is not None and not self._ray.is_initialized():
            _knock(fleet.address)

    def run(self, parts: Sequence[Part], make: WorkerMaker, notify: Observer) -> Iterator[PartDone]:
        ray = self._ray
        ours = not ray.is_initialized()
        if ours:
            _connect(ray, self._fleet)
        try:
            count = min(self._fleet.workers or self._room(ray), len(parts))
            yield from _Run(ray, self._fleet, make, notify, count, self._clock).do(parts)
        finally:
            if ours:
                ray.shutdown()

    def _room(self, ray: Any) -> int:
        """How many workers the cluster has room for now."""
        there, fleet = ray.cluster_resources(), self._fleet
        rooms = [int(there.get(name, 0) // each) for name, each in (("CPU", fleet.cpus), ("GPU", fleet.gpus)) if each]
        return max(1, min(rooms))


class _Run:
    def __init__(
        self, ray: Any, fleet: Fleet, make: WorkerMaker, notify: Observer, count: int, clock: Callable[[], float]
    ) -> None:
        self._ray = ray
        self._fleet = fleet
        self._make = make
        self._notify = notify
        self._count = count
        self._clock = clock
        self._actors: dict[Any, _Actor] = {}  # by what is expected of them
        self._started = 0
        self._waiting: deque[Part] = deque()
        self._deaths: dict[int, int] = {}
        self._failures: dict[int, int] = {}
        self._early_deaths = 0
        self._heard = clock()

    def do(self, parts: Sequence[Part]) -> Iterator[PartDone]:
        self._waiting.extend(parts)
        left = len(parts)
        try:
            for _ in range(self._count):
                self._start()
            while left:
                ready, _ = self._ray.wait(list(self._actors), num_returns=1, timeout=_LOOK)
                if not ready:
                    self._look()
                    continue
                self._heard = self._clock()
                for one in ready:
                    outcome = self._outcome(one)
                    if isinstance(outcome, PartDone):
                        left -= 1
                        yield outcome
        finally:
            for actor in self._actors.values():
                self._ray.kill(actor.handle)

    def _outcome(self, reference: Any) -> PartDone | None:
        """Hear what became of a call, and give its actor something new to do."""
        actor = self._actors.pop(reference)
        try:
            outcome = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._lose(actor, error)
            return None
        if isinstance(outcome, Ready):
            from ironwok.scale.job import Joined

            self._early_deaths = 0
            self._notify(Joined(actor.number, outcome))
        elif isinstance(outcome, Failure):
            self._fail(actor, outcome)
        else:
            from ironwok.scale.job import Finished

            self._notify(Finished(actor.number, outcome))
        self._next(actor)
        return outcome if isinstance(outcome, PartDone) else None

    def _fail(self, actor: _Actor, failure: Failure) -> None:
        """A worker said that it cannot: again later, unless it is the model or has been so before."""
        from ironwok.scale.job import MOST_FAILURES

        part = actor.part
        if part is None:
            raise_failure(failure)
            return
        self._failures[part.number] = self._failures.get(part.number, 0) + 1
        if self._failures[part.number] >= MOST_FAILURES:
            raise_failure(failure)
        self._waiting.append(part)

    def _lose(self, actor: _Actor, error: Exception) -> None:
        from ironwok.scale.job import Lost

        # it may live on where the network is cut; what it would still write is what the others will write
        self._ray.kill(actor.handle)
        part, reason = actor.part, str(error).partition("\n")[0]
        self._notify(Lost(actor.number, None if part is None else part.number, reason))
        if part is None:
            self._early_deaths += 1
            if self._early_deaths >= _MOST_EARLY_DEATHS:
                raise ScaleError(
                    f"{self._early_deaths} workers in a row died while they loaded the model ({reason}): is there "
                    "memory enough, is the package installed on all nodes?"
                )
        else:
            deaths = self._deaths[part.number] = self._deaths.get(part.number, 0) + 1
            if deaths >= _MOST_DEATHS:
                raise ScaleError(f"{deaths} workers died at {part.name} ({reason}): what is done so far is kept")
            self._waiting.appendleft(part)
        if self._waiting:
            self._start()

    def _start(self) -> None:
        fleet = self._fleet
        actor = (
            self._ray.remote(_RayWorker)
            .options(
                num_cpus=fleet.cpus,
                num_gpus=fleet.gpus,
                max_restarts=0,
                max_task_retries=0,
                scheduling_strategy="SPREAD",
            )
            .remote(self._make, max(1, int(fleet.cpus)))
        )
        self._started += 1
        self._actors[actor.load.remote()] = _Actor(self._started, actor)

    def _next(self, actor: _Actor) -> None:
        if not self._waiting:
            self._ray.kill(actor.handle)  # for a part that another loses, a new one is started
            return
        actor.part = part = self._waiting.popleft()
        deaths = self._deaths.get(part.number, 0)
        self._actors[actor.handle.do.remote(part, deaths)] = actor

    def _look(self) -> None:
        """Nothing has happened for a while: fine as long as somebody is at work."""
        if any(actor.part is not None for actor in self._actors.values()):
            self._heard = self._clock()
        elif self._clock() - self._heard > self._fleet.patience:
            there = {name: amount for name, amount in self._ray.cluster_resources().items() if name in ("CPU", "GPU")}
            raise ScaleError(
                f"no worker has begun within {self._fleet.patience:.0f} s: each asks for {self._fleet.cpus} CPUs and "
                f"{self._fleet.gpus} GPUs, the cluster has {there}"
            )


class _RayWorker:
    """A `Worker` in an actor."""

    def __init__(self, make: WorkerMaker, threads: int) -> None:
        self._worker = make(threads)

    def load(self) -> Ready | Failure:
        import ray

        return self._worker.load(ray.get_runtime_context().get_node_id())

    def do(self, part: Part, deaths: int) -> PartDone | Failure:
        return self._worker.do(part, deaths)


def _ray() -> Any:
    # no reports to Ray's makers; it reads this when it is imported
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise MissingExtraError("ray", feature="--engine ray") from error
    return ray


def _knock(address: str) -> None:
    """Raise ScaleError where nothing listens at host:port or ray://host:port: Ray itself goes on asking for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdecimal()):
        return  # "auto" and the like: not for us to find
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCKING).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, error) from error


def _no_cluster(address: str, error: Exception) -> ScaleError:
    return ScaleError(
        f"there is no cluster at {address} ({str(error).partition(chr(10))[0]}): start one with `ray start --head`, or "
        "leave --address out to use this machine alone"
    )


def _connect(ray: Any, fleet: Fleet) -> None:
    if fleet.address is not None:
        try:
            ray.init(address=fleet.address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise _no_cluster(fleet.address, error) from error
        return
    ray.init(
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=_OBJECT_STORE,
        **({} if fleet.workers is None or fleet.gpus else {"num_cpus": max(1, round(fleet.workers * fleet.cpus))}),
    )
