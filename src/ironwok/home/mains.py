"""The only place that switches the mains off, and the proof that it asks for first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from ironwok.errors import ConfigError, MainsHeldError, WayError
from ironwok.home.observer import Observation, Observer
from ironwok.home.ways.base import Plug

# a reading this old says nothing about now, seconds
_FRESH = 2.0


@dataclass(frozen=True, slots=True)
class MainsSettings:
    """When the mains may be cut.

    idle_watts: a projector in standby draws at most this. idle_seconds: it must have done so for this long.
    readings: looks in that time, each of which must agree. settle_seconds: how long after a shutdown was last requested
    the mains stay on whatever is read, because lamps and fans are still cooling.
    unmetered: allow cutting by the probe alone where the plug measures nothing; a projector that hangs looks off then.
    """

    idle_watts: float = 5.0
    idle_seconds: float = 10.0
    readings: int = 4
    settle_seconds: float = 20.0
    unmetered: bool = False

    def __post_init__(self) -> None:
        if self.idle_watts <= 0:
            raise ConfigError(f"idle_watts is {self.idle_watts:g}; a projector in standby draws more than nothing")
        if self.readings < 2:
            raise ConfigError(f"readings is {self.readings}; one reading proves nothing, give 2 or more")
        if self.idle_seconds < 0 or self.settle_seconds < 0:
            raise ConfigError("idle_seconds and settle_seconds are 0 or more")


class Mains:
    """Switches the plug. Cutting needs proof, from now, that the projector does not run."""

    def __init__(self, plug: Plug, observer: Observer, settings: MainsSettings) -> None:
        self._plug = plug
        self._observer = observer
        self._settings = settings
        self._shutdown_asked: float | None = None
        # the mains were cut in order to return, and have not
        self.owed = False

    def shutdown_requested(self) -> None:
        """A shutdown went out just now; the mains are held for a while."""
        self._shutdown_asked = asyncio.get_running_loop().time()

    async def on(self, *, attempts: int = 3, pause: float = 1.0) -> None:
        """Switch on, and make sure. Raises WayError after the last attempt."""
        for attempt in range(attempts):
            try:
                await self._plug.switch(True)
                self.owed = False
                return
            except WayError:
                if attempt == attempts - 1:
                    raise
                await asyncio.sleep(pause)

    async def cut(self, *, returns: bool, before: Callable[[], None] = lambda: None) -> None:
        """Switch off, if every look for ``idle_seconds`` says that the projector does not run.

        returns: it is meant to come on again soon. before: called right before the plug is told, to note it.
        One attempt: a repetition would act on an old reading.
        Raises MainsHeldError where the proof fails, WayError where the plug does not obey.
        """
        settings = self._settings
        loop = asyncio.get_running_loop()
        await self._settled()
        pause = settings.idle_seconds / (settings.readings - 1)
        for number in range(settings.readings):
            if number:
                await asyncio.sleep(pause)
            seen = await self._observer.look()
            self._prove(seen, loop.time())
        before()
        self.owed = returns
        await self._plug.switch(False)

    async def _settled(self) -> None:
        if self._shutdown_asked is None:
            return
        left = self._shutdown_asked + self._settings.settle_seconds - asyncio.get_running_loop().time()
        if left > 0:
            await asyncio.sleep(left)

    def _prove(self, seen: Observation, now: float) -> None:
        if self._shutdown_asked is not None and now - self._shutdown_asked < self._settings.settle_seconds:
            raise MainsHeldError(f"a shutdown was requested {now - self._shutdown_asked:.0f} s ago")
        if seen.answers:
            raise MainsHeldError(f"the projector answers ({seen})")
        if seen.reading is None:
            raise MainsHeldError(f"the plug does not say what it delivers ({seen.trouble})")
        if not seen.reading.on:
            raise MainsHeldError("the plug says that it is off already")
        if now - seen.reading.at > _FRESH:
            raise MainsHeldError(f"the plug's reading is {now - seen.reading.at:.1f} s old; {_FRESH:g} s are allowed")
        watts = seen.reading.watts
        if watts is None:
            if not self._settings.unmetered:
                raise MainsHeldError("the plug measures no power, and unmetered is off")
            if seen.answers is None:
                raise MainsHeldError("the plug measures no power and there is no probe: nothing says what runs")
        elif not watts <= self._settings.idle_watts:  # written so that a NaN holds the mains
            raise MainsHeldError(f"the projector draws {watts:.1f} W, more than {self._settings.idle_watts:g} W")
