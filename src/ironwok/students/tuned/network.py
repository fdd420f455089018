"""A fine-tuned encoder run over rows: the numbers that its head gives, and what they mean."""

# E examples, R rows, C choices, N labels, L tokens

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ironwok.results import Span
from ironwok.students.tuned.examples import Example, ReadingExample
from ironwok.students.tuned.rows import Encoded, PassageWindow, encode
from ironwok.text.inputs import longest_input
from ironwok.zero_shot.encoder_scorer import DEFAULT_BATCH_SIZE, EncoderScorer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Marked:
    """The words of a passage that answer.

    span: in the passage; None where the model was also taught questions without an answer, and finds none.
    score: probability that the answer begins and ends there, in the window that holds it; of "none" for None.
    """

    span: Span | None
    score: float


class Network:
    """A model of ``transformers`` with the head of a task, its tokenizer, and how long its rows may be.

    max_tokens: the model's own limit where it is less.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        task: str,
        max_tokens: int,
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> None:
        self.task = task
        limit = min(max_tokens, longest_input(tokenizer, model.config))
        self.scorer = EncoderScorer(model, tokenizer, batch_size=batch_size, max_tokens=limit)

    @property
    def model(self) -> PreTrainedModel:
        return self.scorer.model

    def encode(self, examples: Sequence[Example], **options: Any) -> Encoded:
        return encode(examples, self.scorer.encoder, **options)

    def raw(self, encoded: Encoded, *, on_rows: Callable[[int], None] | None = None) -> list[NDArray[np.float64]]:
        """Of each row: logits [N] of the labels, [1] of the choice, or [L, 2] of where the answer begins and ends."""
        self.model.eval()
        found: list[Any] = [None] * len(encoded.rows)

        def read(outputs: Any, inputs: dict[str, Any], indices: NDArray) -> None:
            if self.task == "reading":
                import torch

                logits = torch.stack([outputs.start_logits, outputs.end_logits], dim=-1)
            else:
                logits = outputs.logits
            for index, row in zip(indices, logits.float().cpu().numpy().astype(np.float64), strict=True):
                found[index] = row[: len(encoded.rows[index][0])] if self.task == "reading" else row

        self.scorer.run(encoded.lengths, encoded.rows.__getitem__, read, model=self._call, progress=on_rows)
        return found

    def _call(self, **inputs: Any) -> Any:
        if self.task == "choice":  # the head takes [batch, choices, tokens]: here every row is alone
            inputs = {name: tensor[:, None] for name, tensor in inputs.items()}
        return self.model(**inputs)

    def scores(self, encoded: Encoded, *, on_rows: Callable[[int], None] | None = None) -> list[NDArray[np.float64]]:
        """Of each example: [N] of the labels, averaged over the windows of a long text, or [C] of the choices."""
        raw = self.raw(encoded, on_rows=on_rows)
        count = int(encoded.owners[-1]) + 1 if len(encoded.owners) else 0
        cuts = np.searchsorted(encoded.owners, np.arange(count + 1))
        groups = [np.stack(raw[begin:end]) for begin, end in pairwise(cuts)]
        return [group[:, 0] if self.task == "choice" else group.mean(axis=0) for group in groups]

    def marks(
        self,
        examples: Sequence[ReadingExample],
        encoded: Encoded,
        *,
        longest: int,
        may_lack: bool,
        on_rows: Callable[[int], None] | None = None,
    ) -> list[Marked]:
        """The best place in each passage. longest: tokens of an answer. may_lack: whether there may be none."""
        raw = self.raw(encoded, on_rows=on_rows)
        best: list[tuple[float, Marked] | None] = [None] * len(examples)
        lacking = [1.0] * len(examples)  # probability of no answer, in the window where that is least likely
        for row, owner in enumerate(encoded.owners):
            margin, none, marked = best_place(raw[row], encoded.windows[row], examples[owner].context, longest=longest)
            lacking[owner] = min(lacking[owner], none)
            known = best[owner]
            if known is None or margin > known[0]:
                best[owner] = margin, marked
        results = []
        for owner, found in enumerate(best):
            if found is None or (may_lack and found[0] < 0):
                results.append(Marked(None, lacking[owner]))
            else:
                results.append(found[1])
        return results


def best_place(
    logits: NDArray[np.float64], window: PassageWindow, context: str, *, longest: int
) -> tuple[float, float, Marked]:
    """The likeliest answer of one window: by how much it is likelier than none (log), how likely none is, and itself.

    logits: [L, 2]; "none" is an answer that begins and ends at the first token of the row.
    """
    logs = logits - np.log(np.exp(logits - logits.max(axis=0)).sum(axis=0)) - logits.max(axis=0)
    none = float(logs[0].sum())
    inside = slice(window.first, window.first + len(window.offsets))
    starts, ends = logs[inside, 0], logs[inside, 1]
    sums = starts[:, None] + ends[None, :]
    length = np.arange(len(starts))
    allowed = (length[None, :] >= length[:, None]) & (length[None, :] - length[:, None] < longest)
    sums = np.where(allowed, sums, -np.inf)
    first, last = np.unravel_index(int(sums.argmax()), sums.shape)
    begin, end = window.offsets[first][0], max(stop for _, stop in window.offsets[first : last + 1])
    value = float(sums[first, last])
    return value - none, float(np.exp(none)), Marked(Span(begin, end, context[begin:end]), float(np.exp(value)))
