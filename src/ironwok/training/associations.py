"""Counting which words keep company in a store of running text (`ironwok.text.associations` reads the result).

Segments of a few dozen tokens are the company. What is counted: in how many of them a unit stands, and in how many it
stands together with each of some thousand frequent units, the contexts. Positive pointwise mutual information of these
counts, the contexts smoothed, is factorised; of the factors only the left singular vectors stay, without the singular
values: the large ones tell genres apart, and labels differ in the others (docs/log.md).
"""

# S segments, U units, P pairs, C contexts, V vocabulary, D width

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from ironwok.errors import DataError, InputError
from ironwok.text.associations import Associations, find_units, run_keys
from ironwok.text.characters import has_han
from ironwok.training.corpus import CONTINUES, TOKEN_BITS, Store
from ironwok.training.progress import Progress, Silent

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from transformers import PreTrainedTokenizerBase

_STRETCH = 1 << 21  # tokens counted at a time
_SMOOTHING = 0.75  # exponent on the contexts' distribution
_COMMONEST = 60  # units that stand everywhere and are no context
_LEAST_PAIR, _LEAST_TOGETHER, _LEAST_UNIT = 20, 3, 5
_IN_WORDS = 0.3  # of the places of a pair: there a segmenter sees one word, or a part of one
_OFTEN = 20_000  # segments from which on a unit counts fully in the factorisation
_OVERSAMPLING, _ITERATIONS = 40, 3
_SAMPLE = 4000  # segments whose mean vector is taken away


@dataclass(frozen=True, slots=True)
class Counting:
    """What is counted. pairs, contexts: at most so many, the most frequent. width: numbers a vector.

    segment: tokens of a segment. share: of the segments that are counted.
    """

    pairs: int = 48_000
    contexts: int = 8_000
    width: int = 320
    segment: int = 64
    share: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("pairs", "contexts", "width", "segment"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}: it is at least 1")
        if not 0 < self.share <= 1:
            raise InputError(f"share is {self.share}: it is above 0 and at most 1")


def count_associations(
    store: Store,
    tokenizer: PreTrainedTokenizerBase,
    counting: Counting | None = None,
    *,
    progress: Progress | None = None,
) -> Associations:
    """The table of a store that was tokenized with ``tokenizer``; held-out documents are not looked at.

    Deterministic given the seed. Raises DataError for a store with too little text to compare anything.
    """
    counting, progress = counting or Counting(), progress or Silent()
    names = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    words_V = np.array([name not in tokenizer.all_special_tokens and any(map(str.isalnum, name)) for name in names])
    han_V = np.array([len(name) == 1 and has_han(name) for name in names])
    counter = _Counter(store, words_V, han_V, counting, progress)
    counter.choose_pairs()
    together_UC = counter.together()
    often_U = counter.often
    if together_UC.shape[1] <= counting.width or counter.segments < _LEAST_UNIT:
        raise DataError(
            f"the store has {counter.segments} segments and {together_UC.shape[1]} contexts: vectors of "
            f"{counting.width} numbers need more text, or ask for fewer (width)"
        )
    progress.busy("associations", done=0, total=0, note="factorising")
    vectors_UD = _factor(_ppmi(together_UC, often_U, counter.contexts, counter.segments), often_U, counting)
    weights_U = np.log(counter.segments / np.maximum(often_U, 1)).clip(min=0)
    weights_U[(often_U < _LEAST_UNIT) | (np.abs(vectors_UD).max(axis=1) < 1e-9)] = 0
    largest_U1 = np.abs(vectors_UD).max(axis=1, keepdims=True)
    table_UD = np.rint(vectors_UD / np.maximum(largest_U1, 1e-12) * 127).astype(np.int8)
    lengths_U = np.linalg.norm(table_UD.astype(np.float32), axis=1)
    weights_U = (weights_U / np.maximum(lengths_U, 1.0)).astype(np.float32)
    bare = Associations(table_UD, weights_U, counter.pairs, np.zeros(counting.width, np.float32), counter.vocabulary)
    mean_D = bare.vectors_of(counter.sample()).mean(axis=0)
    return Associations(table_UD, weights_U, counter.pairs, mean_D, counter.vocabulary)


