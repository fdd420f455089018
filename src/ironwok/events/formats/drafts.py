"""Annotations as a file states them, before anything is checked against the text: what a format's reader makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ironwok.errors import InputError


@dataclass(slots=True)
class Mention:
    """A piece of text: its words, its place, or both. start, end: half-open, in characters; None where unknown."""

    text: str | None = None
    start: int | None = None
    end: int | None = None

    def __post_init__(self) -> None:
        if self.start is not None and self.start < 0:
            self.start = self.end = None  # -1 is a common way to say "nowhere"
        if self.text is None and (self.start is None or self.end is None):
            raise InputError("a mention needs its text, or its start and end")

    def __str__(self) -> str:
        words = "" if self.text is None else repr(self.text)
        if self.start is None:
            return words
        return f"{words} at [{self.start}, {'?' if self.end is None else self.end})".lstrip()


@dataclass(slots=True)
class DraftArgument:
    """mention: None for an enumerated value without a place; value: stated as a value by the format itself."""

    role: str
    mention: Mention | None
    value: str | None = None
    score: float = 1.0


@dataclass(slots=True)
class DraftEvent:
    type: str
    trigger: Mention | None = None
    arguments: list[DraftArgument] = field(default_factory=list)
    score: float = 1.0
    trigger_score: float = 1.0


@dataclass(slots=True)
class DraftEntity:
    type: str
    mention: Mention
    score: float = 1.0


@dataclass(slots=True)
class DraftRelation:
    predicate: str
    subject: Mention
    object: Mention
    score: float = 1.0


@dataclass(slots=True)
class DraftText:
    """faults: kind of problem and message, for what the reader had to leave out."""

    text: str
    events: list[DraftEvent] = field(default_factory=list)
    entities: list[DraftEntity] = field(default_factory=list)
    relations: list[DraftRelation] = field(default_factory=list)
    id: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    faults: list[tuple[str, str]] = field(default_factory=list)


def text_of(record: Mapping[str, Any], key: str) -> str:
    """A string that is not blank. Raises InputError, which names the key."""
    value = record.get(key)
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{key!r} is {_shown(value)}, text is needed")
    return value


def list_of(record: Mapping[str, Any], key: str) -> list[Any]:
    """A list, empty where there is none. Raises InputError."""
    value = record.get(key)
    if value is not None and not isinstance(value, list):
        raise InputError(f"{key!r} is {_shown(value)}, a list is needed")
    return value or []


def object_of(value: Any, what: str) -> Mapping[str, Any]:
    """A JSON object. Raises InputError."""
    if not isinstance(value, dict):
        raise InputError(f"{what} is {_shown(value)}, an object is needed")
    return value


def offset_of(record: Mapping[str, Any], key: str) -> int | None:
    """A whole number, or None where there is none. Raises InputError."""
    value = record.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise InputError(f"{key!r} is {_shown(value)}, a whole number is needed")
    return value


def score_of(record: Mapping[str, Any]) -> float:
    """A score in [0, 1], 1 where there is none. Raises InputError."""
    value = record.get("score")
    if value is None:
        return 1.0
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise InputError(f"'score' is {_shown(value)}, a number in [0, 1] is needed")
    return float(value)


def id_of(record: Mapping[str, Any]) -> str:
    """The id of a record as text, "" where there is none."""
    value = record.get("id")
    return str(value) if isinstance(value, str | int) else ""


def _shown(value: Any) -> str:
    return "missing" if value is None else f"{value!r:.60}"
