"""Making a counted table of words that keep company better: pieces of text that belong together are drawn together.

`ironwok.training.associations` counts; here the counted vectors are moved until two pieces that belong together lie
nearer to one another than to some hundred others (InfoNCE with the negatives of the batch, van den Oord et al., 2018;
for averaged word vectors as in Wieting et al., ICLR 2016). What belongs together is read off running text, no label is
in it:

next     a piece of text and one soon after it in the document;
heading  a heading and the text under it;
keyword  a word and the text that it was taken out of: the nearest kin of a label and a text that does not hold it.

All pairs that are compared with one another are of one kind and one source, or the table would learn to tell genres.
"""

# B pairs, D width, M units, N pieces, U units of the table

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ironwok.errors import DataError, InputError
from ironwok.text.associations import Associations, find_units, look_up, run_keys
from ironwok.training.checkpoints import go_on_from, save_checkpoint
from ironwok.training.corpus import CONTINUES, HEADING, PARAGRAPH, TOKEN_BITS, Store
from ironwok.training.progress import Progress, Silent
from ironwok.training.ranges import check_ranges

KINDS = ("next", "heading", "keyword")
_STRETCH = 1 << 22  # tokens looked at at a time
_SHORTEST_PIECE, _SHORTEST_DOCUMENT, _SHORTEST_AROUND = 6, 8, 10  # tokens
_GAP = 32  # tokens between a piece and the next one, at most
_LONGEST_WORD = 4  # tokens: what a table has units for
_LEAST_WORD = 8  # times that a longer word stands in the text
_SEGMENT = 64  # tokens; how rare a word is, is reckoned in these
_TELLS_NOTHING, _TELLS_ALL = 0.2, 0.5  # of the rarity of a word that stands once: never drawn below, always above
_ALL_OF_IT = 0.7  # of the keywords: whatever of them stands elsewhere in the text is taken out, too
_LEAST_PAIRS = 50  # of a kind that a source has, or it takes no part
_DRAWN, _TRIES = 6, 20  # keywords drawn for one that will do; groups drawn for one that is full enough
_TEMPERATURE, _SHARPEST = 16.0, 60.0  # what cosines are multiplied with: at first, at most
_WARMUP = 50  # steps
_SCALE_RATE, _BETAS = 1e-2, (0.9, 0.99)
_LARGEST_GROUP = 8192
_DIVISOR = 6.0  # of the first vectors: the length of an ordinary word's is one


@dataclass(frozen=True, slots=True)
class Learning:
    """How a table learns.

    steps: of ``groups`` groups of ``group`` pairs each. rate: Adam's, rising for 50 steps and falling to 0 at the end.
    kinds: weight of each kind. longest: tokens of a piece, at most; lengths are log-uniform. leave_out: share of a
    piece's units that a step does not see. evenness: a source is drawn by this power of its size. triples, fours: words
    of three and of four tokens that the table gets, at most, the most frequent. keep_every: steps between checkpoints.
    """

    steps: int = 4000
    groups: int = 4
    group: int = 512
    rate: float = 3e-3
    kinds: Mapping[str, float] = field(default_factory=lambda: {"next": 0.25, "heading": 0.1, "keyword": 0.65})
    longest: int = 160
    leave_out: float = 0.0
    evenness: float = 0.6
    triples: int = 16_000
    fours: int = 24_000
    keep_every: int = 250
    seed: int = 0

    def __post_init__(self) -> None:
        least = {
            "steps": 1,
            "groups": 1,
            "group": 2,
            "longest": _SHORTEST_AROUND,
            "triples": 0,
            "fours": 0,
            "keep_every": 1,
        }
        check_ranges(self, least=least, above=("rate",), shares=("leave_out",))
        if self.group > _LARGEST_GROUP:
            raise InputError(f"group is {self.group}: it is at most {_LARGEST_GROUP}, as all pairs meet")
        unknown = set(self.kinds) - set(KINDS)
        if unknown or min(self.kinds.values(), default=0) < 0 or sum(self.kinds.values()) <= 0:
            raise InputError(f"kinds is {dict(self.kinds)}: weights of {', '.join(KINDS)}, one of them above 0")