class _Counter:
    """Passes over a store. pairs: int64 [P], ascending. often: segments with each unit, int64 [U]."""

    def __init__(
        self, store: Store, words_V: np.ndarray, han_V: np.ndarray, counting: Counting, progress: Progress
    ) -> None:
        self.store, self.words, self.han = store, words_V, han_V
        self.counting, self.progress = counting, progress
        self.vocabulary = len(words_V)
        self.pairs = np.zeros(0, dtype=np.int64)
        self.often = np.zeros(self.vocabulary, dtype=np.int64)
        self.contexts = np.zeros(0, dtype=np.int64)
        self.segments = 0

    def choose_pairs(self) -> None:
        """The most frequent pairs of Chinese characters that a segmenter sees in one word often enough."""
        shape = self.vocabulary**2
        counts, inside = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.int32)
        tokens = np.zeros(self.vocabulary, dtype=np.int64)
        for ids, continues, segments in self._stretches("pairs of characters"):
            keys = run_keys(ids, 2, self.vocabulary)
            chosen = self.han[ids[:-1]] & self.han[ids[1:]] & (segments[:-1] == segments[1:])
            np.add.at(counts, keys[chosen], 1)
            np.add.at(inside, keys[chosen & continues[1:]], 1)
            tokens += np.bincount(ids, minlength=self.vocabulary)
        counts[(inside < _IN_WORDS * counts) | (counts < _LEAST_PAIR)] = 0
        found = np.flatnonzero(counts)
        # ties by number, so that the choice is the same everywhere
        best = found[np.lexsort((found, -counts[found]))][: self.counting.pairs]
        self.pairs = np.sort(best).astype(np.int64)
        frequency_U = np.concatenate([np.where(self.words, tokens, 0), counts[self.pairs]])
        order = np.lexsort((np.arange(len(frequency_U)), -frequency_U))
        order = order[: int((frequency_U > 0).sum())]
        skipped = _COMMONEST if len(order) > 10 * _COMMONEST else 0
        self.contexts = np.sort(order[skipped : skipped + self.counting.contexts])

    def together(self) -> np.ndarray:
        """In how many segments each unit stands with each context, float32 [U, C]; sets ``often`` and ``segments``."""
        units = self.vocabulary + len(self.pairs)
        counts_UC = np.zeros((units, len(self.contexts)), dtype=np.float32)
        self.often = np.zeros(units, dtype=np.int64)
        for ids, _, segments in self._stretches("words in company"):
            held_SU = self._held(ids, segments)
            self.often += np.bincount(held_SU.indices, minlength=units)
            self.segments += int(held_SU.shape[0])  # pyright: ignore[reportOptionalSubscript]
            product = (held_SU.T.tocsr() @ held_SU[:, self.contexts]).tocoo()
            counts_UC[product.row, product.col] += product.data
        return counts_UC

    def sample(self) -> list[np.ndarray]:
        """Token ids of some segments."""
        generator = np.random.default_rng(self.counting.seed)
        found: list[np.ndarray] = []
        for ids, _, segments in self._stretches("a sample"):
            pieces = np.split(ids, np.flatnonzero(np.diff(segments)) + 1)
            count = max(round(_SAMPLE * len(ids) / len(self.store.tokens)), 1)  # of every part of the store
            found += [pieces[number] for number in generator.permutation(len(pieces))[:count]]
        return found

    def _stretches(self, note: str) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """(token ids, whether each continues a word, number of its segment), of whole training documents."""
        bounds = self.store.units[self.store.documents].astype(np.int64)
        first = 0
        while first < len(bounds) - 1:
            last = max(int(np.searchsorted(bounds, bounds[first] + _STRETCH, side="right")) - 1, first + 1)
            start, end = int(bounds[first]), int(bounds[last])
            self.progress.busy("associations", done=end, total=int(bounds[-1]), note=note)
            sizes = np.diff(bounds[first : last + 1])
            owner = np.repeat(np.arange(last - first), sizes)
            within = np.arange(end - start) - (bounds[first:last] - start)[owner]
            segments = np.cumsum((within % self.counting.segment == 0).astype(np.int64)) - 1
            usable = ~self.store.held_out[first:last][owner]
            if self.counting.share < 1:
                drawn = np.random.default_rng([self.counting.seed, first]).random(
                    int(segments[-1]) + 1 if len(segments) else 0
                )
                usable &= (drawn < self.counting.share)[segments]
            raw = np.asarray(self.store.tokens[start:end])[usable]
            if len(raw):
                yield (raw & TOKEN_BITS).astype(np.int64), raw >= CONTINUES, segments[usable]
            first = last

    def _held(self, ids: np.ndarray, segments: np.ndarray) -> csr_matrix:
        """Which segment holds which unit, 0 and 1 [S, U]."""
        from scipy.sparse import csr_matrix

        _, rows = np.unique(segments, return_inverse=True)
        units, places = find_units(ids, (self.pairs,), self.vocabulary, segments)
        told = (units >= self.vocabulary) | self.words[ids[places]]
        units, places = units[told], places[told]
        shape = (int(rows.max()) + 1, self.vocabulary + len(self.pairs))
        held = csr_matrix((np.ones(len(units), dtype=np.float32), (rows[places], units)), shape=shape)
        held.data[:] = 1  # duplicates were added up
        return held


