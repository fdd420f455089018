"""The values that cross every border of the package: frozen, comparable, plain.

Offsets are half-open character positions in the text that the user gave, never in a normalised copy.
Scores are probabilities in [0, 1] unless a field says otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ironwok.errors import InputError


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of the user's text: ``original[start:end] == text``."""

    start: int
    end: int
    text: str

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise InputError(f"span [{self.start}, {self.end}) is not a range: 0 <= start <= end is required")
        if len(self.text) != self.end - self.start:
            raise InputError(f"span [{self.start}, {self.end}) is {self.end - self.start} characters long, its text {len(self.text)}")

    def to_dict(self) -> dict[str, Any]:
        return {"start": self.start, "end": self.end, "text": self.text}


@dataclass(frozen=True, slots=True)
class Classification:
    """Labels of one text, best first.

    scores: one per label; they sum to 1 unless the labels were judged independently (multi-label).
    abstained: the best score stayed under the asked-for threshold; ``label`` is then None.
    evidence: where the text was longer than the model takes, the window that decided, else None.
    """

    text: str
    labels: tuple[str, ...]
    scores: tuple[float, ...]
    abstained: bool = False
    evidence: Span | None = None

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.scores):
            raise InputError(f"{len(self.labels)} labels have {len(self.scores)} scores")
        if not all(math.isfinite(score) for score in self.scores):
            raise InputError(f"scores are not finite: {self.scores}")
        if any(a < b for a, b in zip(self.scores, self.scores[1:], strict=False)):
            raise InputError("scores are not sorted, best first")

    @property
    def label(self) -> str | None:
        return None if self.abstained or not self.labels else self.labels[0]

    @property
    def score(self) -> float:
        return self.scores[0] if self.scores else 0.0

    def to_dict(self) -> dict[str, Any]:
        record: dict[str, Any] = {"label": self.label, "labels": list(self.labels), "scores": list(self.scores)}
        if self.evidence is not None:
            record["evidence"] = self.evidence.to_dict()
        return record
