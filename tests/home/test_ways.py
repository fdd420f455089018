"""Ways out against what their protocols say: payloads, packets, advertisements, keys."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import sys

import pytest

from ironwok.errors import ConfigError, MissingExtraError, WayError
from ironwok.home.actions import Action, Command
from ironwok.home.broker import Broker, BrokerSettings
from ironwok.home.simulator.network import Ports, RoomOnSockets
from ironwok.home.simulator.world import PlugModel, Power, ProjectorModel
from ironwok.home.ways.android_tv import AndroidTv, key_of
from ironwok.home.ways.base import Plug, Way
from ironwok.home.ways.ble import BleWake, parse_token, token_of
from ironwok.home.ways.miot import HELLO, MiotPlug, Packet, PlugSpec, decode_packet, encode_packet
from ironwok.home.ways.miot import parse_token as miot_token
from ironwok.home.ways.probe import TcpProbe
from ironwok.home.ways.registry import WayContext, make_plug, make_way
from ironwok.home.ways.xgimi import XgimiLan, word_payload

# XGIMI, as the specification of this job lists the datagrams
DOCUMENTED = {
    Action.POWER_OFF: b"KEYPRESSES:30",
    Action.VOLUME_UP: b"KEYPRESSES:115",
    Action.VOLUME_DOWN: b"KEYPRESSES:114",
    Action.MUTE: b"KEYPRESSES:113",
    Action.OK: b"KEYPRESSES:49",
    Action.PLAY_PAUSE: b"KEYPRESSES:49",
    Action.BACK: b"KEYPRESSES:48",
    Action.HOME: b"KEYPRESSES:35",
    Action.MENU: b"KEYPRESSES:139",
    Action.UP: b"KEYPRESSES:36",
    Action.DOWN: b"KEYPRESSES:38",
    Action.LEFT: b"KEYPRESSES:50",
    Action.RIGHT: b"KEYPRESSES:37",
    Action.FOCUS: b"KEYPRESSES:2099",
}


def receive(send, *, count=1):
    """What a UDP socket gets while an async function sends to its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(5)
        asyncio.run(send(listener.getsockname()[1]))
        return [listener.recv(4096) for _ in range(count)]


@pytest.mark.parametrize("action", sorted(DOCUMENTED))
def test_the_datagram_on_the_wire_is_the_documented_one(action):
    async def send(port):
        way = XgimiLan("127.0.0.1", key_port=port)
        await way.send(Command(action))
        await way.close()

    assert receive(send) == [DOCUMENTED[action]]


def test_newer_optics_take_another_code_for_focus():
    async def send(port):
        way = XgimiLan("127.0.0.1", key_port=port, new_focus=True)
        await way.send(Command(Action.FOCUS))
        await way.close()

    assert receive(send) == [b"KEYPRESSES:2103"]


def test_a_source_is_a_word_in_json_on_the_other_port():
    async def send(port):
        way = XgimiLan("127.0.0.1", word_port=port)
        await way.send(Command(Action.SOURCE, source="HDMI 2"))
        await way.close()

    (datagram,) = receive(send)
    assert json.loads(datagram) == {
        "action": 20000,
        "controlCmd": {"data": "HDMI2", "delayTime": 0, "mode": 5, "time": 0, "type": 0},
        "msgid": "2",
    }
    assert "影院".encode() in word_payload("影院")


def test_no_action_of_power_on_goes_by_udp():
    assert not XgimiLan("127.0.0.1").can(Command(Action.POWER_ON))


def test_nothing_is_sent_to_a_projector_that_does_not_answer():
    way = XgimiLan("127.0.0.1", probe=TcpProbe("127.0.0.1", port=9))
    with pytest.raises(WayError, match="does not answer on port 9"):
        asyncio.run(way.send(Command(Action.MUTE)))
    assert not asyncio.run(way.check()).works


def test_a_name_that_does_not_resolve_is_a_way_that_fails(monkeypatch):
    async def send():
        loop = asyncio.get_running_loop()

        async def nowhere(*_, **__):
            raise socket.gaierror(-2, "Name or service not known")

        monkeypatch.setattr(loop, "getaddrinfo", nowhere)
        await XgimiLan("projector.invalid").send(Command(Action.MUTE))

    with pytest.raises(WayError, match="Name or service not known"):
        asyncio.run(send())


