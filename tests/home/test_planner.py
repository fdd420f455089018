"""The planner and its scenes in a simulated room, on virtual time."""

from __future__ import annotations

import asyncio

import pytest
from simulated_room import Room

from ironwok.errors import ConfigError
from ironwok.home.actions import Action, Command, Ending
from ironwok.home.clock import run_virtually
from ironwok.home.journal import Journal, read_journal
from ironwok.home.mains import MainsSettings
from ironwok.home.planner import Planner, PlannerSettings
from ironwok.home.scenes import SceneSettings
from ironwok.home.simulator.world import Power, Traits


def play(scenario, **room):
    """Run a scenario, an async function of the room, and stop the planner after it."""

    async def main():
        made = Room(**room)
        result = await scenario(made)
        await made.planner.close()
        return made, result

    return run_virtually(main())


def submit(action: Action, **slots):
    return lambda room: room.planner.submit(Command(action, **slots))


# keys


def test_a_key_goes_by_the_first_way_and_is_sent_not_confirmed():
    room, outcome = play(submit(Action.VOLUME_UP, steps=3), power=Power.RUNNING)
    assert (outcome.ending, outcome.way) == (Ending.SENT, "lan")
    assert (room.projector.volume, len(room.lan.sent), room.hid.sent) == (18, 3, [])


def test_a_broken_way_falls_back_to_the_next():
    async def scenario(room):
        room.lan.broken = True
        return await room.planner.submit(Command(Action.MUTE))

    room, outcome = play(scenario, power=Power.RUNNING)
    assert (outcome.ending, outcome.way, room.projector.muted) == (Ending.SENT, "hid", True)


def test_where_all_ways_are_broken_every_reason_is_named():
    async def scenario(room):
        room.lan.broken = room.hid.broken = True
        return await room.planner.submit(Command(Action.MUTE))

    _, outcome = play(scenario, power=Power.RUNNING)
    assert outcome.ending is Ending.FAILED
    assert "lan is unplugged" in outcome.reason
    assert "hid is unplugged" in outcome.reason


def test_an_action_that_no_way_knows_fails():
    _, outcome = play(submit(Action.POWER_ON), plug=False, power=Power.STANDBY)
    assert outcome.ending is Ending.FAILED
    assert "no plug" in outcome.reason


def test_the_order_must_name_ways_that_exist():
    with pytest.raises(ConfigError, match="'tv'"):
        run_virtually(_make(Planner, ways=[], settings=PlannerSettings(order=("tv",))))


async def _make(kind, **arguments):
    return kind(**arguments)


def test_commands_keep_their_order():
    async def scenario(room):
        asked = [Command(Action.VOLUME_UP, steps=4), Command(Action.MUTE), Command(Action.HOME)]
        return await asyncio.gather(*map(room.planner.submit, asked))

    room, outcomes = play(scenario, power=Power.RUNNING)
    assert [outcome.ending for outcome in outcomes] == [Ending.SENT] * 3
    assert room.lan.sent == ["volume_up"] * 4 + ["mute", "home"]


# debounce and rate


def test_the_same_press_twice_counts_once():
    async def scenario(room):
        return await asyncio.gather(*(room.planner.submit(Command(Action.MUTE)) for _ in range(2)))

    room, outcomes = play(scenario, power=Power.RUNNING)
    assert [outcome.ending for outcome in outcomes] == [Ending.SENT, Ending.FAILED]
    assert room.projector.muted


def test_a_timer_and_its_scene_are_two_commands():
    async def scenario(room):
        asked = [Command(Action.POWER_OFF, minutes=30), Command(Action.CANCEL), Command(Action.POWER_OFF)]
        return [await room.planner.submit(command) for command in asked]

    room, outcomes = play(scenario, power=Power.RUNNING)
    assert outcomes[-1].ending is Ending.CONFIRMED
    assert room.projector.power is not Power.RUNNING


