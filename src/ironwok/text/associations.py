"""Which words keep company: vectors counted from running text, in which a label lies near the texts that it fits.

A table beside a model's vocabulary. Its units are the tokens and frequent pairs of neighbouring tokens (most Chinese
words have two characters); each has a vector, the left singular vectors of a matrix of positive pointwise mutual
information (Levy and Goldberg, NeurIPS 2014, with the singular values left out), and a weight, how rare it is. A text
is the weighted sum of its units' vectors, less what all texts have in common. ``ironwok.training.associations`` counts
such a table; reading one needs numpy alone.
"""

# N texts, U units, P pairs, V vocabulary, D width

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ironwok.errors import CheckpointError
from ironwok.files import replace_file

FILE = "associations.safetensors"
_CHUNK = 256  # texts whose units are looked up at once

# token ids of texts, without special tokens
Tokenize = Callable[[Sequence[str]], Sequence[Sequence[int]]]


@dataclass(frozen=True, slots=True)
class Associations:
    """Vectors of tokens and of pairs of neighbours.

    vectors: int8 [U, D], V tokens and behind them P pairs; their lengths mean nothing. weights: what each is multiplied
    with, its inverse document frequency over its length, float32 [U], 0 for one that tells nothing. pairs: first * V +
    second, int64 [P], ascending. mean: what texts have in common, float32 [D], in units of a text's vector of length 1.
    vocabulary: V. head, weight, offset: head * log-odds + weight * (affinity - offset) is what a model that brings the
    table says of a pair, the log-odds being those of its head.
    """

    vectors: np.ndarray
    weights: np.ndarray
    pairs: np.ndarray
    mean: np.ndarray
    vocabulary: int
    head: float = 1.0
    weight: float = 0.0
    offset: float = 0.0

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
            table = cls(
                arrays["vectors"],
                arrays["weights"].astype(np.float32),
                arrays["pairs"],
                arrays["mean"].astype(np.float32),
                int(about["vocabulary"]),
                float(about["head"]),
                float(about["weight"]),
                float(about["offset"]),
            )
        except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
            raise CheckpointError(f"{path} cannot be read as a table of associations: {error}") from error
        units = table.vocabulary + len(table.pairs)
        if len(table.vectors) != units or len(table.weights) != units or table.vectors.shape[1:] != table.mean.shape:
            raise CheckpointError(
                f"{path} has vectors for {len(table.vectors)} units, weights for {len(table.weights)}, and "
                f"{table.vocabulary} tokens with {len(table.pairs)} pairs: it is damaged"
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
        arrays = {"vectors": self.vectors, "weights": self.weights, "pairs": self.pairs, "mean": self.mean}
        replace_file(Path(folder) / FILE, save(arrays, {"associations": json.dumps(about)}))

    def units(self, ids: np.ndarray) -> np.ndarray:
        """Units of a text's tokens, int64: the tokens, and each pair of neighbours that the table knows."""
        keys = ids[:-1] * self.vocabulary + ids[1:]
        places = np.searchsorted(self.pairs, keys)
        known = places < len(self.pairs)
        known[known] = self.pairs[places[known]] == keys[known]
        return np.concatenate([ids, self.vocabulary + places[known]])

    def vectors_of(self, rows: Sequence[Sequence[int] | np.ndarray]) -> np.ndarray:
        """Vectors of texts given as token ids, float32 [N, D], of length 1; zero for a text that no unit tells of."""
        found = np.zeros((len(rows), self.vectors.shape[1]), dtype=np.float32)
        for number, row in enumerate(rows):
            units = self.units(np.asarray(row, dtype=np.int64))
            units = units[self.weights[units] > 0]
            if not len(units):
                continue
            summed = self.weights[units] @ self.vectors[units].astype(np.float32)
            found[number] = _unit(_unit(summed) - self.mean)
        return found

    def affinities(
        self, tokenize: Tokenize, texts: Sequence[str], others: Sequence[str], first: np.ndarray, second: np.ndarray
    ) -> np.ndarray:
        """Cosines of texts[first] and others[second], float64; NaN where one of them tells nothing.

        first, second: numbers, int [N] each.
        """
        texts_ND, others_ND = self._read(tokenize, texts), self._read(tokenize, others)
        found = np.empty(len(first), dtype=np.float64)
        for start in range(0, len(first), 4096):
            part = slice(start, start + 4096)
            found[part] = np.einsum("nd,nd->n", texts_ND[first[part]], others_ND[second[part]])
        told_N, others_told_N = np.any(texts_ND, axis=1), np.any(others_ND, axis=1)
        return np.where(np.take(told_N, first) & np.take(others_told_N, second), found, np.nan)

    def _read(self, tokenize: Tokenize, texts: Sequence[str]) -> np.ndarray:
        parts = [self.vectors_of(tokenize(texts[start : start + _CHUNK])) for start in range(0, len(texts), _CHUNK)]
        return np.concatenate(parts) if parts else np.zeros((0, self.vectors.shape[1]), dtype=np.float32)


def _unit(vector: np.ndarray) -> np.ndarray:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 1e-6 else np.zeros_like(vector)