# MIoT

TOKEN = bytes(range(16))
# made by python-miio 0.5.12 (miio.protocol.Message) with this token
PYTHON_MIIO = bytes.fromhex(
    "213100600000000001020304000003e81ad4854d9ddac60914a0747841fa976118d09341fd37a0c733f0a3d43670b36b"
    "85a52f9abf0ba4f83735a49c142fe8b9646aca262db84274d3761a4006dfa65602dcf030bed04a7e9691cbb21db919e0"
)


def test_packets_are_those_of_python_miio():
    packet = Packet(0x01020304, 1000, b'{"id": 7, "method": "get_properties", "params": []}\x00')
    assert encode_packet(packet, TOKEN) == PYTHON_MIIO
    assert decode_packet(PYTHON_MIIO, TOKEN) == packet


def test_the_greeting_is_the_documented_one():
    assert HELLO.hex() == "21310020" + "ff" * 28


@pytest.mark.parametrize(
    ("datagram", "problem"),
    [
        (b"", "no miIO packet"),
        (PYTHON_MIIO[:31], "no miIO packet"),
        (PYTHON_MIIO[:-16], "no miIO packet"),
        (b"\x00" + PYTHON_MIIO[1:], "no miIO packet"),
        (PYTHON_MIIO[:-1] + b"\x00", "checksum"),
    ],
)
def test_damaged_packets_are_refused(datagram, problem):
    with pytest.raises(WayError, match=problem):
        decode_packet(datagram, TOKEN)


def test_another_token_is_noticed():
    with pytest.raises(WayError, match="token"):
        decode_packet(PYTHON_MIIO, bytes(16))


def with_plug(scenario, **plug):
    """Run a scenario on a simulated MIoT plug in front of a running projector."""

    async def main():
        from random import Random

        loop = asyncio.get_running_loop()
        model = PlugModel(ProjectorModel(loop.time, Random(0), power=Power.RUNNING), **plug)
        room = RoomOnSockets(model.projector, model, TOKEN, ports=Ports(0, 0, 0, 0))
        await room.start()
        way = MiotPlug("127.0.0.1", TOKEN, PlugSpec(power=(11, 2)), port=room.ports.plug, timeout=0.2)
        try:
            return await scenario(way, model, room)
        finally:
            await room.close()

    return asyncio.run(main())


def test_a_miot_plug_reads_and_switches():
    async def scenario(plug, model, room):
        before = await plug.read()
        await plug.switch(False)
        return before, await plug.read()

    before, after = with_plug(scenario)
    assert (before.on, before.watts) == (True, 95.0)
    assert (after.on, after.watts) == (False, 0.0)


def test_off_is_sent_once_even_to_a_plug_that_does_not_answer():
    async def scenario(plug, model, room):
        await plug.read()
        model.offline = True
        with pytest.raises(WayError, match="does not answer"):
            await plug.switch(False)
        model.offline = False
        await asyncio.sleep(0.3)
        return model.switched

    assert with_plug(scenario) == []


def test_a_stranger_does_not_speak_for_the_plug():
    """Somebody else in the network, with the token even, answers that nothing runs: from another port."""
    forged = []

    async def scenario(plug, model, room):
        real = room._plug_asked

        def answered_by_a_stranger(data, answer):
            def forge(packet):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                    stranger.sendto(packet, callers[0])
                forged.append(packet)

            real(data, forge)

        callers = []
        (protocol,) = (
            one
            for one in (getattr(part, "get_protocol", lambda: None)() for part in room._open)
            if getattr(one, "_heard", None) == real
        )
        received = protocol.datagram_received
        protocol._heard = answered_by_a_stranger
        protocol.datagram_received = lambda data, addr: (callers.insert(0, addr), received(data, addr))
        with pytest.raises(WayError, match="does not answer"):
            await plug.read()

    with_plug(scenario)
    assert forged


def test_a_plug_without_the_meter_that_it_should_have_is_no_reading():
    async def scenario(plug, model, room):
        with pytest.raises(WayError, match="does not say its power"):
            await plug.read()

    with_plug(scenario, metered=False)


