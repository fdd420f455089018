"""Xiaomi plugs on the local network: the miIO protocol over UDP, MIoT properties.

    header    21 31, length, 0, device id, stamp, checksum: big-endian, 32 bytes; then JSON, AES-128-CBC, PKCS7
    key       MD5(token), initialization vector MD5(key + token)
    checksum  MD5(first 16 bytes of the header + token + data)

as OpenMiHome's miHome binary protocol describes it. python-miio speaks it too; it repeats a lost "off" for up to a
minute on its own, and mains must be cut at once or not at all, so what is sent here is sent once.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import struct
from dataclasses import dataclass, field
from typing import Any

from ironwok.errors import ConfigError, MissingExtraError, WayError
from ironwok.home.ways.base import Health, Reading

PORT = 54321
_MAGIC = 0x2131
_HEADER = struct.Struct(">HHIII16s")
HELLO = _HEADER.pack(_MAGIC, _HEADER.size, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, b"\xff" * 16)


@dataclass(frozen=True, slots=True)
class Packet:
    """One datagram. data: the decrypted JSON text, empty in a greeting. stamp: seconds of the device's own clock."""

    device: int
    stamp: int
    data: bytes = b""


def encode_packet(packet: Packet, token: bytes) -> bytes:
    data = _crypt(packet.data, token, encrypt=True) if packet.data else b""
    head = struct.pack(">HHIII", _MAGIC, _HEADER.size + len(data), 0, packet.device, packet.stamp)
    return head + hashlib.md5(head + token + data, usedforsecurity=False).digest() + data


def decode_packet(datagram: bytes, token: bytes) -> Packet:
    """Raises WayError for what is none, or was made with another token."""
    if len(datagram) < _HEADER.size:
        raise WayError(f"{len(datagram)} bytes are no miIO packet; a header has {_HEADER.size}")
    magic, length, _, device, stamp, checksum = _HEADER.unpack_from(datagram)
    data = datagram[_HEADER.size :]
    if magic != _MAGIC or length != len(datagram):
        raise WayError("the answer is no miIO packet")
    if not data:
        # a greeting; its checksum field is no checksum
        return Packet(device, stamp)
    if checksum != hashlib.md5(datagram[:16] + token + data, usedforsecurity=False).digest():
        raise WayError("the answer has a wrong checksum: the token is another one's")
    return Packet(device, stamp, _crypt(data, token, encrypt=False))


def parse_token(text: str) -> bytes:
    if not re.fullmatch(r"[0-9a-fA-F]{32}", text.strip()):
        raise ConfigError("the token of a MIoT plug is 32 hexadecimal digits")
    return bytes.fromhex(text.strip())


@dataclass(frozen=True, slots=True)
class PlugSpec:
    """Where a model keeps its switch and its power: service and property ids (home.miot-spec.com).

    power: None for a plug that does not meter. scale: watts for one unit of what it reports.
    """

    switch: tuple[int, int] = (2, 1)
    power: tuple[int, int] | None = None
    scale: float = 1.0


# models that users of Home Assistant's Xiaomi integrations report; any other is described by its numbers
SPECS = {
    "cuco.plug.v3": PlugSpec(power=(11, 2)),
    "cuco.plug.cp2a": PlugSpec(),
    "chuangmi.plug.212a01": PlugSpec(power=(5, 6), scale=0.01),
    "zimi.plug.zncz01": PlugSpec(power=(3, 2), scale=0.01),
}


@dataclass(slots=True)
class _Session:
    """Greeted: the device's id and what its clock said at which time of ours."""

    device: int
    stamp: int
    at: float


@dataclass(slots=True)
class _Waiting(asyncio.DatagramProtocol):
    """Takes the datagrams of one exchange."""

    answers: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(maxsize=8))

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if not self.answers.full():
            self.answers.put_nowait(data)

    def error_received(self, exc: Exception) -> None:
        # a closed port: the same as no answer
        return


