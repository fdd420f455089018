"""``home.toml``: what there is in the room, and how it is to be used. Unknown keys are errors."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
)

from ironwok.errors import ConfigError
from ironwok.home.actions import Action, Command, parse_command

SHORTEST_TOKEN = 16


def _secret(value: Any, info: ValidationInfo) -> Any:
    """``env:NAME`` and ``file:PATH`` stand for what is there, so that secrets need not be in the file.

    Paths start at the "folder" of the context of validation, where home.toml lies.
    """
    if not isinstance(value, str):
        return value
    kind, _, rest = value.partition(":")
    if kind == "env":
        if rest not in os.environ:
            raise ValueError(f"there is no environment variable {rest}")
        return os.environ[rest]
    if kind == "file":
        try:
            folder: Path = (info.context or {}).get("folder", Path())
            return (folder / Path(rest).expanduser()).read_text(encoding="utf-8").strip()
        except UnicodeDecodeError:
            raise ValueError(f"{rest} is no text") from None
        except OSError as error:
            raise ValueError(f"{rest}: {error.strerror or error}") from None
    return value


def _topic(text: str) -> str:
    if not text or re.search(r"[+#\x00]", text) or text.startswith(("/", "$")) or text.endswith("/"):
        raise ValueError(f"{text!r} is no topic to publish on; give words with / between them, without + and #")
    return text


def _command(text: str) -> str:
    # its InputError is a ValueError, which is what pydantic wants
    parse_command(text)
    return text


Secret = Annotated[SecretStr, BeforeValidator(_secret)]
CommandText = Annotated[str, AfterValidator(_command)]
Topic = Annotated[str, AfterValidator(_topic)]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=3600)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProjectorPart(_Part):
    """host: name or address, None where no way needs the network. probe_port: 0 for none."""

    host: str | None = None
    probe_port: Annotated[int, Field(ge=0, le=65535)] = 554
    sources: tuple[str, ...] = ()


class OpenPart(BaseModel):
    """A way or a plug: its kind, and settings that the kind checks."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str

    @property
    def settings(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})


class ScenesPart(_Part):
    off_seconds: Seconds = 10.0
    wake_seconds: Seconds = 20.0
    boot_seconds: Seconds = 120.0
    react_seconds: Seconds = 10.0
    stop_seconds: Seconds = 180.0
    look_seconds: Seconds = 2.0
    cycles: Annotated[int, Field(ge=1, le=5)] = 2
    cut_when_off: bool = True


class MainsPart(_Part):
    idle_watts: Annotated[float, Field(gt=0, le=50)] = 5.0
    idle_seconds: Annotated[float, Field(ge=0, le=3600)] = 10.0
    readings: Annotated[int, Field(ge=2, le=100)] = 4
    settle_seconds: Annotated[float, Field(ge=0, le=3600)] = 20.0
    unmetered: bool = False


class LimitsPart(_Part):
    debounce: Annotated[float, Field(ge=0, le=60)] = 1.0
    repeat_debounce: Annotated[float, Field(ge=0, le=60)] = 0.08
    per_second: Annotated[float, Field(gt=0, le=100)] = 8.0
    burst: Annotated[float, Field(ge=20, le=1000)] = 24.0


class MqttPart(_Part):
    """topic: below it lie set, say, answer, state and availability. discovery: let Home Assistant find us."""

    host: str
    port: Port = 1883
    username: str | None = None
    password: Secret | None = None
    tls: bool = False
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    topic: Topic = "ironwok/projector"
    discovery: bool = True
    discovery_prefix: Topic = "homeassistant"


class BemfaTopic(_Part):
    """What a topic's messages do. A message such as ``on#80`` counts by what is before the #."""

    on: CommandText = "power_on"
    off: CommandText = "power_off"
    pause: CommandText | None = None


class BemfaPart(_Part):
    """Bemfa's cloud: the user's key is the MQTT client id, and whoever has it has the devices."""

    uid: Secret
    host: str = "bemfa.com"
    port: Port = 9503
    tls: bool = True
    ca: Path | None = None
    topics: dict[Topic, BemfaTopic]


class WebhookPart(_Part):
    """Bound to this machine alone unless host says otherwise. certificate, key: for HTTPS."""

    host: str = "127.0.0.1"
    port: Port = 8737
    token: Secret
    certificate: Path | None = None
    key: Path | None = None


class RemotesPart(_Part):
    """lirc: character devices of infrared receivers. evdev: input devices; grab keeps their keys from the console."""

    lirc: tuple[Path, ...] = ()
    evdev: tuple[Path, ...] = ()
    grab: bool = True


