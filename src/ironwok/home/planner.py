"""Takes commands, chooses ways, runs at most one scene, and ends every command as confirmed, sent or failed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ironwok.errors import ConfigError, WayError
from ironwok.home.actions import SCENES, Action, Command, Ending, Outcome
from ironwok.home.journal import Journal
from ironwok.home.limits import Limits
from ironwok.home.mains import Mains, MainsSettings
from ironwok.home.observer import Belief, Observation, Observer
from ironwok.home.scenes import SceneEnd, Scenes, SceneSettings
from ironwok.home.ways.base import Plug, Probe, Way

log = logging.getLogger(__name__)

# between two tries to bring back mains that a scene had to leave off, seconds
_RESTORE_PAUSE = 5.0
# how long the end of the program waits for one of them, seconds
_LAST_CHANCE = 4.0


@dataclass(frozen=True, slots=True)
class PlannerSettings:
    """How the planner decides.

    order: names of ways, best first; ways that are not named come after them as they were given.
    order_of: the same for single actions. press_gap: seconds between the presses of one command.
    most_waiting: commands that may wait for their turn. sources: names of the inputs that may be asked for, () for any.
    """

    order: tuple[str, ...] = ()
    order_of: Mapping[Action, tuple[str, ...]] = field(default_factory=dict)
    press_gap: float = 0.12
    most_waiting: int = 16
    sources: tuple[str, ...] = ()
    scenes: SceneSettings = field(default_factory=SceneSettings)
    mains: MainsSettings = field(default_factory=MainsSettings)


class Planner:
    """Plans on the running loop's clock.

    ways: all ways out, by any of which a command may go. plug, probe: what can be seen and switched; both may be None.
    dry_run: look, decide and say what would be sent, and send nothing.
    lasting: the program runs on, so that timers can be set.
    """

    def __init__(
        self,
        *,
        ways: Sequence[Way],
        plug: Plug | None = None,
        probe: Probe | None = None,
        settings: PlannerSettings | None = None,
        journal: Journal | None = None,
        limits: Limits | None = None,
        dry_run: bool = False,
        lasting: bool = True,
    ) -> None:
        self.settings = settings or PlannerSettings()
        self.ways = tuple(ways)
        names = [way.name for way in self.ways]
        if len(set(names)) != len(names):
            raise ConfigError(f"two ways have the same name: {', '.join(names)}")
        for name in {*self.settings.order, *(name for order in self.settings.order_of.values() for name in order)}:
            if name not in names:
                raise ConfigError(f"the order names a way {name!r}; there are {', '.join(names) or 'none'}")
        self.observer = Observer(probe=probe, plug=plug, idle_watts=self.settings.mains.idle_watts)
        self._mains = None if plug is None else Mains(plug, self.observer, self.settings.mains)
        self._scenes = Scenes(observer=self.observer, mains=self._mains, settings=self.settings.scenes)
        self.journal = journal or Journal(None)
        self._limits = limits or Limits()
        self._dry_run = dry_run
        self._lasting = lasting
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._scene: tuple[Command, asyncio.Task[SceneEnd]] | None = None
        self._timer: tuple[Command, asyncio.Task[None]] | None = None
        self._restoring: asyncio.Task[None] | None = None
        self._closed = False
        self.listeners: list[Callable[[Outcome], None]] = []

    @property
    def scene(self) -> Action | None:
        """The scene that runs now."""
        return None if self._scene is None else self._scene[0].action

    async def recover(self) -> None:
        """Undo what the last run had to leave: mains that it cut in order to switch them on again."""
        if self.journal.left_over.mains_off and self._mains is not None and not self._dry_run:
            self._mains.owed = True
            self._restore_later()

    async def submit(self, command: Command) -> Outcome:
        """Do it, and say how it ended. Raises nothing but bugs and cancellation; what fails is an outcome."""
        number = self.journal.asked(command.to_dict())
        try:
            end = await self._decide(command, partial(self.journal.note, number))
        except asyncio.CancelledError:
            # the caller went away; the journal keeps the account all the same
            self.journal.ended(number, Outcome(command, Ending.FAILED, "given up by whoever asked"))
            raise
        outcome = Outcome(command, end.ending, end.reason, end.way, self._dry_run)
        self.journal.ended(number, outcome)
        for listener in self.listeners:
            listener(outcome)
        return outcome

    async def look(self) -> Observation:
        return await self.observer.look()

    async def close(self) -> None:
        """Stop safely: a scene is cancelled and may first bring the mains back."""
        self._closed = True
        self._cancel_running()
        pending = [task for task in (self._scene and self._scene[1], self._timer and self._timer[1]) if task]
        if pending:
            await asyncio.wait(pending)
        if self._restoring is not None:
            # mains that ought to be on get a last chance; what is not done is done at the next start
            await asyncio.wait([self._restoring], timeout=_LAST_CHANCE)
            self._restoring.cancel()
            await asyncio.wait([self._restoring])
        for part in (*self.ways, *filter(None, [self.observer.plug])):
            await part.close()

    async def _decide(self, command: Command, note: Callable[..., Any]) -> SceneEnd:
        if self._closed:
            return _failed("the program is stopping")
        if command.action is Action.STATUS:
            seen = await self.look()
            doing = "" if self._scene is None else f"; the scene {self._scene[0].action} runs"
            return SceneEnd(Ending.CONFIRMED, f"{seen}{doing}")
        if command.action is Action.CANCEL:
            return self._cancel()
        if refusal := self._limits.refuse(command, asyncio.get_running_loop().time()):
            return _failed(refusal)
        if self._scene is not None:
            return _failed(f"the scene {self._scene[0].action} runs; cancel it first")
        if command.minutes is not None:
            return self._start_timer(command)
        if self._dry_run:
            return await self._describe(command)
        if command.action in SCENES:
            return await self._run_scene(command, note)
        return await self._press(command, note)

    # single keys

    async def _press(self, command: Command, note: Callable[..., Any]) -> SceneEnd:
        if problem := self._unknown_source(command):
            return _failed(problem)
        if self._waiting >= self.settings.most_waiting:
            return _failed(f"{self._waiting} commands wait already")
        self._waiting += 1
        try:
            async with self._turn:
                if self._scene is not None:
                    return _failed(f"the scene {self._scene[0].action} began first")
                return await self._press_now(command, note)
        finally:
            self._waiting -= 1

    async def _press_now(self, command: Command, note: Callable[..., Any]) -> SceneEnd:
        failures: list[str] = []
        one = replace(command, steps=1)
        for way in self._ranked(command):
            done = 0
            try:
                for done in range(command.steps):
                    if done:
                        await asyncio.sleep(self.settings.press_gap)
                    delivery = await way.send(one)
                    note("sent", way=way.name, detail=delivery.detail)
            except WayError as error:
                if done:
                    # another way would start counting anew
                    return SceneEnd(Ending.FAILED, f"stopped after {done} of {command.steps} steps: {error}", way.name)
                failures.append(f"{way.name}: {error}")
                continue
            return SceneEnd(Ending.SENT, "nothing tells whether it arrived", way.name)
        return _failed("; ".join(failures) or f"no way out knows {command.action}")

    def _unknown_source(self, command: Command) -> str | None:
        sources = self.settings.sources
        if command.source is None or not sources or command.source in sources:
            return None
        return f"there is no source {command.source!r}; there are {', '.join(sources)}"

    def _ranked(self, command: Command) -> list[Way]:
        order = self.settings.order_of.get(command.action, self.settings.order)
        rank = {name: number for number, name in enumerate(order)}
        able = [way for way in self.ways if way.can(command)]
        return sorted(able, key=lambda way: rank.get(way.name, len(rank)))

    # scenes

    async def _run_scene(self, command: Command, note: Callable[..., Any]) -> SceneEnd:
        scene = self._scenes.power_on if command.action is Action.POWER_ON else self._scenes.power_off
        task = asyncio.ensure_future(self._scene_in_turn(scene, command, note))
        self._scene = (command, task)
        if command.action is Action.POWER_OFF:
            self._stop_timer()
        try:
            # shielded: whoever asked may go away, a scene is not left half done
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.cancelled():
                raise
            return _failed("cancelled")

    async def _scene_in_turn(self, scene: Callable[..., Any], command: Command, note: Callable[..., Any]) -> SceneEnd:
        try:
            if self._restoring is not None:
                # the scene decides about the mains now
                self._restoring.cancel()
                await asyncio.wait([self._restoring])
                self._restoring = None
            async with self._turn:
                return await scene(command, self._ranked(command), note)
        finally:
            self._scene = None
            if self._mains is not None and self._mains.owed:
                self._restore_later()

    def _restore_later(self) -> None:
        if self._restoring is None or self._restoring.done():
            self._restoring = asyncio.ensure_future(self._restore())

    async def _restore(self) -> None:
        """Keep trying to switch on what should not have stayed off."""
        assert self._mains is not None
        while self._mains.owed:
            try:
                await self._mains.on(attempts=1)
            except WayError as error:
                log.warning("the mains should be on, but: %s", error)
                await asyncio.sleep(_RESTORE_PAUSE)
            else:
                self.journal.note(0, "mains", on=True)

    # later, and no longer

    def _start_timer(self, command: Command) -> SceneEnd:
        assert command.minutes is not None
        if self._dry_run:
            return SceneEnd(Ending.SENT, f"dry run: would switch off in {command.minutes} minutes")
        if not self._lasting:
            return _failed("a timer needs a program that waits for it: ironwok home run")
        replaced = "" if self._timer is None else " (instead of the earlier timer)"
        self._stop_timer()
        self._timer = (command, asyncio.ensure_future(self._switch_off_in(command)))
        return SceneEnd(Ending.CONFIRMED, f"it is switched off in {command.minutes} minutes{replaced}")

    async def _switch_off_in(self, command: Command) -> None:
        assert command.minutes is not None
        await asyncio.sleep(command.minutes * 60)
        self._timer = None
        await self.submit(Command(Action.POWER_OFF, origin=f"timer, set by {command.origin}"))

    def _stop_timer(self) -> None:
        # the timer's own task is no longer in here once it fires, so that it does not cancel itself
        if self._timer is not None:
            self._timer[1].cancel()
            self._timer = None

    def _cancel(self) -> SceneEnd:
        stopped = self._cancel_running()
        if not stopped:
            return _failed("there is nothing to cancel: no scene runs and no timer is set")
        return SceneEnd(Ending.CONFIRMED, f"cancelled: {' and '.join(stopped)}")

    def _cancel_running(self) -> list[str]:
        stopped = []
        if self._scene is not None:
            self._scene[1].cancel()
            stopped.append(f"the scene {self._scene[0].action}")
        if self._timer is not None:
            stopped.append(f"the timer of {self._timer[0].minutes} minutes")
            self._stop_timer()
        return stopped

    # dry run

    async def _describe(self, command: Command) -> SceneEnd:
        if problem := self._unknown_source(command):
            return _failed(problem)
        ways = self._ranked(command)
        names = " → ".join(way.name for way in ways)
        seen = await self.look()
        if command.action not in SCENES:
            if not ways:
                return _failed(f"no way out knows {command.action}")
            return SceneEnd(Ending.SENT, f"dry run: would send {command} by {names}", ways[0].name)
        if command.action is Action.POWER_ON:
            if seen.answers:
                return SceneEnd(Ending.CONFIRMED, f"dry run: it is on already ({seen})")
            mains = "" if self._mains is None else f"mains off for {self.settings.scenes.off_seconds:g} s, then on"
            steps = " → ".join(filter(None, [names, mains]))
        else:
            if seen.belief is Belief.NO_MAINS:
                return SceneEnd(Ending.CONFIRMED, f"dry run: it is off already ({seen})")
            idle = f"wait for {self.settings.mains.idle_watts:g} W or less, cut the mains"
            cut = self._mains is not None and self.settings.scenes.cut_when_off
            steps = " → ".join(filter(None, [names, idle if cut else ""]))
        if not steps:
            return _failed(f"no way out knows {command.action}")
        return SceneEnd(Ending.SENT, f"dry run: would go {steps} ({seen})")


def _failed(reason: str) -> SceneEnd:
    return SceneEnd(Ending.FAILED, reason)