class MiotPlug:
    """A Xiaomi plug. timeout: seconds for one exchange; the whole of a switching takes twice that at most."""

    def __init__(
        self, host: str, token: bytes, spec: PlugSpec, *, name: str = "plug", port: int = PORT, timeout: float = 1.5
    ) -> None:
        self.name = name
        self.host = host
        self.port = port
        self.spec = spec
        self.timeout = timeout
        self._token = token
        self._session: _Session | None = None
        self._number = 0
        self._turn = asyncio.Lock()

    async def switch(self, on: bool) -> None:
        service, number = self.spec.switch
        # one attempt: "off" repeated by itself would be cut by an old reading
        answer = await self._call("set_properties", [_property(service, number) | {"value": on}], attempts=1)
        if _code(answer, 0) != 0:
            raise WayError(f"the plug {self.name} refused to switch (code {_code(answer, 0)})")

    async def read(self) -> Reading:
        asked = [_property(*self.spec.switch)]
        if self.spec.power is not None:
            asked.append(_property(*self.spec.power))
        answer = await self._call("get_properties", asked, attempts=2)
        now = asyncio.get_running_loop().time()
        if _code(answer, 0) != 0 or not isinstance(answer[0].get("value"), bool):
            raise WayError(f"the plug {self.name} does not say whether it is on; is {self.spec.switch} its switch?")
        watts = None
        if self.spec.power is not None:
            value = answer[1].get("value") if _code(answer, 1) == 0 else None
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise WayError(f"the plug {self.name} does not say its power; is {self.spec.power} its property?")
            watts = value * self.spec.scale
        return Reading(answer[0]["value"], watts, now)

    async def check(self) -> Health:
        try:
            reading = await self.read()
        except WayError as error:
            hint = "check host and token; the token changes when the plug is added to an account anew"
            return Health(self.name, False, str(error), hint)
        power = "measures no power" if reading.watts is None else f"delivers {reading.watts:.1f} W"
        return Health(self.name, True, f"it is {'on' if reading.on else 'off'} and {power}")

    async def close(self) -> None:
        return None

    async def _call(self, method: str, params: list[dict[str, Any]], *, attempts: int) -> list[dict[str, Any]]:
        async with self._turn:
            for attempt in range(attempts):
                try:
                    return await self._exchange(method, params)
                except TimeoutError:
                    # a plug that restarted has a new clock: greet it again
                    self._session = None
                    if attempt == attempts - 1:
                        raise WayError(f"the plug {self.name} ({self.host}) does not answer") from None
                except OSError as error:
                    raise WayError(f"the plug {self.name} ({self.host}): {error.strerror or error}") from error
        raise AssertionError("attempts is 1 or more")

    async def _exchange(self, method: str, params: list[dict[str, Any]]) -> list[dict[str, Any]]:
        loop = asyncio.get_running_loop()
        transport, waiting = await loop.create_datagram_endpoint(_Waiting, remote_addr=(self.host, self.port))
        try:
            if self._session is None:
                async with asyncio.timeout(self.timeout):
                    transport.sendto(HELLO)
                    greeting = decode_packet(await waiting.answers.get(), self._token)
                self._session = _Session(greeting.device, greeting.stamp, loop.time())
            session = self._session
            self._number += 1
            request = {"id": self._number, "method": method, "params": params}
            stamp = session.stamp + int(loop.time() - session.at) + 1
            data = json.dumps(request, separators=(",", ":")).encode()
            transport.sendto(encode_packet(Packet(session.device, stamp, data), self._token))
            async with asyncio.timeout(self.timeout):
                while True:
                    packet = decode_packet(await waiting.answers.get(), self._token)
                    answer = _json(packet.data)
                    if answer.get("id") == self._number:
                        break
        finally:
            transport.close()
        result = answer.get("result")
        if not isinstance(result, list) or not all(isinstance(one, dict) for one in result):
            raise WayError(f"the plug {self.name} answered {method} with an error: {answer.get('error', 'no result')}")
        if len(result) != len(params):
            raise WayError(f"the plug {self.name} answered {len(result)} of {len(params)} questions")
        return result


def _property(service: int, number: int) -> dict[str, Any]:
    return {"did": f"{service}.{number}", "siid": service, "piid": number}


def _code(answer: list[dict[str, Any]], index: int) -> Any:
    return answer[index].get("code")


def _json(data: bytes) -> dict[str, Any]:
    try:
        # some firmwares end their JSON with a zero byte
        answer = json.loads(data.rstrip(b"\x00"))
    except ValueError as error:
        raise WayError("the answer is no JSON: the token is another one's") from error
    return answer if isinstance(answer, dict) else {}


def _crypt(data: bytes, token: bytes, *, encrypt: bool) -> bytes:
    try:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        from cryptography.hazmat.primitives.padding import PKCS7
    except ImportError:
        raise MissingExtraError("home", feature="a MIoT plug") from None
    key = hashlib.md5(token, usedforsecurity=False).digest()
    vector = hashlib.md5(key + token, usedforsecurity=False).digest()
    cipher = Cipher(algorithms.AES(key), modes.CBC(vector))
    if encrypt:
        padder = PKCS7(128).padder()
        encryptor = cipher.encryptor()
        return encryptor.update(padder.update(data) + padder.finalize()) + encryptor.finalize()
    decryptor = cipher.decryptor()
    unpadder = PKCS7(128).unpadder()
    try:
        plain = decryptor.update(data) + decryptor.finalize()
        return unpadder.update(plain) + unpadder.finalize()
    except ValueError as error:
        raise WayError("the answer cannot be decrypted: the token is another one's") from error
