"""Sentence pairs for next-sentence prediction, drawn from a store.

A batch is a pure function of (seed, step, rank): a resumed run draws what the uninterrupted one would have drawn.

Four kinds of pairs, because next-sentence prediction is used with short prompts later (zero_shot):

next     a piece of text and what follows it in the document;
heading  a heading and the text under it, in either order;
keyword  one to three telling words from in or around a piece of text, alone or in a template, and that piece;
labelled a text and a prompt from labelled data (see labelled), for the supervised stage.

Negatives are drawn the way positives are, from the same source (partly from the same document), so that neither
genre nor the shape of a prompt gives the answer away: NSP with negatives from a mixed corpus learns to tell genres
apart and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ironwok.errors import ConfigError, DataError
from ironwok.training.corpus import CONTINUES, HEADING, PARAGRAPH, SENTENCE, TOKEN_BITS, Store

IS_NEXT, IS_RANDOM = 0, 1
KINDS = ("next", "heading", "keyword", "labelled")
SHORTEST_ROW = 12  # tokens, three of them special: under that nothing can be said
_LONGEST_WORD = 8  # tokens
_DRAWS, _KINDS_TRIED = 50, 200  # of one kind before another is tried, and how often that
_FITTINGS, _FILLED = 12, 0.75  # labelled pairs looked at for a row, and the share of it that is good enough
# (tokens of a row, weight): mostly short, as zero-shot inputs are
LENGTHS = ((24, 0.08), (32, 0.14), (40, 0.14), (48, 0.14), (64, 0.18), (96, 0.14), (128, 0.1), (256, 0.08))


@dataclass(frozen=True, slots=True)
class PairBatch:
    """B pairs padded to L tokens.

    input_ids, token_type_ids: int64 [B, L]; attention_mask: bool [B, L]
    continues: bool [B, L], the token continues the word before it; maskable: bool [B, L], no special token or padding
    next_sentence_label: int64 [B], 0 = the second part follows; kinds: int64 [B], index into KINDS
    second_starts: int64 [B], where the second part begins
    """

    input_ids: np.ndarray
    token_type_ids: np.ndarray
    attention_mask: np.ndarray
    continues: np.ndarray
    maskable: np.ndarray
    next_sentence_label: np.ndarray
    kinds: np.ndarray
    second_starts: np.ndarray


@dataclass(frozen=True, slots=True)
class Template:
    """Token ids around the place of a keyword."""

    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()


def longest_prompt(total: int, text: np.ndarray) -> int:
    """Tokens that a prompt may have beside a text where both share ``total``: half, or what the text leaves."""
    return max(total // 2, total - len(text))


class PromptSource(Protocol):
    """Something that draws (prompt, text) as packed tokens for ``total`` of them, or None where this draw failed."""

    def draw(
        self, generator: np.random.Generator, *, follows: bool, total: int
    ) -> tuple[np.ndarray, np.ndarray] | None: ...


@dataclass(frozen=True, slots=True)
class PairOptions:
    """How pairs are drawn.

    kinds: weight of each kind.
    lengths: (tokens a row, weight). shortest: a row is cut to between this share and all of its length.
    same_document: share of negatives of kind next taken from elsewhere in the same document.
    any_source: share of keyword negatives taken from any source.
    inside: share of keywords taken from the text itself, the others stand near it.
    clause_cut: share of pairs cut between clauses, the others between sentences.
    swap: share of heading and keyword pairs with the prompt behind the text.
    """

    kinds: Mapping[str, float] = field(default_factory=lambda: {"next": 0.5, "heading": 0.1, "keyword": 0.4})
    lengths: Sequence[tuple[int, float]] = LENGTHS
    shortest: float = 0.85
    same_document: float = 0.25
    any_source: float = 0.15
    inside: float = 0.35
    clause_cut: float = 0.25
    swap: float = 0.5
    near: int = 120
    templates: Sequence[Template] = (Template(),)
    separator: int | None = None

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown or min(self.kinds.values(), default=0) < 0 or sum(self.kinds.values()) <= 0:
            raise ConfigError(f"kinds are {dict(self.kinds)}: weights of 0 or more for some of {KINDS} are needed")
        weights = [weight for _, weight in self.lengths]
        if not weights or min(weights) < 0 or sum(weights) <= 0:
            raise ConfigError(f"lengths are {list(self.lengths)}: [tokens, weight] with weights over 0 are needed")
        if min(length for length, _ in self.lengths) < SHORTEST_ROW:
            raise ConfigError(f"lengths are {list(self.lengths)}: a row needs {SHORTEST_ROW} tokens or more")
        if not self.templates:
            raise ConfigError("templates is empty: keywords need one, if only (Template(),)")


class PairSampler:
    """Draws batches of pairs from one side (training or held-out) of a store.

    source_weights: how often each source is drawn from; a source not named is not used. ``unusable`` names those that
        hold too little on this side of the store; their weight goes to the others.
    labelled: where pairs of kind labelled come from.
    tokens_per_batch: padding counted. A batch has one of ``options.lengths`` and tokens_per_batch // length rows: few
    different shapes, as CPU kernels are prepared anew, and memory cut up further, for each shape they meet.
    """

    def __init__(
        self,
        store: Store,
        *,
        source_weights: Mapping[str, float],
        tokens_per_batch: int,
        cls_id: int,
        sep_id: int,
        pad_id: int,
        seed: int,
        options: PairOptions | None = None,
        held_out: bool = False,
        labelled: PromptSource | None = None,
    ) -> None:
        self.store = store
        self.options = options or PairOptions()
        self.tokens_per_batch = tokens_per_batch
        self.cls_id, self.sep_id, self.pad_id = cls_id, sep_id, pad_id
        self.seed = seed
        self.held_out = held_out
        unknown = set(source_weights) - set(store.source_names)
        if unknown:
            raise DataError(f"source weights name {sorted(unknown)}, the store holds {store.source_names}")
        self._pools: list[_Pool] = []
        self.unusable: list[str] = []
        weights = []
        for number, name in enumerate(store.source_names):
            if source_weights.get(name, 0.0) <= 0:
                continue
            pool = _Pool(store, number, held_out)
            if pool.usable:
                self._pools.append(pool)
                weights.append(source_weights[name])
            else:
                self.unusable.append(name)
        if not self._pools:
            side = store.held_out == held_out
            raise DataError(
                f"no source has two {'held-out' if held_out else 'training'} documents of two clauses or more "
                f"({int(side.sum())} of {len(store)} documents are on that side of {store.folder}): add text"
                + (" or raise held_out" if held_out else "")
            )
        self._weights = np.asarray(weights) / sum(weights)
        # Headings cluster in a few sources; drawing them by the sources' weights would mostly fail.
        self._heading_weights = self._weights * [len(pool.headings) > 20 for pool in self._pools]
        lengths, length_weights = zip(*self.options.lengths, strict=True)
        self._lengths = np.asarray(lengths)
        self._length_weights = np.asarray(length_weights) / sum(length_weights)
        kind_weights = np.asarray([self.options.kinds.get(kind, 0.0) for kind in KINDS])
        if not self._heading_weights.sum():
            kind_weights[KINDS.index("heading")] = 0.0
        else:
            self._heading_weights = self._heading_weights / self._heading_weights.sum()
        self._labelled = labelled
        if labelled is None:
            kind_weights[KINDS.index("labelled")] = 0.0
        if not kind_weights.sum():
            raise DataError(
                f"no kind of pair can be drawn: {dict(self.options.kinds)} without headings or labelled data"
            )
        self._kind_weights = kind_weights / kind_weights.sum()

    def batch(self, step: int, *, rank: int = 0) -> PairBatch:
        """The batch of a step (for process ``rank``)."""
        generator = np.random.default_rng((self.seed, int(self.held_out), step, rank))
        length = int(generator.choice(self._lengths, p=self._length_weights))
        rows = max(self.tokens_per_batch // length, 2)
        # Labels alternate, so that both are equally frequent, in every kind: a kind whose negatives are harder to find
        # would else give them away.
        return self._collate([self._draw_kind(generator, length, follows=row % 2 == 0) for row in range(rows)], length)

    def _draw_kind(self, generator: np.random.Generator, length: int, *, follows: bool) -> _Pair:
        for _ in range(_KINDS_TRIED):
            kind = int(generator.choice(len(KINDS), p=self._kind_weights))
            for _ in range(_DRAWS):
                pair = self._draw(generator, length, kind, follows=follows)
                if pair is not None:
                    return pair
        raise DataError(
            f"no pair of {length} tokens found in {self.store.folder} in {_DRAWS * _KINDS_TRIED:,} draws: its texts "
            f"are too few or too short for {', '.join(kind for kind, weight in self.options.kinds.items() if weight)}"
        )

    def _draw(self, generator: np.random.Generator, length: int, kind: int, *, follows: bool) -> _Pair | None:
        total = int(generator.uniform(self.options.shortest, 1.0) * length) - 3
        if KINDS[kind] == "next":
            parts = self._draw_next(generator, total, follows)
        elif KINDS[kind] == "heading":
            parts = self._draw_heading(generator, total, follows)
        elif KINDS[kind] == "keyword":
            parts = self._draw_keyword(generator, total, follows)
        else:
            parts = self._draw_labelled(generator, length - 3, follows)
        if parts is None or not len(parts[0]) or not len(parts[1]):
            return None
        return _Pair(parts[0], parts[1], IS_NEXT if follows else IS_RANDOM, kind)

    def _pool(self, generator: np.random.Generator, weights: np.ndarray | None = None) -> _Pool:
        return self._pools[int(generator.choice(len(self._pools), p=self._weights if weights is None else weights))]

    def _draw_next(self, generator: np.random.Generator, total: int, follows: bool) -> _Parts | None:
        pool = self._pool(generator)
        clause = generator.random() < self.options.clause_cut
        cut = pool.cut(generator, clause=clause)
        if cut is None:
            return None
        document, unit = cut
        first_budget = int(generator.uniform(0.2, 0.8) * total)
        first = pool.before(document, unit, first_budget)
        if follows:
            return first, pool.after(document, unit, total - len(first))
        other = None
        if generator.random() < self.options.same_document:
            other = pool.elsewhere(generator, document, unit, clause=clause)
        if other is None:
            other = pool.cut(generator, clause=clause)
            if other is None or other[0] == document:
                return None
        return first, pool.after(*other, total - len(first))

    def _draw_heading(self, generator: np.random.Generator, total: int, follows: bool) -> _Parts | None:
        pool = self._pool(generator, self._heading_weights)
        document, heading, body = pool.heading(generator)
        if not follows:
            other, heading, _ = pool.heading(generator)
            if other == document and generator.random() > self.options.same_document:
                return None
        prompt = pool.unit_tokens(heading)[: max(total - 8, 4)]
        text = pool.after(document, body, total - len(prompt))
        return self._ordered(generator, prompt, text, total)

    def _draw_keyword(self, generator: np.random.Generator, total: int, follows: bool) -> _Parts | None:
        pool = self._pool(generator)
        cut = pool.cut(generator, clause=generator.random() < self.options.clause_cut, or_start=True)
        if cut is None:
            return None
        document, unit = cut
        count = 1 + int(generator.choice(3, p=(0.7, 0.2, 0.1)))
        inside = generator.random() < self.options.inside
        template = self.options.templates[int(generator.integers(len(self.options.templates)))]
        budget = max(total - 3 * count - len(template.before) - len(template.after), 6)
        text = pool.after(document, unit, budget)
        seen = _as_bytes(text)
        if follows:
            words = pool.keywords(generator, document, unit, len(text), count, near=self.options.near, inside=inside)
            if not inside:
                words = [word for word in words if _as_bytes(word) not in seen]
        else:
            other_pool = self._pool(generator) if generator.random() < self.options.any_source else pool
            other = other_pool.cut(generator, clause=True, or_start=True)
            if other is None or (other_pool is pool and other[0] == document):
                return None
            words = other_pool.keywords(generator, *other, len(text), count, near=self.options.near, inside=inside)
            words = [word for word in words if _as_bytes(word) not in seen]
        # a prompt is never cut: half a word could be one that the text holds, or the template alone be left
        limit = longest_prompt(total, text)
        while words:
            prompt = self._prompt(template, words)
            if len(prompt) <= limit:
                return self._ordered(generator, prompt, text, total)
            words = words[:-1]
        return None

    def _prompt(self, template: Template, words: Sequence[np.ndarray]) -> np.ndarray:
        separator = [] if self.options.separator is None else [np.asarray([self.options.separator], dtype=np.uint16)]
        pieces = [np.asarray(template.before, dtype=np.uint16), words[0]]
        for word in words[1:]:
            pieces += [*separator, word]
        return np.concatenate([*pieces, np.asarray(template.after, dtype=np.uint16)])

    def _draw_labelled(self, generator: np.random.Generator, total: int, follows: bool) -> _Parts | None:
        if self._labelled is None:
            return None
        longest: tuple[np.ndarray, np.ndarray] | None = None
        for _ in range(_FITTINGS):  # padding costs as much as text: short pairs belong in short rows
            drawn = self._labelled.draw(generator, follows=follows, total=total)
            if drawn is None:
                continue
            if longest is None or sum(map(len, drawn)) > sum(map(len, longest)):
                longest = drawn
            if sum(map(len, longest)) >= _FILLED * total:
                break
        return None if longest is None else self._ordered(generator, *longest, total)

    def _ordered(self, generator: np.random.Generator, prompt: np.ndarray, text: np.ndarray, total: int) -> _Parts:
        # cut to ``total`` tokens, from the text unless hardly anything of it would be left
        prompt = prompt[: longest_prompt(total, text)]
        text = text[: total - len(prompt)]
        return (text, prompt) if generator.random() < self.options.swap else (prompt, text)

    def _collate(self, pairs: Sequence[_Pair], length: int) -> PairBatch:
        shape = (len(pairs), length)
        input_ids = np.full(shape, self.pad_id, dtype=np.int64)
        token_type_ids = np.zeros(shape, dtype=np.int64)
        attention_mask, continues, maskable = (np.zeros(shape, dtype=bool) for _ in range(3))
        second_starts = np.zeros(len(pairs), dtype=np.int64)
        for row, pair in enumerate(pairs):
            middle = 1 + len(pair.first)
            end = middle + 1 + len(pair.second)
            input_ids[row, 0], input_ids[row, middle], input_ids[row, end] = self.cls_id, self.sep_id, self.sep_id
            for start, tokens in ((1, pair.first), (middle + 1, pair.second)):
                here = slice(start, start + len(tokens))
                input_ids[row, here] = tokens & TOKEN_BITS
                continues[row, here] = tokens >= CONTINUES
                continues[row, start] = False  # a cut may fall inside a word
                maskable[row, here] = True
            token_type_ids[row, middle + 1 : end + 1] = 1
            attention_mask[row, : end + 1] = True
            second_starts[row] = middle + 1
        return PairBatch(
            input_ids,
            token_type_ids,
            attention_mask,
            continues,
            maskable,
            np.asarray([pair.label for pair in pairs], dtype=np.int64),
            np.asarray([pair.kind for pair in pairs], dtype=np.int64),
            second_starts,
        )


_Parts = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True)
class _Pair:
    first: np.ndarray
    second: np.ndarray
    label: int
    kind: int


def _as_bytes(tokens: np.ndarray) -> str:
    """Token ids as a string of one character each, so that ``in`` finds a run of tokens and never half of one."""
    return "".join(map(chr, (tokens & TOKEN_BITS).tolist()))


class _Pool:
    """The documents of one source on one side of the store. Documents of a source lie next to each other."""

    _TRIES = 8

    def __init__(self, store: Store, source: int, held_out: bool) -> None:
        self.store = store
        documents = np.flatnonzero(store.sources == source)
        if not len(documents):  # empty files, or nothing that an earlier source did not hold already
            self.usable, self.headings = False, documents
            return
        self._low, self._high = int(documents[0]), int(documents[-1]) + 1
        self.allowed = store.held_out == held_out
        self._first_unit = int(store.documents[self._low])
        self._end_unit = int(store.documents[self._high])
        units = np.diff(store.documents[self._low : self._high + 1])
        self.usable = bool((self.allowed[self._low : self._high] & (units >= 2)).sum() >= 2)
        flags = store.flags[self._first_unit : self._end_unit]
        paragraphs = np.flatnonzero(flags & PARAGRAPH) + self._first_unit
        is_heading = (store.flags[paragraphs] & HEADING) > 0
        owner = np.searchsorted(store.documents, paragraphs, side="right") - 1
        under = np.zeros(len(paragraphs), dtype=bool)
        under[:-1] = is_heading[:-1] & ~is_heading[1:] & (owner[:-1] == owner[1:]) & self.allowed[owner[:-1]]
        rows = np.flatnonzero(under)
        # (document, unit of the heading, first unit of its text)
        self.headings = np.stack([owner[rows], paragraphs[rows], paragraphs[rows + 1]], axis=1) if len(rows) else rows

    def cut(self, generator: np.random.Generator, *, clause: bool, or_start: bool = False) -> tuple[int, int] | None:
        """(document, unit): a place to cut, uniform over units. The document's very start only if ``or_start``."""
        for _ in range(self._TRIES):
            unit = int(generator.integers(self._first_unit, self._end_unit))
            document = self._document_of(unit)
            if not self.allowed[document]:
                continue
            start, end = int(self.store.documents[document]), int(self.store.documents[document + 1])
            if not clause:
                while unit < end and not self.store.flags[unit] & SENTENCE:
                    unit += 1
            if unit < end and (unit > start or or_start):
                return document, unit
        return None

    def elsewhere(
        self, generator: np.random.Generator, document: int, unit: int, *, clause: bool, apart: int = 12
    ) -> tuple[int, int] | None:
        """Another place in the same document, at least ``apart`` units away."""
        start, end = int(self.store.documents[document]), int(self.store.documents[document + 1])
        for _ in range(self._TRIES):
            other = int(generator.integers(start, end))
            if abs(other - unit) >= apart and (clause or self.store.flags[other] & SENTENCE):
                return document, other
        return None

    def _document_of(self, unit: int) -> int:
        documents = self.store.documents
        # the needle in the array's own type: else NumPy converts the whole array at every call
        return int(np.searchsorted(documents, documents.dtype.type(unit), side="right")) - 1

    def heading(self, generator: np.random.Generator) -> tuple[int, int, int]:
        document, heading, body = self.headings[int(generator.integers(len(self.headings)))].tolist()
        return document, heading, body

    def unit_tokens(self, unit: int) -> np.ndarray:
        """All tokens of the paragraph that begins at ``unit`` (a heading may hold commas)."""
        end = unit + 1
        while end < len(self.store.flags) and not self.store.flags[end] & PARAGRAPH:
            end += 1
        return self.store.tokens[int(self.store.units[unit]) : int(self.store.units[end])]

    def before(self, document: int, unit: int, budget: int) -> np.ndarray:
        """At most ``budget`` tokens that end where ``unit`` begins."""
        end = int(self.store.units[unit])
        start = max(end - budget, int(self.store.units[self.store.documents[document]]))
        return self.store.tokens[start:end]

    def after(self, document: int, unit: int, budget: int) -> np.ndarray:
        """At most ``budget`` tokens from ``unit`` on, ending with a unit where that costs few of them."""
        units = self.store.units
        start = int(units[unit])
        end = min(start + budget, int(units[self.store.documents[document + 1]]))
        snapped = int(units[np.searchsorted(units, units.dtype.type(end), side="right") - 1])
        return self.store.tokens[start : snapped if snapped - start > 0.75 * (end - start) else end]

    def keywords(
        self,
        generator: np.random.Generator,
        document: int,
        unit: int,
        length: int,
        count: int,
        *,
        near: int,
        inside: bool,
    ) -> list[np.ndarray]:
        """Up to ``count`` telling words of the ``length`` tokens from ``unit`` on, or of ``near`` around them."""
        units, documents = self.store.units, self.store.documents
        start = int(units[unit])
        end = start + length
        low, high = int(units[documents[document]]), int(units[documents[document + 1]])
        if not inside:
            low, high = max(low, start - near), min(high, end + near)
        else:
            low, high = start, min(end, high)
        keyness = self.store.keyness[low:high].astype(np.float64)
        if not inside:
            keyness[start - low : end - low] = 0.0
        weights = np.where(keyness > 60, keyness**2, 0.0)
        candidates = int((weights > 0).sum())
        if not candidates:
            return []
        chosen = generator.choice(len(weights), size=min(count, candidates), replace=False, p=weights / weights.sum())
        words = []
        for position in chosen:
            begin = low + int(position)
            stop = begin + 1
            while stop < high and stop - begin < _LONGEST_WORD and self._continues(stop):
                stop += 1
            if not self._continues(stop):  # else the rest of it lies beyond: no word
                words.append(self.store.tokens[begin:stop])
        return words

    def _continues(self, token: int) -> bool:
        return token < len(self.store.tokens) and bool(self.store.tokens[token] >= CONTINUES)
