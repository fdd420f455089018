"""One connection to an MQTT broker, kept up: subscriptions survive a restart of the broker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ironwok.errors import ConfigError, MissingExtraError, WayError

log = logging.getLogger(__name__)

# Longest message that is looked at; ours are a tenth of it. Bytes.
MOST_PAYLOAD = 4096
# messages that may wait for a handler; a flood is dropped, not hoarded
_MOST_QUEUED = 256


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """Where the broker is. password and client_id are secrets and not shown.

    tls: encrypt; ca: file with the authority to trust, None for the system's. certificate, key: of this client.
    """

    host: str
    port: int = 1883
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    client_id: str | None = field(default=None, repr=False)
    tls: bool = False
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    keepalive: int = 30

    def tls_context(self) -> ssl.SSLContext | None:
        """Raises ConfigError for a file that cannot be read or holds something else."""
        if not self.tls:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except OSError as error:
            raise ConfigError(f"mqtt.ca: {self.ca}: {error.strerror or error}") from error
        if self.certificate is not None:
            try:
                context.load_cert_chain(self.certificate, self.key)
            except OSError as error:
                files = " and ".join(str(path) for path in (self.certificate, self.key) if path is not None)
                raise ConfigError(f"mqtt.certificate: {files}: {error.strerror or error}") from error
        return context


@dataclass(frozen=True, slots=True)
class BrokerMessage:
    """A message that arrived. retained: it is old, the broker kept it."""

    topic: str
    payload: bytes
    retained: bool

    @property
    def text(self) -> str:
        return self.payload.decode("utf-8", "replace")


Handler = Callable[[BrokerMessage], None]


class Broker:
    """Connects, reconnects, delivers. Handlers are plain functions and return at once.

    will: topic and payload that the broker publishes, retained, when we are gone. on_connect: called, in a task of its
    own, after every connecting, to publish what others must know. Raises ConfigError for certificates that are none.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        *,
        will: tuple[str, str] | None = None,
        retry: float = 2.0,
        most_payload: int = MOST_PAYLOAD,
    ) -> None:
        self.settings = settings
        self._tls = settings.tls_context()
        self.on_connect: list[Callable[[], Any]] = []
        self._will = will
        self._retry = retry
        self._most_payload = most_payload
        self._handlers: dict[str, list[Handler]] = {}
        self._client: Any = None
        self._task: asyncio.Task[None] | None = None
        self._up = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.trouble = "not connected yet"

    def start(self) -> None:
        """Begin to connect, in the background, for ever. Raises MissingExtraError."""
        _aiomqtt()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"mqtt {self.settings.host}")

    async def ready(self, timeout: float) -> bool:
        """Wait until it is connected, at most this many seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._up.wait(), timeout)
        return self._up.is_set()

    def listen(self, topic: str, handler: Handler) -> None:
        """Have a handler called for a topic filter, now and after every reconnecting."""
        known = topic in self._handlers
        self._handlers.setdefault(topic, []).append(handler)
        if self._client is not None and not known:
            self._spawn(self._subscribe(topic))

    def unlisten(self, topic: str, handler: Handler) -> None:
        self._handlers[topic].remove(handler)

    async def publish(self, topic: str, payload: str, *, retain: bool = False, timeout: float = 2.0) -> None:
        """Publish with the broker's acknowledgement (QoS 1). Raises WayError: what it raised for may still arrive."""
        client = self._client
        if client is None:
            raise WayError(f"no connection to the MQTT broker {self.settings.host}: {self.trouble}")
        try:
            await client.publish(topic, payload, qos=1, retain=retain, timeout=timeout)
        except _aiomqtt().MqttError as error:
            raise WayError(f"the MQTT broker {self.settings.host} did not take a message: {error}") from error

    async def close(self) -> None:
        for task in [*self._tasks, *([self._task] if self._task else [])]:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._task = None

    def say_later(self, topic: str, payload: str, *, retain: bool = False) -> None:
        """Publish in the background; what cannot be delivered is only logged."""
        self._spawn(self._quietly(topic, payload, retain))

    async def _quietly(self, topic: str, payload: str, retain: bool) -> None:
        try:
            await self.publish(topic, payload, retain=retain)
        except WayError as error:
            log.warning("%s was not told: %s", topic, error)

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self) -> None:
        aiomqtt = _aiomqtt()
        settings = self.settings
        while True:
            try:
                async with self._make_client() as client:
                    self._client = client
                    self.trouble = ""
                    for topic in list(self._handlers):
                        await client.subscribe(topic, qos=1)
                    self._up.set()
                    log.info("connected to the MQTT broker %s:%d", settings.host, settings.port)
                    for hook in self.on_connect:
                        self._spawn(hook())
                    async for message in client.messages:
                        self._deliver(message)
            except (aiomqtt.MqttError, OSError) as error:
                trouble = str(error) or type(error).__name__
                if trouble != self.trouble:
                    log.warning("MQTT broker %s:%d: %s", settings.host, settings.port, trouble)
                self.trouble = trouble
            finally:
                self._client = None
                self._up.clear()
            await asyncio.sleep(self._retry)

    def _make_client(self) -> Any:
        aiomqtt = _aiomqtt()
        settings = self.settings
        return aiomqtt.Client(
            settings.host,
            settings.port,
            username=settings.username,
            password=settings.password,
            identifier=settings.client_id,
            tls_context=self._tls,
            keepalive=settings.keepalive,
            timeout=5.0,
            will=None if self._will is None else aiomqtt.Will(self._will[0], self._will[1], qos=1, retain=True),
            max_queued_incoming_messages=_MOST_QUEUED,
        )

    def _deliver(self, message: Any) -> None:
        topic = str(message.topic)
        payload = message.payload if isinstance(message.payload, bytes) else b""
        if len(payload) > self._most_payload:
            log.warning("%s: a message of %d bytes is over the %d allowed", topic, len(payload), self._most_payload)
            return
        delivered = BrokerMessage(topic, payload, bool(message.retain))
        for pattern, handlers in list(self._handlers.items()):
            if message.topic.matches(pattern):
                for handler in list(handlers):
                    try:
                        handler(delivered)
                    except Exception:
                        # Whoever may publish on this topic must not be able to end the connection for everybody.
                        log.exception("%s: a message of %d bytes could not be handled", topic, len(payload))

    async def _subscribe(self, topic: str) -> None:
        try:
            await self._client.subscribe(topic, qos=1)
        except (_aiomqtt().MqttError, AttributeError) as error:
            # the connection broke meanwhile; the next one subscribes to everything
            log.debug("subscribing to %s waits for the next connection: %s", topic, error)


def _aiomqtt() -> Any:
    try:
        import aiomqtt
    except ImportError:
        raise MissingExtraError("home", feature="MQTT") from None
    return aiomqtt
