"""The simulated plug as Tasmota and as Zigbee2MQTT show it on a real broker."""

from __future__ import annotations

import json

from ironwok.home.broker import Broker, BrokerMessage
from ironwok.home.simulator.world import PlugModel


class TasmotaOnBroker:
    """Answers POWER and STATUS as Tasmota does, and publishes a retained SENSOR message as its telemetry would."""

    def __init__(self, plug: PlugModel, broker: Broker, topic: str = "tv_plug") -> None:
        self.plug = plug
        self.broker = broker
        self.topic = topic
        broker.listen(f"cmnd/{topic}/+", self._hear)

    def _hear(self, message: BrokerMessage) -> None:
        if self.plug.offline or self.plug.blackout:
            return
        what = message.topic.rpartition("/")[2]
        if what == "POWER":
            if message.text.upper() in ("ON", "OFF"):
                self.plug.switch(message.text.upper() == "ON")
            self._say("RESULT", {"POWER": self._state})
        elif what == "STATUS" and self.plug.reporting:
            if message.text == "8" and self.plug.metered:
                energy = {"Power": round(self.plug.watts, 1), "Voltage": 230, "Current": 0.4}
                self._say("STATUS8", {"StatusSNS": {"Time": "2026-01-01T00:00:00", "ENERGY": energy}})
            elif message.text == "11":
                self._say("STATUS11", {"StatusSTS": {"Uptime": "0T00:10:00", "POWER": self._state}})

    @property
    def _state(self) -> str:
        return "ON" if self.plug.on else "OFF"

    def _say(self, what: str, payload: object) -> None:
        self.broker.say_later(f"stat/{self.topic}/{what}", json.dumps(payload))


class ZigbeeOnBroker:
    """Answers set and get with one message that has everything, as Zigbee2MQTT does."""

    def __init__(self, plug: PlugModel, broker: Broker, device: str = "tv_plug", base: str = "zigbee2mqtt") -> None:
        self.plug = plug
        self.broker = broker
        self.topic = f"{base}/{device}"
        broker.listen(f"{self.topic}/set", self._set)
        broker.listen(f"{self.topic}/get", self._get)

    def _set(self, message: BrokerMessage) -> None:
        if self.plug.offline or self.plug.blackout:
            return
        state = json.loads(message.payload).get("state")
        if state in ("ON", "OFF"):
            self.plug.switch(state == "ON")
        self._say()

    def _get(self, message: BrokerMessage) -> None:
        if self.plug.reporting and not self.plug.offline and not self.plug.blackout:
            self._say()

    def _say(self) -> None:
        state: dict[str, object] = {"state": "ON" if self.plug.on else "OFF", "linkquality": 120}
        if self.plug.metered:
            state["power"] = round(self.plug.watts, 1)
        self.broker.say_later(self.topic, json.dumps(state))
