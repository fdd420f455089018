"""Texts into sparse rows: hashed runs of characters, and words of languages that write them apart.

Everything is done for many texts at once in NumPy; the hashes are the same on every machine.
"""

# N texts, K known buckets

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from ironwok.errors import InputError

# characters that are hashed at once; it bounds the memory, about 200 bytes each
_BLOCK = 250_000
_BEGIN, _END = "\x02", "\x03"

_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # 2**64 divided by the golden ratio
_INVERSE = np.uint64(pow(0x9E3779B97F4A7C15, -1, 2**64))
_PAIR = np.uint64(0xD1342543DE82EF95)


class HashedNgrams:
    """Rows of known n-grams, weighted by how rare they are, each row of length 1.

    longest: characters of the longest n-gram. bits: hashes keep so many bits; n-grams that share one count as the same.
    buckets: the hashes that are known, sorted, uint32 [K]. rarity: weight of each, float32 [K].

    Texts are compared in compatibility form (NFKC), lower case, runs of white space as one space.
    """

    def __init__(self, *, longest: int, bits: int, buckets: NDArray[np.uint32], rarity: NDArray[np.float32]) -> None:
        check_sizes(longest, bits)
        if buckets.ndim != 1 or buckets.shape != rarity.shape:
            raise InputError(
                f"there are {buckets.shape} buckets and {rarity.shape} weights of them: one of each a n-gram"
            )
        if len(buckets) and (int(buckets[-1]) >= 2**bits or np.any(buckets[1:] <= buckets[:-1])):
            raise InputError(f"buckets are not sorted and different, or do not fit into {bits} bits")
        self.longest, self.bits = longest, bits
        self.buckets, self.rarity = buckets, rarity
        self._place = np.full(2**bits, -1, dtype=np.int32)
        self._place[buckets] = np.arange(len(buckets), dtype=np.int32)

    @classmethod
    def learn(cls, texts: Sequence[str], *, longest: int, bits: int, fewest: int) -> HashedNgrams:
        """Know the n-grams that at least ``fewest`` of the texts have.

        rarity: ln((1 + texts) / (1 + texts with it)) + 1, as TfidfTransformer of scikit-learn smooths it.
        """
        check_sizes(longest, bits)
        having = np.zeros(2**bits, dtype=np.int64)
        for counts in _counts(texts, longest, bits):
            having += np.bincount(counts.indices, minlength=2**bits)
        buckets = np.flatnonzero(having >= fewest).astype(np.uint32)
        rarity = np.log((1 + len(texts)) / (1 + having[buckets])) + 1
        return cls(longest=longest, bits=bits, buckets=buckets, rarity=rarity.astype(np.float32))

    def transform(self, texts: Sequence[str]) -> csr_matrix:
        """Float32 [N, K]; the row of a text without any known n-gram is empty."""
        rows = [self._weighted(counts) for counts in _counts(texts, self.longest, self.bits)]
        if not rows:
            return csr_matrix((0, len(self.buckets)), dtype=np.float32)
        return rows[0] if len(rows) == 1 else csr_matrix(vstack(rows))

    def _weighted(self, counts: csr_matrix) -> csr_matrix:
        places = self._place[counts.indices]
        known = places >= 0
        pointers = np.concatenate([[0], np.cumsum(known)])[counts.indptr]
        places = places[known]
        # said twice is not twice as much said
        values = (1 + np.log(counts.data[known])) * self.rarity[places]
        texts = len(pointers) - 1
        owners = np.repeat(np.arange(texts), np.diff(pointers))
        lengths = np.sqrt(np.bincount(owners, weights=values**2, minlength=texts))
        values = (values / lengths[owners]).astype(np.float32)
        return csr_matrix((values, places, pointers), shape=(texts, len(self.buckets)))


def check_sizes(longest: int, bits: int) -> None:
    """Raises InputError."""
    if not 1 <= longest <= 8:
        raise InputError(f"the longest n-gram has {longest} characters; give 1 to 8")
    if not 8 <= bits <= 24:
        raise InputError(f"hashes of {bits} bits are not possible; give 8 to 24")


def _counts(texts: Sequence[str], longest: int, bits: int) -> Iterator[csr_matrix]:
    """How often each text has each n-gram, [texts of a block, 2**bits]."""
    block: list[str] = []
    size = 0
    for text in texts:
        block.append(f"{_BEGIN}{' '.join(unicodedata.normalize('NFKC', text).lower().split())}{_END}")
        size += len(block[-1])
        if size > _BLOCK:
            yield _count(block, longest, bits)
            block, size = [], 0
    if block:
        yield _count(block, longest, bits)


def _count(framed: list[str], longest: int, bits: int) -> csr_matrix:
    sizes = np.fromiter(map(len, framed), dtype=np.int64, count=len(framed))
    codes = np.frombuffer("".join(framed).encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    owners = np.repeat(np.arange(len(framed), dtype=np.int32), sizes)
    letters = _mixed(codes + np.uint64(1))
    rows, hashes = [], []
    rolling = letters
    for size in range(1, longest + 1):
        if size > 1:
            rolling = rolling[:-1] * _FACTOR + letters[size - 1 :]
        inside = owners[: len(rolling)] == owners[size - 1 :]
        rows.append(owners[: len(rolling)][inside])
        hashes.append(rolling[inside] + np.uint64(size))
    for of_words, values in _words(codes, letters, owners):
        rows.append(of_words)
        hashes.append(values)
    columns = (_mixed(np.concatenate(hashes)) >> np.uint64(64 - bits)).astype(np.int32)
    row = np.concatenate(rows)
    ones = np.ones(len(row), dtype=np.float32)
    counts = csr_matrix((ones, (row, columns)), shape=(len(framed), 2**bits))
    counts.sum_duplicates()
    return counts


def _words(
    codes: NDArray[np.uint64], letters: NDArray[np.uint64], owners: NDArray[np.int32]
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.uint64]]]:
    """Hashes of words in Latin letters and digits, then of two such words in a row, with the texts they are of."""
    inside = _is_latin(codes)
    edges = np.diff(inside.astype(np.int8), prepend=0, append=0)
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    if not len(starts):
        return
    # the hash of a stretch by differences of running sums; dividing by a power of the factor forgets where it stands
    powers = np.cumprod(np.full(len(codes), _FACTOR))
    inverses = np.cumprod(np.full(len(codes), _INVERSE))
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(letters * powers, dtype=np.uint64)])
    words = (sums[ends] - sums[starts]) * inverses[starts]
    of_words = owners[starts]
    yield of_words, words
    together = of_words[1:] == of_words[:-1]
    yield of_words[1:][together], (words[:-1] * _PAIR + words[1:])[together]


def _is_latin(codes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    digits = (codes >= 0x30) & (codes <= 0x39)
    ascii_letters = (codes >= 0x61) & (codes <= 0x7A)  # texts are in lower case
    others = (codes >= 0xC0) & (codes <= 0x24F) & (codes != 0xD7) & (codes != 0xF7)
    return digits | ascii_letters | others


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Every bit of the result hangs on every bit of the value: the finaliser of SplitMix64 (Steele et al., 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