def test_a_plug_that_was_restarted_is_greeted_again():
    async def scenario(plug, model, room):
        await plug.read()
        plug._session.stamp, plug._session.device = 5, 6
        model.offline = True
        asyncio.get_running_loop().call_later(0.1, setattr, model, "offline", False)
        return await plug.read()

    assert with_plug(scenario).on


def test_a_token_has_32_digits():
    assert miot_token("00" * 15 + "Ff") == bytes(15) + b"\xff"
    with pytest.raises(ConfigError, match="32 hexadecimal digits"):
        miot_token("abc")


# Bluetooth


def test_the_token_of_an_address():
    token = token_of("11:22:33:44:55:66", counter=0x0A)
    assert token.hex().upper() == "0A" + "665544332211" + "FFFFFF" + "3043524B544D"
    with pytest.raises(ConfigError, match="six pairs"):
        token_of("11:22")


@pytest.mark.parametrize("text", ["0A 66 FF", "0x0A66FF", "0a:66:ff"])
def test_data_as_sniffers_print_them(text):
    assert parse_token(text) == b"\x0a\x66\xff"


@pytest.mark.parametrize("text", ["", "0A6", "xyz", "00" * 25])
def test_data_that_are_none_or_do_not_fit_are_refused(text):
    with pytest.raises(ConfigError, match="1 to 24 bytes"):
        parse_token(text)


