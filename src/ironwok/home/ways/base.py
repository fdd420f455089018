"""What a way out is: the protocols that our own ways follow, and those of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ironwok.home.actions import Command


@dataclass(frozen=True, slots=True)
class Delivery:
    """A command left by a way. detail: what went out, for the journal; never a secret."""

    detail: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a plug said of itself. at: time of the running loop when it was received, seconds.

    watts: None where the plug does not meter.
    """

    on: bool
    watts: float | None
    at: float


@dataclass(frozen=True, slots=True)
class Health:
    """What ``ironwok home check`` tells of one part. hint: what to do about it, empty where all is well."""

    name: str
    works: bool
    finding: str
    hint: str = ""


@runtime_checkable
class Way(Protocol):
    """A way by which commands reach the projector.

    One attempt a call: the planner decides about repeating, because a second "volume up" is a second step.
    """

    name: str

    def can(self, command: Command) -> bool:
        """Whether the way knows this command at all."""
        ...

    async def send(self, command: Command) -> Delivery:
        """Send one press (the planner counts ``steps``). Raises WayError where it surely did not go out."""
        ...

    async def check(self) -> Health:
        """Find out whether the way would work, without doing anything visible."""
        ...

    async def close(self) -> None: ...


@runtime_checkable
class Plug(Protocol):
    """A smart plug that holds the projector's mains."""

    name: str

    async def switch(self, on: bool) -> None:
        """Switch, and wait for the plug's own word that it did. One attempt, at most a few seconds.

        Raises WayError where the plug did not say so; it may have switched all the same.
        """
        ...

    async def read(self) -> Reading:
        """Ask the plug now. Raises WayError where it does not answer. What it said earlier does not count."""
        ...

    async def check(self) -> Health: ...

    async def close(self) -> None: ...


@runtime_checkable
class Probe(Protocol):
    """Tells whether the projector's system is up."""

    name: str

    async def answers(self) -> bool: ...

    async def check(self) -> Health: ...