def test_a_held_key_repeats_volume_and_nothing_else():
    async def scenario(room):
        outcomes = []
        for action in (Action.VOLUME_UP, Action.HOME):
            for number in range(5):
                outcomes.append(await room.planner.submit(Command(action, held=number > 0)))
                await asyncio.sleep(1.5)
        return outcomes

    room, outcomes = play(scenario, power=Power.RUNNING)
    assert room.projector.heard == ["volume_up"] * 5 + ["home"]
    assert [outcome.ending for outcome in outcomes[6:]] == [Ending.FAILED] * 4


def test_a_stuck_sender_is_slowed_down():
    async def scenario(room):
        outcomes = []
        for _ in range(200):
            outcomes.append(await room.planner.submit(Command(Action.VOLUME_DOWN)))
            await asyncio.sleep(0.09)
        return outcomes

    _, outcomes = play(scenario, power=Power.RUNNING)
    sent = sum(outcome.ending is Ending.SENT for outcome in outcomes)
    # 20 seconds at 8 a second, and the burst of 24 before
    assert 150 < sent < 190
    assert "too many commands" in outcomes[-1].reason or "too many commands" in outcomes[-2].reason


# power on


def test_power_on_cycles_the_mains_and_waits_until_it_answers():
    room, outcome = play(submit(Action.POWER_ON))
    assert (outcome.ending, outcome.way) == (Ending.CONFIRMED, "plug")
    off, on = room.plug.switched
    assert off[1:] == (False, 0.8)
    assert on[1] is True
    assert on[0] - off[0] == pytest.approx(10, abs=0.5)
    assert room.projector.now() is Power.RUNNING


def test_power_on_of_a_projector_that_is_on_does_nothing():
    room, outcome = play(submit(Action.POWER_ON), power=Power.RUNNING)
    assert outcome.ending is Ending.CONFIRMED
    assert room.plug.switched == []


def test_power_on_prefers_the_advertisement():
    room, outcome = play(submit(Action.POWER_ON), ble=True)
    assert (outcome.ending, outcome.way, room.plug.switched) == (Ending.CONFIRMED, "ble", [])


def test_power_on_falls_back_from_the_advertisement_to_the_mains():
    async def scenario(room):
        room.ble.loss = 1.0
        return await room.planner.submit(Command(Action.POWER_ON))

    room, outcome = play(scenario, ble=True)
    assert (outcome.ending, outcome.way, len(room.plug.switched)) == (Ending.CONFIRMED, "plug", 2)


def test_power_on_while_it_still_cools_down_waits_and_then_wakes_it():
    async def scenario(room):
        room.projector.press(Command(Action.POWER_OFF))
        await asyncio.sleep(8)
        return await room.planner.submit(Command(Action.POWER_ON))

    room, outcome = play(scenario, power=Power.RUNNING)
    assert (outcome.ending, room.projector.now()) == (Ending.CONFIRMED, Power.RUNNING)
    assert room.projector.harm == []


def test_without_a_probe_steady_power_is_what_counts():
    room, outcome = play(submit(Action.POWER_ON), probe=False)
    assert (outcome.ending, "without a probe" in outcome.reason) == (Ending.CONFIRMED, True)
    assert room.projector.now() in (Power.BOOTING, Power.RUNNING)


def test_without_a_probe_a_plug_that_goes_silent_confirms_nothing():
    async def scenario(room):
        asked = asyncio.ensure_future(room.planner.submit(Command(Action.POWER_ON)))
        while room.projector.now() is not Power.BOOTING:
            await asyncio.sleep(0.5)
        await asyncio.sleep(5)
        room.plug.reporting = False
        return await asked

    _, outcome = play(scenario, probe=False)
    assert outcome.ending is Ending.SENT


def test_power_on_without_mains_only_switches_them_on():
    room, outcome = play(submit(Action.POWER_ON), plug_on=False)
    assert outcome.ending is Ending.CONFIRMED
    assert [on for _, on, _ in room.plug.switched] == [True]


