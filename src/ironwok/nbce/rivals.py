"""Other ways to answer from many contexts with the same model, the same prompt and the same decoding.

- concatenation: all contexts in one row, cut off at the model's window
- Parallel Context Windows: each context read alone, the question attends to all of them (Ratner et al. 2023,
  arXiv 2212.10947)
- context-aware decoding: (1 + α) log p(T | all contexts) − α log p(T) (Shi et al. 2023, arXiv 2305.14739)
- retrieve then read: the best context by BM25 alone

Mean and max pooling and NBCE as published are settings of the method itself (`ironwok.nbce.settings`).
"""

# R rows, V vocabulary

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from ironwok.errors import InputError, MissingExtraError, ModelError
from ironwok.nbce.core import sample
from ironwok.nbce.decode import Step
from ironwok.nbce.engine import Engine
from ironwok.nbce.rows import Rows, side_by_side, stack
from ironwok.nbce.settings import Settings
from ironwok.text.characters import is_unspaced


class LastRowChooser:
    """Follows one distribution, that of the last row; with ``alpha`` it takes log p of row 0 away.

    Context-aware decoding with ``alpha``, else plain decoding.
    """

    def __init__(self, settings: Settings, *, alpha: float = 0.0, context: int | None = None) -> None:
        if alpha < 0:
            raise InputError(f"alpha is {alpha}: it is at least 0")
        self.settings, self.alpha, self.context = settings, alpha, context
        self._generator = torch.Generator().manual_seed(settings.seed)

    def __call__(self, log_p: Tensor) -> Step:
        scores = log_p[-1]
        if self.alpha:
            scores = (1 + self.alpha) * scores - self.alpha * log_p[0]
        token = sample(
            scores,
            temperature=self.settings.temperature,
            top_p=self.settings.sample_top_p,
            generator=self._generator,
        )
        p = log_p[-1].exp()
        return Step(token, self.context, float(-(p * log_p[-1].clamp(min=-1e9)).sum()), float(log_p[-1, token]))


def concatenated(head: Sequence[int], rows: Sequence[Sequence[int]], *, room: int | None) -> list[int]:
    """One row of all contexts.

    rows: each with the head before it, as for `prefill`. room: tokens that the row may have; what is over it is cut off
    at the end, in the middle of a context if need be.
    """
    whole = [*head, *(token for row in rows for token in row[len(head) :])]
    return whole if room is None else whole[:room]


def read_concatenated(engine: Engine, row: Sequence[int], question: Sequence[int]) -> tuple[Rows, Tensor]:
    rows, _ = engine.read([row])
    return engine.extend(rows, question)


def read_parallel(engine: Engine, rows: Rows, question: Sequence[int]) -> tuple[Rows, Tensor]:
    """The question behind all rows at once, at the position behind the longest.

    rows: contexts up to the question, without the empty one. Raises ModelError for models with sliding windows, whose
    masks go by the place in the row, and InputError where the model has no explicit positions.
    """
    config = engine.model.config.get_text_config(decoder=True)
    if "sliding_attention" in (getattr(config, "layer_types", None) or ()) or getattr(config, "sliding_window", None):
        raise ModelError(f"{config.model_type} has sliding windows: contexts side by side would fall out of them")
    if not engine.takes_positions:
        raise ModelError(f"{config.model_type} takes no positions: contexts side by side cannot share them")
    return engine.extend(side_by_side(rows), question)


def read_aware(
    engine: Engine, head: Sequence[int], row: Rows, log_p: Tensor, question: Sequence[int]
) -> tuple[Rows, Tensor]:
    """The row without context above that with all of them, for context-aware decoding.

    row, log_p: of the concatenation behind the question.
    """
    empty, _ = engine.read([head])
    empty, empty_log_p = engine.extend(empty, question)
    return stack([empty, row]), torch.cat([empty_log_p, log_p])


def best_by_bm25(question: str, contexts: Sequence[str]) -> int:
    """The context of the greatest BM25 score (bm25s, Lucene's variant, its English stop words), the first among equals.

    Chinese and other writing without spaces is indexed by single characters and pairs. Raises MissingExtraError.
    """
    try:
        import bm25s
    except ImportError as error:
        raise MissingExtraError("ask", feature="retrieval by BM25") from error
    from bm25s.stopwords import STOPWORDS_EN

    def words(text: str) -> list[str]:
        return [word for word in _words(text) if word not in STOPWORDS_EN]

    index = bm25s.BM25()
    index.index([words(context) or ["\0"] for context in contexts], show_progress=False)
    scores = index.get_scores(words(question))
    return int(scores.argmax())


_WORD = re.compile(r"\w+")


def _words(text: str) -> list[str]:
    found = []
    for word in _WORD.findall(text.lower()):
        if any(map(is_unspaced, word)):
            found.extend([*word, *(a + b for a, b in pairwise(word))])
        else:
            found.append(word)
    return found
