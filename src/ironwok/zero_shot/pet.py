"""What stands at the blank? The masked-LM head as a scorer (PET, Schick and Schütze, arXiv 2001.07676)."""

# B batch, L tokens, V vocabulary, T tokens of a label, P labels of one question

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ironwok.errors import InputError, LabelError, MissingHeadError, TextTooLongError
from ironwok.zero_shot.encoder_scorer import EncoderScorer, Row
from ironwok.zero_shot.encoding import Progress, unique
from ironwok.zero_shot.pairs import Pair, Position, Prompt


class _Pieces(NamedTuple):
    """Token ids of a prompt, cut around its label."""

    before: tuple[int, ...]
    label: tuple[int, ...]
    after: tuple[int, ...]


class _Question(NamedTuple):
    """One input of the model; labels of equal length share it."""

    text: int
    before: tuple[int, ...]
    masks: int
    after: tuple[int, ...]
    position: Position


class PETScorer(EncoderScorer):
    """Mean log-probability of a label's tokens at [MASK]s in the prompt.

    model: any masked LM that gives ``logits`` or ``prediction_logits`` [B, L, V].

    A label of T tokens meets T masks, all filled at once, and its score is the mean, not the sum, over its tokens: a
    sum would hand the answer to the shortest label. The mean is still kind to long labels whose tokens predict each
    other (place names); ``calibrate=True`` takes away what a label scores without a text.
    One pass serves all labels of equal length, so this scorer needs far fewer passes than there are labels.
    """

    reads_sentences: ClassVar[bool] = False

    def prompt_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        return [len(piece.before) + len(piece.label) + len(piece.after) for piece in self._pieces(prompts)]

    def score(self, pairs: Sequence[Pair], *, progress: Progress | None = None) -> np.ndarray:
        """Mean log-probabilities in natural log, float64 [P]. A text that does not fit loses its end.

        An empty text is fine where the prompt holds its own context (cloze). Raises LabelError for a label without
        tokens, TextTooLongError when a prompt leaves no room for a text.
        """
        asked, asked_of = unique(pairs)
        texts, text_of = unique([pair.text for pair in asked])
        prompts, prompt_of = unique([pair.prompt for pair in asked])
        text_ids, pieces = self.encoder.ids(texts), self._pieces(prompts)
        questions, question_of = unique(
            [
                _Question(int(text_of[i]), p.before, len(p.label), p.after, pair.position)
                for i, (pair, p) in enumerate(zip(asked, (pieces[j] for j in prompt_of), strict=True))
            ]
        )
        answers: list[list[int]] = [[] for _ in questions]
        for i, question in enumerate(question_of):
            answers[question].append(i)

        fitting = [self._fit(question, text_ids[question.text]) for question in questions]
        self._warn_of_cuts(sum(len(kept) < len(text_ids[q.text]) for q, kept in zip(questions, fitting, strict=True)))
        rows, mask_starts = zip(
            *(self._row(question, kept) for question, kept in zip(questions, fitting, strict=True)), strict=True
        )
        scores = np.empty(len(asked), dtype=np.float64)

        def read(outputs: Any, _: Any, indices: np.ndarray) -> None:
            logits_BLV = self._logits(outputs)
            for row, index in enumerate(indices):
                start, size = mask_starts[index], questions[index].masks
                logprobs_TV = (
                    logits_BLV[row, start : start + size].float().log_softmax(-1).cpu().numpy().astype(np.float64)
                )
                wanted_PT = np.array([pieces[prompt_of[i]].label for i in answers[index]])
                scores[answers[index]] = logprobs_TV[np.arange(size), wanted_PT].mean(axis=1)
                if progress is not None:
                    progress(len(answers[index]))

        self.run(np.array([len(ids) for ids, _ in rows]), rows.__getitem__, read)
        return scores[asked_of]

    def _fit(self, question: _Question, text: list[int]) -> list[int]:
        """The beginning of the text that fits beside the prompt."""
        size = len(question.before) + question.masks + len(question.after)
        shown = str(self.tokenizer.decode([*question.before, *question.after]))
        if text:
            return text[: self.encoder.room(size, limit=self.max_tokens, specials=self._specials, prompt=shown)]
        if size > self.max_tokens - self.encoder.layout.single_specials:
            raise TextTooLongError(
                f"the prompt {shown:.40}… has {size} tokens, the model takes {self.max_tokens}: give it less context"
            )
        return text

    def _row(self, question: _Question, text: list[int]) -> tuple[Row, int]:
        """The input and where its masks begin."""
        blank = [*question.before, *[self._mask] * question.masks, *question.after]
        if not text:
            row = self.encoder.single(blank)
            return row, len(self.encoder.layout.single[0]) + len(question.before)
        before, middle, _ = self.encoder.layout.pair
        if question.position == "prefix":
            return self.encoder.pair(blank, text), len(before) + len(question.before)
        return self.encoder.pair(text, blank), len(before) + len(text) + len(middle) + len(question.before)

    @property
    def _mask(self) -> int:
        mask = self.tokenizer.mask_token_id
        if not isinstance(mask, int):
            raise MissingHeadError(
                f"the tokenizer {type(self.tokenizer).__name__} has no mask token, which scorer='pet' fills"
            )
        return mask

    def _pieces(self, prompts: Sequence[Prompt]) -> list[_Pieces]:
        """Tokenize prompts whole, so that a label has the tokens it has in its sentence, and cut around the label."""
        for prompt in prompts:
            if not prompt.label:
                raise InputError(f"prompt {prompt.text!r:.60} marks no label: scorer='pet' has nothing to hide there")
        cut: list[_Pieces] = []
        for prompt, (ids, offsets) in zip(
            prompts, self.encoder.ids_and_offsets([p.text for p in prompts]), strict=True
        ):
            start, end = len(prompt.before), len(prompt.before) + len(prompt.label)
            inside = [i for i, (first, last) in enumerate(offsets) if first < end and last > start]
            if not inside:
                raise LabelError(f"label {prompt.label!r} has no token the model knows: describe it in other words")
            first, last = inside[0], inside[-1] + 1
            cut.append(_Pieces(tuple(ids[:first]), tuple(ids[first:last]), tuple(ids[last:])))
        return cut

    def _logits(self, outputs: Any) -> Any:
        """[B, L, V] of either kind of model."""
        logits = getattr(outputs, "prediction_logits", None)
        if logits is None:
            logits = getattr(outputs, "logits", None)
        if logits is None or logits.ndim != 3 or logits.shape[-1] < len(self.tokenizer):
            shape = None if logits is None else tuple(logits.shape)
            raise MissingHeadError(
                f"{type(self.model).__name__} gives logits of shape {shape}, a masked-LM head gives "
                f"[batch, tokens, vocabulary]: load the model for masked LM, or use scorer='nsp'"
            )
        return logits
