"""What is known of the projector: only what a probe or a plug says now, never what was hoped for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum

from ironwok.errors import WayError
from ironwok.home.ways.base import Plug, Probe, Reading


class Belief(StrEnum):
    """What an observation says.

    NO_MAINS: the plug is off. IDLE: it has mains and draws no more than in standby. RUNNING: its system answers.
    BUSY: it draws power and does not answer: it boots, shuts down or hangs. SILENT: it does not answer, and nothing
    meters it. UNKNOWN: nobody can tell.
    """

    NO_MAINS = "no_mains"
    IDLE = "idle"
    RUNNING = "running"
    BUSY = "busy"
    SILENT = "silent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at the projector.

    answers: of the probe, None without one. reading: of the plug, None without one or where it does not answer.
    trouble: why there is no reading though there is a plug.
    """

    answers: bool | None
    reading: Reading | None
    idle_watts: float
    trouble: str = ""

    @property
    def watts(self) -> float | None:
        return None if self.reading is None else self.reading.watts

    @property
    def mains(self) -> bool | None:
        return None if self.reading is None else self.reading.on

    @property
    def belief(self) -> Belief:
        # a probe that answers outweighs a plug that says "off": the projector may hang on another socket
        if self.answers:
            return Belief.RUNNING
        if self.mains is False:
            return Belief.NO_MAINS
        if self.watts is not None:
            return Belief.BUSY if self.watts > self.idle_watts else Belief.IDLE
        return Belief.SILENT if self.answers is False else Belief.UNKNOWN

    @property
    def running(self) -> bool:
        return self.belief in (Belief.RUNNING, Belief.BUSY)

    def __str__(self) -> str:
        parts = []
        if self.answers is not None:
            parts.append("answers" if self.answers else "does not answer")
        if self.mains is not None:
            parts.append("mains on" if self.mains else "mains off")
        if self.watts is not None:
            parts.append(f"{self.watts:.1f} W")
        if self.trouble:
            parts.append(self.trouble)
        return f"{self.belief}: {', '.join(parts) or 'there is neither a probe nor a plug'}"


class Observer:
    """Looks at the projector through a probe and a plug, either of which may be missing."""

    def __init__(self, *, probe: Probe | None, plug: Plug | None, idle_watts: float) -> None:
        self.probe = probe
        self.plug = plug
        self.idle_watts = idle_watts

    async def look(self) -> Observation:
        answers, (reading, trouble) = await asyncio.gather(self._answers(), self._read())
        return Observation(answers, reading, self.idle_watts, trouble)

    async def _answers(self) -> bool | None:
        return None if self.probe is None else await self.probe.answers()

    async def _read(self) -> tuple[Reading | None, str]:
        if self.plug is None:
            return None, ""
        try:
            return await self.plug.read(), ""
        except WayError as error:
            return None, str(error)
