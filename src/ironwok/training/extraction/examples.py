"""Annotated texts as rows of token ids with their right cells, and the batches of a run."""

# B rows, L tokens, K right cells

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ironwok.events.annotations import AnnotatedText
from ironwok.events.classes import TaskClasses
from ironwok.events.extractor import model_inputs
from ironwok.events.targets import Misfits, targets_of
from ironwok.text.inputs import layout_of
from ironwok.text.windows import iter_windows
from ironwok.training.supervised import draw_batches

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

POINTERS = ("spans", "heads", "tails")


@dataclass(frozen=True, slots=True)
class Example:
    """One window of a text. right: of each pointer int64 [K, 3]: class, first, second. taught: a teacher said so."""

    token_ids: tuple[int, ...]
    right: tuple[np.ndarray, ...]
    taught: bool = False


def make_examples(
    texts: Iterable[AnnotatedText],
    classes: TaskClasses,
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_tokens: int,
    taught: bool = False,
    on_text: Callable[[int], None] = lambda done: None,
) -> tuple[list[Example], Misfits]:
    """Rows for all windows of all texts, those without annotations too, and what does not fit.

    max_tokens: of a window, special ones included. on_text: told how many texts are done.
    """
    before, after = layout_of(tokenizer).single
    room = max_tokens - len(before) - len(after)
    misfits = Misfits()
    examples: list[Example] = []
    for done, text in enumerate(texts, 1):
        for window in iter_windows(text.text, tokenizer, max_tokens=room, overlap=room // 4):
            targets = targets_of(text, window, classes, offset=len(before), misfits=misfits)
            right = tuple(targets.array(name) for name in POINTERS)
            examples.append(Example(window.token_ids, right, taught))
        on_text(done)
    return examples, misfits


@dataclass(frozen=True, slots=True)
class Batch:
    """inputs: of the model, int64 [B, L] each. right: of each pointer int64 [K, 4]. weights: float32 [B]."""

    inputs: dict[str, np.ndarray]
    right: tuple[np.ndarray, ...]
    taught: np.ndarray

    @property
    def size(self) -> int:
        return len(self.taught)


class Batches:
    """The batches of every epoch, each a function of (seed, epoch) alone.

    Rows are shuffled, those of similar length put together, the batches shuffled again.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        tokenizer: PreTrainedTokenizerBase,
        *,
        batch_tokens: int,
        batch_size: int,
        seed: int,
    ) -> None:
        self._examples = examples
        self._layout = layout_of(tokenizer).single
        self._pad: Any = tokenizer.pad_token_id or 0
        self._lengths = np.array([len(example.token_ids) for example in examples]) + sum(map(len, self._layout))
        self._tokens, self._size, self._seed = batch_tokens, batch_size, seed
        self._epoch: tuple[int, list[np.ndarray]] | None = None

    def count(self, epoch: int = 0) -> int:
        """Batches in an epoch."""
        return len(self._of(epoch))

    def batch(self, epoch: int, number: int) -> Batch:
        rows = [self._examples[index] for index in self._of(epoch)[number]]
        right = []
        for pointer in range(len(POINTERS)):
            parts = [
                np.column_stack([np.full(len(example.right[pointer]), row, dtype=np.int64), example.right[pointer]])
                for row, example in enumerate(rows)
            ]
            right.append(np.concatenate(parts))
        inputs = model_inputs([example.token_ids for example in rows], self._layout, pad=self._pad)
        return Batch(inputs, tuple(right), np.array([example.taught for example in rows]))

    def _of(self, epoch: int) -> list[np.ndarray]:
        if self._epoch is None or self._epoch[0] != epoch:
            generator = np.random.default_rng((self._seed, epoch))
            batches = draw_batches(self._lengths, generator, batch_size=self._size, batch_tokens=self._tokens)
            self._epoch = epoch, batches
        return self._epoch[1]
