"""Labels drawn to the texts that they fit, before any text is answered; no label of any text is needed.

Texts come in heaps, and a heap says what its labels mean: what "故事" has to do with headlines, the headlines tell.
Each text is shared out among its labels by how near it lies to them in a table of words that keep company
(`ironwok.text.associations`), each label moves half of the way to the centre of its texts, and both are done over
again. This is expectation maximisation for a mixture of von Mises-Fisher distributions of fixed concentration (Banerjee
et al., JMLR 2005) with the labels' own vectors as the first means and as a prior (seeded k-means, Basu et al., ICML
2002).
"""

# N texts, C different labels, D width, G texts of a group, K labels of a group

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ironwok.errors import InputError
from ironwok.text.associations import Told
from ironwok.zero_shot.pairs import Scorer

# All were chosen on six sets that are not FewCLUE's, and hardly matter: concentrations of 16 to 30, a prior of 1 to 16
# texts, 3 to 10 rounds and shares of 0.4 to 0.7 are within a point of these there (docs/log.md).
_CONCENTRATION = 20.0
# Cosine to the likeliest label's own words below which a text moves none: texts in another language, say, are alike and
# many, and would draw some label to themselves.
_NEAR = 0.1
_PRIOR = 2.0  # texts that a label's own words count for
_ROUNDS = 6
_SHARE = 0.5  # of what a label has learnt from texts in what it is compared by
MOST_TEXTS = 50_000  # more change nothing and take memory
FEW_TEXTS = 100  # fewer are hardly worth adapting to
_CHUNK = 8192


@runtime_checkable
class AdaptingScorer(Scorer, Protocol):
    """A scorer that may have a table in which labels can be drawn to texts."""

    def adapted(
        self, texts: Sequence[Told], words: Sequence[Sequence[str]], *, one_fits: bool = False
    ) -> Scorer | None:
        """A copy that knows how ``words`` stand to ``texts``; None without a table. This one stays as it is.

        words: those that each text is to choose from, one sequence a text. one_fits: whether one of them is right for
        every text, as one candidate is for a blank.
        """
        ...


def adapted(scorer: Scorer, texts: Sequence[Told], words: Sequence[Sequence[str]], *, one_fits: bool = False) -> Scorer:
    """As `AdaptingScorer.adapted`. Raises InputError for a scorer that has no table."""
    found = scorer.adapted(texts, words, one_fits=one_fits) if isinstance(scorer, AdaptingScorer) else None
    if found is None:
        raise InputError(
            f"{type(scorer).__name__} has no table of words that keep company, by which labels adapt to texts: take "
            "the scorer 'nsp' or 'associations' and a model that brings one, such as ironwok-small, or leave adapting "
            "(--adapt) out"
        )
    return found


def named_heap(texts: Sequence[str], *, of: str = "texts") -> str:
    """How many texts, and a hash of them in their order: what results that looked at all of them depend on."""
    found = hashlib.sha256()
    for text in texts:
        found.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return f"{len(texts)} {of}, {found.hexdigest()[:16]}"


def draw_words(
    read_texts: Callable[[Sequence[Any]], np.ndarray],
    read_words: Callable[[Sequence[str]], np.ndarray],
    texts: Sequence[Told],
    words: Sequence[Sequence[str]],
    *,
    one_fits: bool = False,
) -> dict[str, np.ndarray]:
    """What to compare texts with in place of each word's own vector, float32 [D].

    read_texts, read_words: vectors of length 1 in one space, float32 [texts or words, D]; zero for what nothing is
    known of. texts: of more than 50,000 so many are read, evenly spaced. words, one_fits: as for
    `AdaptingScorer.adapted`. A word that nothing is known of stays so.
    """
    if len(texts) > MOST_TEXTS:
        chosen = [place * len(texts) // MOST_TEXTS for place in range(MOST_TEXTS)]
        texts, words = [texts[place] for place in chosen], [words[place] for place in chosen]
    names = list(dict.fromkeys(word for own in words for word in own))
    number = {name: place for place, name in enumerate(names)}
    texts_ND, labels_CD = read_texts(texts), read_words(names)
    told_N, told_C = np.any(texts_ND, axis=1), np.any(labels_CD, axis=1)
    rows: dict[tuple[str, ...], list[int]] = {}
    for row, own in enumerate(words):
        if told_N[row]:
            rows.setdefault(tuple(own), []).append(row)
    groups = []
    for own, members in rows.items():
        numbers = np.array([number[name] for name in dict.fromkeys(own)], dtype=np.int64)
        numbers = numbers[told_C[numbers]]
        if len(numbers) > 1:  # one alone would be drawn to everything
            groups += [(np.array(members[at : at + _CHUNK]), numbers) for at in range(0, len(members), _CHUNK)]
    return dict(zip(names, draw_labels(texts_ND, labels_CD, groups, one_fits=one_fits), strict=True))


def draw_labels(
    texts_ND: np.ndarray,
    labels_CD: np.ndarray,
    groups: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    one_fits: bool = False,
) -> np.ndarray:
    """Labels' vectors moved to the texts', float32 [C, D]; deterministic.

    texts_ND, labels_CD: of length 1. groups: (numbers of texts [G], numbers of the labels that they choose from [K]).
    one_fits: as for `AdaptingScorer.adapted`.
    """
    if not one_fits:
        near = [(texts_ND[rows] @ labels_CD[own].T).max(axis=1, initial=-1) for rows, own in groups]
        groups = [(rows[best >= _NEAR], own) for (rows, own), best in zip(groups, near, strict=True)]
    drawn_CD = labels_CD
    for _ in range(_ROUNDS):
        sums_CD, counts_C = np.zeros_like(labels_CD), np.zeros(len(labels_CD), dtype=np.float32)
        for rows, own in groups:
            shares_GK = _shares(texts_ND[rows] @ drawn_CD[own].T)
            sums_CD[own] += shares_GK.T @ texts_ND[rows]
            counts_C[own] += shares_GK.sum(axis=0)
        learnt_C1 = (counts_C / (counts_C + _PRIOR))[:, None]
        centres_CD = _unit(_unit(sums_CD) * learnt_C1 + labels_CD * (1 - learnt_C1))
        drawn_CD = (1 - _SHARE) * labels_CD + _SHARE * centres_CD
    return drawn_CD


def _shares(near_GK: np.ndarray) -> np.ndarray:
    grown_GK = np.exp(_CONCENTRATION * (near_GK - near_GK.max(axis=1, keepdims=True)))
    return grown_GK / grown_GK.sum(axis=1, keepdims=True)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
