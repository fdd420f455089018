"""Which words keep company: vectors counted from running text, in which a label lies near the texts that it fits.

A table beside a model's vocabulary. Its units are the tokens and frequent runs of two, three and four neighbouring
tokens (most Chinese words have two characters, idioms have four); each has a vector and a weight, and a text is the
weighted sum of its units' vectors, less what all texts have in common. ``ironwok.training.associations`` counts such a
table, ``ironwok.training.association_learning`` makes it better; reading one needs numpy alone.
"""

# N texts, U units, V vocabulary, D width

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ironwok.errors import CheckpointError
from ironwok.files import replace_file

FILE = "associations.safetensors"
RUNS = ("pairs", "triples", "fours")  # of 2, 3, 4 tokens
_CHUNK = 256  # texts whose units are looked up at once
# tokens at which a word beside a blank counts 1/e: of 5, 10, 20, 40, 80 the best for example sentences of 4,000 idioms
_REACH = 10.0

# token ids of texts, without special tokens
Tokenize = Callable[[Sequence[str]], Sequence[Sequence[int]]]
# a text, or what stands before a blank and behind it
Told = str | tuple[str, str]


def _no_runs() -> np.ndarray:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Associations:
    """Vectors of tokens and of runs of neighbours.

    vectors: int8 [U, D], V tokens and behind them the pairs, the triples and the fours; their lengths mean nothing.
    weights: what each is multiplied with, float32 [U], 0 for one that tells nothing. pairs, triples, fours: the tokens
    of a run as the digits of a number to the base V, int64, ascending. mean: what texts have in common, float32 [D], in
    units of a text's vector of length 1. vocabulary: V. head, weight, offset: head * log-odds + weight * (affinity -
    offset) is what a model that brings the table says of a pair, the log-odds being those of its head.
    """

    vectors: np.ndarray
    weights: np.ndarray
    pairs: np.ndarray
    mean: np.ndarray
    vocabulary: int
    head: float = 1.0
    weight: float = 0.0
    offset: float = 0.0
    triples: np.ndarray = field(default_factory=_no_runs)
    fours: np.ndarray = field(default_factory=_no_runs)

    @property
    def runs(self) -> tuple[np.ndarray, ...]:
        """Pairs, triples, fours: what a run of two, three, four tokens must be to have a vector."""
        return self.pairs, self.triples, self.fours

    @classmethod
    def load(cls, folder: str | Path, *, vocabulary: int) -> Associations | None:
        """The table of a model folder; None if there is none in it.

        Raises CheckpointError for a table that is damaged or was counted with another vocabulary.
        """
        from safetensors import SafetensorError, safe_open

        path = Path(folder) / FILE
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="numpy") as file:
                about: dict[str, Any] = json.loads((file.metadata() or {})["associations"])
                arrays = {name: file.get_tensor(name) for name in ("vectors", "weights", "pairs", "mean")}
                held = set(file.keys())
                # a table that was counted and never learnt has no words of more than two tokens
                longer = {name: file.get_tensor(name) for name in RUNS[1:] if name in held}
            table = cls(
                arrays["vectors"],
                arrays["weights"].astype(np.float32),
                arrays["pairs"],
                arrays["mean"].astype(np.float32),
                int(about["vocabulary"]),
                float(about["head"]),
                float(about["weight"]),
                float(about["offset"]),
                **longer,
            )
        except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
            raise CheckpointError(f"{path} cannot be read as a table of associations: {error}") from error
        units = table.vocabulary + sum(map(len, table.runs))
        if len(table.vectors) != units or len(table.weights) != units or table.vectors.shape[1:] != table.mean.shape:
            raise CheckpointError(
                f"{path} has vectors for {len(table.vectors)} units, weights for {len(table.weights)}, and "
                f"{table.vocabulary} tokens with {units - table.vocabulary} runs of them: it is damaged"
            )
        if table.vocabulary != vocabulary:
            raise CheckpointError(
                f"{path} was counted with a vocabulary of {table.vocabulary}, the tokenizer beside it has "
                f"{vocabulary}: count it anew, or take the file away"
            )
        return table

    def save(self, folder: str | Path) -> None:
        from safetensors.numpy import save

        about = {"vocabulary": self.vocabulary, "head": self.head, "weight": self.weight, "offset": self.offset}
        arrays = {"vectors": self.vectors, "weights": self.weights, "mean": self.mean}
        arrays |= dict(zip(RUNS, self.runs, strict=True))
        replace_file(Path(folder) / FILE, save(arrays, {"associations": json.dumps(about)}))

    def units(self, ids: np.ndarray) -> np.ndarray:
        """Units of a text's tokens, int64: the tokens, and each run of neighbours that the table knows."""
        return find_units(ids, self.runs, self.vocabulary)[0]

    def vectors_of(self, rows: Sequence[Sequence[int] | np.ndarray]) -> np.ndarray:
        """Vectors of texts given as token ids, float32 [N, D], of length 1; zero for a text that no unit tells of."""
        found = np.zeros((len(rows), self.vectors.shape[1]), dtype=np.float32)
        for number, row in enumerate(rows):
            found[number] = self._vector(row)
        return found

    def _vector(self, row: Sequence[int] | np.ndarray) -> np.ndarray:
        units = self.units(np.asarray(row, dtype=np.int64))
        return self._sum(units, self.weights[units])

    def vector_around(self, before: Sequence[int] | np.ndarray, behind: Sequence[int] | np.ndarray) -> np.ndarray:
        """Vector of what stands around a blank, as of `vectors_of`; the nearer a unit, the more it counts."""
        units, weights = [], []
        for ids, is_behind in ((before, False), (behind, True)):
            own, places = find_units(np.asarray(ids, dtype=np.int64), self.runs, self.vocabulary)
            distances = places + 1 if is_behind else len(ids) - places
            units.append(own)
            weights.append(self.weights[own] * np.exp(-distances / _REACH).astype(np.float32))
        return self._sum(np.concatenate(units), np.concatenate(weights))

    def _sum(self, units: np.ndarray, weights: np.ndarray) -> np.ndarray:
        told = weights > 0
        if not told.any():
            return np.zeros(self.vectors.shape[1], dtype=np.float32)
        return _unit(_unit(weights[told] @ self.vectors[units[told]].astype(np.float32)) - self.mean)

    def telling(self, rows: Sequence[Sequence[int] | np.ndarray]) -> np.ndarray:
        """How much texts given as token ids tell, float64 [N]: lengths of the sums of their units, 0 for nothing.

        A word that stands everywhere tells little; one of rare parts that point the same way tells much.
        """
        found = np.zeros(len(rows), dtype=np.float64)
        for number, row in enumerate(rows):
            units = self.units(np.asarray(row, dtype=np.int64))
            found[number] = np.linalg.norm(self.weights[units] @ self.vectors[units].astype(np.float32))
        return found

    def affinities(
        self,
        tokenize: Tokenize,
        texts: Sequence[Told],
        others: Sequence[Told],
        first: np.ndarray,
        second: np.ndarray,
        *,
        drawn: Mapping[str, np.ndarray] | None = None,
    ) -> np.ndarray:
        """Cosines of texts[first] and others[second], float64; NaN where one of them tells nothing.

        texts, others: as for `read`. first, second: numbers, int [N] each. drawn: float32 [D] that stands in the place
        of the vector of one of ``others``; a product then is no cosine.
        """
        texts_ND, others_ND = self.read(tokenize, texts), self.read(tokenize, others)
        if drawn is not None:
            for number, other in enumerate(others):
                if isinstance(other, str) and other in drawn:
                    others_ND[number] = drawn[other]
        found = np.empty(len(first), dtype=np.float64)
        for start in range(0, len(first), 4096):
            part = slice(start, start + 4096)
            found[part] = np.einsum("nd,nd->n", texts_ND[first[part]], others_ND[second[part]])
        told_N, others_told_N = np.any(texts_ND, axis=1), np.any(others_ND, axis=1)
        return np.where(np.take(told_N, first) & np.take(others_told_N, second), found, np.nan)

    def read(self, tokenize: Tokenize, texts: Sequence[Told]) -> np.ndarray:
        """Vectors of texts as of `vectors_of`; a pair of strings is what stands before and behind a blank."""
        found = np.zeros((len(texts), self.vectors.shape[1]), dtype=np.float32)
        for start in range(0, len(texts), _CHUNK):
            part = [(text,) if isinstance(text, str) else text for text in texts[start : start + _CHUNK]]
            rows = iter(tokenize([side for sides in part for side in sides]))
            for number, sides in enumerate(part, start):
                ids = [next(rows) for _ in sides]
                found[number] = self.vector_around(*ids) if len(ids) == 2 else self._vector(*ids)
        return found


