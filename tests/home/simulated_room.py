"""A simulated room with a planner in it, on virtual time."""

from __future__ import annotations

import asyncio
from random import Random

from ironwok.home.actions import KEYS, Action
from ironwok.home.journal import Journal
from ironwok.home.limits import Limits
from ironwok.home.mains import MainsSettings
from ironwok.home.planner import Planner, PlannerSettings
from ironwok.home.scenes import SceneSettings
from ironwok.home.simulator.memory import MemoryPlug, MemoryProbe, MemoryWay
from ironwok.home.simulator.world import PlugModel, Power, ProjectorModel, Traits

LAN = KEYS | {Action.POWER_OFF}


class Room:
    """Everything of one simulated room. To be made inside a running loop."""

    def __init__(
        self,
        *,
        power: Power = Power.STANDBY,
        loss: float = 0.0,
        traits: Traits | None = None,
        plug: bool = True,
        probe: bool = True,
        ble: bool = False,
        metered: bool = True,
        plug_on: bool = True,
        seed: int = 0,
        journal: Journal | None = None,
        scenes: SceneSettings | None = None,
        mains: MainsSettings | None = None,
        dry_run: bool = False,
        **limits: float,
    ) -> None:
        loop = asyncio.get_running_loop()
        random = Random(seed)
        self.projector = ProjectorModel(loop.time, random, traits or Traits(), power=power)
        if not plug_on:
            self.projector.power = Power.NO_MAINS
        self.plug = PlugModel(self.projector, on=plug_on, metered=metered)
        self.lan = MemoryWay("lan", self.projector, actions=LAN, loss=loss, random=random)
        self.hid = MemoryWay("hid", self.projector, actions=LAN - {Action.SOURCE, Action.FOCUS}, random=random)
        self.ways = [self.lan, self.hid]
        if ble:
            self.ble = MemoryWay("ble", self.projector, actions=frozenset({Action.POWER_ON}), random=random)
            self.ways.append(self.ble)
        self.planner = Planner(
            ways=self.ways,
            plug=MemoryPlug(self.plug) if plug else None,
            probe=MemoryProbe(self.projector) if probe else None,
            settings=PlannerSettings(
                order=("lan", "hid"), scenes=scenes or SceneSettings(), mains=mains or MainsSettings()
            ),
            journal=journal,
            limits=Limits(**limits),
            dry_run=dry_run,
        )
