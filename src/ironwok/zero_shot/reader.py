"""Texts against words in templates: builds the pairs, asks the scorer once, gives back tables of scores."""

# W windows of one text, C candidates, T templates, M neutral texts

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from ironwok.errors import InputError, ModelError, TextTooLongError
from ironwok.results import Span
from ironwok.zero_shot.encoding import SMALLEST_ROOM
from ironwok.zero_shot.pairs import Pair, Position, Prompt, Scorer, WindowingScorer, fill

Overflow = Literal["window", "truncate", "error"]

# Texts that say nothing: what a label scores beside them is owed to the label alone.
NEUTRAL_TEXTS: tuple[str, ...] = ("", "。", "N/A", "这是一段文字。")


class Reader:
    """One way of asking a scorer: templates, position, calibration, what happens to long texts.

    templates: each with one place for the label; scores are averaged over them.
    neutral: texts for contextual calibration, empty for none.
    max_tokens: longest input in tokens; None for the scorer's own limit.
    """

    def __init__(
        self,
        scorer: Scorer,
        *,
        templates: Sequence[str],
        position: Position,
        neutral: Sequence[str] = (),
        overflow: Overflow = "window",
        max_tokens: int | None = None,
    ) -> None:
        if overflow not in get_args(Overflow):
            raise InputError(f"overflow is {overflow!r}; it is one of {', '.join(get_args(Overflow))}")
        if not templates:
            raise InputError("there is no template: give one or more, each with a {} for the label")
        for template in templates:
            fill(template, ())
        self.scorer = scorer
        self.templates = tuple(templates)
        self.position: Position = position
        self.neutral = tuple(neutral)
        self.overflow = overflow
        self.limit = _limit(scorer, max_tokens)
        self.long_texts = 0
        self._prompts: dict[str, tuple[Prompt, ...]] = {}
        self._baselines: dict[str, float] = {}

    def prompts(self, words: str) -> tuple[Prompt, ...]:
        """The sentence of each template for these words."""
        if words not in self._prompts:
            self._prompts[words] = tuple(fill(template, [words])[0] for template in self.templates)
        return self._prompts[words]

    def windows(self, texts: Sequence[str], words: Sequence[Sequence[str]], *, first: int = 0) -> list[list[Span]]:
        """The pieces of each text that are read, by ``overflow``; a text that fits is one piece.

        words: for each text, all words it will meet. first: the number of the first text, for messages.
        """
        if not isinstance(self.scorer, WindowingScorer) or self.limit is None:
            return [[Span(0, len(text), text)] for text in texts]
        prompts = [[prompt for one in own for prompt in self.prompts(one)] for own in words]
        cut = self.scorer.windows(texts, prompts=prompts, limit=self.limit)
        for number, (text, spans) in enumerate(zip(texts, cut, strict=True)):
            if len(spans) == 1:
                continue
            self.long_texts += 1
            if self.overflow == "error":
                size = int(self.scorer.token_counts([text])[0])
                raise TextTooLongError(
                    f"text {first + number} has {size} tokens, model and prompt leave fewer than that of {self.limit}: "
                    f"pass overflow='window' to read all of it or overflow='truncate' to read its beginning"
                )
        return [spans[:1] for spans in cut] if self.overflow == "truncate" else cut

    def tables(
        self, texts: Sequence[str], windows: Sequence[Sequence[Span]], words: Sequence[Sequence[str]]
    ) -> list[np.ndarray]:
        """Scores [W, C] of each text, averaged over templates, calibrated where asked for."""
        # to compare words costs so little that nothing need be cut for it
        cut = self.overflow == "truncate"
        pairs = [
            Pair(window.text, prompt, self.position, text if cut and len(window.text) < len(text) else None)
            for text, spans, own in zip(texts, windows, words, strict=True)
            for window in spans
            for one in own
            for prompt in self.prompts(one)
        ]
        scores = self._ask(pairs)
        tables: list[np.ndarray] = []
        start = 0
        for spans, own in zip(windows, words, strict=True):
            shape_WCT = (len(spans), len(own), len(self.templates))
            end = start + len(spans) * len(own) * len(self.templates)
            tables.append(scores[start:end].reshape(shape_WCT).mean(axis=-1) - self.baselines(own))
            start = end
        return tables

    def baselines(self, words: Sequence[str]) -> np.ndarray:
        """What each of the words scores beside texts that say nothing, [C]; zeros without calibration."""
        if not self.neutral:
            return np.zeros(len(words))
        fresh = [one for one in dict.fromkeys(words) if one not in self._baselines]
        if fresh:
            pairs = [
                Pair(text, prompt, self.position)
                for one in fresh
                for text in self.neutral
                for prompt in self.prompts(one)
            ]
            means = self._ask(pairs).reshape(len(fresh), -1).mean(axis=1)
            self._baselines.update(zip(fresh, means.tolist(), strict=True))
        return np.array([self._baselines[one] for one in words])

    def pairs_per_label(self) -> int:
        return len(self.templates)

    def _ask(self, pairs: Sequence[Pair]) -> np.ndarray:
        if not pairs:
            return np.zeros(0)
        scores = np.asarray(self.scorer.score(pairs), dtype=np.float64)
        if scores.shape != (len(pairs),):
            raise ModelError(f"the scorer {type(self.scorer).__name__} gave {scores.shape} for {len(pairs)} pairs")
        if not np.isfinite(scores).all():
            pair = pairs[int(np.flatnonzero(~np.isfinite(scores))[0])]
            raise ModelError(
                f"the scorer {type(self.scorer).__name__} gave a score that is no number for the prompt "
                f"{pair.prompt.text!r:.60}: damaged weights, or half precision that overflows "
                "(try dtype='float32', --dtype float32)"
            )
        return scores


def _limit(scorer: Scorer, max_tokens: int | None) -> int | None:
    own = scorer.max_tokens if isinstance(scorer, WindowingScorer) else None
    if max_tokens is None:
        return own
    if own is None:
        raise InputError(
            f"max_tokens is {max_tokens}, but the scorer {type(scorer).__name__} cannot cut texts to a length"
        )
    if not SMALLEST_ROOM < max_tokens <= own:
        raise InputError(
            f"max_tokens is {max_tokens}; it lies between {SMALLEST_ROOM + 1} and what the model takes, {own}"
        )
    return max_tokens
