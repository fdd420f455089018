"""Scenes in real time over real sockets, where something goes wrong in the middle."""

from __future__ import annotations

import asyncio

from rooms import simulated

from ironwok.home.actions import Action
from ironwok.home.daemon import running_home
from ironwok.home.simulator.world import Power


def run(tmp_path, scenario, **options):
    async def main():
        async with simulated(tmp_path, **options) as (room, config):
            config = config.model_copy(update={"webhook": None})
            async with running_home(config) as home:
                return await scenario(room, home)

    return asyncio.run(main())


def test_a_boot_that_hangs_keeps_its_mains(tmp_path):
    async def scenario(room, home):
        room.projector.hang_next_boot = True
        return await home.do("power_on", "test"), room.plug.on, room.projector.now()

    answer, on, state = run(tmp_path, scenario)
    assert answer["ending"] == "failed"
    assert "hangs" in answer["reason"]
    assert (on, state) == (True, Power.HUNG)


def test_a_plug_that_goes_silent_leaves_the_mains_on(tmp_path):
    async def scenario(room, home):
        asked = asyncio.ensure_future(home.do("power_off", "test"))
        await asyncio.sleep(0.15)
        room.plug.reporting = False
        return await asked, room.plug.switched

    answer, switched = run(tmp_path, scenario, on=True)
    assert answer["ending"] in ("confirmed", "sent")
    assert switched == []


def test_two_commands_at_once_and_a_scene_among_them(tmp_path):
    async def scenario(room, home):
        said = ["volume_up 4", "power_off", "mute", "power_on"]
        answers = await asyncio.gather(*(home.do(text, "test") for text in said))
        return dict(zip(said, answers, strict=True)), room.projector

    answers, projector = run(tmp_path, scenario, on=True)
    assert {answer["ending"] for answer in answers.values()} <= {"confirmed", "sent", "failed"}
    assert answers["power_off"]["ending"] == "confirmed"
    assert "the scene power_off runs" in answers["power_on"]["reason"]
    assert projector.harm == []
    assert projector.heard[:4] == ["volume_up"] * 4


def test_a_power_cut_during_shutdown_ends_in_an_answer(tmp_path):
    async def scenario(room, home):
        asked = asyncio.ensure_future(home.do("power_off", "test"))
        await asyncio.sleep(0.2)
        room.plug.power_cut()
        await asyncio.sleep(0.5)
        room.plug.power_returns()
        return await asked, room.projector.harm

    answer, harm = run(tmp_path, scenario, on=True)
    assert answer["ending"] in ("confirmed", "sent", "failed")
    assert answer["reason"]
    assert harm == []


def test_cancelling_a_scene_of_another_way_in(tmp_path):
    async def scenario(room, home):
        asked = asyncio.ensure_future(home.do("power_on", "webhook"))
        while room.plug.on:
            await asyncio.sleep(0.01)
        cancelled = await home.say("取消", "test")
        return await asked, cancelled, room.plug.on

    asked, cancelled, on = run(tmp_path, scenario)
    assert (asked["ending"], asked["reason"]) == ("failed", "cancelled")
    assert (cancelled["action"], cancelled["ending"], on) == (str(Action.CANCEL), "confirmed", True)
