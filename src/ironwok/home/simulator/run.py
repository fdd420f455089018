"""``ironwok home simulate``: a room on this machine's sockets, and the home.toml that goes with it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from ironwok.errors import HomeError, InputError, OutputError
from ironwok.home.broker import Broker, BrokerSettings
from ironwok.home.simulator.mqtt import TasmotaOnBroker
from ironwok.home.simulator.network import Ports, RoomOnSockets
from ironwok.home.simulator.world import PlugModel, Power, ProjectorModel, Traits

_FIRST_LINE = "# A simulated room, made by: ironwok home simulate"


@dataclass(frozen=True, slots=True)
class Simulation:
    """What is simulated. loss: share of lost datagrams. hangs: share of boots that hang. speed: seconds in a second.

    mqtt: host:port of a broker that the plug is to be on, as Tasmota; None for a MIoT plug. folder: for home.toml.
    """

    folder: Path
    loss: float = 0.0
    hangs: float = 0.0
    speed: float = 1.0
    seed: int = 0
    on: bool = False
    mqtt: str | None = None

    def make(self, *, ports: Ports | None = None, tell: Callable[[str], None] = lambda line: None) -> RoomOnSockets:
        """The room, inside a running loop; `RoomOnSockets.start` opens it."""
        loop = asyncio.get_running_loop()
        random = Random(self.seed)  # noqa: S311
        projector = ProjectorModel(
            lambda: loop.time() * self.speed,
            random,
            Traits(hangs=self.hangs),
            power=Power.RUNNING if self.on else Power.STANDBY,
        )
        return RoomOnSockets(
            projector,
            PlugModel(projector),
            secrets.token_bytes(16),
            ports=ports or Ports(),
            loss=self.loss,
            random=random,
            hid=self.folder / "hidg0",
            tell=tell,
        )

    def config(self, room: RoomOnSockets) -> str:
        """The text of a home.toml for the room. Times shrink with the speed."""
        ports = room.ports
        if self.mqtt is None:
            plug = (
                f'kind = "miot"\nhost = "{room.host}"\nport = {ports.plug}\ntoken = "{room.token.hex()}"\n'
                'model = "cuco.plug.v3"'
            )
        else:
            plug = 'kind = "tasmota"\ntopic = "tv_plug"'
        mqtt = ""
        if self.mqtt is not None:
            broker = broker_at(self.mqtt)
            mqtt = f'\n[mqtt]\nhost = "{broker.host}"\nport = {broker.port}\n'

        def seconds(real: float) -> float:
            return round(real / self.speed, 3)

        return f"""{_FIRST_LINE}
name = "Simulated projector"

[projector]
host = "{room.host}"
probe_port = {ports.probe}
sources = ["HDMI1", "HDMI2", "USB"]

[ways.lan]
kind = "xgimi"
key_port = {ports.keys}
word_port = {ports.words}

[ways.hid]
kind = "hid"
device = "hidg0"

[order]
default = ["lan", "hid"]

[plug]
{plug}

[webhook]
port = 8737
token = "{secrets.token_hex(24)}"
{mqtt}
[scenes]
off_seconds = {seconds(10)}
wake_seconds = {seconds(20)}
boot_seconds = {seconds(120)}
react_seconds = {seconds(10)}
stop_seconds = {seconds(180)}
look_seconds = {max(seconds(2), 0.05)}

[mains]
idle_watts = 5
idle_seconds = {seconds(10)}
settle_seconds = {seconds(20)}
"""


def broker_at(text: str) -> BrokerSettings:
    """A broker as the command line names it, host or host:port. Raises InputError."""
    host, _, port = text.partition(":")
    if not host or (port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536)):
        raise InputError(f"{text!r} is no broker: give host or host:port, for instance localhost:1883")
    return BrokerSettings(host, int(port or 1883))


def _refuse_others(path: Path) -> None:
    """A home.toml that somebody wrote is not replaced by one that nobody needs. Raises OutputError."""
    try:
        first = path.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"{path} cannot be read: {error.strerror or error}") from error
    if first != _FIRST_LINE:
        raise OutputError(f"{path} was not made by the simulator and is left alone: give another folder")


async def simulate(what: Simulation, *, tell: Callable[[str], None], stop: asyncio.Event) -> None:
    """Run until told to stop.

    Raises HomeError where a port is taken, OutputError for a folder that cannot be used or has a room of one's own,
    InputError for a broker that is none.
    """
    settings = None if what.mqtt is None else broker_at(what.mqtt)
    path = what.folder / "home.toml"
    _refuse_others(path)
    try:
        what.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{what.folder} cannot be used: {error.strerror or error}") from error
    broker = None
    room = what.make(tell=tell)
    try:
        try:
            await room.start()
        except OSError as error:
            ports = f"{room.ports.keys}, {room.ports.words}, {room.ports.plug}"
            raise HomeError(f"the room needs UDP ports {ports} on {room.host}: {error.strerror or error}") from error
        if settings is not None:
            broker = Broker(settings)
            TasmotaOnBroker(room.plug, broker)
            broker.start()
        try:
            path.touch(mode=0o600)
            path.write_text(what.config(room), encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
        tell(f"ironwok home run {path}")
        await stop.wait()
    finally:
        if broker is not None:
            await broker.close()
        await room.close()