def test_a_projector_that_hangs_at_boot_is_reported_and_keeps_its_mains():
    async def scenario(room):
        room.projector.hang_next_boot = True
        return await room.planner.submit(Command(Action.POWER_ON))

    room, outcome = play(scenario)
    assert outcome.ending is Ending.FAILED
    assert "hangs" in outcome.reason
    assert room.plug.on
    assert room.projector.harm == []


def test_a_projector_that_does_not_boot_by_mains_is_tried_twice():
    room, outcome = play(submit(Action.POWER_ON), traits=Traits(boots_on_mains=False))
    assert outcome.ending is Ending.FAILED
    assert "2 times" in outcome.reason
    assert [on for _, on, _ in room.plug.switched] == [False, True] * 2


def test_cancelling_while_the_mains_are_off_brings_them_back():
    async def scenario(room):
        scene = asyncio.ensure_future(room.planner.submit(Command(Action.POWER_ON)))
        while room.plug.on:
            await asyncio.sleep(1)
        cancel = await room.planner.submit(Command(Action.CANCEL))
        return await scene, cancel

    room, (scene, cancel) = play(scenario)
    assert (scene.ending, scene.reason) == (Ending.FAILED, "cancelled")
    assert cancel.ending is Ending.CONFIRMED
    assert room.plug.on


def test_stopping_the_program_while_the_mains_are_off_brings_them_back():
    async def scenario(room):
        scene = asyncio.ensure_future(room.planner.submit(Command(Action.POWER_ON)))
        while room.plug.on:
            await asyncio.sleep(1)
        await room.planner.close()
        return await scene

    room, scene = play(scenario)
    assert scene.ending is Ending.FAILED
    assert room.plug.on


def test_a_plug_that_vanishes_while_off_is_switched_on_when_it_is_back():
    async def scenario(room):
        scene = asyncio.ensure_future(room.planner.submit(Command(Action.POWER_ON)))
        while room.plug.on:
            await asyncio.sleep(1)
        room.plug.offline = True
        outcome = await scene
        assert not room.plug.on
        room.plug.offline = False
        await asyncio.sleep(10)
        return outcome

    room, outcome = play(scenario)
    assert outcome.ending is Ending.FAILED
    assert room.plug.on


def test_mains_that_a_killed_run_left_off_return_at_the_next_start(tmp_path):
    async def first():
        room = Room(journal=Journal(tmp_path / "journal.jsonl"))
        task = asyncio.ensure_future(room.planner.submit(Command(Action.POWER_ON)))
        while room.plug.on:
            await asyncio.sleep(1)
        # killed: nothing is cleaned up, not even the journal's last line
        with (tmp_path / "journal.jsonl").open("ab") as file:
            file.write(b'{"at": "2026-')
        copy = (tmp_path / "journal.jsonl").read_bytes()
        task.cancel()
        await room.planner.close()
        (tmp_path / "journal.jsonl").write_bytes(copy)

    async def second():
        room = Room(journal=Journal(tmp_path / "journal.jsonl"), plug_on=False)
        await room.planner.recover()
        await asyncio.sleep(5)
        assert room.plug.on
        await room.planner.close()

    run_virtually(first())
    run_virtually(second())
    records = list(read_journal(tmp_path / "journal.jsonl"))
    ends = [record for record in records if record["event"] == "ended"]
    assert [(end["id"], end["ending"]) for end in ends] == [(1, "failed")]
    assert records[-1]["event"] == "mains"
    assert records[-1]["on"]


# power off


def test_power_off_waits_for_idle_and_then_cuts():
    room, outcome = play(submit(Action.POWER_OFF), power=Power.RUNNING)
    assert outcome.ending is Ending.CONFIRMED
    assert "the mains are off" in outcome.reason
    ((_, on, watts),) = room.plug.switched
    assert (on, watts) == (False, 0.8)
    assert room.projector.harm == []


