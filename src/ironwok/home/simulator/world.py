"""A projector and the plug that feeds it, as physics: states that last, watts that follow. No network in here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from ironwok.home.actions import Action, Command


class Power(StrEnum):
    """What the machine is doing."""

    NO_MAINS = "no_mains"
    STANDBY = "standby"
    BOOTING = "booting"
    RUNNING = "running"
    STOPPING = "stopping"
    HUNG = "hung"


@dataclass(frozen=True, slots=True)
class Traits:
    """How a projector behaves. Times in seconds, power in watts.

    boots_on_mains: it starts by itself when the mains return. hangs: shares of boots that end in a hang.
    cool: after the screen is dark the fan runs on for this long.
    """

    boot: float = 28.0
    stop: float = 6.0
    cool: float = 20.0
    standby_watts: float = 0.8
    boot_watts: float = 65.0
    running_watts: float = 95.0
    cool_watts: float = 14.0
    boots_on_mains: bool = True
    hangs: float = 0.0


@dataclass(slots=True)
class ProjectorModel:
    """A projector on a clock.

    heard: every key in order. harm: every cut above idle: (time, watts, seconds since it began to run).
    """

    clock: Callable[[], float]
    random: Random
    traits: Traits = field(default_factory=Traits)
    power: Power = Power.STANDBY
    volume: int = 15
    muted: bool = False
    playing: bool = True
    source: str = "home"
    menu: bool = False
    heard: list[str] = field(default_factory=list)
    harm: list[tuple[float, float, float]] = field(default_factory=list)
    hang_next_boot: bool = False
    _since: float = 0.0
    _awake_since: float = 0.0

    def now(self) -> Power:
        """The state at this moment, after what time alone has changed."""
        elapsed = self.clock() - self._since
        if self.power is Power.BOOTING and elapsed >= self.traits.boot:
            hangs = self.hang_next_boot or self.random.random() < self.traits.hangs
            self.hang_next_boot = False
            self._become(Power.HUNG if hangs else Power.RUNNING)
        elif self.power is Power.STOPPING and elapsed >= self.traits.stop + self.traits.cool:
            self._become(Power.STANDBY)
        return self.power

    @property
    def watts(self) -> float:
        state, traits = self.now(), self.traits
        if state is Power.STOPPING:
            early = self.clock() - self._since < traits.stop
            return traits.running_watts if early else traits.cool_watts
        return {
            Power.NO_MAINS: 0.0,
            Power.STANDBY: traits.standby_watts,
            Power.BOOTING: traits.boot_watts,
            Power.RUNNING: traits.running_watts,
            Power.HUNG: traits.boot_watts,
        }[state]

    @property
    def answers(self) -> bool:
        """Whether its network service accepts connections: up late in the boot, gone as soon as it stops."""
        return self.now() is Power.RUNNING

    def mains(self, on: bool) -> None:
        state = self.now()
        if not on and state is not Power.NO_MAINS:
            if self.watts > self.traits.standby_watts:
                self.harm.append((self.clock(), self.watts, self.clock() - self._awake_since))
            self._become(Power.NO_MAINS)
        elif on and state is Power.NO_MAINS:
            self._become(Power.BOOTING if self.traits.boots_on_mains else Power.STANDBY)

    def wake(self) -> None:
        """The power-on advertisement, or the button."""
        if self.now() is Power.STANDBY:
            self._become(Power.BOOTING)

    def press(self, command: Command) -> None:
        """A key arrives. A machine that does not run hears none but those that its standby listens to: none here."""
        if self.now() is not Power.RUNNING:
            return
        self.heard.append(str(command))
        action = command.action
        if action is Action.POWER_OFF:
            self._become(Power.STOPPING)
        elif action in (Action.VOLUME_UP, Action.VOLUME_DOWN):
            step = command.steps if action is Action.VOLUME_UP else -command.steps
            self.volume = min(max(self.volume + step, 0), 100)
            self.muted = False
        elif action is Action.MUTE:
            self.muted = not self.muted
        elif action is Action.PLAY_PAUSE:
            self.playing = not self.playing
        elif action is Action.SOURCE and command.source is not None:
            self.source = command.source
        elif action is Action.MENU:
            self.menu = not self.menu
        elif action is Action.HOME:
            self.source, self.menu = "home", False

    def _become(self, state: Power) -> None:
        if self.power in (Power.NO_MAINS, Power.STANDBY):
            self._awake_since = self.clock()
        self.power = state
        self._since = self.clock()


@dataclass(slots=True)
class PlugModel:
    """The plug. reporting: it answers when asked. offline: it neither answers nor obeys. blackout: no mains at all."""

    projector: ProjectorModel
    on: bool = True
    metered: bool = True
    reporting: bool = True
    offline: bool = False
    blackout: bool = False
    # every switching: (time, on, watts of the projector right before)
    switched: list[tuple[float, bool, float]] = field(default_factory=list)

    def switch(self, on: bool) -> None:
        self.switched.append((self.projector.clock(), on, self.projector.watts))
        self.on = on
        self.projector.mains(on and not self.blackout)

    @property
    def watts(self) -> float:
        return self.projector.watts if self.on and not self.blackout else 0.0

    def power_cut(self) -> None:
        """The street goes dark: no fault of ours, so it is no harm of ours."""
        self.blackout = True
        harm = list(self.projector.harm)
        self.projector.mains(False)
        self.projector.harm[:] = harm

    def power_returns(self) -> None:
        self.blackout = False
        self.projector.mains(self.on)
