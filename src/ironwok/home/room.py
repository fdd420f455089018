"""Builds the parts of one room from its configuration, and keeps everybody else out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from ironwok.errors import ConfigError, OutputError, RoomTakenError
from ironwok.home.actions import Action
from ironwok.home.broker import Broker, BrokerSettings
from ironwok.home.config import BemfaPart, HomeConfig, MqttPart
from ironwok.home.journal import Journal
from ironwok.home.limits import Limits
from ironwok.home.mains import MainsSettings
from ironwok.home.planner import Planner, PlannerSettings
from ironwok.home.scenes import SceneSettings
from ironwok.home.ways.base import Plug, Way
from ironwok.home.ways.probe import TcpProbe
from ironwok.home.ways.registry import WayContext, make_plug, make_way


@dataclass(slots=True)
class Room:
    """The parts of one room. broker: of [mqtt], None without it."""

    config: HomeConfig
    ways: Sequence[Way]
    plug: Plug | None
    probe: TcpProbe | None
    broker: Broker | None

    @property
    def actions(self) -> set[Action]:
        """What the ways out know, and what the planner answers itself."""
        from ironwok.home.actions import Command

        def known(way: Way, action: Action) -> bool:
            source = self.config.projector.sources[0] if self.config.projector.sources else "HDMI1"
            return way.can(Command(action, source=source if action is Action.SOURCE else None))

        able = {action for action in Action for way in self.ways if known(way, action)}
        return able | {Action.CANCEL, Action.STATUS} | ({Action.POWER_ON} if self.plug is not None else set())

    def planner(self, *, dry_run: bool = False, lasting: bool = True) -> Planner:
        """A planner with the settings of the file. A dry run keeps no journal. lasting: it may set timers."""
        config = self.config
        journal_path = None if dry_run or config.journal is None else config.path(config.journal)
        settings = PlannerSettings(
            order=config.order.get("default", ()),
            order_of={Action(name): ways for name, ways in config.order.items() if name != "default"},
            sources=config.projector.sources,
            scenes=SceneSettings(**config.scenes.model_dump()),
            mains=MainsSettings(**config.mains.model_dump()),
        )
        return Planner(
            ways=self.ways,
            plug=self.plug,
            probe=self.probe,
            settings=settings,
            journal=Journal(journal_path),
            limits=Limits(**config.limits.model_dump()),
            dry_run=dry_run,
            lasting=lasting,
        )


def build_room(config: HomeConfig) -> Room:
    """Make ways, plug and probe. To be called inside a running loop. Raises ConfigError."""
    projector = config.projector
    probe = None
    if projector.host is not None and projector.probe_port:
        probe = TcpProbe(projector.host, port=projector.probe_port)
    broker = None
    if config.mqtt is not None:
        broker = Broker(broker_settings(config, config.mqtt), will=(f"{config.mqtt.topic}/availability", "offline"))
    context = WayContext(projector.host, config.folder, probe, broker)
    ways = [make_way(name, part.kind, part.settings, context) for name, part in config.ways.items()]
    plug = None if config.plug is None else make_plug(config.plug.kind, config.plug.settings, context)
    if not ways and plug is None:
        raise ConfigError("there is neither a way in [ways] nor a [plug]: nothing could be done")
    return Room(config, ways, plug, probe, broker)


def broker_settings(config: HomeConfig, part: MqttPart) -> BrokerSettings:
    def path(name: Path | None) -> Path | None:
        return None if name is None else config.path(name)

    return BrokerSettings(
        part.host,
        part.port,
        username=part.username,
        password=None if part.password is None else part.password.get_secret_value(),
        tls=part.tls,
        ca=path(part.ca),
        certificate=path(part.certificate),
        key=path(part.key),
    )


def bemfa_settings(config: HomeConfig, part: BemfaPart) -> BrokerSettings:
    uid = part.uid.get_secret_value()
    ca = None if part.ca is None else config.path(part.ca)
    return BrokerSettings(part.host, part.port, client_id=uid, tls=part.tls, ca=ca)


def take_room(config: HomeConfig) -> FileLock | None:
    """Be the one program that acts for this room: two planners would know nothing of each other's scenes.

    Returns the lock, to be released at the end; None where there is no journal to lie beside.
    Raises RoomTakenError where another program has it, OutputError where the lock cannot be made.
    """
    path = config.lock_path
    if path is None:
        return None
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except OSError as error:
        # Timeout is one too
        if not isinstance(error, Timeout):
            raise OutputError(f"the journal cannot lie in {path.parent}: {error.strerror or error}") from error
        raise RoomTakenError(f"another program acts for this room ({path} is locked)") from None
    return lock