class UnderstandingPart(_Part):
    """engine: student (small and fast), classifier (zero-shot, needs a model), both: act only where they agree.

    threshold: least probability to act on. margin: two intents closer than this are asked back.
    """

    engine: Literal["student", "classifier", "both"] = "student"
    model: str = "ironwok-small"
    threshold: Annotated[float, Field(gt=0, lt=1)] | None = None
    margin: Annotated[float, Field(ge=0, lt=1)] | None = None


class HomeConfig(_Part):
    """The whole file. folder: where it lies; paths in it start there."""

    name: str = "Projector"
    journal: Path | None = Path("journal.jsonl")
    projector: ProjectorPart = ProjectorPart()
    ways: dict[str, OpenPart] = {}
    plug: OpenPart | None = None
    order: dict[str, tuple[str, ...]] = {}
    scenes: ScenesPart = ScenesPart()
    mains: MainsPart = MainsPart()
    limits: LimitsPart = LimitsPart()
    mqtt: MqttPart | None = None
    bemfa: BemfaPart | None = None
    webhook: WebhookPart | None = None
    remotes: RemotesPart = RemotesPart()
    bindings: dict[str, CommandText] = {}
    phrases: dict[str, CommandText] = {}
    understanding: UnderstandingPart = UnderstandingPart()
    folder: Annotated[Path, Field(exclude=True)] = Path()

    def path(self, path: Path) -> Path:
        return self.folder / path.expanduser()

    @property
    def lock_path(self) -> Path | None:
        """Held by the one program that acts for this room."""
        return None if self.journal is None else self.path(self.journal).with_suffix(".lock")

    def command(self, text: str, *, origin: str, held: bool = False) -> Command:
        return parse_command(text, origin=origin, held=held)


def load_home(path: Path | str) -> HomeConfig:
    """Read ``home.toml``. Raises ConfigError that names every wrong key, and never shows a secret."""
    path = Path(path)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        hint = "; ironwok home simulate writes one to try" if isinstance(error, FileNotFoundError) else ""
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}{hint}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no TOML: {error}") from error
    return home_of(data, source=str(path), folder=path.absolute().parent)


def home_of(data: dict[str, Any], *, source: str = "home", folder: Path | None = None) -> HomeConfig:
    """The configuration in a table. Raises ConfigError."""
    if "folder" in data:
        raise ConfigError(f"{source}: folder: unknown key")
    try:
        home = HomeConfig.model_validate({**data, "folder": folder or Path()}, context={"folder": folder or Path()})
    except ValidationError as error:
        raise ConfigError("\n".join(f"{source}: {line}" for line in _problems(error))) from None
    _check(home, source)
    return home


def _problems(error: ValidationError) -> list[str]:
    return [problem_line(problem) for problem in error.errors(include_input=False, include_url=False)]


def problem_line(problem: Mapping[str, Any]) -> str:
    """One problem of pydantic's in the words of a TOML file."""
    words = {"extra_forbidden": "unknown key", "missing": "this key is needed"}
    message = words.get(problem["type"], problem["msg"].removeprefix("Value error, "))
    return f"{'.'.join(map(str, problem['loc']))}: {message}"


def _check(home: HomeConfig, source: str) -> None:
    """What concerns several keys."""
    actions = set(Action)
    for name, ways in home.order.items():
        if name != "default" and name not in actions:
            raise ConfigError(f"{source}: order.{name}: there is no such action; use default or {', '.join(Action)}")
        for way in ways:
            if way not in home.ways:
                raise ConfigError(f"{source}: order.{name}: there is no way {way!r} in [ways]")
    webhook = home.webhook
    if webhook is not None:
        if len(webhook.token.get_secret_value()) < SHORTEST_TOKEN:
            hint = "make one with: openssl rand -hex 24"
            raise ConfigError(f"{source}: webhook.token is shorter than {SHORTEST_TOKEN} characters; {hint}")
        if (webhook.certificate is None) != (webhook.key is None):
            raise ConfigError(f"{source}: webhook: certificate and key go together")
    mqtt = home.mqtt
    if mqtt is not None and not mqtt.tls and (mqtt.ca or mqtt.certificate or mqtt.key):
        raise ConfigError(f"{source}: mqtt: ca, certificate and key do nothing without tls = true")
    if mqtt is not None and mqtt.key is not None and mqtt.certificate is None:
        raise ConfigError(f"{source}: mqtt: a key needs its certificate")
    for where in ("bindings", "phrases"):
        for key, text in getattr(home, where).items():
            source_name = parse_command(text).source
            if source_name and home.projector.sources and source_name not in home.projector.sources:
                known = ", ".join(home.projector.sources)
                raise ConfigError(f"{source}: {where}.{key}: there is no source {source_name!r}; there are {known}")
