"""What was fitted: two small networks, a line, and how telling the characters of Chinese are."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FILE = Path(__file__).with_name("weights.npz")
_UNSEEN = 9.0  # nats: rarer than one sentence in eight thousand
_LATIN = 8.0


@dataclass(frozen=True)
class Network:
    """One hidden layer of rectified units. mean, scale: float32 [F]; inner [H, F], bias [H], outer [H]."""

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    inner: NDArray[np.float32]
    bias: NDArray[np.float32]
    outer: NDArray[np.float32]

    def __call__(self, features: NDArray) -> NDArray[np.float64]:
        """Scores [N] of features [N, F]; only their differences mean anything."""
        standard = (features.astype(np.float32) - self.mean) / self.scale
        return (np.maximum(standard @ self.inner.T + self.bias, 0) @ self.outer).astype(np.float64)


@dataclass(frozen=True)
class Weights:
    """sentences, spans: score candidates. line, constant: log-odds that a question is answered at all.

    rarities: of characters, nats: log of sentences over sentences that have it. version: of all of them together.
    """

    sentences: Network
    spans: Network
    line: NDArray[np.float32]
    constant: float
    rarities: dict[str, float]
    version: str

    def background(self, term: str) -> float:
        """How telling a term is in the language at large, nats; a pair counts as independent characters."""
        if term.isascii():
            return _LATIN
        return sum(self.rarities.get(one, _UNSEEN) for one in term)


@cache
def load_weights(path: Path = FILE) -> Weights:
    """Raises OSError or KeyError for a damaged installation."""
    with np.load(path, allow_pickle=False) as stored:
        networks = {
            name: Network(*(stored[f"{name}.{part}"] for part in ("mean", "scale", "inner", "bias", "outer")))
            for name in ("sentences", "spans")
        }
        rarities = dict(zip(str(stored["characters"]), (stored["rarities"] / 10).tolist(), strict=True))
        line, constant = stored["line"], float(stored["constant"])
    version = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return Weights(networks["sentences"], networks["spans"], line, constant, rarities, version)


def probabilities(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Softmax of scores [N]."""
    if not len(scores):
        return scores
    raised = np.exp(scores - scores.max())
    return raised / raised.sum()
