"""The daemon in a simulated room: real UDP, TCP, FIFOs and HTTP on this machine."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import sys

import aiohttp
import pytest
from rooms import TOKEN, simulated

from ironwok.errors import ConfigError, HomeError, RoomTakenError
from ironwok.home.actions import Action
from ironwok.home.daemon import running_home
from ironwok.home.inputs.codes import Code
from ironwok.home.journal import read_journal
from ironwok.home.simulator.world import Power


def free_webhook(config):
    """The same room with its webhook on any free port: 0 is not for the file, so it is put in here."""
    webhook = config.webhook.model_copy(update={"port": 0})
    return config.model_copy(update={"webhook": webhook})


async def until(condition, seconds=10.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def run(tmp_path, scenario, **options):
    async def main():
        async with simulated(tmp_path, **options) as (room, config):
            return await scenario(room, free_webhook(config))

    return asyncio.run(main())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the number is only likely to stay free")
def test_the_port_of_a_projector_that_is_off_is_closed_and_yet_its_own(tmp_path):
    async def scenario(room, _):
        assert not room.projector.answers
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(room.host, room.ports.probe)
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind((room.host, room.ports.probe))

    run(tmp_path, scenario)


def test_sentences_become_datagrams(tmp_path):
    async def scenario(room, config):
        async with running_home(config) as home:
            quieter = await home.say("把声音调小一点", "test")
            source = await home.say("换到 HDMI 2", "test")
            await until(lambda: room.projector.source == "HDMI2")
            return quieter, source, room.projector.volume

    quieter, source, volume = run(tmp_path, scenario, on=True)
    assert (quieter["action"], quieter["ending"], quieter["way"]) == ("volume_down", "sent", "lan")
    assert (source["action"], source["source"], source["ending"]) == ("source", "HDMI2", "sent")
    assert volume == 13


def test_the_power_scenes_over_real_sockets(tmp_path):
    async def scenario(room, config):
        async with running_home(config) as home:
            on = await home.say("打开投影仪", "test")
            running = room.projector.now()
            off = await home.say("关掉投影", "test")
            return on, running, off

    on, running, off = run(tmp_path, scenario, loss=0.3, seed=5)
    assert (on["ending"], on["way"], running) == ("confirmed", "plug", Power.RUNNING)
    assert off["ending"] == "confirmed"
    assert "the mains are off" in off["reason"]


def test_lossy_udp_never_costs_the_mains(tmp_path):
    async def scenario(room, config):
        async with running_home(config) as home:
            ends = []
            for sentence in ("打开投影仪", "关掉投影", "打开投影仪", "关掉投影"):
                ends.append((await home.say(sentence, "test"))["ending"])
                await asyncio.sleep(0.3)
                if room.projector.answers:
                    await home.do("volume_up 6", "test")
            return ends, room.projector.harm, [on for _, on, _ in room.plug.switched], room.lost

    ends, harm, switched, lost = run(tmp_path, scenario, loss=0.3, seed=11)
    assert ends == ["confirmed"] * 4
    assert lost > 0
    assert harm == []
    assert switched[-1] is False


def test_a_dead_lan_falls_back_to_the_usb_keyboard(tmp_path):
    async def scenario(room, config):
        changed = config.model_copy(update={"projector": config.projector.model_copy(update={"probe_port": 9})})
        async with running_home(changed) as home:
            answer = await home.do("volume_up 3", "test")
            await until(lambda: room.projector.volume == 18)
            return answer

    answer = run(tmp_path, scenario, on=True)
    assert (answer["ending"], answer["way"]) == ("sent", "hid")


def test_unclear_sentences_are_never_acted_on(tmp_path):
    async def scenario(room, config):
        async with running_home(config) as home:
            answers = [await home.say(text, "test") for text in ("今天天气怎么样", "打开客厅的灯", "别关投影")]
            return answers, room.datagrams

    answers, datagrams = run(tmp_path, scenario, on=True)
    assert [answer["ending"] for answer in answers] == ["failed"] * 3
    assert datagrams == 0
    asked = [record for record in read_journal(tmp_path / "journal.jsonl") if record["event"] == "asked"]
    assert [record["text"] for record in asked] == ["今天天气怎么样", "打开客厅的灯", "别关投影"]


def test_phrases_of_the_users_own_come_first(tmp_path):
    async def scenario(room, config):
        config = config.model_copy(update={"phrases": {"芝麻开门": "menu"}})
        async with running_home(config) as home:
            answer = await home.say("芝麻开门", "test")
            await until(lambda: room.projector.menu)
            return answer

    assert run(tmp_path, scenario, on=True)["action"] == "menu"


def test_codes_of_a_remote_from_a_device_file(tmp_path):
    os.mkfifo(tmp_path / "lirc0")
    remotes = {"lirc": ["lirc0"]}
    bindings = {"nec:0x40bf12": "volume_up"}

    async def scenario(room, config):
        async with running_home(config):
            # a device file can be opened for writing once the daemon reads it
            await asyncio.sleep(0.2)
            with (tmp_path / "lirc0").open("wb", buffering=0) as remote:
                for number, (scancode, flags) in enumerate([(0x40BF12, 0), (0x40BF12, 2), (0x40BF99, 0)]):
                    remote.write(struct.pack("=QHHIQ", 10**9 + number * 11 * 10**7, flags, 9, 0, scancode))
                    await asyncio.sleep(0.12)
                await until(lambda: room.projector.volume == 17)

    run(tmp_path, scenario, on=True, changes={"remotes": remotes, "bindings": bindings})


def test_a_code_that_is_bound_to_nothing_is_nobodys_business(tmp_path):
    async def scenario(room, config):
        async with running_home(config) as home:
            home.press(Code("nec:0x1"))
            await asyncio.sleep(0.05)
            return room.datagrams

    assert run(tmp_path, scenario, on=True) == 0


# the webhook


async def post(home, path, body, token=TOKEN):
    url = f"http://127.0.0.1:{home.webhook.port}{path}"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = body if isinstance(body, bytes) else json.dumps(body)
    async with aiohttp.ClientSession() as session, session.post(url, data=data, headers=headers) as response:
        return response.status, await response.json()


def test_the_webhook_takes_sentences_and_commands(tmp_path):
    async def scenario(room, config):
        async with running_home(config) as home:
            said = await post(home, "/say", {"text": "静音"})
            done = await post(home, "/do", {"command": "volume_up 3"})
            url = f"http://127.0.0.1:{home.webhook.port}/state"
            headers = {"Authorization": f"bearer {TOKEN}"}
            async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
                return said, done, await response.json()

    said, done, state = run(tmp_path, scenario, on=True)
    assert (said[0], said[1]["action"]) == (200, "mute")
    assert (done[0], done[1]["steps"]) == (200, 3)
    assert state == {"state": "running", "power": "ON", "watts": 95.0, "scene": None}


def test_a_scene_need_not_be_waited_for(tmp_path):
    async def scenario(room, config):
        async with running_home(config) as home:
            _, answer = await post(home, "/say", {"text": "打开投影仪", "wait": False})
            await until(lambda: room.projector.now() is Power.RUNNING)
            return answer

    assert run(tmp_path, scenario)["ending"] == "pending"


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN[:-1], "令牌"])
def test_without_the_right_token_nothing_happens(tmp_path, token):
    async def scenario(room, config):
        async with running_home(config) as home:
            headers = {} if token is None else {"Authorization": f"Bearer {token}".encode().decode("latin-1")}
            url = f"http://127.0.0.1:{home.webhook.port}/do"
            async with (
                aiohttp.ClientSession() as session,
                session.post(url, json={"command": "mute"}, headers=headers) as response,
            ):
                return response.status, room.datagrams

    assert run(tmp_path, scenario, on=True) == (401, 0)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"not json", 400),
        ([], 400),
        ({"text": 5}, 400),
        ({"text": "静音", "more": 1}, 400),
        ({"text": "静音", "wait": "no"}, 400),
        ({"text": ""}, 400),
        ({"text": "静" * 201}, 400),
        ({"text": "静" * 5000}, 413),
    ],
)
def test_bodies_that_cannot_be_used_are_refused(tmp_path, body, status):
    async def scenario(room, config):
        async with running_home(config) as home:
            return (await post(home, "/say", body))[0], room.datagrams

    assert run(tmp_path, scenario, on=True) == (status, 0)


def test_an_unknown_command_is_named(tmp_path):
    async def scenario(room, config):
        async with running_home(config) as home:
            return await post(home, "/do", {"command": "explode"})

    status, answer = run(tmp_path, scenario)
    assert status == 400
    assert "'explode'" in answer["error"]


def test_secrets_are_in_no_log_and_no_journal(tmp_path, caplog):
    async def scenario(room, config):
        caplog.set_level("DEBUG")
        async with running_home(config) as home:
            await post(home, "/say", {"text": "静音"})
            await post(home, "/say", {"text": "静音"}, token="wrong")
        return room.token.hex(), repr(config)

    token, shown = run(tmp_path, scenario, on=True)
    text = caplog.text + (tmp_path / "journal.jsonl").read_text() + shown
    assert TOKEN not in text
    assert token not in caplog.text + (tmp_path / "journal.jsonl").read_text()


# one program a room


def test_a_room_belongs_to_one_program(tmp_path):
    async def scenario(room, config):
        async with running_home(config):
            with pytest.raises(RoomTakenError, match="another program"):
                async with running_home(config):
                    pass
        async with running_home(config):
            pass

    run(tmp_path, scenario)


def test_a_taken_port_is_named(tmp_path):
    async def scenario(room, config):
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        taken = config.model_copy(update={"webhook": config.webhook.model_copy(update={"port": port})})
        try:
            with pytest.raises(HomeError, match=f"127.0.0.1:{port}"):
                async with running_home(taken):
                    pass
        finally:
            server.close()

    run(tmp_path, scenario)


def test_a_room_without_any_way_is_refused(tmp_path):
    async def scenario(room, config):
        with pytest.raises(ConfigError, match="nothing could be done"):
            async with running_home(config.model_copy(update={"ways": {}, "plug": None, "order": {}})):
                pass

    run(tmp_path, scenario)
    # the lock was given back
    assert Action.POWER_ON


def test_a_dry_run_sends_nothing(tmp_path):
    async def scenario(room, config):
        async with running_home(config, dry_run=True) as home:
            answer = await home.say("关掉投影", "test")
            return answer, room.datagrams, room.plug.switched

    answer, datagrams, switched = run(tmp_path, scenario, on=True)
    assert answer["dry_run"]
    assert (datagrams, switched) == (0, [])
    assert not (tmp_path / "journal.jsonl").exists()
