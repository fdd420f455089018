"""Ways out that end in the simulated world, without sockets: for scenarios on virtual time."""

from __future__ import annotations

import asyncio
from random import Random

from ironwok.errors import WayError
from ironwok.home.actions import Action, Command
from ironwok.home.simulator.world import PlugModel, ProjectorModel
from ironwok.home.ways.base import Delivery, Health, Reading


class MemoryWay:
    """A way that loses a share of what it is given, as UDP does: the sender never knows. broken: it refuses at once."""

    def __init__(
        self,
        name: str,
        projector: ProjectorModel,
        *,
        actions: frozenset[Action],
        loss: float = 0.0,
        delay: float = 0.01,
        random: Random | None = None,
    ) -> None:
        self.name = name
        self.projector = projector
        self.actions = actions
        self.loss = loss
        self.delay = delay
        self.broken = False
        self.sent: list[str] = []
        self._random = random or Random(0)  # noqa: S311

    def can(self, command: Command) -> bool:
        return command.action in self.actions

    async def send(self, command: Command) -> Delivery:
        if self.broken:
            raise WayError(f"{self.name} is unplugged")
        await asyncio.sleep(self.delay)
        self.sent.append(str(command))
        if self._random.random() >= self.loss:
            if command.action is Action.POWER_ON:
                self.projector.wake()
            else:
                self.projector.press(command)
        return Delivery(f"{self.name}: {command}")

    async def check(self) -> Health:
        return Health(self.name, not self.broken, "unplugged" if self.broken else "there")

    async def close(self) -> None:
        return None


class MemoryPlug:
    """The plug of the simulated world."""

    name = "plug"

    def __init__(self, model: PlugModel, *, delay: float = 0.05) -> None:
        self.model = model
        self.delay = delay

    async def switch(self, on: bool) -> None:
        if self.model.offline or self.model.blackout:
            await asyncio.sleep(2.0)
            raise WayError("plug does not answer")
        await asyncio.sleep(self.delay)
        self.model.switch(on)

    async def read(self) -> Reading:
        if self.model.offline or self.model.blackout or not self.model.reporting:
            await asyncio.sleep(2.0)
            raise WayError("plug does not answer")
        now = asyncio.get_running_loop().time()
        reading = Reading(self.model.on, self.model.watts if self.model.metered else None, now)
        await asyncio.sleep(self.delay)
        return reading

    async def check(self) -> Health:
        return Health(self.name, not self.model.offline, "there")

    async def close(self) -> None:
        return None


class MemoryProbe:
    """The TCP probe of the simulated world."""

    name = "probe"

    def __init__(self, projector: ProjectorModel) -> None:
        self.projector = projector

    async def answers(self) -> bool:
        await asyncio.sleep(0.01)
        return self.projector.answers

    async def check(self) -> Health:
        answers = self.projector.answers
        return Health(self.name, answers, "answers" if answers else "does not answer")
