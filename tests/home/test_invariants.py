"""Whatever happens in the room: no mains cut above idle, at most one scene, every command answered."""

from __future__ import annotations

import asyncio

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from simulated_room import Room

from ironwok.home.actions import Action, Command, Ending, Outcome
from ironwok.home.clock import VirtualLoop
from ironwok.home.simulator.world import Power, Traits


class AnyEvening(RuleBasedStateMachine):
    """People, plugs, networks and the street's power in any order and at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.asked: list[asyncio.Future[Outcome]] = []
        self.interfered = False
        self.most_scenes = 0

    @initialize(
        loss=st.sampled_from([0.0, 0.3, 0.9]),
        power=st.sampled_from([Power.STANDBY, Power.RUNNING, Power.BOOTING, Power.HUNG]),
        boots=st.booleans(),
        hangs=st.sampled_from([0.0, 0.5]),
        probe=st.booleans(),
        ble=st.booleans(),
        seed=st.integers(0, 1000),
    )
    def enter(self, loss, power, boots, hangs, probe, ble, seed):
        async def make():
            traits = Traits(boots_on_mains=boots, hangs=hangs)
            return Room(loss=loss, power=power, traits=traits, probe=probe, ble=ble, seed=seed)

        self.room = self.loop.run_until_complete(make())
        self.ended_without_mains: list[float] = []
        self.room.planner.listeners.append(self.remember)
        self.running_scenes = 0
        scenes = self.room.planner._scenes
        for name in ("power_on", "power_off"):
            setattr(scenes, name, self.counted(getattr(scenes, name)))

    def counted(self, scene):
        async def run(*arguments):
            self.running_scenes += 1
            self.most_scenes = max(self.most_scenes, self.running_scenes)
            try:
                return await scene(*arguments)
            finally:
                self.running_scenes -= 1

        return run

    @rule(action=st.sampled_from(list(Action)), minutes=st.one_of(st.none(), st.integers(1, 4)))
    def say(self, action, minutes):
        command = Command(
            action,
            source="HDMI1" if action is Action.SOURCE else None,
            minutes=minutes if action is Action.POWER_OFF else None,
        )
        self.asked.append(self.loop.create_task(self.room.planner.submit(command)))

    @rule(action=st.sampled_from([Action.POWER_ON, Action.POWER_OFF]), seconds=st.floats(0, 60))
    def say_power(self, action, seconds):
        self.say(action, None)
        self.wait(seconds)

    # what chance alone seldom hits: something in the seconds in which the mains are proven idle, or are off

    @rule(seconds=st.floats(1, 25), action=st.sampled_from([Action.POWER_ON, Action.POWER_OFF]))
    def cancel_in_the_middle(self, action, seconds):
        self.say_power(action, seconds)
        self.say(Action.CANCEL, None)
        self.wait(1)

    @rule(seconds=st.floats(1, 9), action=st.sampled_from([Action.POWER_ON, Action.POWER_OFF]))
    def wake_in_the_middle(self, action, seconds):
        self.say_power(action, seconds)
        self.somebody_presses_the_button()

    @rule(seconds=st.one_of(st.floats(0, 3), st.floats(0, 200)))
    def wait(self, seconds):
        self.loop.run_until_complete(asyncio.sleep(seconds))

    @rule(flag=st.sampled_from(["reporting", "offline"]), value=st.booleans())
    def plug_changes(self, flag, value):
        setattr(self.room.plug, flag, value)

    @rule(broken=st.booleans())
    def network_changes(self, broken):
        self.room.lan.broken = broken

    @rule()
    def street_goes_dark(self):
        self.interfered = True
        self.room.plug.power_cut()

    @rule()
    def street_returns(self):
        self.interfered = True
        self.room.plug.power_returns()

    @rule()
    def somebody_presses_the_button(self):
        self.interfered = True
        self.room.projector.wake()

    @rule()
    def somebody_uses_the_remote(self):
        self.interfered = True
        self.room.projector.press(Command(Action.POWER_OFF))

    @rule()
    def somebody_presses_the_button_of_the_plug(self):
        # what people do is their own responsibility: it is not counted as a cut of ours
        self.interfered = True
        harm = list(self.room.projector.harm)
        self.room.plug.on = not self.room.plug.on
        self.room.projector.mains(self.room.plug.on and not self.room.plug.blackout)
        self.room.projector.harm[:] = harm

    @invariant()
    def mains_are_never_cut_above_idle(self):
        harm = getattr(self, "room", None) and self.room.projector.harm
        if harm:
            # No reading can see what somebody starts between it and the switch, at most one look (2 s) later.
            assert self.interfered, f"cut while running: {harm}"
            assert all(awake <= 2.5 for _, _, awake in harm), f"cut while running: {harm}"

    @invariant()
    def at_most_one_scene_runs(self):
        assert self.most_scenes <= 1

    def teardown(self):
        if not hasattr(self, "room"):
            self.loop.close()
            return
        # the room calms down; everything that was asked must come to an end
        self.room.plug.offline = False
        self.room.plug.power_returns()
        self.loop.run_until_complete(asyncio.sleep(3600))
        unanswered = [task for task in self.asked if not task.done()]
        assert not unanswered, "a command was never answered"
        assert all(isinstance(task.result().ending, Ending) and task.result().reason for task in self.asked)
        # a cut is the end of a power-off, or is followed by a switching on
        cuts = [at for at, on, _ in self.room.plug.switched if not on]
        returns = [at for at, on, _ in self.room.plug.switched if on]
        if cuts and not any(at >= cuts[-1] for at in returns):
            assert any(abs(at - cuts[-1]) < 1 for at in self.ended_without_mains), (
                f"the mains were left off by a scene that should have brought them back: {self.room.plug.switched}"
            )
        self.mains_are_never_cut_above_idle()
        self.at_most_one_scene_runs()
        self.loop.run_until_complete(self.room.planner.close())
        self.loop.close()

    def remember(self, outcome):
        if "the mains are off" in outcome.reason:
            self.ended_without_mains.append(self.loop.time())


def test_any_evening():
    run_state_machine_as_test(
        AnyEvening,
        settings=settings(
            max_examples=120,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
