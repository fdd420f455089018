"""XGIMI's keys on the local network: one UDP datagram a key, no answer.

Keys go as ``KEYPRESSES:<code>`` to port 16735, words as JSON to port 16750. XGIMI documents neither. The codes are
those of the community: the Home Assistant integration manymuch/Xgimi-4-Home-Assistant and homebridge-xgimi list them.
Firmware for markets outside China often listens on neither port: use the Android TV remote there.
"""

from __future__ import annotations

import asyncio
import json
import socket

from ironwok.errors import WayError
from ironwok.home.actions import Action, Command
from ironwok.home.ways.base import Delivery, Health
from ironwok.home.ways.probe import TcpProbe

KEY_PORT = 16735
WORD_PORT = 16750

KEY_CODES = {
    Action.POWER_OFF: 30,  # off at once; 116 is the power key, which asks back on the screen
    Action.VOLUME_UP: 115,
    Action.VOLUME_DOWN: 114,
    Action.MUTE: 113,
    Action.OK: 49,
    Action.PLAY_PAUSE: 49,
    Action.BACK: 48,
    Action.HOME: 35,
    Action.MENU: 139,
    Action.UP: 36,
    Action.DOWN: 38,
    Action.LEFT: 50,
    Action.RIGHT: 37,
    Action.FOCUS: 2099,
}
# newer optics take 2103 instead of 2099
NEW_FOCUS_CODE = 2103


def key_payload(code: int) -> bytes:
    return f"KEYPRESSES:{code}".encode("ascii")


def word_payload(word: str) -> bytes:
    """A word as the phone app says it: the name of an input, HDMI1 or HDMI2, switches to it."""
    control = {"data": word, "delayTime": 0, "mode": 5, "time": 0, "type": 0}
    # characters as they are, no spaces: as captured from the app
    message = {"action": 20000, "controlCmd": control, "msgid": "2"}
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


class XgimiLan:
    """Keys and words over UDP. probe: where given, nothing is sent to a projector that does not answer it."""

    def __init__(
        self,
        host: str,
        *,
        name: str = "lan",
        key_port: int = KEY_PORT,
        word_port: int = WORD_PORT,
        new_focus: bool = False,
        probe: TcpProbe | None = None,
    ) -> None:
        self.name = name
        self.host = host
        self.key_port = key_port
        self.word_port = word_port
        self._codes = KEY_CODES | ({Action.FOCUS: NEW_FOCUS_CODE} if new_focus else {})
        self._probe = probe
        self._transport: asyncio.DatagramTransport | None = None

    def can(self, command: Command) -> bool:
        return command.action in self._codes or command.action is Action.SOURCE

    async def send(self, command: Command) -> Delivery:
        # UDP loses silently. To know early that nobody listens lets the next way have its turn.
        if self._probe is not None and not await self._probe.answered_lately():
            raise WayError(f"{self.host} does not answer on port {self._probe.port}")
        if command.source is not None:
            payload, port = word_payload(command.source.replace(" ", "")), self.word_port
        else:
            payload, port = key_payload(self._codes[command.action]), self.key_port
        await self._datagram(payload, port)
        return Delivery(f"udp {port} {payload.decode('utf-8')}")

    async def _datagram(self, payload: bytes, port: int) -> None:
        try:
            address = await self._resolve(port)
            if self._transport is None or self._transport.is_closing():
                loop = asyncio.get_running_loop()
                family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
                self._transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, family=family)
            self._transport.sendto(payload, address)
        except OSError as error:
            raise WayError(f"{self.host}:{port} cannot be reached: {error.strerror or error}") from error

    async def _resolve(self, port: int) -> tuple[str, int]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self.host, port, type=socket.SOCK_DGRAM)
        return str(found[0][4][0]), port

    async def check(self) -> Health:
        try:
            await self._resolve(self.key_port)
        except OSError as error:
            return Health(self.name, False, f"{self.host}: {error.strerror or error}", "give its IP address as host")
        if self._probe is None:
            return Health(self.name, True, "sends without being able to tell whether anybody listens")
        if await self._probe.answers():
            return Health(self.name, True, f"{self.host} is up; UDP itself is never acknowledged")
        return Health(
            self.name,
            False,
            f"{self.host} does not answer on port {self._probe.port}",
            "switch it on; give it a fixed address in the router; no VLAN or guest network in between",
        )

    async def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None