def test_a_lost_shutdown_is_sent_again():
    async def scenario(room):
        room.lan.loss = 1.0
        return await room.planner.submit(Command(Action.POWER_OFF))

    room, outcome = play(scenario, power=Power.RUNNING)
    assert (outcome.ending, outcome.way) == (Ending.CONFIRMED, "hid")
    assert room.projector.heard == ["power_off"]


@pytest.mark.parametrize("seed", range(20))
def test_a_third_of_the_datagrams_lost_costs_no_evening(seed):
    async def scenario(room):
        room.ways[:] = [room.lan]
        outcomes = []
        for _ in range(3):
            outcomes.append(await room.planner.submit(Command(Action.POWER_ON)))
            outcomes.append(await room.planner.submit(Command(Action.POWER_OFF)))
        return outcomes

    room, outcomes = play(scenario, loss=0.3, seed=seed)
    assert [outcome.ending for outcome in outcomes] == [Ending.CONFIRMED] * 6
    assert room.projector.harm == []
    assert [on for _, on, _ in room.plug.switched][-1] is False
    # every shutdown that was lost was sent again, and none twice
    assert room.projector.heard == ["power_off"] * 3
    assert len(room.lan.sent) + len(room.hid.sent) >= 3


def test_a_shutdown_that_never_takes_leaves_the_mains_on():
    async def scenario(room):
        room.lan.loss = room.hid.loss = 1.0
        return await room.planner.submit(Command(Action.POWER_OFF))

    room, outcome = play(scenario, power=Power.RUNNING)
    assert outcome.ending is Ending.FAILED
    assert "the mains stay on" in outcome.reason
    assert room.plug.switched == []


def test_a_plug_that_stops_reporting_leaves_the_mains_on():
    async def scenario(room):
        room.plug.reporting = False
        return await room.planner.submit(Command(Action.POWER_OFF))

    room, outcome = play(scenario, power=Power.RUNNING)
    # it was seen to stop answering, so the shutdown itself is confirmed
    assert outcome.ending is Ending.CONFIRMED
    assert "the mains stay on" in outcome.reason
    assert room.plug.switched == []


def test_without_plug_and_probe_power_off_is_only_sent():
    _, outcome = play(submit(Action.POWER_OFF), power=Power.RUNNING, plug=False, probe=False)
    assert outcome.ending is Ending.SENT


def test_silence_before_and_after_proves_nothing():
    _, outcome = play(submit(Action.POWER_OFF), power=Power.HUNG, plug=False)
    assert outcome.ending is Ending.SENT


def test_a_plug_without_a_meter_is_never_cut_unless_it_is_allowed():
    room, outcome = play(submit(Action.POWER_OFF), power=Power.RUNNING, metered=False)
    assert outcome.ending is Ending.CONFIRMED
    assert "unmetered is off" in outcome.reason
    assert room.plug.switched == []
    room, outcome = play(
        submit(Action.POWER_OFF), power=Power.RUNNING, metered=False, mains=MainsSettings(unmetered=True)
    )
    assert [on for _, on, _ in room.plug.switched] == [False]


def test_a_power_cut_during_shutdown_ends_the_scene():
    async def scenario(room):
        scene = asyncio.ensure_future(room.planner.submit(Command(Action.POWER_OFF)))
        await asyncio.sleep(5)
        room.plug.power_cut()
        await asyncio.sleep(14)
        room.plug.power_returns()
        return await scene

    room, outcome = play(scenario, power=Power.RUNNING)
    # it booted when the street came back: that is no power-off, and its mains are its own
    assert (outcome.ending, room.projector.now(), room.plug.on) == (Ending.FAILED, Power.BOOTING, True)
    assert "it runs again" in outcome.reason
    assert room.plug.switched == []
    assert room.projector.harm == []


