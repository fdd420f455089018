"""Do these keywords belong to the text?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from ironwok.errors import InputError
from ironwok.results import Classification, Span
from ironwok.zero_shot.pairs import (
    AssociatingScorer,
    Pair,
    Position,
    Scorer,
    check_position,
    check_text,
    check_texts,
    fill,
)
from ironwok.zero_shot.tasks.ranking import Ranking, ask, check_candidates, judged, rank

Together = Literal["all", "each"]
JUDGEMENTS = ("true", "false")


def judge_keywords(
    scorer: Scorer,
    texts: Sequence[str],
    keywords: Sequence[Sequence[str]],
    *,
    prior: Sequence[float] | None = None,
    template: str = "关键词：{}",
    together: Together = "all",
    position: Position = "suffix",
) -> list[Classification]:
    """Whether the keywords of each text are all its own: "true" or "false" (samples-contrast over the call).

    prior: shares of true and false, uniform for None. Where the scorer has a table of words that keep company, half of
    the judgement is how much the least telling keyword tells: one that goes with any text is no keyword of this one.
    together: "all" reads the keywords as one prompt, joined by "、"; "each" one by one, and the worst counts.
    """
    if together not in get_args(Together):
        raise InputError(f"together is {together!r}; it is 'all' or 'each'")
    check_position(position)
    texts = check_texts(texts)
    if len(texts) != len(keywords):
        raise InputError(f"there are {len(texts)} texts but keywords for {len(keywords)}: give one list a text")
    groups = []
    for number, (text, own) in enumerate(zip(texts, keywords, strict=True)):
        if isinstance(own, str) or not own or not all(isinstance(word, str) and word.strip() for word in own):
            raise InputError(f"the keywords of text {number} are {own!r:.60}: give a list of words")
        words = ["、".join(own)] if together == "all" else list(own)
        groups.append([Pair(text, prompt, position) for prompt in fill(template, words)])
    scores_N = np.array([scores.min() for scores in ask(scorer, groups)], dtype=np.float64)
    told = scorer.telling([word for own in keywords for word in own]) if isinstance(scorer, AssociatingScorer) else None
    if told is not None:
        own = iter(told)
        least_N = np.array([min(next(own) for _ in mine) for mine in keywords])
        scores_N = _standardised(scores_N) + _standardised(least_N)
    return judged(texts, scores_N, JUDGEMENTS, prior)


def rank_keywords(
    scorer: Scorer,
    text: str,
    candidates: Sequence[str],
    *,
    template: str = "关键词：{}",
    position: Position = "suffix",
) -> Ranking:
    """Rank candidate keywords of a text (candidates-contrast); each with where the text first has it, if it does."""
    check_text(text, 0)
    check_position(position)
    names = check_candidates(candidates, of=f"the text {text!r:.30}")
    (scores,) = ask(scorer, [[Pair(text, prompt, position) for prompt in fill(template, names)]])
    return rank(text, None, names, scores, [_first(text, name) for name in names])


def _standardised(scores_N: np.ndarray) -> np.ndarray:
    spread = scores_N.std() if len(scores_N) else 0.0
    return (scores_N - scores_N.mean()) / spread if spread > 0 else np.zeros_like(scores_N)


def _first(text: str, word: str) -> Span | None:
    start = text.find(word)
    return None if start < 0 else Span(start, start + len(word), word)
