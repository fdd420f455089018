"""The simulated room on real sockets: what a projector and its plug look like from the network.

UDP key_port, word_port   keys and words, of which a share is lost
TCP probe_port            accepts connections while the projector runs, refuses them otherwise
UDP plug_port             a MIoT plug with a meter
a FIFO in place of hidg0  the projector's USB port, reading HID reports
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from ironwok.errors import WayError
from ironwok.home.actions import Action, Command
from ironwok.home.simulator.world import PlugModel, ProjectorModel
from ironwok.home.ways.hid import CONSUMER_PAGE, KEYBOARD_PAGE, USAGES
from ironwok.home.ways.miot import HELLO, Packet, decode_packet, encode_packet
from ironwok.home.ways.xgimi import KEY_CODES, NEW_FOCUS_CODE

Tell = Callable[[str], None]

# 49 is OK and play/pause at once; in front of a film it pauses
_ACTIONS = {code: action for action, code in KEY_CODES.items() if action is not Action.OK} | {
    NEW_FOCUS_CODE: Action.FOCUS
}
_REPORTS = {(usage.page, usage.code): action for action, usage in USAGES.items()}


@dataclass(slots=True)
class Ports:
    """Where the room listens; 0 takes any free port, and the number is put here."""

    keys: int = 16735
    words: int = 16750
    probe: int = 5540
    plug: int = 54321


@dataclass(slots=True)
class RoomOnSockets:
    """Serves a projector and a plug. loss: share of datagrams that vanish. tell: is told what happens, in words."""

    projector: ProjectorModel
    plug: PlugModel
    token: bytes
    ports: Ports = field(default_factory=Ports)
    loss: float = 0.0
    random: Random = field(default_factory=lambda: Random(0))  # noqa: S311
    host: str = "127.0.0.1"
    hid: Path | None = None
    tell: Tell = lambda line: None
    datagrams: int = 0
    lost: int = 0
    _open: list[Any] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        for name, heard in (("keys", self._key), ("words", self._word), ("plug", self._plug_asked)):
            transport, _ = await loop.create_datagram_endpoint(
                lambda heard=heard: _Datagrams(heard), local_addr=(self.host, getattr(self.ports, name))
            )
            setattr(self.ports, name, transport.get_extra_info("sockname")[1])
            self._open.append(transport)
        if not self.ports.probe:
            # the port is open only while the projector runs; a socket that does not listen keeps the number from others
            kept = socket.socket()
            self._open.append(kept)
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            kept.bind((self.host, 0))
            self.ports.probe = kept.getsockname()[1]
            if sys.platform != "linux":
                kept.close()  # elsewhere nobody may listen beside it, not even the room itself
        self._tasks.append(asyncio.create_task(self._live()))
        if self.hid is not None:
            if not self.hid.exists():
                os.mkfifo(self.hid, 0o600)
            self._open.append(_FifoReader(self.hid, self._report))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        for one in self._open:
            one.close()
        self._tasks.clear()
        self._open.clear()
        for fault in ended:
            if isinstance(fault, Exception):
                raise fault

    async def _live(self) -> None:
        """Open and close the probe's port as the projector comes up and goes down."""
        server: asyncio.Server | None = None
        state = None
        try:
            while True:
                if self.projector.now() is not state:
                    state = self.projector.now()
                    self.tell(f"projector: {state}, {self.projector.watts:.1f} W")
                if self.projector.answers and server is None:
                    # in two steps: a server that is cancelled while it starts would keep its socket
                    server = await asyncio.start_server(_hang_up, self.host, self.ports.probe, start_serving=False)
                    await server.start_serving()
                elif not self.projector.answers and server is not None:
                    server.close()
                    server = None
                await asyncio.sleep(0.02)
        finally:
            if server is not None:
                server.close()

    def _lost(self) -> bool:
        self.datagrams += 1
        if self.random.random() < self.loss:
            self.lost += 1
            return True
        return False

    def _key(self, data: bytes, answer: Callable[[bytes], None]) -> None:
        if self._lost():
            return
        found = re.fullmatch(rb"KEYPRESSES:(\d{1,4})", data)
        action = _ACTIONS.get(int(found[1])) if found else None
        if action is None:
            self.tell(f"projector: does not know {data!r}")
        else:
            self._press(Command(action))

    def _word(self, data: bytes, answer: Callable[[bytes], None]) -> None:
        if self._lost():
            return
        try:
            control = json.loads(data)["controlCmd"]
            word = control["data"] if control["mode"] == 5 else None
        except (ValueError, KeyError, TypeError):
            word = None
        if isinstance(word, str) and word:
            self._press(Command(Action.SOURCE, source=word))
        else:
            self.tell(f"projector: does not know {data!r}")

    def _report(self, report: bytes) -> None:
        action = None
        if report[0] == 1 and report[3]:
            action = _REPORTS.get((KEYBOARD_PAGE, report[3]))
        elif report[0] == 2 and any(report[1:3]):
            action = _REPORTS.get((CONSUMER_PAGE, int.from_bytes(report[1:3], "little")))
        else:
            return  # a release
        if action is None:
            self.tell(f"projector: does not know the report {report.hex(' ')}")
        else:
            self._press(Command(action))

    def _press(self, command: Command) -> None:
        before = len(self.projector.heard)
        self.projector.press(command)
        heard = len(self.projector.heard) > before
        self.tell(f"projector: {command}{'' if heard else ' (not heard: it does not run)'}")

    def _plug_asked(self, data: bytes, answer: Callable[[bytes], None]) -> None:
        if self.plug.offline or self.plug.blackout:
            return
        stamp = int(self.projector.clock()) + 1000
        if data == HELLO:
            answer(encode_packet(Packet(0x1234ABCD, stamp), self.token))
            return
        try:
            request = json.loads(decode_packet(data, self.token).data)
            number, method, params = request["id"], request["method"], request["params"]
        except (WayError, ValueError, KeyError):
            return  # as the plug does with what it cannot decrypt
        result = [self._property(method, one) for one in params]
        if self.plug.reporting or method == "set_properties":
            data = json.dumps({"id": number, "result": result}).encode()
            answer(encode_packet(Packet(0x1234ABCD, stamp, data), self.token))

    def _property(self, method: str, asked: dict[str, Any]) -> dict[str, Any]:
        where = (asked.get("siid"), asked.get("piid"))
        about = {key: asked.get(key) for key in ("did", "siid", "piid")}
        if where == (2, 1) and method == "set_properties" and isinstance(asked.get("value"), bool):
            self.plug.switch(asked["value"])
            self.tell(f"plug: {'on' if self.plug.on else 'off'}")
            return about | {"code": 0}
        if method == "get_properties" and where == (2, 1):
            return about | {"code": 0, "value": self.plug.on}
        if method == "get_properties" and where == (11, 2) and self.plug.metered:
            return about | {"code": 0, "value": round(self.plug.watts, 1)}
        return about | {"code": -4001}  # MIoT: property does not exist


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, heard: Callable[[bytes, Callable[[bytes], None]], None]) -> None:
        self._heard = heard
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._heard(data, lambda answer: self._transport.sendto(answer, addr))


class _FifoReader:
    """Reads HID reports from a FIFO: each has the length of its report id."""

    def __init__(self, path: Path, heard: Callable[[bytes], None]) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_NONBLOCK)  # also for writing, so that it never ends
        self._heard = heard
        self._pending = b""
        asyncio.get_running_loop().add_reader(self._file, self._read)

    def _read(self) -> None:
        self._pending += os.read(self._file, 4096)
        while self._pending:
            length = {1: 9, 2: 3}.get(self._pending[0], 1)
            if len(self._pending) < length:
                return
            report, self._pending = self._pending[:length], self._pending[length:]
            if length > 1:
                self._heard(report)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._file)
        os.close(self._file)


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()
