"""What such models are asked, and what they are taught by where the right answer is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ironwok.results import Span

TASKS = ("classify", "pairs", "choice", "reading")


@dataclass(frozen=True, slots=True)
class TextExample:
    """A text and its label, None where it is not known."""

    text: str
    label: str | None = None


@dataclass(frozen=True, slots=True)
class PairExample:
    """Two texts, in an order that matters, and the label of both together."""

    first: str
    second: str
    label: str | None = None


@dataclass(frozen=True, slots=True)
class ChoiceExample:
    """A question about a passage (which may be empty), its answers to choose from, and the number of the right one."""

    passage: str
    question: str
    choices: tuple[str, ...]
    answer: int | None = None


@dataclass(frozen=True, slots=True)
class ReadingExample:
    """A question about a passage. answers: places in it that are right, () where it holds none, None for not known."""

    context: str
    question: str
    answers: tuple[Span, ...] | None = None


Example: TypeAlias = TextExample | PairExample | ChoiceExample | ReadingExample
EXAMPLES: dict[str, type[Example]] = {
    "classify": TextExample,
    "pairs": PairExample,
    "choice": ChoiceExample,
    "reading": ReadingExample,
}