def test_the_timer_switches_off_later_and_can_be_cancelled():
    async def scenario(room):
        first = await room.planner.submit(Command(Action.POWER_OFF, minutes=30))
        await asyncio.sleep(29 * 60)
        before = room.projector.now()
        await asyncio.sleep(4 * 60)
        return first, before, room.projector.now()

    _, (first, before, after) = play(scenario, power=Power.RUNNING)
    assert (first.ending, before, after) == (Ending.CONFIRMED, Power.RUNNING, Power.NO_MAINS)

    async def cancelled(room):
        await room.planner.submit(Command(Action.POWER_OFF, minutes=30))
        outcome = await room.planner.submit(Command(Action.CANCEL))
        await asyncio.sleep(3600)
        return outcome

    room, outcome = play(cancelled, power=Power.RUNNING)
    assert (outcome.ending, room.projector.now()) == (Ending.CONFIRMED, Power.RUNNING)


# one scene at a time


def test_a_second_scene_and_keys_are_refused_while_one_runs():
    async def scenario(room):
        first = asyncio.ensure_future(room.planner.submit(Command(Action.POWER_ON)))
        await asyncio.sleep(3)
        others = [Command(Action.POWER_OFF), Command(Action.POWER_ON), Command(Action.HOME)]
        refused = [await room.planner.submit(command) for command in others]
        return await first, refused

    room, (first, refused) = play(scenario)
    assert first.ending is Ending.CONFIRMED
    assert [outcome.ending for outcome in refused] == [Ending.FAILED] * 3
    assert room.projector.heard == []


def test_whoever_asked_for_a_scene_may_go_away():
    async def scenario(room):
        asked = asyncio.ensure_future(room.planner.submit(Command(Action.POWER_ON)))
        await asyncio.sleep(3)
        asked.cancel()
        await asyncio.sleep(90)

    room, _ = play(scenario)
    assert room.projector.now() is Power.RUNNING


# dry run and journal


def test_a_dry_run_sends_nothing_and_says_what_it_would_send():
    async def scenario(room):
        commands = [Command(Action.POWER_ON), Command(Action.MUTE), Command(Action.POWER_OFF)]
        return [await room.planner.submit(command) for command in commands]

    room, outcomes = play(scenario, dry_run=True)
    assert all(outcome.dry_run for outcome in outcomes)
    assert "mains off for 10 s" in outcomes[0].reason
    assert "by lan → hid" in outcomes[1].reason
    assert (room.lan.sent, room.plug.switched) == ([], [])


def test_the_journal_tells_the_story(tmp_path):
    room, _ = play(submit(Action.POWER_OFF, origin="test"), power=Power.RUNNING, journal=Journal(tmp_path / "j.jsonl"))
    room.planner.journal.close()
    events = [(record["id"], record["event"]) for record in read_journal(tmp_path / "j.jsonl")]
    assert events == [(1, "asked"), (1, "sent"), (1, "mains"), (1, "ended")]
    assert Journal(tmp_path / "j.jsonl").asked({}) == 2


def test_a_full_disk_does_not_stop_a_scene_half_way(tmp_path, monkeypatch, caplog):
    async def scenario(room):
        scene = asyncio.ensure_future(room.planner.submit(Command(Action.POWER_ON)))
        while room.plug.on:
            await asyncio.sleep(1)

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("ironwok.home.journal.os.write", full)
        return await scene

    room, outcome = play(scenario, journal=Journal(tmp_path / "j.jsonl"))
    assert outcome.ending is Ending.CONFIRMED
    assert room.plug.on
    assert "No space left on device" in caplog.text


def test_settings_that_prove_nothing_are_refused():
    with pytest.raises(ConfigError, match="one reading proves nothing"):
        MainsSettings(readings=1)
    with pytest.raises(ConfigError, match="idle_watts"):
        MainsSettings(idle_watts=0)
    with pytest.raises(ConfigError, match="off_seconds"):
        SceneSettings(off_seconds=0)
