"""Ways and plugs by kind: our own, and those of installed packages.

A package offers more by entry points: group ``ironwok.home.ways`` for ways, ``ironwok.home.plugs`` for plugs. What the
entry point names is called as ``factory(name, settings, context)`` and returns a `Way` or a `Plug`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ironwok.errors import ConfigError, MissingExtraError
from ironwok.home.broker import Broker
from ironwok.home.config import Port, Secret, problem_line
from ironwok.home.ways.base import Plug, Way
from ironwok.home.ways.probe import TcpProbe

WAYS_GROUP = "ironwok.home.ways"
PLUGS_GROUP = "ironwok.home.plugs"


@dataclass(frozen=True, slots=True)
class WayContext:
    """What ways share. host: of the projector. folder: where home.toml lies. broker: None without [mqtt]."""

    host: str | None
    folder: Path
    probe: TcpProbe | None = None
    broker: Broker | None = None

    def need_host(self, name: str) -> str:
        if self.host is None:
            raise ConfigError(f"ways.{name} needs projector.host")
        return self.host

    def need_broker(self, name: str) -> Broker:
        if self.broker is None:
            raise ConfigError(f"{name} needs the broker of [mqtt]")
        return self.broker


WayFactory = Callable[[str, dict[str, Any], WayContext], Way]
PlugFactory = Callable[[str, dict[str, Any], WayContext], Plug]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Xgimi(_Settings):
    key_port: Port = 16735
    word_port: Port = 16750
    new_focus: bool = False
    # send even where the probe gets no answer
    blind: bool = False


class _Hid(_Settings):
    device: Path = Path("/dev/hidg0")
    hold: Annotated[float, Field(gt=0, le=1)] = 0.05


class _Uinput(_Settings):
    hold: Annotated[float, Field(gt=0, le=1)] = 0.05


class _Ble(_Settings):
    data: Secret | None = None
    mac: str | None = None
    counter: Annotated[int, Field(ge=0, le=255)] = 1
    adapter: str = "hci0"
    seconds: Annotated[float, Field(gt=0, le=60)] = 4.0
    bus: str | None = None


class _AndroidTv(_Settings):
    folder: Path = Path("android-tv")
    timeout: Annotated[float, Field(gt=0, le=60)] = 3.0


class _Tasmota(_Settings):
    topic: str
    power: str = "POWER"
    timeout: Annotated[float, Field(gt=0, le=10)] = 3.0


class _Zigbee(_Settings):
    device: str
    base: str = "zigbee2mqtt"
    timeout: Annotated[float, Field(gt=0, le=10)] = 3.0


def _pair(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class _Miot(_Settings):
    host: str
    token: Secret
    port: Port = 54321
    model: str | None = None
    switch: Annotated[tuple[int, int] | None, BeforeValidator(_pair)] = None
    power: Annotated[tuple[int, int] | None, BeforeValidator(_pair)] = None
    scale: Annotated[float, Field(gt=0)] | None = None
    timeout: Annotated[float, Field(gt=0, le=5)] = 1.5


def make_way(name: str, kind: str, settings: dict[str, Any], context: WayContext) -> Way:
    """Make a way of [ways]. Raises ConfigError for an unknown kind or settings that it cannot use."""
    return _made(name, kind, settings, context, WAYS, WAYS_GROUP, Way, f"ways.{name}")


def make_plug(kind: str, settings: dict[str, Any], context: WayContext, *, name: str = "plug") -> Plug:
    """Make the plug of [plug]. Raises ConfigError."""
    return _made(name, kind, settings, context, PLUGS, PLUGS_GROUP, Plug, "plug")


def _made(
    name: str,
    kind: str,
    settings: dict[str, Any],
    context: WayContext,
    built_in: Mapping[str, Callable[[str, dict[str, Any], WayContext], Any]],
    group: str,
    protocol: Any,
    where: str,
) -> Any:
    factory = built_in.get(kind)
    if factory is None:
        plugins = {entry.name: entry for entry in entry_points(group=group)}
        if kind not in plugins:
            raise ConfigError(
                f"{where}: there is no kind {kind!r}; there are {', '.join(sorted({*built_in, *plugins}))}"
            )
        factory = plugins[kind].load()
    assert factory is not None
    try:
        made = factory(name, settings, context)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False)
        raise ConfigError(f"{where} (kind {kind}): {'; '.join(map(problem_line, problems))}") from None
    except ConfigError as error:
        named = str(error).startswith(where)
        raise ConfigError(str(error) if named else f"{where}: {error}") from error
    if not isinstance(made, protocol):
        raise ConfigError(f"{where}: the kind {kind!r} made a {type(made).__name__}, which is no {protocol.__name__}")
    return made


def _need(module: str, feature: str) -> None:
    """Say at the start that a part is missing, not in the middle of a scene. Raises MissingExtraError."""
    try:
        import_module(module)
    except ImportError:
        raise MissingExtraError("home", feature=feature) from None


def _xgimi(name: str, settings: dict[str, Any], context: WayContext) -> Way:
    from ironwok.home.ways.xgimi import XgimiLan

    chosen = _Xgimi(**settings)
    return XgimiLan(
        context.need_host(name),
        name=name,
        key_port=chosen.key_port,
        word_port=chosen.word_port,
        new_focus=chosen.new_focus,
        probe=None if chosen.blind else context.probe,
    )


def _hid(name: str, settings: dict[str, Any], context: WayContext) -> Way:
    from ironwok.home.ways.hid import HidGadget

    chosen = _Hid(**settings)
    return HidGadget(context.folder / chosen.device, name=name, hold=chosen.hold)


def _uinput(name: str, settings: dict[str, Any], context: WayContext) -> Way:
    from ironwok.home.ways.hid import Uinput

    _need("evdev", "a keyboard through uinput")
    return Uinput(name=name, hold=_Uinput(**settings).hold)


def _ble(name: str, settings: dict[str, Any], context: WayContext) -> Way:
    from ironwok.home.ways.ble import BleWake, parse_token, token_of

    _need("dbus_fast", "power on over Bluetooth")
    chosen = _Ble.model_validate(settings, context={"folder": context.folder})
    if (chosen.data is None) == (chosen.mac is None):
        raise ConfigError(f"ways.{name}: give data (what a sniffer shows) or mac (the projector's Bluetooth address)")
    if chosen.data is not None:
        data = parse_token(chosen.data.get_secret_value())
    else:
        assert chosen.mac is not None
        data = token_of(chosen.mac, counter=chosen.counter)
    return BleWake(data, name=name, adapter=chosen.adapter, seconds=chosen.seconds, bus=chosen.bus)


def _android_tv(name: str, settings: dict[str, Any], context: WayContext) -> Way:
    from ironwok.home.ways.android_tv import AndroidTv

    _need("androidtvremote2", "the Android TV remote")
    chosen = _AndroidTv(**settings)
    return AndroidTv(context.need_host(name), context.folder / chosen.folder, name=name, timeout=chosen.timeout)


def _tasmota(name: str, settings: dict[str, Any], context: WayContext) -> Plug:
    from ironwok.home.ways.mqtt_plugs import TasmotaPlug

    chosen = _Tasmota(**settings)
    broker = context.need_broker("plug (tasmota)")
    return TasmotaPlug(broker, chosen.topic, power=chosen.power, name=name, timeout=chosen.timeout)


def _zigbee(name: str, settings: dict[str, Any], context: WayContext) -> Plug:
    from ironwok.home.ways.mqtt_plugs import ZigbeePlug

    chosen = _Zigbee(**settings)
    broker = context.need_broker("plug (zigbee2mqtt)")
    return ZigbeePlug(broker, chosen.device, base=chosen.base, name=name, timeout=chosen.timeout)


def _miot(name: str, settings: dict[str, Any], context: WayContext) -> Plug:
    from ironwok.home.ways.miot import SPECS, MiotPlug, PlugSpec, parse_token

    _need("cryptography", "a MIoT plug")
    chosen = _Miot.model_validate(settings, context={"folder": context.folder})
    if chosen.model is not None and chosen.model not in SPECS:
        known = ", ".join(SPECS)
        raise ConfigError(f"plug: model {chosen.model!r} is not known ({known}); give switch and power instead")
    spec = SPECS.get(chosen.model or "", PlugSpec())
    spec = PlugSpec(chosen.switch or spec.switch, chosen.power or spec.power, chosen.scale or spec.scale)
    token = parse_token(chosen.token.get_secret_value())
    return MiotPlug(chosen.host, token, spec, name=name, port=chosen.port, timeout=chosen.timeout)


WAYS: dict[str, WayFactory] = {
    "xgimi": _xgimi,
    "hid": _hid,
    "uinput": _uinput,
    "ble": _ble,
    "android_tv": _android_tv,
}
PLUGS: dict[str, PlugFactory] = {"miot": _miot, "tasmota": _tasmota, "zigbee2mqtt": _zigbee}

__all__ = ["PLUGS", "WAYS", "WayContext", "make_plug", "make_way"]