def _ppmi(together_UC: np.ndarray, often_U: np.ndarray, contexts: np.ndarray, segments: int) -> torch.Tensor:
    """Positive pointwise mutual information of standing in one segment, float32 [U, C]; the counts are overwritten."""
    share_C = often_U[contexts] / segments
    smoothed_C = share_C**_SMOOTHING
    smoothed_C *= share_C.sum() / max(smoothed_C.sum(), 1e-12)
    for start in range(0, len(together_UC), 4096):
        part = together_UC[start : start + 4096]
        expected = np.maximum(often_U[start : start + 4096, None], 1) * np.maximum(smoothed_C, 1e-12)
        few = part < _LEAST_TOGETHER
        np.maximum(part, 1e-6, out=part)
        np.log(part / expected, out=part)
        part[few | (part < 0)] = 0
    return torch.from_numpy(together_UC)


def _factor(ppmi_UC: torch.Tensor, often_U: np.ndarray, counting: Counting) -> np.ndarray:
    """Left singular vectors [U, D] by a randomised decomposition in which rare units count less."""
    generator = torch.Generator().manual_seed(counting.seed)
    size = min(counting.width + _OVERSAMPLING, ppmi_UC.shape[1])
    weights_U1 = torch.from_numpy(np.sqrt(np.minimum(often_U, _OFTEN) / _OFTEN + 0.02)).float()[:, None]
    basis_CK = torch.randn(ppmi_UC.shape[1], size, generator=generator)
    for _ in range(_ITERATIONS):
        projected_UK = ppmi_UC @ basis_CK
        basis_CK = torch.linalg.qr(ppmi_UC.T @ (weights_U1**2 * projected_UK)).Q
    projected_UK = ppmi_UC @ basis_CK
    weighted_UK = weights_U1 * projected_UK
    values_K, rotation_KK = torch.linalg.eigh((weighted_UK.T @ weighted_UK).double())
    chosen = torch.arange(size - 1, size - 1 - counting.width, -1)
    rotation_KD = rotation_KK[:, chosen].float()
    scale_D = values_K[chosen].clamp(min=1e-9).sqrt().float()
    return (projected_UK @ rotation_KD / scale_D).numpy()
