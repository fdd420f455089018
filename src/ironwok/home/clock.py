"""An event loop whose time jumps: hours of a simulation pass in milliseconds, in a fixed order.

Everything in `home` takes its time from the running loop (``loop.time()``, ``asyncio.sleep``), so the loop is the clock
that is passed in. On this one, whenever nothing is ready, time moves on to the next thing that is due.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: what is ready is taken, and the time that would have been waited has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            # Nothing is due, ever. A real loop would sleep for good; here that is a test that hangs.
            raise RuntimeError("everything waits for something that nobody will do")
        self.now += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop on virtual time, in seconds from 0. Without threads and without other processes."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
