"""Standard input: one sentence a line."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from ironwok.errors import InputError

if TYPE_CHECKING:
    from ironwok.home.daemon import Home


async def follow_lines(home: Home, stop: asyncio.Event) -> None:
    """Say every line to the room until the input ends or the room stops. What is no line is answered and ignored."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=4096)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    stopped = asyncio.ensure_future(stop.wait())
    try:
        while not stop.is_set():
            line = asyncio.ensure_future(reader.readline())
            await asyncio.wait({line, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not line.done():
                line.cancel()
                return
            try:
                text = line.result().decode("utf-8", "replace")
            except ValueError:
                home.tell("a line of more than 4096 bytes is ignored")
                continue
            if not text:
                return
            try:
                await home.say(text, "stdin")
            except InputError as error:
                home.tell(str(error))
    finally:
        stopped.cancel()
