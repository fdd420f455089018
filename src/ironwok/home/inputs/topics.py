"""MQTT in: a topic of our own, and those of Bemfa's cloud, by which Xiao AI and others reach private devices."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from ironwok.errors import InputError
from ironwok.home.actions import Action, Ending, Outcome, parse_command
from ironwok.home.broker import Broker, BrokerMessage
from ironwok.home.config import BemfaTopic

Do = Callable[[str, str], Awaitable[dict[str, Any]]]

log = logging.getLogger(__name__)

# orders that may be under way at once; a flood is dropped, not hoarded
_MOST_TASKS = 32


class _Orders:
    """Tasks for what was ordered, as many as are allowed."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, topic: str, work: Coroutine[Any, Any, None]) -> None:
        if len(self._tasks) >= _MOST_TASKS:
            work.close()
            log.warning("%s: %d orders are under way; one more is dropped", topic, _MOST_TASKS)
            return
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class OwnTopics:
    """``TOPIC/set`` takes commands, ``TOPIC/say`` sentences; ``TOPIC/answer`` says what came of each.

    A command is written as in bindings, ``volume_up 3``. Retained messages are ignored: an order that the broker kept
    from yesterday is no order.
    """

    def __init__(self, broker: Broker, topic: str, *, say: Do, do: Do) -> None:
        self._broker = broker
        self._topic = topic
        self._calls = {f"{topic}/set": do, f"{topic}/say": say}
        self._orders = _Orders()
        for one in self._calls:
            broker.listen(one, self._hear)

    def _hear(self, message: BrokerMessage) -> None:
        if message.retained:
            return
        self._orders.begin(message.topic, self._answer(self._calls[message.topic], message.text.strip()))

    async def _answer(self, call: Do, text: str) -> None:
        try:
            answer = await call(text, "mqtt")
        except InputError as error:
            answer = {"error": str(error)}
        self._broker.say_later(f"{self._topic}/answer", json.dumps({"text": text} | answer, ensure_ascii=False))


class BemfaTopics:
    """Devices of Bemfa's cloud. Their names end in their kind: 001 socket, 002 lamp, 006 switch (cloud.bemfa.com).

    ``on`` and ``off`` arrive on TOPIC. What became of it is said on TOPIC/up, which tells the cloud and not us again.
    """

    def __init__(self, broker: Broker, topics: Mapping[str, BemfaTopic], *, do: Do) -> None:
        self._broker = broker
        self._topics = topics
        self._do = do
        self._orders = _Orders()
        for topic in topics:
            broker.listen(topic, self._hear)

    def _hear(self, message: BrokerMessage) -> None:
        if message.retained:
            return
        # on#80#… is on, with brightness
        word = message.text.strip().partition("#")[0].lower()
        settings = self._topics[message.topic]
        text = {"on": settings.on, "off": settings.off, "pause": settings.pause}.get(word)
        if text is None:
            return
        self._orders.begin(message.topic, self._obey(message.topic, word, text))

    async def _obey(self, topic: str, word: str, text: str) -> None:
        parse_command(text)
        answer = await self._do(text, f"bemfa {topic}")
        if answer.get("ending") == str(Ending.FAILED):
            return
        self._broker.say_later(f"{topic}/up", word)

    def follow(self, outcome: Outcome) -> None:
        """Tell the cloud of power that was switched by others."""
        if outcome.ending is not Ending.CONFIRMED or outcome.command.origin.startswith("bemfa"):
            return
        for topic, settings in self._topics.items():
            for word, text in (("on", settings.on), ("off", settings.off)):
                power = text in (Action.POWER_ON, Action.POWER_OFF)
                if power and text == str(outcome.command.action) and outcome.command.minutes is None:
                    self._broker.say_later(f"{topic}/up", word)
