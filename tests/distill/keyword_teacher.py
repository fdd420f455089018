"""Sentences of our own about two things, and a teacher that one can work out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from ironwok.zero_shot.pairs import Pair

WHO = {"体育": ["主队", "门将", "教练", "球迷"], "财经": ["央行", "股东", "券商", "银行"]}
WHAT = {
    "体育": ["赢了比赛", "练习射门", "谈到球队", "走进球场"],
    "财经": ["下调利率", "公布利润", "卖出债券", "发行基金"],
}
WHEN = ["今天", "昨天", "周一", "上午", "据报道", "晚上", "早些时候", "终于"]
LABELS = ["体育", "财经"]


class KeywordScorer:
    """Log-odds 3 where the text has a word of the label, -3 where not."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def score(self, pairs: Sequence[Pair]) -> np.ndarray:
        self.texts.extend(pair.text for pair in pairs)
        return np.array([3.0 if has_word(pair.text, pair.prompt.label) else -3.0 for pair in pairs])


def has_word(text: str, label: str) -> bool:
    return any(word in text for word in (*WHO[label], *WHAT[label]))


def sentences() -> list[str]:
    return [f"{when}{who}{what}。" for label in LABELS for when, who, what in product(WHEN, WHO[label], WHAT[label])]
