"""What can be asked of a projector, and how an asking ends."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ironwok.errors import InputError

MAX_STEPS = 20
MAX_MINUTES = 12 * 60


class Action(StrEnum):
    """One thing that a projector, or the daemon beside it, can do."""

    POWER_ON = "power_on"
    POWER_OFF = "power_off"
    VOLUME_UP = "volume_up"
    VOLUME_DOWN = "volume_down"
    MUTE = "mute"
    PLAY_PAUSE = "play_pause"
    OK = "ok"
    BACK = "back"
    HOME = "home"
    MENU = "menu"
    UP = "up"
    DOWN = "down"
    LEFT = "left"
    RIGHT = "right"
    FOCUS = "focus"
    SOURCE = "source"
    CANCEL = "cancel"
    STATUS = "status"


SCENES = frozenset({Action.POWER_ON, Action.POWER_OFF})
# a key of a remote that is held down repeats these; any other action happens once a press
REPEATABLE = frozenset(
    {Action.VOLUME_UP, Action.VOLUME_DOWN, Action.UP, Action.DOWN, Action.LEFT, Action.RIGHT}
)  # fmt: skip
# answered by the planner itself, whatever else goes on
IMMEDIATE = frozenset({Action.CANCEL, Action.STATUS})
KEYS = frozenset(Action) - SCENES - IMMEDIATE


@dataclass(frozen=True, slots=True)
class Command:
    """An action and its slots.

    steps: how often a repeatable key is pressed, 1 to 20. source: name of a configured input, for SOURCE alone.
    minutes: for POWER_OFF alone, how long to wait before it, 1 to 720. origin: where it came from, for the journal.
    held: a key of a remote that is held down said it again.
    """

    action: Action
    steps: int = 1
    source: str | None = None
    minutes: int | None = None
    origin: str = "call"
    held: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= MAX_STEPS:
            raise InputError(f"{self.action} has {self.steps} steps; give 1 to {MAX_STEPS}")
        if self.steps != 1 and self.action not in REPEATABLE:
            raise InputError(f"{self.action} takes no steps; {', '.join(sorted(REPEATABLE))} do")
        if (self.source is not None) != (self.action is Action.SOURCE):
            what = "needs the name of a source" if self.source is None else f"takes no source, got {self.source!r}"
            raise InputError(f"{self.action} {what}")
        if self.minutes is not None:
            if self.action is not Action.POWER_OFF:
                raise InputError(f"{self.action} takes no minutes; only {Action.POWER_OFF} does")
            if not 1 <= self.minutes <= MAX_MINUTES:
                raise InputError(f"{self.minutes} minutes are not in 1 to {MAX_MINUTES}")

    def __str__(self) -> str:
        """As bindings are written: ``volume_up 3``, ``source HDMI 2``, ``power_off 30``."""
        argument = self.source or self.minutes or (self.steps if self.steps > 1 else "")
        return f"{self.action} {argument}".strip()

    def to_dict(self) -> dict[str, Any]:
        record: dict[str, Any] = {"action": str(self.action)}
        if self.steps != 1:
            record["steps"] = self.steps
        if self.source is not None:
            record["source"] = self.source
        if self.minutes is not None:
            record["minutes"] = self.minutes
        return record | {"origin": self.origin}


def parse_command(text: str, *, origin: str = "call", held: bool = False) -> Command:
    """Read a command as bindings write it: an action and, after a space, steps, a source or minutes.

    Raises InputError for anything else.
    """
    name, _, argument = text.strip().partition(" ")
    argument = argument.strip()
    try:
        action = Action(name)
    except ValueError:
        raise InputError(f"there is no action {name!r}; there are {', '.join(Action)}") from None
    if action is Action.SOURCE:
        return Command(action, source=argument or None, origin=origin, held=held)
    if not argument:
        return Command(action, origin=origin, held=held)
    # a decimal such as "²" satisfies isdigit and not int
    if not (argument.isascii() and argument.isdigit()) or len(argument) > 4:
        raise InputError(f"{argument!r} after {action} is no number from 1 to {MAX_MINUTES}")
    if action is Action.POWER_OFF:
        return Command(action, minutes=int(argument), origin=origin, held=held)
    return Command(action, steps=int(argument), origin=origin, held=held)


class Ending(StrEnum):
    """How a command ended.

    CONFIRMED: its effect was seen. SENT: it went out, and nothing says whether it arrived. FAILED: it did not happen.
    """

    CONFIRMED = "confirmed"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one command. way: by which way out it went, None where none was used."""

    command: Command
    ending: Ending
    reason: str
    way: str | None = None
    dry_run: bool = False

    def to_dict(self) -> dict[str, Any]:
        record: dict[str, Any] = self.command.to_dict() | {"ending": str(self.ending), "reason": self.reason}
        if self.way is not None:
            record["way"] = self.way
        if self.dry_run:
            record["dry_run"] = True
        return record
