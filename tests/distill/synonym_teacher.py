"""Texts about two things in a thousand words, a teacher that knows the words, and an encoder that knows the things."""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence

import numpy as np

from ironwok.zero_shot.pairs import Pair

LABELS = ["体育", "财经"]


def word(label: str, number: int) -> str:
    """A word of four characters that shares no pair of them with another, but by chance."""
    chance = random.Random(f"{label} {number}")
    return "".join(chr(0x4E00 + chance.randrange(6000)) for _ in range(4))


def texts(count: int, *, words: int) -> list[str]:
    """Different texts, of one word each, which is in six of all that there are."""
    every = [f"{word(label, number)}，第{time}次。" for label in LABELS for number in range(words) for time in range(6)]
    random.Random(1).shuffle(every)
    return every[:count]


class SynonymScorer:
    """Log-odds 3 for the label of the text's word, -3 for the other.

    embed: near one of two points, by the label; of a scorer that is blind, anywhere.
    """

    def __init__(self, *, words: int, blind: bool = False) -> None:
        self.label_of = {word(label, number): label for label in LABELS for number in range(words)}
        self.blind = blind
        self.scored: set[str] = set()
        self.embedded: list[list[str]] = []

    def score(self, pairs: Sequence[Pair]) -> np.ndarray:
        self.scored.update(pair.text for pair in pairs)
        return np.array([3.0 if self.label_of.get(pair.text[:4]) == pair.prompt.label else -3.0 for pair in pairs])

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.embedded.append(list(texts))
        vectors = np.array([np.random.default_rng(zlib.crc32(text.encode())).normal(size=8) for text in texts])
        if not self.blind:
            vectors[:, 0] += [9 if self.label_of[text[:4]] == LABELS[0] else -9 for text in texts]
        return vectors.astype(np.float32)
