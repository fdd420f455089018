"""Power on and power off: what takes minutes, has to watch what happens, and must be safe to stop at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ironwok.errors import ConfigError, MainsHeldError, WayError
from ironwok.home.actions import Command, Ending
from ironwok.home.mains import Mains
from ironwok.home.observer import Belief, Observation, Observer
from ironwok.home.ways.base import Way


@dataclass(frozen=True, slots=True)
class SceneSettings:
    """Times of the scenes, in seconds.

    off_seconds: how long the mains stay off in the power-on scene. wake_seconds: how soon a projector that wakes draws
    power or answers. boot_seconds: how soon it answers then. react_seconds: how soon a shutdown shows; after that the
    next way is tried. stop_seconds: how soon it is idle after the first request. look_seconds: between two looks.
    cycles: how often the mains are cycled before giving up. cut_when_off: end the power-off scene without mains.
    """

    off_seconds: float = 10.0
    wake_seconds: float = 20.0
    boot_seconds: float = 120.0
    react_seconds: float = 10.0
    stop_seconds: float = 180.0
    look_seconds: float = 2.0
    cycles: int = 2
    cut_when_off: bool = True

    def __post_init__(self) -> None:
        for name in ("off_seconds", "wake_seconds", "boot_seconds", "react_seconds", "stop_seconds", "look_seconds"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; give seconds above 0")
        if self.cycles < 1:
            raise ConfigError(f"cycles is {self.cycles}; give 1 or more")


@dataclass(frozen=True, slots=True)
class SceneEnd:
    """How a scene ended, before it is an outcome."""

    ending: Ending
    reason: str
    way: str | None = None


class Scenes:
    """The two scenes. note: writes a line of the journal. ways: of the command, best first."""

    def __init__(self, *, observer: Observer, mains: Mains | None, settings: SceneSettings) -> None:
        self._observer = observer
        self._mains = mains
        self._settings = settings
        self._look = observer.look

    async def power_on(self, command: Command, ways: Sequence[Way], note: Callable[..., Any]) -> SceneEnd:
        seen = await self._look()
        if seen.answers:
            return SceneEnd(Ending.CONFIRMED, f"it was on already ({seen})")
        if seen.belief is Belief.BUSY:
            # it boots, or it cools down after a shutdown that somebody else began
            if (end := await self._boots(None)) is not None:
                return end
            seen = await self._look()
        failures: list[str] = []
        for way in ways:
            if seen.belief is Belief.NO_MAINS:
                break  # nothing that has no mains hears anything
            try:
                delivery = await way.send(command)
            except WayError as error:
                failures.append(f"{way.name}: {error}")
                continue
            note("sent", way=way.name, detail=delivery.detail)
            if self._blind:
                return SceneEnd(Ending.SENT, "nothing here can see whether it wakes", way.name)
            if await self._wakes() and (end := await self._boots(way.name)) is not None:
                return end
            failures.append(f"{way.name}: it did not wake within {self._settings.wake_seconds:g} s")
        if self._mains is None:
            return SceneEnd(Ending.FAILED, "; ".join([*failures, "there is no plug to wake it by its mains"]))
        return await self._by_mains(self._mains, failures, note)

    @property
    def _blind(self) -> bool:
        return self._observer.probe is None and self._observer.plug is None

    async def _by_mains(self, mains: Mains, failures: list[str], note: Callable[..., Any]) -> SceneEnd:
        """Off, wait, on, wait until it lives; a second time where it does not."""
        settings = self._settings
        for _ in range(settings.cycles):
            seen = await self._look()
            # it woke late, or somebody pressed the button
            if seen.running and (end := await self._boots(None)) is not None:
                return end
            try:
                await self._cycle(mains, seen, note)
            except (MainsHeldError, WayError) as error:
                return SceneEnd(Ending.FAILED, "; ".join([*failures, f"plug: {error}"]), "plug")
            if await self._wakes() and (end := await self._boots("plug")) is not None:
                return end
            seen = await self._look()
            if seen.answers is None and seen.watts is None:
                return SceneEnd(Ending.SENT, "the mains were cycled; nothing here can see whether it woke", "plug")
        text = f"it did not wake though its mains returned {settings.cycles} times; is its power-on by mains enabled?"
        return SceneEnd(Ending.FAILED, "; ".join([*failures, text]), "plug")

    async def _cycle(self, mains: Mains, seen: Observation, note: Callable[..., Any]) -> None:
        if seen.mains is False:
            note("mains", on=True)
            await mains.on()
            return
        try:
            # not before the cut is proven safe: a refused cut leaves nothing to restore
            await mains.cut(returns=True, before=lambda: note("mains", on=False, returns=True))
            await asyncio.sleep(self._settings.off_seconds)
        except MainsHeldError:
            raise
        except BaseException:
            # The plug may be off, whatever it said, and the scene ends here: cancelled, or by a plug gone silent.
            # Projector and remote must not stay without mains.
            await _to_the_end(mains.on(), note)
            raise
        await _to_the_end(mains.on(), note)

    async def power_off(self, command: Command, ways: Sequence[Way], note: Callable[..., Any]) -> SceneEnd:
        seen = await self._look()
        if seen.belief is Belief.NO_MAINS:
            return SceneEnd(Ending.CONFIRMED, f"it was off already ({seen})")
        if seen.belief is Belief.IDLE:
            return await self._cut(f"it was idle already ({seen})", None, note)
        asked = await self._ask_to_stop(command, ways, note, seen)
        if asked.ending is not Ending.CONFIRMED:
            return asked
        return await self._cut(asked.reason, asked.way, note)

    async def _ask_to_stop(
        self, command: Command, ways: Sequence[Way], note: Callable[..., Any], first: Observation
    ) -> SceneEnd:
        """Send the shutdown until it takes, way after way, and wait until nothing runs any more."""
        settings, loop = self._settings, asyncio.get_running_loop()
        failures: dict[str, str] = {}
        used, turn = await self._send_next(command, ways, 0, note, failures)
        if used is None:
            return SceneEnd(Ending.FAILED, _joined(failures) or "no way out knows power_off")
        if not first.running and first.belief in (Belief.SILENT, Belief.UNKNOWN):
            # silence now would prove nothing: it was silent before
            return SceneEnd(Ending.SENT, f"whether it took cannot be seen ({first})", used)
        deadline = loop.time() + settings.stop_seconds
        resend_at = loop.time() + settings.react_seconds
        off_since: float | None = None
        seen = first
        while loop.time() < deadline:
            await asyncio.sleep(settings.look_seconds)
            seen = await self._look()
            if seen.belief in (Belief.IDLE, Belief.NO_MAINS) or (seen.belief is Belief.SILENT and first.answers):
                off_since = loop.time() if off_since is None else off_since
                # looked at twice and more: one lost probe is not a projector that is off
                if loop.time() - off_since >= min(settings.react_seconds, 3 * settings.look_seconds):
                    return SceneEnd(Ending.CONFIRMED, f"it is off ({seen})", used)
                continue
            off_since = None
            if loop.time() >= resend_at and _still_up(seen, first):
                way, turn = await self._send_next(command, ways, turn, note, failures)
                used = way or used
                resend_at = loop.time() + settings.react_seconds
        if seen.belief in (Belief.UNKNOWN, Belief.SILENT):
            return SceneEnd(Ending.SENT, f"the shutdown went out; whether it took cannot be seen ({seen})", used)
        reason = f"it still runs {settings.stop_seconds:g} s after the shutdown ({seen}); the mains stay on"
        return SceneEnd(Ending.FAILED, "; ".join(filter(None, [reason, _joined(failures)])), used)

    async def _send_next(
        self, command: Command, ways: Sequence[Way], turn: int, note: Callable[..., Any], failures: dict[str, str]
    ) -> tuple[str | None, int]:
        """Send by the next way in turn that works. Returns its name, None where none does, and the turn after it."""
        for offset in range(len(ways)):
            way = ways[(turn + offset) % len(ways)]
            if self._mains is not None:
                self._mains.shutdown_requested()
            try:
                delivery = await way.send(command)
            except WayError as error:
                failures[way.name] = str(error)
                continue
            note("sent", way=way.name, detail=delivery.detail)
            return way.name, turn + offset + 1
        return None, turn

    async def _cut(self, reason: str, way: str | None, note: Callable[..., Any]) -> SceneEnd:
        if self._mains is None or not self._settings.cut_when_off:
            return SceneEnd(Ending.CONFIRMED, reason, way)
        try:
            await self._mains.cut(returns=False, before=lambda: note("mains", on=False))
        except (MainsHeldError, WayError) as error:
            seen = await self._look()
            if seen.running:
                # switched on meanwhile by somebody, or by the mains of the street that came back
                return SceneEnd(Ending.FAILED, f"{reason}, but it runs again ({seen}); the mains stay on", way)
            return SceneEnd(Ending.CONFIRMED, f"{reason}; the mains stay on: {error}", way)
        return SceneEnd(Ending.CONFIRMED, f"{reason}; the mains are off", way)

    async def _wakes(self) -> bool:
        """Whether it answers or draws power within ``wake_seconds``."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.wake_seconds
        # without a meter the first sign of life is an answer, and that takes a whole boot
        if not await self._metered():
            deadline = loop.time() + self._settings.boot_seconds
        while loop.time() < deadline:
            if (await self._look()).running:
                return True
            await asyncio.sleep(self._settings.look_seconds)
        return False

    async def _metered(self) -> bool:
        return (await self._look()).watts is not None

    async def _boots(self, way: str | None) -> SceneEnd | None:
        """Wait until it answers. None where it falls back to standby instead."""
        loop = asyncio.get_running_loop()
        seen = await self._look()
        deadline = loop.time() + self._settings.boot_seconds
        # without a probe drawing power is all that can be seen, and a fan that runs on draws power too
        steady = loop.time() + self._settings.wake_seconds
        while not seen.answers:
            if seen.belief in (Belief.IDLE, Belief.NO_MAINS):
                return None
            if seen.answers is None and loop.time() >= steady:
                ending = Ending.CONFIRMED if seen.belief is Belief.BUSY else Ending.SENT
                return SceneEnd(ending, f"without a probe this is all that can be seen: {seen}", way)
            if loop.time() >= deadline:
                reason = f"it does not answer after {self._settings.boot_seconds:g} s ({seen})"
                if seen.belief is Belief.BUSY:
                    reason += "; it hangs perhaps. Its mains are not cut while it draws power: hold its own button"
                return SceneEnd(Ending.FAILED, reason, way)
            await asyncio.sleep(self._settings.look_seconds)
            seen = await self._look()
        return SceneEnd(Ending.CONFIRMED, f"it is on ({seen})", way)


async def _to_the_end(switching_on: Any, note: Callable[..., Any]) -> None:
    """Switch on even when the scene is cancelled meanwhile; the cancelling goes on afterwards."""
    task = asyncio.ensure_future(switching_on)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.done() and task.cancelled():
                raise
            cancelled = error
        except WayError:
            break
    if task.exception() is None:
        note("mains", on=True)
    if cancelled is not None:
        raise cancelled
    task.result()


def _still_up(seen: Observation, first: Observation) -> bool:
    """Whether the shutdown has not begun. A key sent while it shuts down might, where it is a toggle, wake it again."""
    if seen.answers is not None:
        return seen.answers
    if seen.watts is None or first.watts is None:
        return False
    return seen.watts > 0.7 * first.watts


def _joined(failures: dict[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in failures.items())