def learn_associations(
    store: Store,
    table: Associations,
    learning: Learning | None = None,
    *,
    work: Path,
    progress: Progress | None = None,
) -> Associations:
    """A better table from a counted one and the store that it was counted in; held-out documents are not looked at.

    work: folder of checkpoints; a run that was stopped goes on from the last one, and ends as it would have ended.
    The new table counts nothing beside a head before it was fitted. Deterministic on one machine, given the seed.
    Raises DataError for a store without pairs of a kind, InputError for a table that has longer words already or is of
    another tokenizer, CheckpointError for a ``work`` that holds another run or nothing whole.
    """
    learning, progress = learning or Learning(), progress or Silent()
    if len(table.triples) or len(table.fours):
        raise InputError("the table has learnt already: count a new one (tools/count_associations.py)")
    if store.meta["vocabulary"] != table.vocabulary:
        raise InputError(
            f"{store.folder} was cut by a tokenizer of {store.meta['vocabulary']} tokens, the table is of one with "
            f"{table.vocabulary}: take the store that it was counted in"
        )
    started = _with_words(store, table, learning, progress)
    run = _Run(store, started, learning, work)
    run.step = go_on_from(work, run.identity, run.read)
    run.train(progress)
    return run.table()


def _with_words(store: Store, table: Associations, learning: Learning, progress: Progress) -> Associations:
    """``table`` and the most frequent longer words of the store, each the sum of its parts and as rare as it is."""
    runs, lengths = [table.pairs], []
    for count, most in ((3, learning.triples), (4, learning.fours)):
        keys, often = _whole_words(store, count, table.vocabulary, progress)
        # ties by number, so that the choice is the same everywhere
        best = np.lexsort((keys, -often))[:most]
        best = np.sort(best[often[best] >= _LEAST_WORD])
        runs.append(keys[best])
        lengths.append(np.log(max(len(store.tokens) / _SEGMENT, 1) / often[best]).clip(min=0))
    vectors_UD = [table.vectors.astype(np.float32) * table.weights[:, None]]
    for keys, longs, count in zip(runs[1:], lengths, (3, 4), strict=True):
        ids = keys[:, None] // table.vocabulary ** np.arange(count - 1, -1, -1) % table.vocabulary
        words = np.repeat(np.arange(len(keys)), count)
        units, places = find_units(ids.reshape(-1), (table.pairs,), table.vocabulary, words)
        summed_ND = np.zeros((len(keys), table.vectors.shape[1]), dtype=np.float32)
        np.add.at(summed_ND, places // count, vectors_UD[0][units])
        norms_N1 = np.linalg.norm(summed_ND, axis=1, keepdims=True)
        vectors_UD.append(summed_ND / np.maximum(norms_N1, 1e-6) * longs[:, None].astype(np.float32))
    return _rounded(np.concatenate(vectors_UD), table.vocabulary, runs)


def _rounded(vectors_UD: np.ndarray, vocabulary: int, runs: list[np.ndarray]) -> Associations:
    """A table of vectors whose lengths are their weights, in 8 bits."""
    largest_U = np.abs(vectors_UD).max(axis=1)
    bytes_UD = np.rint(vectors_UD / np.maximum(largest_U, 1e-12)[:, None] * 127).astype(np.int8)
    weights_U = np.where(largest_U > 1e-9, largest_U / 127, 0).astype(np.float32)
    mean_D = np.zeros(vectors_UD.shape[1], dtype=np.float32)
    return Associations(bytes_UD, weights_U, runs[0], mean_D, vocabulary, triples=runs[1], fours=runs[2])


def _whole_words(store: Store, count: int, vocabulary: int, progress: Progress) -> tuple[np.ndarray, np.ndarray]:
    """(keys, how often each stands in the training documents) of what a segmenter calls a word of ``count`` tokens."""
    keys, often = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    bounds = store.units[store.documents].astype(np.int64)
    for places, found in whole_words(store, count, vocabulary, progress):
        owner = np.searchsorted(bounds, places, side="right") - 1
        found = found[~store.held_out[owner]]
        keys, inverse = np.unique(np.concatenate([keys, found]), return_inverse=True)
        often = np.bincount(inverse, np.concatenate([often, np.ones(len(found))]), minlength=len(keys)).astype(np.int64)
    return keys, often


def whole_words(
    store: Store, count: int, vocabulary: int, progress: Progress
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(first token, key as of `run_keys`) of what a segmenter calls a word of ``count`` tokens, by stretches."""
    for start in range(0, len(store.tokens), _STRETCH):
        progress.busy("associations", done=start, total=len(store.tokens), note=f"words of {count} tokens")
        raw = np.asarray(store.tokens[start : start + _STRETCH + count])
        continues = np.append(raw >= CONTINUES, False)
        whole = ~continues[: max(len(raw) - count + 1, 0)] & ~continues[count:]
        for place in range(1, count):
            whole &= continues[place : len(whole) + place]
        places = np.flatnonzero(whole[:_STRETCH])
        yield places + start, run_keys((raw & TOKEN_BITS).astype(np.int64), count, vocabulary)[places]


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Units of N pieces behind one another: int64 [M], and which piece each is of, ascending."""

    units: np.ndarray
    owners: np.ndarray

    def of(self, chosen: np.ndarray) -> _Pieces:
        """The pieces of these numbers, ascending, numbered anew."""
        kept = np.isin(self.owners, chosen)
        return _Pieces(self.units[kept], np.searchsorted(chosen, self.owners[kept]))


@dataclass(frozen=True, slots=True)
class _Group:
    """B pairs of one kind and one source: piece n of ``first`` belongs to piece n of ``second``."""

    kind: int
    count: int
    first: _Pieces
    second: _Pieces


class _Drawing:
    """Groups of pairs; those of a step are a function of the seed and the step alone."""

    def __init__(self, store: Store, table: Associations, learning: Learning) -> None:
        self.store, self.table, self.learning = store, table, learning
        self.told = table.weights > 0
        self.rare = np.linalg.norm(table.vectors.astype(np.float32), axis=1) * table.weights
        self.rarest = np.log(max(len(store.tokens) / _SEGMENT, 2))
        self.bounds = store.units[store.documents].astype(np.int64)
        sizes = np.diff(self.bounds)
        usable = ~np.asarray(store.held_out) & (sizes >= _SHORTEST_DOCUMENT)
        first = np.asarray(store.documents, dtype=np.int64)
        self.owner = np.repeat(np.arange(len(sizes)), np.diff(first))
        inner = usable[self.owner]
        inner[first[:-1]] = False  # nothing stands before it
        source_of_unit = np.asarray(store.sources)[self.owner]
        count = int(np.max(store.sources)) + 1 if len(sizes) else 0
        self.cuts = [np.flatnonzero(inner & (source_of_unit == one)) for one in range(count)]
        self.headings = self._headings(usable, source_of_unit, count)
        tokens = np.array([sizes[usable & (np.asarray(store.sources) == one)].sum() for one in range(count)], float)
        by_tokens = tokens**learning.evenness * [len(one) > _LEAST_PAIRS for one in self.cuts]
        headings = np.array([len(one) for one in self.headings], float)
        by_headings = headings**learning.evenness * (headings > _LEAST_PAIRS)
        self.weights = {"next": by_tokens, "heading": by_headings, "keyword": by_tokens}
        for kind, weight in learning.kinds.items():
            if weight and not self.weights[kind].sum():
                raise DataError(
                    f"{store.folder} has no source with more than {_LEAST_PAIRS} pairs of the kind {kind!r}"
                )

    def _headings(self, usable: np.ndarray, source_of_unit: np.ndarray, count: int) -> list[np.ndarray]:
        """(unit of a heading, first unit of the text under it) of each source, int64 [H, 2]."""
        flags = np.asarray(self.store.flags)
        paragraphs = np.flatnonzero(flags & PARAGRAPH)
        heads = (flags[paragraphs] & HEADING) > 0
        owner = self.owner[paragraphs]
        under = np.flatnonzero(heads[:-1] & ~heads[1:] & (owner[:-1] == owner[1:]) & usable[owner[:-1]])
        pairs = np.stack([paragraphs[under], paragraphs[under + 1]], axis=1)
        return [pairs[source_of_unit[pairs[:, 0]] == one] for one in range(count)]

    def groups(self, step: int) -> list[_Group]:
        generator = np.random.default_rng((self.learning.seed, step))
        kinds = [kind for kind in KINDS if self.learning.kinds.get(kind, 0) > 0]
        shares = np.array([self.learning.kinds[kind] for kind in kinds])
        shares /= shares.sum()
        return [self._group(generator, kinds, shares) for _ in range(self.learning.groups)]

    def _group(self, generator: np.random.Generator, kinds: list[str], shares: np.ndarray) -> _Group:
        draw = {"next": self._next, "heading": self._heading, "keyword": self._keyword}
        for _ in range(_TRIES):
            kind = kinds[int(generator.choice(len(kinds), p=shares))]
            weights = self.weights[kind]
            source = int(generator.choice(len(weights), p=weights / weights.sum()))
            first, second = draw[kind](generator, source)
            whole = np.intersect1d(first.owners, second.owners)[: self.learning.group]
            if len(whole) >= max(self.learning.group // 2, 2):
                return _Group(KINDS.index(kind), len(whole), first.of(whole), second.of(whole))
        raise DataError(
            f"no {self.learning.group // 2} pairs of a source found in {self.store.folder} in {_TRIES} draws: "
            "its texts are too few or too short for such groups (group)"
        )

    def _lengths(self, generator: np.random.Generator, count: int) -> np.ndarray:
        low, high = np.log(_SHORTEST_PIECE), np.log(self.learning.longest)
        return np.exp(generator.uniform(low, high, count)).astype(np.int64)

    def _cut(self, generator: np.random.Generator, source: int, count: int) -> tuple[np.ndarray, ...]:
        """(token at which a clause begins, first token of its document, token behind it), int64 [N] each."""
        units = self.cuts[source][generator.integers(len(self.cuts[source]), size=count)]
        document = self.owner[units]
        return self.store.units[units].astype(np.int64), self.bounds[document], self.bounds[document + 1]

    def _next(self, generator: np.random.Generator, source: int) -> tuple[_Pieces, _Pieces]:
        count = self.learning.group
        middles, starts, ends = self._cut(generator, source, count)
        gaps = np.where(generator.random(count) < 0.5, generator.integers(0, _GAP, count), 0)
        gaps[ends - middles - gaps < _SHORTEST_PIECE] = 0
        before = np.maximum(starts, middles - self._lengths(generator, count))
        after = np.minimum(ends, middles + gaps + self._lengths(generator, count))
        return self._pieces(generator, before, middles), self._pieces(generator, middles + gaps, after)

    def _heading(self, generator: np.random.Generator, source: int) -> tuple[_Pieces, _Pieces]:
        count = self.learning.group
        headings, texts = self.headings[source][generator.integers(len(self.headings[source]), size=count)].T
        units = self.store.units
        starts, ends = units[texts].astype(np.int64), self.bounds[self.owner[texts] + 1]
        ends = np.minimum(ends, starts + self._lengths(generator, count))
        return self._pieces(generator, units[headings].astype(np.int64), starts), self._pieces(generator, starts, ends)

    def _keyword(self, generator: np.random.Generator, source: int) -> tuple[_Pieces, _Pieces]:
        count = _DRAWN * self.learning.group
        middles, starts, ends = self._cut(generator, source, count)
        lengths = np.maximum(self._lengths(generator, count), _SHORTEST_AROUND)
        starts = np.maximum(starts, middles - lengths // 2)
        ends = np.minimum(ends, starts + lengths)
        first = starts + (generator.random(count) * (ends - starts)).astype(np.int64)
        for _ in range(_LONGEST_WORD):
            first -= self._continues(first)
        last = first + 1
        for _ in range(_LONGEST_WORD):
            last += self._continues(last)
        size = last - first
        usable = (size >= 2) & (size <= _LONGEST_WORD) & (first >= starts) & (last <= ends)
        usable &= ends - starts >= _SHORTEST_DOCUMENT
        usable &= ~self._continues(first) & ~self._continues(last)
        drawn = generator.random(count)
        chosen = np.flatnonzero(usable)
        rare = self._rarity(first[chosen], last[chosen]) / self.rarest
        tells = (rare - _TELLS_NOTHING) / (_TELLS_ALL - _TELLS_NOTHING)
        chosen = chosen[drawn[chosen] < tells][: self.learning.group]
        starts, ends, first, last = starts[chosen], ends[chosen], first[chosen], last[chosen]
        words = self._pieces(generator, first, last)
        around = self._pieces(generator, starts, ends, without=(first, last))
        everywhere = np.flatnonzero(generator.random(len(first)) < _ALL_OF_IT)
        size = len(self.told)
        gone = (words.owners * size + words.units)[np.isin(words.owners, everywhere)]
        kept = ~np.isin(around.owners * size + around.units, gone)
        return words, _Pieces(around.units[kept], around.owners[kept])

    def _continues(self, places: np.ndarray) -> np.ndarray:
        """Whether these tokens continue a word, bool [N]; behind the last token none does."""
        tokens = self.store.tokens
        return (tokens[np.minimum(places, len(tokens) - 1)] >= CONTINUES) & (places < len(tokens))

    def _rarity(self, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        """How rare each word is, float [N]; 0 for one that is no unit of the table."""
        found = np.zeros(len(first))
        behind = self.table.vocabulary
        for count, known in enumerate(self.table.runs, start=2):
            these = np.flatnonzero(last - first == count)
            if len(known) and len(these):
                ids = self._ids(first[these][:, None] + np.arange(count))
                keys = ids @ self.table.vocabulary ** np.arange(count - 1, -1, -1)
                places, held = look_up(keys, known)
                found[these] = np.where(held, self.rare[behind + places], 0)
            behind += len(known)
        return found

    def _ids(self, places: np.ndarray) -> np.ndarray:
        return (self.store.tokens[places] & TOKEN_BITS).astype(np.int64)

    def _pieces(
        self,
        generator: np.random.Generator,
        starts: np.ndarray,
        ends: np.ndarray,
        *,
        without: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> _Pieces:
        """Units of the tokens from ``starts`` to ``ends``; ``without``: (from, to) that are left out."""
        sizes = np.maximum(ends - starts, 0)
        owners = np.repeat(np.arange(len(sizes)), sizes)
        places = np.arange(len(owners)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + np.repeat(starts, sizes)
        parts = 2 * owners
        if without is not None:
            first, last = without[0][owners], without[1][owners]
            kept = (places < first) | (places >= last)
            parts = (parts + (places >= last))[kept]  # no run goes over the hole
            owners, places = owners[kept], places[kept]
        units, begins = find_units(self._ids(places), self.table.runs, self.table.vocabulary, parts)
        owners = owners[begins]
        kept = self.told[units]
        if self.learning.leave_out:
            kept &= generator.random(len(units)) >= self.learning.leave_out
        units, owners = units[kept], owners[kept]
        order = np.argsort(owners, kind="stable")
        return _Pieces(units[order], owners[order])


class _Run:
    """Vectors on their way, and the checkpoints of them."""

    def __init__(self, store: Store, table: Associations, learning: Learning, work: Path) -> None:
        self.started, self.learning, self.work = table, learning, work
        self.drawing = _Drawing(store, table, learning)
        self.step = 0
        self.identity = {
            "store": store.meta["identity"],
            "learning": {name: value for name, value in asdict(learning).items() if name != "keep_every"},
            "units": [int(np.sum(keys)) for keys in table.runs],
        }
        vectors_UD = table.vectors.astype(np.float32) * table.weights[:, None]
        self.vectors = torch.nn.Parameter(torch.from_numpy(vectors_UD / _DIVISOR))
        self.scales = torch.nn.Parameter(torch.full((len(KINDS),), float(np.log(_TEMPERATURE))))
        self.optimizer = torch.optim.Adam(
            [{"params": [self.vectors], "lr": learning.rate}, {"params": [self.scales], "lr": _SCALE_RATE}],
            betas=_BETAS,
            fused=True,  # one pass over all vectors instead of five: half of a step
        )

    def train(self, progress: Progress) -> None:
        total, seen, began = self.learning.steps, 0, perf_counter()
        while self.step < total:
            self.step += 1
            share = min(self.step / _WARMUP, 1) * max(1 - self.step / total, 0)
            self.optimizer.param_groups[0]["lr"] = self.learning.rate * share
            groups = self.drawing.groups(self.step)
            loss = self._loss(groups)
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=False)
            seen += sum(len(piece.units) for group in groups for piece in (group.first, group.second))
            rate = seen / max(perf_counter() - began, 1e-9)
            progress.stepped(self.step, total=total, tokens_per_second=rate, metrics={"loss": float(loss.detach())})
            if self.step % self.learning.keep_every == 0 and self.step < total:
                progress.busy("checkpoint", done=0, total=0)
                save_checkpoint(self.work, self.step, self._write, state={"run": self.identity}, keep=1)

    def _loss(self, groups: list[_Group]) -> torch.Tensor:
        pieces = [piece for group in groups for piece in (group.first, group.second)]
        counts = [group.count for group in groups for _ in range(2)]
        sizes = np.concatenate([np.bincount(one.owners, minlength=n) for one, n in zip(pieces, counts, strict=True)])
        # all in one call: its backward pass costs the same for few pieces as for many
        summed_ND = functional.embedding_bag(
            torch.from_numpy(np.concatenate([one.units for one in pieces])),
            self.vectors,
            torch.from_numpy(np.cumsum(sizes) - sizes),
            mode="sum",
        )
        parts = functional.normalize(summed_ND, dim=1).split(counts)
        losses = []
        for number, group in enumerate(groups):
            scale = self.scales[group.kind].exp().clamp(max=_SHARPEST)
            scores_BB = parts[2 * number] @ parts[2 * number + 1].T * scale
            own_B = torch.arange(group.count)
            losses.append(functional.cross_entropy(scores_BB, own_B) + functional.cross_entropy(scores_BB.T, own_B))
        return torch.stack(losses).mean() / 2

    def table(self) -> Associations:
        vectors_UD = self.vectors.detach().numpy() * self.drawing.told[:, None]
        return _rounded(vectors_UD, self.started.vocabulary, list(self.started.runs))

    def _write(self, folder: Path) -> None:
        state = {
            "vectors": self.vectors.detach(),
            "scales": self.scales.detach(),
            "optimizer": self.optimizer.state_dict(),
        }
        torch.save(state, folder / "associations.pt")

    def read(self, checkpoint: Path) -> None:
        kept: dict[str, Any] = torch.load(checkpoint / "associations.pt", weights_only=True)
        with torch.no_grad():
            self.vectors.copy_(kept["vectors"])
            self.scales.copy_(kept["scales"])
        self.optimizer.load_state_dict(kept["optimizer"])
