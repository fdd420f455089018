"""The texts to answer from: cut into passages, found by their terms."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ironwok.nbce.contexts import Context
from ironwok.reader.words import Word, terms_of, words_of
from ironwok.results import Span
from ironwok.text.passages import split_passages
from ironwok.text.sentences import split_sentences


@dataclass(frozen=True)
class Sentence:
    """A sentence of a passage. span: characters of the context's text."""

    span: Span

    @cached_property
    def terms(self) -> frozenset[str]:
        return frozenset(terms_of(self.span.text))

    @cached_property
    def words(self) -> list[Word]:
        return words_of(self.span.text)


@dataclass(frozen=True)
class Passage:
    """A passage. context: number of its text in the list that was asked."""

    context: int
    span: Span

    @cached_property
    def terms(self) -> frozenset[str]:
        return frozenset(terms_of(self.span.text))

    @cached_property
    def sentences(self) -> tuple[Sentence, ...]:
        start = self.span.start
        return tuple(
            Sentence(Span(start + one.start, start + one.end, one.text)) for one in split_sentences(self.span.text)
        )


class Library:
    """Passages of all contexts with an index of their terms (BM25, Lucene's variant, as bm25s computes it).

    on_read: told how many contexts have been taken in, of how many.
    """

    def __init__(
        self, contexts: Sequence[Context], *, on_read: Callable[[int, int], None] = lambda done, total: None
    ) -> None:
        import bm25s

        self.contexts = tuple(contexts)
        self.passages: list[Passage] = []
        listed: list[list[str]] = []
        for number, context in enumerate(contexts):
            for span in split_passages(context.text):
                self.passages.append(Passage(number, span))
                listed.append(terms_of(span.text) or ["\0"])  # bm25s takes no empty text
            on_read(number + 1, len(contexts))
        self._found_in: Counter[str] = Counter()
        for terms in listed:
            self._found_in.update(set(terms))
        self._index = bm25s.BM25()
        self._index.index(listed, show_progress=False)

    def scores(self, terms: Sequence[str]) -> NDArray[np.float64]:
        """BM25 of every passage, [P]; all zero where no passage has any of the terms."""
        known = [term for term in terms if term in self._found_in]
        if not known:
            return np.zeros(len(self.passages))
        return self._index.get_scores(known).astype(np.float64)

    def rarity(self, term: str) -> float:
        """How telling a term is among these passages: log of their number over the number that have it."""
        return math.log((len(self.passages) + 1) / (self._found_in[term] + 0.5))
