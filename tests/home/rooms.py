"""Rooms on real sockets of this machine, in real time that runs fast."""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from ironwok.home.config import HomeConfig, home_of
from ironwok.home.simulator.network import Ports, RoomOnSockets
from ironwok.home.simulator.run import Simulation

TOKEN = "0123456789abcdef-token"


@contextlib.asynccontextmanager
async def simulated(folder: Path, **options: Any) -> AsyncIterator[tuple[RoomOnSockets, HomeConfig]]:
    """A room on any free ports, 40 times as fast as life, and the configuration that `ironwok home simulate` writes."""
    changes = options.pop("changes", {})
    what = Simulation(folder, speed=options.pop("speed", 40.0), **options)
    room = what.make(ports=Ports(0, 0, 0, 0))
    await room.start()
    try:
        table = tomllib.loads(what.config(room))
        table["webhook"] |= {"token": TOKEN}
        yield room, home_of(table | changes, folder=folder)
    finally:
        await room.close()
