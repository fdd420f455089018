"""A first, cheap cut of many labels: one pass a text and one a label instead of one for each pair of them."""

# N texts, C candidates, D width

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

import numpy as np

from ironwok.errors import InputError
from ironwok.results import Span
from ironwok.zero_shot.pairs import AssociatingScorer, EmbeddingScorer, Scorer

ShortlistBy = Literal["embedding", "overlap", "both", "associations"]


class Shortlist:
    """Chooses the labels that are worth a full reading.

    size: how many labels stay for each text.
    by: "embedding" compares mean hidden states of text and label, "overlap" counts what they share in characters and
    character pairs, weighted by rarity among the labels; "both" adds the two. "associations" adds to the overlap how
    near text and label lie in the model's table of words that keep company, and reads no text with the encoder. None
    takes "associations" where the scorer has such a table, else "both" where it can embed, else "overlap".
    """

    def __init__(self, scorer: Scorer, *, size: int, by: ShortlistBy | None = None) -> None:
        if size < 2:
            raise InputError(
                f"the shortlist is {size} long: keep 2 labels or more, or there is nothing left to choose from"
            )
        associates = isinstance(scorer, AssociatingScorer) and scorer.nearness([], []) is not None
        if by is None:
            embeds = isinstance(scorer, EmbeddingScorer)
            by = "associations" if associates else "both" if embeds else "overlap"
        if by not in get_args(ShortlistBy):
            raise InputError(f"shortlist_by is {by!r}; it is one of {', '.join(get_args(ShortlistBy))}")
        if by == "associations" and not associates:
            raise InputError(
                "the model brings no table of words that keep company: use shortlist_by='both' or 'overlap'"
            )
        if by in ("embedding", "both") and not isinstance(scorer, EmbeddingScorer):
            raise InputError(f"the scorer {type(scorer).__name__} gives no vectors: use shortlist_by='overlap'")
        self.scorer = scorer
        self.size = size
        self.by = by
        self._label_vectors: dict[tuple[str, ...], np.ndarray] = {}

    def choose(self, windows: Sequence[Sequence[Span]], words: Sequence[str]) -> np.ndarray:
        """Indices of the words kept for each text, ascending, int [N, size]. A text counts by its best window."""
        words = tuple(words)
        flat = [span.text for spans in windows for span in spans]
        similarity = np.zeros((len(flat), len(words)))
        if self.by == "associations":
            assert isinstance(self.scorer, AssociatingScorer)
            near = self.scorer.nearness(flat, words)
            assert near is not None
            similarity += _standardised(near)
        if self.by in ("embedding", "both"):
            similarity += _standardised(self._cosines(flat, words))
        if self.by != "embedding":
            similarity += _standardised(overlaps(flat, words))
        bounds = np.cumsum([0, *(len(spans) for spans in windows)])
        best_NC = np.stack([similarity[a:b].max(axis=0) for a, b in pairwise(bounds.tolist())])
        return np.sort(np.argsort(-best_NC, axis=1, kind="stable")[:, : self.size], axis=1)

    def _cosines(self, texts: Sequence[str], words: tuple[str, ...]) -> np.ndarray:
        assert isinstance(self.scorer, EmbeddingScorer)
        if words not in self._label_vectors:
            self._label_vectors[words] = self.scorer.embed(words)
        labels_CD, texts_ND = self._label_vectors[words], self.scorer.embed(texts)
        # Vectors of an encoder share a large common part, which would make all cosines alike. What labels have in
        # common is taken from the labels; texts are left alone, as a text's own shift moves all its labels equally.
        return _unit(texts_ND) @ _unit(labels_CD - labels_CD.mean(axis=0)).T


def overlaps(texts: Sequence[str], words: Sequence[str]) -> np.ndarray:
    """The share of each label's characters and character pairs that a text holds, weighted by rarity, [N, C] in [0, 1].

    Rarity is counted among the labels: what many labels have in common tells little about any of them.
    """
    pieces = [pieces_of(word) for word in words]
    frequency: dict[str, int] = {}
    for own in pieces:
        for piece in own:
            frequency[piece] = frequency.get(piece, 0) + 1
    weight = {piece: np.log((1 + len(words)) / count) for piece, count in frequency.items()}
    table = np.zeros((len(texts), len(words)))
    for row, text in enumerate(texts):
        lowered = text.lower()
        held = {piece for piece in weight if piece in lowered}
        for column, own in enumerate(pieces):
            total = sum(weight[piece] for piece in own)
            table[row, column] = sum(weight[piece] for piece in own if piece in held) / total if total else 0.0
    return table


def pieces_of(word: str) -> tuple[str, ...]:
    """Whole words of an alphabet; of other scripts single characters and pairs of neighbours. Sorted, distinct."""
    pieces: set[str] = set()
    for part in word.lower().split():
        if part.isascii():
            pieces.add(part)
            continue
        pieces.update(part)
        pieces.update(a + b for a, b in pairwise(part))
    return tuple(sorted(pieces))


def _standardised(table_NC: np.ndarray) -> np.ndarray:
    """Each text's row with mean 0 and deviation 1, so that two measures can be added."""
    centred = table_NC - table_NC.mean(axis=1, keepdims=True)
    deviation = centred.std(axis=1, keepdims=True)
    return centred / np.where(deviation > 0, deviation, 1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(norms > 0, norms, 1)
