"""What reading or writing annotations could not take over as it stood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

# what became of the annotation, by kind of problem
OUTCOMES = {
    # lost: it is not in the result
    "bad record": "lost",
    "bad annotation": "lost",
    "not in the text": "lost",
    "ambiguous place": "lost",
    "unknown type": "lost",
    "unknown role": "lost",
    "unknown value": "lost",
    "unknown predicate": "lost",
    "empty event": "lost",
    "no place in the format": "lost",
    # repaired: it is in the result, at another place than the file says
    "offset repaired": "repaired",
    "place chosen": "repaired",
    # noted: it is in the result as it stood, and worth knowing
    "no trigger": "noted",
    "overlapping triggers": "noted",
    "duplicate": "noted",
    "no annotations": "noted",
    "other annotators": "noted",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about one record.

    file: path as given. line: at which the record starts, from 1, None in writing. id: of the record, where it has one.
    kind: a key of `OUTCOMES`. message: what is the matter, and where it says so what was done.
    """

    file: str
    line: int | None
    id: str
    kind: str
    message: str

    @property
    def outcome(self) -> str:
        """One of "lost", "repaired" and "noted"."""
        return OUTCOMES[self.kind]

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}, line {self.line}"
        return f"{place}{f' ({self.id})' if self.id else ''}: {self.kind}: {self.message}"

    def to_dict(self) -> dict[str, Any]:
        record: dict[str, Any] = {"file": self.file, "line": self.line, "id": self.id}
        return record | {"kind": self.kind, "outcome": self.outcome, "message": self.message}


OnProblem: TypeAlias = Callable[[Problem], None]
