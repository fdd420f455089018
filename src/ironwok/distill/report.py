"""What a distillation found out about its students."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Why = Literal["agrees more", "agrees no more", "no other texts", "not asked for", "no vectors", "too few set aside"]


@dataclass(frozen=True, slots=True)
class RoundReport:
    """One round of teaching the student of n-grams.

    number: 1, from the teacher's labels; 2, also from the encoder student's, of texts that the teacher was not asked
    for. texts: learned from. agreement: share of the texts set aside on which this round says what the teacher says;
    None where they were too few to choose on. strength: inverse regularisation. kept: whether it is the student.
    """

    number: int
    texts: int
    agreement: float | None
    strength: float
    kept: bool

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class StudentReport:
    """One student.

    folder: where it was saved. agreement: share of the held-out texts on which it says what the teacher says, of those
    on which the teacher did not abstain; None where there are none. accuracy: share of the held-out texts with a true
    label that it gets right, else None. texts_per_second: on one thread. speed_up: that, as a multiple of the
    teacher's in the same run. size: bytes of everything that it needs. strength: inverse regularisation that was
    chosen on texts beside the held-out ones.
    """

    kind: str
    folder: str
    agreement: float | None
    accuracy: float | None
    texts_per_second: float
    speed_up: float
    size: int
    strength: float

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class DistillReport:
    """What was labelled, and what the students learned from it.

    texts: how many were labelled; abstained: so many of them were left out; held_out: so many were not trained on.
    balance: labels with the number of texts that were kept for each. threshold: under which the teacher abstained.
    teacher_accuracy, teacher_texts_per_second, teacher_size: as in `StudentReport`, on the same texts.
    others: texts that the teacher was not asked for. rounds: those of the n-grams, none where they were not taught.
    why: what decided between the rounds, or why there was no second one. set_aside: texts that it was decided on,
    which are neither held out nor new to the student that was kept. adapted: whether the teacher's labels adapted to
    the texts first.
    """

    labels: tuple[str, ...]
    teacher: str
    threshold: float
    texts: int
    abstained: int
    held_out: int
    balance: Mapping[str, int] = field(hash=False)
    teacher_accuracy: float | None
    teacher_texts_per_second: float
    teacher_size: int
    others: int
    rounds: tuple[RoundReport, ...]
    why: Why
    set_aside: int
    students: tuple[StudentReport, ...]
    adapted: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As written to ``report.json``."""
        record: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        return record | {
            "labels": list(self.labels),
            "balance": dict(self.balance),
            "rounds": [one.to_dict() for one in self.rounds],
            "students": [student.to_dict() for student in self.students],
        }
