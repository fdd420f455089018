"""What strangers, root, half-written files and hostile messages do to a room: nothing lasting."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import ssl
from pathlib import Path

import aiohttp
import jinja2
import pytest
from rooms import TOKEN, make_certificate, simulated

from ironwok.errors import ConfigError, HomeError, InputError, OutputError, WayError
from ironwok.home.actions import Action, Command, Ending
from ironwok.home.broker import Broker, BrokerMessage, BrokerSettings
from ironwok.home.check import check_home
from ironwok.home.config import home_of, load_home
from ironwok.home.daemon import Home, running_home
from ironwok.home.discovery import discovery_message
from ironwok.home.inputs.lines import Lines, follow_lines
from ironwok.home.inputs.topics import OwnTopics
from ironwok.home.inputs.webhook import ask_daemon
from ironwok.home.journal import Journal, read_journal
from ironwok.home.learn import bind
from ironwok.home.room import broker_settings, build_room, take_room
from ironwok.home.simulator import run as simulator
from ironwok.home.simulator.network import Ports
from ironwok.home.simulator.run import Simulation, simulate
from ironwok.home.simulator.world import Power
from ironwok.home.ways.hid import HidGadget
from ironwok.home.ways.mqtt_plugs import ZigbeePlug

LAN = {"projector": {"host": "127.0.0.1", "probe_port": 0}, "ways": {"lan": {"kind": "xgimi"}}}


# the file


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        ({"mqtt": {"host": "x", "topic": "den/#"}}, "mqtt.topic: 'den/#' is no topic to publish on"),
        ({"mqtt": {"host": "x", "topic": ""}}, "mqtt.topic"),
        ({"mqtt": {"host": "x", "discovery_prefix": "+"}}, "mqtt.discovery_prefix"),
        ({"bemfa": {"uid": "u", "topics": {"a+": {}}}}, "bemfa.topics"),
        ({"mqtt": {"host": "x", "ca": "ca.pem"}}, "do nothing without tls = true"),
        ({"mqtt": {"host": "x", "tls": True, "key": "key.pem"}}, "a key needs its certificate"),
    ],
)
def test_broker_settings_that_would_not_do_what_they_say(part, problem):
    with pytest.raises(ConfigError, match=problem.replace("+", r"\+")):
        home_of(LAN | part)


def test_files_that_are_named_lie_beside_the_file_that_names_them(tmp_path, monkeypatch):
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "password").write_text("secret words\n")
    (tmp_path / "room" / "plug").write_text("00" * 16)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "room" / "home.toml"
    path.write_text(
        '[plug]\nkind = "miot"\nhost = "127.0.0.1"\ntoken = "file:plug"\n'
        '[mqtt]\nhost = "x"\ntls = true\nca = "ca.pem"\npassword = "file:password"\n'
    )
    config = load_home(path)
    assert config.mqtt.password.get_secret_value() == "secret words"
    assert broker_settings(config, config.mqtt).ca == tmp_path / "room" / "ca.pem"
    with pytest.raises(ConfigError, match=rf"mqtt.ca: {tmp_path}/room/ca.pem: No such file"):
        build_room(config)
    assert build_room(config.model_copy(update={"mqtt": None})).plug is not None


@pytest.mark.parametrize(
    ("kind", "settings", "problem"),
    [
        ("xgimi", {"frob": 1}, r"ways.x \(kind xgimi\): frob: unknown key"),
        ("ble", {"mac": "zz"}, "ways.x: 'zz' is no Bluetooth address"),
    ],
)
def test_a_wrong_way_is_named_in_the_words_of_the_file(kind, settings, problem):
    config = home_of(LAN | {"ways": {"x": {"kind": kind} | settings}})
    with pytest.raises(ConfigError, match=problem):
        build_room(config)


def test_a_journal_that_cannot_lie_there_is_said_so(tmp_path):
    (tmp_path / "file").write_text("")
    config = home_of(LAN | {"journal": "file/journal.jsonl"}, folder=tmp_path)
    with pytest.raises(OutputError, match="the journal cannot lie in"):
        take_room(config)

    async def check():
        return {health.name: health async for health in check_home(config)}

    assert not asyncio.run(check())["journal"].works


# learning


def test_a_file_that_is_a_link_stays_one_and_keeps_its_owner(tmp_path):
    real = tmp_path / "dotfiles" / "home.toml"
    real.parent.mkdir()
    real.write_text('# mine\n[ways.lan]\nkind = "xgimi"\n')
    foreign = 1234 if os.geteuid() == 0 else os.geteuid()
    os.chown(real, foreign, -1)
    link = tmp_path / "home.toml"
    link.symlink_to(real)
    bind(link, "nec:0x1", "mute")
    assert link.is_symlink()
    assert real.read_text().startswith("# mine\n")
    assert load_home(real).bindings == {"nec:0x1": "mute"}
    assert real.stat().st_uid == foreign


def test_what_does_not_load_is_named_by_its_own_name(tmp_path):
    path = tmp_path / "home.toml"
    path.write_text('[projector]\nsources = ["HDMI1"]\n[ways.lan]\nkind = "xgimi"\n')
    with pytest.raises(ConfigError, match=f"^{path}: bindings"):
        bind(path, "nec:0x1", "source HDMI9")


# messages


class Hostile:
    """What aiomqtt delivers, with a payload that no plug would send."""

    retain = False

    def __init__(self, topic, payload):
        from aiomqtt import Topic

        self.topic = Topic(topic)
        self.payload = payload


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 4000,
        b'{"power": 1' + b"0" * 400 + b"}",
        b"\xff\xfe",
        b'{"power": NaN, "state": "ON"}',
        b'{"power": [[]]}',
    ],
    ids=["deep", "huge", "bytes", "nan", "lists"],
)
def test_no_message_ends_the_connection(payload):
    async def main():
        broker = Broker(BrokerSettings("127.0.0.1", 9))
        plug = ZigbeePlug(broker, "tv")
        broker._deliver(Hostile("zigbee2mqtt/tv", payload))
        broker._deliver(Hostile("zigbee2mqtt/tv", b'{"state": "ON", "power": 7}'))
        await asyncio.sleep(0)
        return plug._on, plug._watts

    (on, _), (watts, _) = asyncio.run(main())
    assert (on, watts) == (True, 7.0)


def test_a_handler_that_fails_is_reported_and_the_others_are_called(caplog):
    async def main():
        broker, heard = Broker(BrokerSettings("127.0.0.1", 9)), []
        broker.listen("a", lambda message: 1 / 0)
        broker.listen("a", heard.append)
        broker._deliver(Hostile("a", b"x"))
        return heard

    assert len(asyncio.run(main())) == 1
    assert "ZeroDivisionError" in caplog.text


def test_a_flood_of_orders_is_dropped_and_not_hoarded(caplog):
    async def main():
        broker = Broker(BrokerSettings("127.0.0.1", 9))
        begun, gate = [], asyncio.Event()

        async def do(text, origin):
            begun.append(text)
            await gate.wait()
            return {}

        topics = OwnTopics(broker, "den", say=do, do=do)
        for number in range(500):
            topics._hear(BrokerMessage("den/set", f"volume_up {number}".encode(), False))
        await asyncio.sleep(0)
        count = len(begun)
        gate.set()
        await asyncio.sleep(0.01)
        topics._hear(BrokerMessage("den/set", b"mute", False))
        await asyncio.sleep(0.01)
        return count, begun[-1]

    assert asyncio.run(main()) == (32, "mute")
    assert "one more is dropped" in caplog.text


# HTTPS


def with_webhook(tmp_path, scenario, **webhook):
    async def main():
        async with simulated(tmp_path, on=True) as (room, config):
            part = config.webhook.model_copy(update=webhook)
            config = config.model_copy(update={"webhook": part})
            async with running_home(config) as home:
                return await scenario(room, config, home)

    return asyncio.run(main())


def test_the_webhook_over_https(tmp_path):
    make_certificate(tmp_path)

    async def scenario(room, config, home):
        port = home.webhook.port
        with pytest.raises(aiohttp.ClientError):
            async with aiohttp.ClientSession() as session:
                await session.get(f"http://127.0.0.1:{port}/state", headers={"Authorization": f"Bearer {TOKEN}"})
        # as `ironwok home say` does it; the certificate lies beside home.toml
        part = config.webhook.model_copy(update={"port": port})
        return await ask_daemon(config, part, "静音"), room.projector.muted

    answer, muted = with_webhook(tmp_path, scenario, certificate=Path("cert.pem"), key=Path("key.pem"), port=0)
    assert (answer["action"], answer["ending"], muted) == ("mute", "sent", True)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_certificate_that_is_none_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "cert.pem").write_text(content)
        (tmp_path / "key.pem").write_text(content)
    table = LAN | {"webhook": {"token": TOKEN, "certificate": "cert.pem", "key": "key.pem"}}

    async def main():
        home = Home(home_of(table, folder=tmp_path))
        try:
            await home.start()
        finally:
            await home.close()

    with pytest.raises(ConfigError, match=r"webhook.certificate: .*cert.pem and .*key.pem"):
        asyncio.run(main())

    async def check():
        return {health.name: health async for health in check_home(home_of(table, folder=tmp_path))}

    assert not asyncio.run(check())["webhook"].works


def test_check_says_who_may_reach_the_webhook(tmp_path):
    async def findings(**webhook):
        table = LAN | {"webhook": {"token": TOKEN, "port": 58737} | webhook}
        config = home_of(table, folder=tmp_path)
        return {health.name: health async for health in check_home(config)}["webhook"]

    inside, outside = asyncio.run(findings()), asyncio.run(findings(host="0.0.0.0"))
    assert (inside.works, inside.hint) == (True, "")
    assert "HTTPS" in outside.hint


def test_a_body_too_deep_to_read_is_refused(tmp_path):
    async def scenario(room, config, home):
        url = f"http://127.0.0.1:{home.webhook.port}/say"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with aiohttp.ClientSession() as session, session.post(url, data="[" * 4000, headers=headers) as response:
            return response.status

    assert with_webhook(tmp_path, scenario, port=0) == 400


def test_the_daemon_of_another_certificate_is_not_believed(tmp_path):
    make_certificate(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    make_certificate(other)

    async def scenario(room, config, home):
        part = config.webhook.model_copy(update={"port": home.webhook.port, "certificate": Path("other/cert.pem")})
        with pytest.raises(HomeError, match="does not answer"):
            await ask_daemon(config, part, "静音")
        return room.datagrams

    assert with_webhook(tmp_path, scenario, certificate=Path("cert.pem"), key=Path("key.pem"), port=0) == 0


# standard input


def said(tmp_path, scenario, **options):
    """A room whose standard input is a pipe: scenario gets the room, the home and the end to write to."""

    async def main():
        async with simulated(tmp_path, **options) as (room, config):
            config = config.model_copy(update={"webhook": None})
            told = []
            async with running_home(config, tell=told.append) as home:
                read, write = os.pipe()
                following = asyncio.ensure_future(follow_lines(home, asyncio.Event(), file=read))
                try:
                    await scenario(room, home, write)
                    os.close(write)
                    await asyncio.wait_for(following, 20)
                finally:
                    following.cancel()
                    os.close(read)
                return told

    return asyncio.run(main())


def test_a_scene_can_be_cancelled_from_where_it_was_asked_for(tmp_path):
    async def scenario(room, home, write):
        os.write(write, "打开投影仪\n".encode())
        while home.planner.scene is None or room.plug.on:
            await asyncio.sleep(0.01)
        os.write(write, "投影仪开着吗\n取消\n".encode())

    told = said(tmp_path, scenario)
    assert any("the scene power_on runs" in line for line in told), told
    assert "power_on: failed: cancelled" in told


def test_lines_are_taken_one_after_the_other(tmp_path):
    async def scenario(room, home, write):
        os.write(
            write, "打开投影仪\n静音\n今天天气怎么样\n\n关掉投影".encode() + b"\n" + b"x" * 9000 + "\n静音".encode()
        )

    told = said(tmp_path, scenario)
    endings = [line for line in told if ": confirmed:" in line or ": sent:" in line or ": failed:" in line]
    assert [line.split(":")[0] for line in endings[:3]] == ["power_on", "mute", "power_off"]
    assert any("more than 4096 bytes" in line for line in told)
    assert any("the text is empty" in line for line in told)


def test_a_plain_file_and_nothing_at_all_are_input_too(tmp_path):
    (tmp_path / "lines").write_bytes("静音\r\n大声点".encode())

    async def main():
        found = []
        for path in (tmp_path / "lines", Path("/dev/null")):
            file = os.open(path, os.O_RDONLY)
            lines = Lines(file)
            while (line := await lines.next()) is not None:
                found.append(line)
            os.close(file)
        return found

    assert asyncio.run(main()) == ["静音", "大声点"]


def test_a_line_without_an_end_is_not_kept():
    async def main():
        read, write = os.pipe()
        os.write(write, b"y" * 20000 + b"\nnext\n")
        os.close(write)
        lines = Lines(read)
        with pytest.raises(InputError, match="more than 4096 bytes"):
            await lines.next()
        rest = [await lines.next(), await lines.next()]
        os.close(read)
        return rest

    assert asyncio.run(main()) == ["next", None]


# keys and timers


def test_a_busy_keyboard_still_lets_the_key_go(tmp_path):
    """The host fetches the press late: the release has to wait for it, or the key repeats for ever."""
    os.mkfifo(tmp_path / "hidg0")
    reader = os.open(tmp_path / "hidg0", os.O_RDWR | os.O_NONBLOCK)

    async def main():
        filled = 0
        pending = asyncio.ensure_future(HidGadget(tmp_path / "hidg0", hold=0.05).send(Command(Action.MUTE)))
        await asyncio.sleep(0.02)
        try:
            while True:
                filled += os.write(reader, b"\0")
        except BlockingIOError:
            pass
        await asyncio.sleep(0.15)
        data = os.read(reader, 1 << 17)
        await pending
        return data[:3], os.read(reader, 64)

    pressed, released = asyncio.run(main())
    os.close(reader)
    assert (pressed, released) == (bytes.fromhex("02e200"), bytes.fromhex("020000"))


def test_a_host_that_never_fetches_is_a_way_that_fails(tmp_path):
    os.mkfifo(tmp_path / "hidg0")
    reader = os.open(tmp_path / "hidg0", os.O_RDWR | os.O_NONBLOCK)

    async def main():
        pending = asyncio.ensure_future(HidGadget(tmp_path / "hidg0", hold=0.05).send(Command(Action.MUTE)))
        await asyncio.sleep(0.02)
        try:
            while True:
                os.write(reader, b"\0")
        except BlockingIOError:
            pass
        with pytest.raises(WayError, match="no host takes the reports"):
            await pending

    asyncio.run(main())
    os.close(reader)


def test_no_timer_is_promised_by_a_program_that_ends(tmp_path):
    async def main():
        home = Home(home_of(LAN, folder=tmp_path), lasting=False)
        try:
            return await home.say("半小时后关机", "say")
        finally:
            await home.close()

    answer = asyncio.run(main())
    assert answer["ending"] == Ending.FAILED
    assert "ironwok home run" in answer["reason"]


def test_mains_that_are_owed_are_not_forgotten_with_an_old_journal(tmp_path, monkeypatch):
    monkeypatch.setattr("ironwok.home.journal._MOST_BYTES", 1000)
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.note(1, "mains", on=False, returns=True)
    with path.open("ab") as file:
        file.write(b'{"event": "padding"}\n' * 100)
    journal.close()
    # killed twice, the second time before the mains were back
    for _ in range(2):
        journal = Journal(path)
        assert journal.left_over.mains_off
        journal.close()
    assert (tmp_path / "journal.jsonl.1").exists()
    assert sum(1 for _ in read_journal(path)) == 2


def test_a_command_after_a_crash_brings_the_mains_back_first(tmp_path):
    """`ironwok home say` ends at once: it must not end before the plug has heard that it is to be on."""

    async def main():
        async with simulated(tmp_path, on=False) as (room, config):
            room.plug.switch(False)
            journal = Journal(config.path(config.journal))
            journal.note(1, "mains", on=False, returns=True)
            journal.close()
            home = Home(config.model_copy(update={"webhook": None}), lasting=False)
            await home.planner.recover()
            await home.say("今天天气怎么样", "say")
            await home.close()
            return room.plug.on, room.projector.now()

    assert asyncio.run(main()) == (True, Power.BOOTING)


def test_tls_of_the_system_is_asked_where_no_authority_is_named():
    context = BrokerSettings("h", tls=True).tls_context()
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


# the simulator


def simulated_in(folder, **options):
    async def main():
        stop = asyncio.Event()
        stop.set()
        await simulate(Simulation(folder, **options), tell=lambda line: None, stop=stop)

    asyncio.run(main())


def test_a_room_of_ones_own_is_not_replaced_by_a_simulated_one(tmp_path):
    (tmp_path / "home.toml").write_text("# my room, years of work\n")
    with pytest.raises(OutputError, match="was not made by the simulator"):
        simulated_in(tmp_path)
    assert (tmp_path / "home.toml").read_text() == "# my room, years of work\n"
    assert not (tmp_path / "hidg0").exists()


@pytest.mark.parametrize("broker", ["localhost:abc", ":1883", "localhost:0", "localhost:70000", ""])
def test_a_broker_that_is_none_is_named(tmp_path, broker):
    with pytest.raises(InputError, match="is no broker"):
        simulated_in(tmp_path, mqtt=broker)


def test_a_simulated_room_may_be_made_anew(tmp_path):
    async def main():
        for _ in range(2):
            what = Simulation(tmp_path)
            room = what.make(ports=Ports(0, 0, 0, 0))
            await room.start()
            (tmp_path / "home.toml").write_text(what.config(room))
            await room.close()

    asyncio.run(main())
    simulator._refuse_others(tmp_path / "home.toml")


def test_power_that_nobody_can_see_is_unknown_to_home_assistant():
    """The template as Home Assistant fills it in, by the library that it uses."""
    _, payload = discovery_message(
        name="Den", topic="den", prefix="homeassistant", actions=set(Action), sources=(), metered=True, version="1"
    )
    power = json.loads(payload)["components"]["power"]
    template = jinja2.Template(power["value_template"])
    shown = [template.render(value_json={"power": said}) for said in ("ON", "OFF", "unknown")]
    assert shown == [power["state_on"], power["state_off"], "None"]


def test_a_room_that_closes_while_its_projector_comes_up_leaves_nothing_open(tmp_path):
    """Closed at every turn of the loop around the moment in which the probe's port opens."""

    async def main(turns):
        room = Simulation(tmp_path, on=True).make(ports=Ports(0, 0, 0, 0))
        await room.start()
        for _ in range(turns):
            await asyncio.sleep(0)
        await room.close()

    for turns in range(8):
        asyncio.run(main(turns))
    # what is left open is warned of here, and warnings are errors
    gc.collect()
