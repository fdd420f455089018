"""What a run tells whoever watches it: frozen values, given to one function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ironwok.results import Skip


@dataclass(frozen=True, slots=True)
class Planned:
    """What lies ahead, before the first passage is read.

    files: all of them; files_done, passages_done: kept from an earlier run. passages: still to read; counted, or
    carried over from the files seen so far where ``exact`` is False. seconds: predicted, None for a short run.
    changed, vanished: files whose earlier results are forgotten.
    """

    files: int
    files_done: int
    passages_done: int
    passages: int
    exact: bool
    seconds: float | None
    changed: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Advanced:
    """``done`` of about ``passages`` to read are on the disk; now in the file ``document``."""

    done: int
    passages: int
    document: str


@dataclass(frozen=True, slots=True)
class Answered:
    """``done`` of the questions have an answer; all documents are read."""

    done: int
    questions: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something was not read."""

    skip: Skip


@dataclass(frozen=True, slots=True)
class Stopped:
    """The run ends before its end, by an error or by the user; so much is kept for the next one."""

    passages: int
    documents: int


Event: TypeAlias = Planned | Advanced | Answered | Skipped | Stopped
Observer: TypeAlias = Callable[[Event], None]
