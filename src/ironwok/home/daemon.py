"""Everything at once: ways in, understanding, planner, ways out, and what others are told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

from ironwok import __version__
from ironwok.errors import InputError
from ironwok.home.actions import IMMEDIATE, Action, Command, Outcome, parse_command
from ironwok.home.broker import Broker
from ironwok.home.config import HomeConfig
from ironwok.home.discovery import discovery_message
from ironwok.home.inputs.codes import Code
from ironwok.home.inputs.remotes import RemoteReader
from ironwok.home.inputs.topics import BemfaTopics, OwnTopics
from ironwok.home.inputs.webhook import Webhook, webhook_tls
from ironwok.home.observer import Belief, Observation
from ironwok.home.room import bemfa_settings, build_room, take_room
from ironwok.home.understanding import Understander, make_understander

log = logging.getLogger(__name__)

# how often the state is looked at for those who follow it, seconds
_STATE_EVERY = 10.0
# words and commands from outside are no longer than this, characters
_MOST_TEXT = 200
# a background task for everything that was said and not waited for
_MOST_TASKS = 32


class Home:
    """The daemon of one room. Made, started and closed inside a running loop.

    understander: None for the one that the configuration names. tell: is told what happens, in words.
    lasting: it runs on, so that timers can be set.
    """

    def __init__(
        self,
        config: HomeConfig,
        *,
        dry_run: bool = False,
        understander: Understander | None = None,
        tell: Callable[[str], None] = lambda line: None,
        lasting: bool = True,
    ) -> None:
        self.config = config
        self._understander = understander or make_understander(config)
        self.tell = tell
        self._lock = take_room(config)
        try:
            self.room = build_room(config)
            self.planner = self.room.planner(dry_run=dry_run, lasting=lasting)
        except BaseException:
            if self._lock is not None:
                self._lock.release()
            raise
        self.planner.listeners.append(self._after)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._readers: list[RemoteReader] = []
        self._brokers: list[Broker] = []
        self._bemfa: BemfaTopics | None = None
        self.webhook: Webhook | None = None
        self._published: str | None = None

    async def start(self) -> None:
        """Begin to listen everywhere. Raises HomeError where a port is taken."""
        config, broker = self.config, self.room.broker
        await self.planner.recover()
        if broker is not None and config.mqtt is not None:
            OwnTopics(broker, config.mqtt.topic, say=self.say, do=self.do)
            broker.on_connect.append(self._introduce)
            self._brokers.append(broker)
            self._spawn(self._follow_state())
        if config.bemfa is not None:
            cloud = Broker(bemfa_settings(config, config.bemfa))
            self._bemfa = BemfaTopics(cloud, config.bemfa.topics, do=self.do)
            self._brokers.append(cloud)
        for one in self._brokers:
            one.start()
        if config.webhook is not None:
            part = config.webhook
            self.webhook = Webhook(
                host=part.host,
                port=part.port,
                token=part.token.get_secret_value(),
                say=lambda text, wait: self.say(text, "webhook", wait=wait),
                do=lambda text, wait: self.do(text, "webhook", wait=wait),
                state=self.state,
                tls=webhook_tls(config, part),
            )
            await self.webhook.start()
            self.tell(f"webhook: {part.host}:{self.webhook.port}")
        for kind, paths in (("lirc", config.remotes.lirc), ("evdev", config.remotes.evdev)):
            for path in paths:
                reader = RemoteReader(config.path(path), kind, self.press, grab=config.remotes.grab)
                reader.start()
                self._readers.append(reader)

    async def close(self) -> None:
        """Stop listening, end what runs safely, and let others into the room."""
        for reader in self._readers:
            await reader.close()
        if self.webhook is not None:
            await self.webhook.close()
        await self.planner.close()
        for task in list(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        broker = self.room.broker
        if broker is not None and self.config.mqtt is not None and not broker.trouble:
            await broker._quietly(f"{self.config.mqtt.topic}/availability", "offline", True)
        for one in self._brokers:
            await one.close()
        self.planner.journal.close()
        if self._lock is not None:
            self._lock.release()

    # ways in

    async def say(self, text: str, origin: str, *, wait: bool = True) -> dict[str, Any]:
        """Understand a sentence and do it. What is unclear is answered and not done. Raises InputError for no text."""
        text = _checked(text)
        # a phrase of the user's own means what the user says
        if (phrase := self.config.phrases.get(text)) is not None:
            return await self._perform(parse_command(phrase, origin=origin), wait)
        understood = await asyncio.to_thread(self._understander.understand, text)
        if understood.command is None:
            self.tell(f"{origin}: {text!r}: {understood.reason}")
            number = self.planner.journal.asked({"text": text, "origin": origin})
            self.planner.journal.note(number, "ended", ending="failed", reason=understood.reason)
            return understood.to_dict()
        command = understood.command
        self.tell(f"{origin}: {text!r}: {command} ({understood.score:.2f})")
        command = Command(command.action, command.steps, command.source, command.minutes, origin)
        return understood.to_dict() | await self._perform(command, wait)

    async def is_urgent(self, text: str) -> bool:
        """Whether a sentence means what is answered at once, whatever else goes on. Raises InputError for no text."""
        text = _checked(text)
        if (phrase := self.config.phrases.get(text)) is not None:
            return parse_command(phrase).action in IMMEDIATE
        understood = await asyncio.to_thread(self._understander.understand, text)
        return understood.command is not None and understood.command.action in IMMEDIATE

    async def do(self, text: str, origin: str, *, wait: bool = True) -> dict[str, Any]:
        """Do a command written as in bindings. Raises InputError where it is none."""
        return await self._perform(parse_command(_checked(text), origin=origin), wait)

    def press(self, code: Code) -> None:
        """A code of a remote. One that is bound to nothing is nobody's business but `learn`'s."""
        text = self.config.bindings.get(code.name)
        if text is None:
            log.info("unknown code %s", code.name)
            return
        self._later(self._perform(parse_command(text, origin=code.name, held=code.held), True))

    async def _perform(self, command: Command, wait: bool) -> dict[str, Any]:
        if wait:
            return (await self.planner.submit(command)).to_dict()
        if not self._later(self.planner.submit(command)):
            return command.to_dict() | {"ending": "failed", "reason": f"{_MOST_TASKS} commands wait already"}
        return command.to_dict() | {"ending": "pending", "reason": "it was taken; the journal says how it ended"}

    # what others are told

    async def state(self) -> dict[str, Any]:
        return state_of(await self.planner.look(), self.planner.scene)

    def _after(self, outcome: Outcome) -> None:
        self.tell(f"{outcome.command}: {outcome.ending}: {outcome.reason}")
        if self._bemfa is not None:
            self._bemfa.follow(outcome)
        if self.config.mqtt is not None:
            self._later(self._publish_state())

    async def _introduce(self) -> None:
        """After every connecting: who we are, and that we are there."""
        broker, part = self.room.broker, self.config.mqtt
        assert broker is not None
        assert part is not None
        if part.discovery:
            topic, payload = discovery_message(
                name=self.config.name,
                topic=part.topic,
                prefix=part.discovery_prefix,
                actions=self.room.actions,
                sources=self.config.projector.sources,
                metered=self.room.plug is not None,
                version=__version__,
            )
            broker.say_later(topic, payload, retain=True)
        broker.say_later(f"{part.topic}/availability", "online", retain=True)
        self._published = None
        await self._publish_state()

    async def _follow_state(self) -> None:
        while True:
            await asyncio.sleep(_STATE_EVERY)
            await self._publish_state()

    async def _publish_state(self) -> None:
        broker, part = self.room.broker, self.config.mqtt
        if broker is None or part is None or broker.trouble:
            return
        payload = json.dumps(await self.state())
        if payload != self._published:
            self._published = payload
            broker.say_later(f"{part.topic}/state", payload, retain=True)

    def _later(self, work: Any) -> bool:
        if len(self._tasks) >= _MOST_TASKS:
            work.close()
            log.warning("%d commands wait already; one more is dropped", len(self._tasks))
            return False
        self._spawn(work)
        return True

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@contextlib.asynccontextmanager
async def running_home(config: HomeConfig, **options: Any) -> AsyncIterator[Home]:
    """A daemon for the time of the block."""
    home = Home(config, **options)
    try:
        await home.start()
        yield home
    finally:
        await home.close()


def state_of(seen: Observation, scene: Action | None) -> dict[str, Any]:
    """For others: power is ON, OFF, or "unknown" where nobody can tell."""
    on = {Belief.RUNNING: "ON", Belief.BUSY: "ON", Belief.IDLE: "OFF", Belief.NO_MAINS: "OFF"}
    record: dict[str, Any] = {"state": str(seen.belief), "power": on.get(seen.belief, "unknown")}
    record["watts"] = None if seen.watts is None else round(seen.watts, 1)
    record["scene"] = None if scene is None else str(scene)
    return record


def _checked(text: str) -> str:
    text = text.strip()
    if not text:
        raise InputError("the text is empty")
    if len(text) > _MOST_TEXT:
        raise InputError(f"the text has {len(text)} characters; {_MOST_TEXT} are taken")
    return text
