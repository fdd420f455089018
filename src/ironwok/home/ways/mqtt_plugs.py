"""Plugs behind an MQTT broker: Tasmota and Zigbee2MQTT, with their power readings.

Both are asked, and both are believed only by what they answer to that question: a retained or periodic message may be
minutes old, and mains are cut by what is read.
"""

from __future__ import annotations

import asyncio
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from ironwok.errors import WayError
from ironwok.home.broker import Broker, BrokerMessage
from ironwok.home.ways.base import Health, Reading


class MqttPlug(ABC):
    """What both have in common: publish, then wait for the message that answers. timeout: seconds for an answer."""

    def __init__(self, broker: Broker, *, name: str = "plug", timeout: float = 3.0) -> None:
        self.name = name
        self.broker = broker
        self.timeout = timeout
        self._arrived = asyncio.Condition()
        self._on: tuple[bool, float] | None = None
        self._watts: tuple[float, float] | None = None
        self._handler = self._hear
        self._listening: list[str] = []
        for topic in self.topics():
            broker.listen(topic, self._handler)
            self._listening.append(topic)

    @abstractmethod
    def topics(self) -> Sequence[str]:
        """Topics on which the plug speaks."""

    @abstractmethod
    def understand(self, topic: str, payload: Any) -> tuple[bool | None, float | None]:
        """What a message says: on or off, watts; None for what it does not say."""

    @abstractmethod
    async def ask(self) -> None:
        """Ask for state and power."""

    @abstractmethod
    async def tell(self, on: bool) -> None:
        """Tell it to switch."""

    async def switch(self, on: bool) -> None:
        asked_at = asyncio.get_running_loop().time()
        await self.tell(on)
        await self._until(
            lambda: self._on is not None and self._on[0] is on and self._on[1] >= asked_at,
            f"did not confirm that it switched {'on' if on else 'off'}",
        )

    async def read(self) -> Reading:
        asked_at = asyncio.get_running_loop().time()
        await self.ask()

        def answered() -> bool:
            heard_state = self._on is not None and self._on[1] >= asked_at
            return heard_state and (self._watts is None or self._watts[1] >= asked_at)

        await self._until(answered, "does not say what it delivers")
        assert self._on is not None
        if self._watts is None:
            return Reading(self._on[0], None, self._on[1])
        return Reading(self._on[0], self._watts[0], min(self._on[1], self._watts[1]))

    async def _until(self, condition: Any, problem: str) -> None:
        try:
            async with asyncio.timeout(self.timeout), self._arrived:
                await self._arrived.wait_for(condition)
        except TimeoutError as error:
            raise WayError(f"the plug {self.name} {problem} within {self.timeout:g} s") from error

    def _hear(self, message: BrokerMessage) -> None:
        if message.retained:
            return
        try:
            payload = json.loads(message.payload)
        except (ValueError, RecursionError):
            return  # neither of them ever says such a thing
        on, watts = self.understand(message.topic, payload)
        now = asyncio.get_running_loop().time()
        if on is not None:
            self._on = (on, now)
        if watts is not None:
            self._watts = (watts, now)
        if on is not None or watts is not None:
            # not stored in a set of tasks: it is done at the next turn of the loop
            asyncio.ensure_future(self._wake())  # noqa: RUF006

    async def _wake(self) -> None:
        async with self._arrived:
            self._arrived.notify_all()

    async def check(self) -> Health:
        if not await self.broker.ready(5):
            hint = "check host, port, user and password of [mqtt]"
            return Health(self.name, False, f"no connection to the broker: {self.broker.trouble}", hint)
        try:
            reading = await self.read()
        except WayError as error:
            return Health(self.name, False, str(error), "check the plug's topic; does it show in the broker's log?")
        if reading.watts is None:
            hint = "mains are never cut by it unless unmetered is set"
            return Health(self.name, True, f"it is {_state(reading.on)} and measures no power", hint)
        return Health(self.name, True, f"it is {_state(reading.on)} and delivers {reading.watts:.1f} W")

    async def close(self) -> None:
        for topic in self._listening:
            self.broker.unlisten(topic, self._handler)
        self._listening.clear()


class TasmotaPlug(MqttPlug):
    """Tasmota: ``cmnd/TOPIC/POWER`` switches, ``cmnd/TOPIC/STATUS 8`` and ``11`` ask (tasmota.github.io, Commands).

    power: name of the switch, POWER, or POWER1 to POWER8 where there are several.
    """

    def __init__(
        self, broker: Broker, topic: str, *, power: str = "POWER", name: str = "plug", timeout: float = 3.0
    ) -> None:
        self.topic = topic
        self.power = power
        super().__init__(broker, name=name, timeout=timeout)

    def topics(self) -> Sequence[str]:
        return tuple(f"stat/{self.topic}/{what}" for what in ("RESULT", "STATUS8", "STATUS11"))

    def understand(self, topic: str, payload: Any) -> tuple[bool | None, float | None]:
        if not isinstance(payload, dict):
            return None, None
        if topic.endswith("STATUS8"):
            return None, _number(_path(payload, "StatusSNS", "ENERGY", "Power"))
        state = payload if topic.endswith("RESULT") else _path(payload, "StatusSTS")
        return _on_or_off(_path(state, self.power)), None

    async def ask(self) -> None:
        await self.broker.publish(f"cmnd/{self.topic}/STATUS", "8")
        await self.broker.publish(f"cmnd/{self.topic}/STATUS", "11")

    async def tell(self, on: bool) -> None:
        await self.broker.publish(f"cmnd/{self.topic}/{self.power}", "ON" if on else "OFF")


class ZigbeePlug(MqttPlug):
    """Zigbee2MQTT: ``BASE/NAME/set`` switches, ``BASE/NAME/get`` asks, ``BASE/NAME`` speaks (zigbee2mqtt.io)."""

    def __init__(
        self, broker: Broker, device: str, *, base: str = "zigbee2mqtt", name: str = "plug", timeout: float = 3.0
    ) -> None:
        self.topic = f"{base}/{device}"
        super().__init__(broker, name=name, timeout=timeout)

    def topics(self) -> Sequence[str]:
        return (self.topic,)

    def understand(self, topic: str, payload: Any) -> tuple[bool | None, float | None]:
        return _on_or_off(_path(payload, "state")), _number(_path(payload, "power"))

    async def ask(self) -> None:
        await self.broker.publish(f"{self.topic}/get", json.dumps({"state": "", "power": ""}))

    async def tell(self, on: bool) -> None:
        await self.broker.publish(f"{self.topic}/set", json.dumps({"state": "ON" if on else "OFF"}))


def _path(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _number(value: Any) -> float | None:
    # several phases come as a list
    if isinstance(value, list) and value and all(_number(one) is not None for one in value):
        return sum(map(float, value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        # hundreds of digits
        return math.inf


def _on_or_off(value: Any) -> bool | None:
    return {"ON": True, "OFF": False}.get(value.upper()) if isinstance(value, str) else None


def _state(on: bool) -> str:
    return "on" if on else "off"
