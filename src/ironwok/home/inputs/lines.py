"""Standard input: one sentence a line."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from ironwok.errors import InputError

if TYPE_CHECKING:
    from ironwok.home.daemon import Home

_MOST_BYTES = 4096


class Lines:
    """Lines of a pipe, a terminal or a file, read by the running loop.

    A thread that waits in ``input()`` cannot be stopped, and would keep the program from ending. The file is left
    blocking: a terminal shares that flag with whatever else writes to it.
    """

    def __init__(self, file: int = 0) -> None:
        self._file = file
        self._pending = b""
        self._ended = False

    async def next(self) -> str | None:
        """The next line without its end, None after the last. Raises InputError for one that is too long."""
        too_long = False
        while True:
            line, newline, rest = self._pending.partition(b"\n")
            if newline or self._ended:
                self._pending = rest
                if too_long or len(line) > _MOST_BYTES:
                    raise InputError(f"a line of more than {_MOST_BYTES} bytes is ignored")
                return line.decode("utf-8", "replace").rstrip("\r") if newline or line else None
            if len(self._pending) > _MOST_BYTES:
                too_long, self._pending = True, b""
            await self._readable()
            data = os.read(self._file, _MOST_BYTES)
            self._ended = not data
            self._pending += data

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        try:
            loop.add_reader(self._file, lambda: ready.done() or ready.set_result(None))
        except PermissionError:
            return  # a plain file: it never makes anybody wait
        try:
            await ready
        finally:
            loop.remove_reader(self._file)


async def follow_lines(home: Home, stop: asyncio.Event, *, file: int = 0) -> None:
    """Say every line to the room until the input ends or the room stops, one after the other.

    What cannot wait does not: "cancel" and "status" go past the scene that runs. What is no line is answered.
    """
    lines, waiting = Lines(file), asyncio.Queue[str | None]()
    tasks = [
        asyncio.ensure_future(one) for one in (stop.wait(), _say_in_turn(home, waiting), _listen(home, lines, waiting))
    ]
    stopped, saying, listening = tasks
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        waiting.put_nowait(None)
        await asyncio.wait({stopped, saying}, return_when=asyncio.FIRST_COMPLETED)
        for task in (listening, saying):
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _listen(home: Home, lines: Lines, waiting: asyncio.Queue[str | None]) -> None:
    while True:
        try:
            if (text := await lines.next()) is None:
                return
            if home.planner.scene is not None and await home.is_urgent(text):
                await _say(home, text)
            else:
                waiting.put_nowait(text)
        except InputError as error:
            home.tell(str(error))


async def _say_in_turn(home: Home, waiting: asyncio.Queue[str | None]) -> None:
    while (text := await waiting.get()) is not None:
        await _say(home, text)


async def _say(home: Home, text: str) -> None:
    try:
        await home.say(text, "stdin")
    except InputError as error:
        home.tell(str(error))
