"""What a run will cost, before it is started: pairs, tokens, and seconds from a short trial on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ironwok.zero_shot.encoding import SMALLEST_ROOM
from ironwok.zero_shot.pairs import Pair, Prompt, Scorer, WindowingScorer

# Texts whose tokens are counted; beyond that many the count is carried over from evenly spaced ones.
_COUNTED_TEXTS = 2000


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """The predicted cost of a run.

    texts, labels: as given. pairs: readings of a text beside a prompt. tokens: over all pairs, without padding.
    seconds: on this machine with this model, from a trial; the self-check and the start of the program not included.
    """

    texts: int
    labels: int
    pairs: int
    tokens: int
    seconds: float

    def describe(self) -> str:
        return (
            f"{self.texts:,} texts × {self.labels:,} labels: {self.pairs:,} readings, {self.tokens:,} tokens, "
            f"about {_duration(self.seconds)}"
        )


def estimate(
    scorer: Scorer,
    texts: Sequence[str],
    prompts: Sequence[Prompt],
    *,
    readings_per_text: int,
    labels: int,
    limit: int | None,
    trial_pairs: int = 128,
    clock: Callable[[], float] = time.perf_counter,
) -> CostEstimate:
    """Predict the cost of reading each text beside ``readings_per_text`` of the prompts.

    limit: longest input in tokens; longer texts count as windows of it. trial_pairs: how many pairs the trial scores,
    after as many to warm up.
    """
    if not texts or not prompts:
        return CostEstimate(len(texts), labels, 0, 0, 0.0)
    counted = [texts[i] for i in _evenly(len(texts), _COUNTED_TEXTS)]
    text_tokens, prompt_tokens = _tokens(scorer, counted), _tokens(scorer, [prompt.text for prompt in prompts])
    beside = float(prompt_tokens.mean()) + 3
    room = np.inf if limit is None else max(limit - prompt_tokens.max() - 3, SMALLEST_ROOM)
    windows = np.maximum(np.ceil(text_tokens / room), 1)
    scale = len(texts) / len(counted)
    pairs = round(windows.sum() * scale * readings_per_text)
    tokens = round((text_tokens + windows * beside).sum() * scale * readings_per_text)

    chosen = _evenly(len(counted), trial_pairs)
    beginnings = [_beginning(scorer, counted[i], prompts, limit) for i in chosen]
    trial = [Pair(text, prompts[n % len(prompts)]) for n, text in enumerate(beginnings)]
    trial_tokens = float(_tokens(scorer, beginnings).sum()) + beside * len(trial)
    scorer.score(trial)
    start = clock()
    scorer.score(trial)
    return CostEstimate(len(texts), labels, pairs, tokens, (clock() - start) * tokens / trial_tokens)


def _beginning(scorer: Scorer, text: str, prompts: Sequence[Prompt], limit: int | None) -> str:
    """What is read of a text at once."""
    if not isinstance(scorer, WindowingScorer) or limit is None:
        return text
    ((first, *_),) = scorer.windows([text], prompts=[prompts], limit=limit)
    return first.text


def _tokens(scorer: Scorer, texts: Sequence[str]) -> np.ndarray:
    if isinstance(scorer, WindowingScorer):
        return scorer.token_counts(texts)
    return np.array([len(text) for text in texts])


def _evenly(count: int, wanted: int) -> list[int]:
    """Indices of ``wanted`` of ``count`` things, evenly spaced."""
    if count <= wanted:
        return list(range(count))
    return [int(i) for i in np.linspace(0, count - 1, wanted)]


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
