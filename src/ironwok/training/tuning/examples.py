"""Examples as batches: rows of token ids with their right answers."""

# B examples in a batch, R rows of it, C choices, L tokens

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ironwok.students.tuned.examples import ChoiceExample, Example, PairExample, ReadingExample, TextExample
from ironwok.students.tuned.rows import Encoded, Row
from ironwok.text.windows import char_span_to_token_span
from ironwok.training.supervised import draw_batches


@dataclass(frozen=True, slots=True)
class Batch:
    """rows: of all examples. owners: which example of the batch each is of, int64 [R].

    right: number of the label or choice, int64 [B]; for reading first and last token of the answer, [B, 2].
    """

    rows: list[Row]
    owners: NDArray[np.int64]
    right: NDArray[np.int64]


def right_answers(examples: Sequence[Example], labels: Sequence[str]) -> NDArray[np.int64]:
    """Number of the label or choice of each example, -1 for a label that is not among them."""
    numbers = {label: number for number, label in enumerate(labels)}
    right = []
    for example in examples:
        if isinstance(example, TextExample | PairExample):
            right.append(numbers.get(example.label or "", -1))
        elif isinstance(example, ChoiceExample):
            right.append(-1 if example.answer is None else example.answer)
    return np.array(right, dtype=np.int64)


def unknown_labels(examples: Sequence[Example], labels: Sequence[str]) -> Counter[str]:
    """Right answers that are none of the labels, and how many examples have each."""
    known = set(labels)
    given = (one.label for one in examples if isinstance(one, TextExample | PairExample))
    return Counter(label for label in given if label is not None and label not in known)


def right_places(examples: Sequence[ReadingExample], encoded: Encoded) -> tuple[NDArray[np.int64], list[int]]:
    """First and last token of the answer in each row, inclusive, [R, 2]; the row's first token where it holds none.

    Besides the examples whose answer is whole in none of their rows. An answer that a window cuts counts as not in it.
    """
    places = np.zeros((len(encoded.rows), 2), dtype=np.int64)
    found: set[int] = set()
    for row, owner in enumerate(encoded.owners):
        window, answers = encoded.windows[row], examples[owner].answers or ()
        low, high = (window.offsets[0][0], window.offsets[-1][1]) if window.offsets else (0, 0)
        for answer in answers:
            tokens = (
                char_span_to_token_span(window.offsets, answer.start, answer.end)
                if low <= answer.start and answer.end <= high
                else None
            )
            if tokens is not None:
                places[row] = tokens[0] + window.first, tokens[1] + window.first
                found.add(int(owner))
                break
    lost = [number for number, example in enumerate(examples) if example.answers and number not in found]
    return places, lost


class Batches:
    """The batches of every epoch, each a function of (seed, epoch) alone."""

    def __init__(
        self,
        encoded: Encoded,
        right: NDArray[np.int64],
        *,
        by_row: bool,
        batch_tokens: int,
        batch_size: int,
        seed: int,
    ) -> None:
        """by_row: every row is an example of its own, as the windows of a passage are."""
        self._rows = encoded.rows
        owners = np.arange(len(encoded.rows)) if by_row else encoded.owners
        count = int(owners[-1]) + 1
        self._cuts = np.searchsorted(owners, np.arange(count + 1))
        lengths = encoded.lengths
        self._lengths = np.array(
            [
                int(lengths[begin:end].max()) * int(end - begin)
                for begin, end in zip(self._cuts[:-1], self._cuts[1:], strict=True)
            ]
        )
        self._right, self._tokens, self._size, self._seed = right, batch_tokens, batch_size, seed
        self._epoch: tuple[int, list[NDArray[np.int64]]] | None = None

    def count(self, epoch: int = 0) -> int:
        """Batches in an epoch."""
        return len(self._of(epoch))

    def batch(self, epoch: int, number: int) -> Batch:
        examples = self._of(epoch)[number]
        rows: list[Row] = []
        owners: list[int] = []
        for place, example in enumerate(examples):
            begin, end = self._cuts[example], self._cuts[example + 1]
            rows += self._rows[begin:end]
            owners += [place] * int(end - begin)
        return Batch(rows, np.array(owners, dtype=np.int64), self._right[examples])

    def _of(self, epoch: int) -> list[NDArray[np.int64]]:
        if self._epoch is None or self._epoch[0] != epoch:
            generator = np.random.default_rng((self._seed, epoch))
            batches = draw_batches(self._lengths, generator, batch_size=self._size, batch_tokens=self._tokens)
            self._epoch = epoch, batches
        return self._epoch[1]
