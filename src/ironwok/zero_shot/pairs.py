"""What a scorer is asked: how well does this prompt read next to this text?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np

from ironwok.errors import InputError
from ironwok.results import Span
from ironwok.text.associations import Told
from ironwok.text.templates import Template

Position = Literal["prefix", "suffix"]
POSITIONS: tuple[Position, ...] = ("prefix", "suffix")


class Prompt(NamedTuple):
    """A sentence with a marked part: ``before + label + after``.

    A next-sentence scorer reads the whole sentence; a masked-LM scorer hides ``label`` and asks what stands there.
    A plain sentence without a marked part (the second sentence of a pair) is ``Prompt("", sentence, "")``.
    """

    before: str
    label: str
    after: str

    @property
    def text(self) -> str:
        return self.before + self.label + self.after


class Pair(NamedTuple):
    """One question to a scorer.

    position: "prefix" puts the prompt before the text (``[CLS] prompt [SEP] text [SEP]``), "suffix" after it.
    told: for scorers that compare the label's words with others, what they read instead of ``text``: all of a text that
    was cut, or what stands before and behind the blank that the label fills.
    """

    text: str
    prompt: Prompt
    position: Position = "prefix"
    told: Told | None = None


@runtime_checkable
class Scorer(Protocol):
    """Anything that says how well prompts go with texts; also what an entry point of ``ironwok.scorers`` must build."""

    def score(self, pairs: Sequence[Pair]) -> np.ndarray:
        """One float per pair, higher is better; log-odds wherever the model has a yes and a no.

        Each pair is scored on its own: neither the order of the pairs nor their company changes a score.
        """
        ...


@runtime_checkable
class WindowingScorer(Scorer, Protocol):
    """A scorer that knows how much it can read and can cut a text to that measure."""

    @property
    def max_tokens(self) -> int:
        """Longest input in tokens, special tokens included."""
        ...

    def windows(self, texts: Sequence[str], *, prompts: Sequence[Sequence[Prompt]], limit: int) -> list[list[Span]]:
        """For each text the pieces that fit into ``limit`` tokens beside the longest of its prompts."""
        ...

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        """Tokens of each text without special ones, int [N]."""
        ...


@runtime_checkable
class EmbeddingScorer(Scorer, Protocol):
    """A scorer whose encoder also gives one vector a text: enough for a first cut of many labels."""

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors, float32 [N, D]."""
        ...


@runtime_checkable
class AssociatingScorer(Scorer, Protocol):
    """A scorer that may have a table of words that keep company: a first cut of many labels without any encoder."""

    def nearness(self, texts: Sequence[str], words: Sequence[str]) -> np.ndarray | None:
        """How near each word lies to each text, float64 [N, C], 0 for what is unknown; None without a table."""
        ...

    def telling(self, words: Sequence[str]) -> np.ndarray | None:
        """How much each word tells of a text that has it, float64 [C], 0 for one that any text has; None as above."""
        ...


def fill(template: str, words: Iterable[str]) -> list[Prompt]:
    """The template's sentence for each of the words. Braces in a word are ordinary characters.

    Raises TemplateError unless the template has exactly one place, written ``{}`` or ``{label}``.
    """
    parsed = Template.parse(template)
    return [Prompt(parsed.before, word, parsed.after) for word in words]


def check_position(position: str) -> Position:
    if position not in POSITIONS:
        raise InputError(f"position is {position!r}; it is 'prefix' (prompt before the text) or 'suffix' (after it)")
    return position  # pyright: ignore[reportReturnType]


def check_texts(texts: Iterable[str] | str) -> list[str]:
    """The texts as a list; a lone string counts as one text. Raises InputError for what is no string or is blank."""
    listed = [texts] if isinstance(texts, str) else list(texts)
    for number, text in enumerate(listed):
        check_text(text, number)
    return listed


def check_text(text: object, number: int) -> str:
    if not isinstance(text, str):
        raise InputError(f"text {number} is {text!r:.60} ({type(text).__name__}), not a string")
    if not text.strip():
        raise InputError(f"text {number} is {'empty' if not text else 'blank'}: leave it out or give it content")
    return text