def find_units(
    ids: np.ndarray, runs: Sequence[np.ndarray], vocabulary: int, texts: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(units, number of the token that each begins with), int64 [M] each, of one text or of many behind one another.

    ids: tokens, int64 [L]. runs: the known ones of two tokens, of three, ..., as in `Associations`. texts: which text
    each token is of; no run goes from one into the next.
    """
    units, places = [ids], [np.arange(len(ids))]
    first = vocabulary
    for count, known in enumerate(runs, start=2):
        if len(known) and len(ids) >= count:
            keys = run_keys(ids, count, vocabulary)
            found, held = look_up(keys, known)
            if texts is not None:
                held &= texts[: len(keys)] == texts[count - 1 :]
            units.append(first + found[held])
            places.append(np.flatnonzero(held))
        first += len(known)
    return np.concatenate(units), np.concatenate(places)


def look_up(keys: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(place of each key among the known ones, int64; whether it is there, bool). known: ascending, not empty."""
    places = np.searchsorted(known, keys).clip(max=len(known) - 1)
    return places, known[places] == keys


def run_keys(ids: np.ndarray, count: int, vocabulary: int) -> np.ndarray:
    """A number for each ``count`` neighbours, int64 [L - count + 1]: its digits to the base ``vocabulary``."""
    keys = np.zeros(max(len(ids) - count + 1, 0), dtype=np.int64)
    for place in range(count):
        keys = keys * vocabulary + ids[place : len(keys) + place]
    return keys


def _unit(vector: np.ndarray) -> np.ndarray:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 1e-6 else np.zeros_like(vector)