@pytest.fixture
def bus(tmp_path):
    """A D-Bus of our own, where a BlueZ of our own will be."""
    program = shutil.which("dbus-daemon")
    if program is None:
        pytest.skip("needs dbus-daemon: apt-get install dbus-daemon")
    config = tmp_path / "bus.conf"
    config.write_text(
        f"<busconfig><type>custom</type><listen>unix:path={tmp_path}/bus</listen><auth>EXTERNAL</auth>"
        '<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow own="*"/>'
        '<allow receive_sender="*"/><allow user="*"/></policy></busconfig>'
    )
    process = subprocess.Popen(
        [program, f"--config-file={config}", "--print-address=1"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.terminate()
    process.wait(10)
    process.stdout.close()


def test_the_advertisement_is_that_of_the_remote(bus):
    """A BlueZ that only writes down what it is asked to advertise."""
    from dbus_fast.aio import MessageBus
    from dbus_fast.service import ServiceInterface, dbus_method

    class Manager(ServiceInterface):
        def __init__(self, own):
            super().__init__("org.bluez.LEAdvertisingManager1")
            self.own = own
            self.sender = ""
            self.log = []

        @dbus_method()
        async def RegisterAdvertisement(self, path: "o", options: "a{sv}"):  # noqa: F722, F821, UP037
            self.log.append(("registered", path))

        @dbus_method()
        def UnregisterAdvertisement(self, path: "o"):  # noqa: F821, UP037
            self.log.append(("unregistered", path))

    async def main():
        own = await MessageBus(bus_address=bus).connect()
        manager = Manager(own)
        own.export("/org/bluez/hci0", manager)
        await own.request_name("org.bluez")
        way = BleWake(token_of("11:22:33:44:55:66"), seconds=1.0, bus=bus)
        sending = asyncio.ensure_future(way.send(Command(Action.POWER_ON)))
        while not manager.log and not sending.done():
            await asyncio.sleep(0.01)
        if sending.done():
            sending.result()
        # read the advertisement as BlueZ would, from whoever registered it
        names = await (await bus_itself(own)).call_list_names()
        advertised = None
        for name in names:
            if name.startswith(":") and name != own.unique_name:
                advertised = await properties_of(own, name, manager.log[0][1]) or advertised
        delivery = await sending
        own.disconnect()
        return manager.log, advertised, delivery

    async def bus_itself(own):
        introspection = await own.introspect("org.freedesktop.DBus", "/org/freedesktop/DBus")
        proxy = own.get_proxy_object("org.freedesktop.DBus", "/org/freedesktop/DBus", introspection)
        return proxy.get_interface("org.freedesktop.DBus")

    async def properties_of(own, name, path):
        from dbus_fast import Message, MessageType

        message = Message(
            destination=name,
            path=path,
            interface="org.freedesktop.DBus.Properties",
            member="GetAll",
            signature="s",
            body=["org.bluez.LEAdvertisement1"],
        )
        reply = await own.call(message)
        return reply.body[0] if reply.message_type is MessageType.METHOD_RETURN else None

    log, advertised, delivery = asyncio.run(asyncio.wait_for(main(), 20))
    assert log == [("registered", "/org/ironwok/advertisement"), ("unregistered", "/org/ironwok/advertisement")]
    data = advertised["ManufacturerData"].value
    assert data[0x0046].value == bytes.fromhex("01665544332211FFFFFF3043524B544D")
    assert advertised["LocalName"].value == "Bluetooth 4.0 RC"
    assert advertised["ServiceUUIDs"].value == ["00001812-0000-1000-8000-00805f9b34fb"]
    assert advertised["Type"].value == "peripheral"
    assert delivery.detail == "ble advertisement for 1 s"


def test_a_machine_without_bluez_says_so(bus):
    with pytest.raises(WayError, match="BlueZ refuses"):
        asyncio.run(BleWake(b"\x01", bus=bus).send(Command(Action.POWER_ON)))
    assert not asyncio.run(BleWake(b"\x01", bus=bus).check()).works


# Android TV


class FakeRemote:
    """Speaks as androidtvremote2's AndroidTVRemote does."""

    def __init__(self, is_on=True, error=None):
        self.is_on = is_on
        self.error = error
        self.keys = []

    async def async_generate_cert_if_missing(self):
        return True

    async def async_connect(self):
        if self.error is not None:
            raise self.error

    def keep_reconnecting(self):
        return None

    def send_key_command(self, key):
        self.keys.append(key)

    def disconnect(self):
        self.keys.append("disconnected")


def tv(tmp_path, remote):
    return AndroidTv("127.0.0.1", tmp_path, make_remote=lambda host, folder: remote)


def test_every_key_is_one_of_the_protocols():
    from androidtvremote2 import remotemessage_pb2

    known = set(remotemessage_pb2.RemoteKeyCode.keys())
    for action in Action:
        key = key_of(Command(action, source="HDMI 3" if action is Action.SOURCE else None))
        assert key is None or f"KEYCODE_{key}" in known
    assert key_of(Command(Action.SOURCE, source="HDMI 3")) == "TV_INPUT_HDMI_3"
    assert key_of(Command(Action.SOURCE, source="USB")) is None


@pytest.mark.parametrize(
    ("action", "is_on", "keys"),
    [
        (Action.MUTE, True, ["VOLUME_MUTE"]),
        (Action.POWER_OFF, True, ["POWER"]),
        (Action.POWER_OFF, False, []),
        (Action.POWER_ON, False, ["POWER"]),
        (Action.POWER_ON, True, []),
    ],
)
def test_the_power_key_is_a_toggle_and_only_pressed_where_it_helps(tmp_path, action, is_on, keys):
    remote = FakeRemote(is_on)
    asyncio.run(tv(tmp_path, remote).send(Command(action)))
    assert remote.keys == keys


def test_a_remote_that_does_not_know_whether_it_is_on_presses_no_toggle(tmp_path):
    remote = FakeRemote(None)
    with pytest.raises(WayError, match="toggle"):
        asyncio.run(tv(tmp_path, remote).send(Command(Action.POWER_OFF)))
    assert remote.keys == []


def test_a_projector_that_was_never_paired_says_how(tmp_path):
    from androidtvremote2 import InvalidAuth

    with pytest.raises(WayError, match="ironwok home pair"):
        asyncio.run(tv(tmp_path, FakeRemote(error=InvalidAuth("Need to pair"))).send(Command(Action.MUTE)))


def test_a_real_connection_that_is_refused_is_a_way_that_fails(tmp_path):
    with pytest.raises(WayError):
        asyncio.run(AndroidTv("127.0.0.1", tmp_path / "tv", timeout=2).send(Command(Action.MUTE)))
    assert (tmp_path / "tv").stat().st_mode & 0o077 == 0


# by kind


def test_ways_and_plugs_are_made_by_kind(tmp_path):
    context = WayContext("127.0.0.1", tmp_path)
    made = [
        make_way("lan", "xgimi", {}, context),
        make_way("hid", "hid", {"device": "hidg0"}, context),
        make_way("keys", "uinput", {}, context),
        make_way("ble", "ble", {"mac": "11:22:33:44:55:66"}, context),
        make_way("tv", "android_tv", {}, context),
    ]
    assert all(isinstance(way, Way) for way in made)
    assert [way.name for way in made] == ["lan", "hid", "keys", "ble", "tv"]
    plug = make_plug("miot", {"host": "127.0.0.1", "token": "00" * 16, "model": "chuangmi.plug.212a01"}, context)
    assert isinstance(plug, Plug)
    assert plug.spec == PlugSpec(power=(5, 6), scale=0.01)


@pytest.mark.parametrize(
    ("kind", "settings", "problem"),
    [
        ("telepathy", {}, "there is no kind 'telepathy'; there are android_tv, ble, hid, uinput, xgimi"),
        ("xgimi", {"keyport": 5}, "keyport"),
        ("xgimi", {"key_port": 0}, "key_port"),
        ("hid", {"hold": 5}, "hold"),
        ("ble", {}, "give data"),
        ("ble", {"data": "00", "mac": "11:22:33:44:55:66"}, "give data"),
    ],
)
def test_settings_that_a_kind_cannot_use_are_named(tmp_path, kind, settings, problem):
    with pytest.raises(ConfigError, match=problem):
        make_way("one", kind, settings, WayContext("127.0.0.1", tmp_path))


@pytest.mark.parametrize(
    ("module", "kind", "settings"),
    [
        ("evdev", "uinput", {}),
        ("dbus_fast", "ble", {"mac": "11:22:33:44:55:66"}),
        ("androidtvremote2", "android_tv", {}),
    ],
)
def test_a_missing_extra_says_how_to_install_it(tmp_path, monkeypatch, module, kind, settings):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'ironwok\[home\]'"):
        make_way("one", kind, settings, WayContext("127.0.0.1", tmp_path))


def test_a_missing_extra_of_plugs_and_brokers_says_so_too(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(MissingExtraError, match="MIoT plug"):
        make_plug("miot", {"host": "x", "token": "00" * 16}, WayContext(None, tmp_path))
    monkeypatch.setitem(sys.modules, "aiomqtt", None)
    with pytest.raises(MissingExtraError, match="MQTT"):
        Broker(BrokerSettings("127.0.0.1")).start()


def test_what_is_missing_elsewhere_in_the_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"projector\.host"):
        make_way("lan", "xgimi", {}, WayContext(None, tmp_path))
    with pytest.raises(ConfigError, match=r"\[mqtt\]"):
        make_plug("tasmota", {"topic": "tv"}, WayContext(None, tmp_path))
    with pytest.raises(ConfigError, match=r"cuco\.plug\.v3"):
        make_plug("miot", {"host": "x", "token": "00" * 16, "model": "none"}, WayContext(None, tmp_path))


def test_a_way_of_another_package_comes_in_by_its_entry_point(tmp_path, monkeypatch):
    from importlib.metadata import EntryPoint

    from ironwok.home.ways import registry

    def entry_points(group):
        value = f"{__name__}:{'make_own_way' if group == 'ironwok.home.ways' else 'make_nothing'}"
        return [EntryPoint(name="own", value=value, group=group)]

    monkeypatch.setattr(registry, "entry_points", entry_points)
    way = make_way("mine", "own", {"colour": "red"}, WayContext("127.0.0.1", tmp_path))
    assert (way.name, way.settings) == ("mine", {"colour": "red"})
    with pytest.raises(ConfigError, match="no Plug"):
        make_plug("own", {}, WayContext(None, tmp_path))


class OwnWay:
    def __init__(self, name, settings):
        self.name = name
        self.settings = settings

    def can(self, command):
        return True

    async def send(self, command): ...

    async def check(self): ...

    async def close(self): ...


def make_own_way(name, settings, context):
    return OwnWay(name, settings)


def make_nothing(name, settings, context):
    return object()
