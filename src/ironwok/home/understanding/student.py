"""A small model of sentences for small boxes: hashed n-grams, one linear layer, and no torch.

It was trained on sentences that a grammar of our own made (`grammar.py`, `tools/train_home_student.py`). Such a model
is sure of itself on what it never saw, so a second, plain question is asked: is the sentence made of words that belong
to the action? "Play the songs of somebody" looks like "play" to the model; the rest of it belongs to nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from ironwok.errors import ModelError
from ironwok.home.understanding.features import features_of, tokens_of
from ironwok.home.understanding.grammar import REFUSE

_COMMON = 5


@dataclass(frozen=True, slots=True)
class Guess:
    """What the student takes a sentence for.

    ranking: classes with probabilities, best first; REFUSE among them. coverage: share of the tokens that belong to the
    best action's own vocabulary, 0 to 1.
    """

    ranking: tuple[tuple[str, float], ...]
    coverage: float


class Student:
    """grams: CRC-32 of the known n-grams, sorted; weights: [classes, grams]; bias: [classes].

    vocabulary: of every class but REFUSE, its tokens.
    """

    def __init__(
        self,
        classes: tuple[str, ...],
        grams: NDArray[np.uint32],
        weights: NDArray[np.float32],
        bias: NDArray[np.float32],
        vocabulary: dict[str, frozenset[str]],
        *,
        threshold: float,
        margin: float,
        coverage: float,
    ) -> None:
        if weights.shape != (len(classes), len(grams)):
            raise ModelError(f"the student's weights are {weights.shape}, not ({len(classes)}, {len(grams)})")
        self.classes = classes
        self.threshold = threshold
        self.margin = margin
        self.coverage = coverage
        self._grams = grams
        self._weights = np.ascontiguousarray(weights.T)
        self._bias = bias
        counts = Counter(word for words in vocabulary.values() for word in words)
        # what many actions share are words such as "the" or "把", not words of an action
        common = {word for word, number in counts.items() if number >= _COMMON}
        self._vocabulary = {name: words | common for name, words in vocabulary.items()}

    def guess(self, text: str) -> Guess:
        tokens = tokens_of(text)
        if not tokens:
            return Guess(((REFUSE, 1.0),), 0.0)
        found = known_grams(self._grams, features_of(tokens))
        # unit length, as in training: a long sentence is not a louder one
        logits = self._weights[found].sum(axis=0) / np.sqrt(max(len(found), 1)) + self._bias
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        order = np.argsort(-shares, kind="stable")
        ranking = tuple((self.classes[index], float(shares[index])) for index in order)
        best = next(name for name, _ in ranking if name != REFUSE)
        known = self._vocabulary[best]
        covered = sum(token.isdigit() or token in known for token in tokens)
        return Guess(ranking, covered / len(tokens))


def known_grams(grams: NDArray[np.uint32], found: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Places of n-grams in a sorted list of known ones; others are left out."""
    places = np.searchsorted(grams, found)
    places[places == len(grams)] = 0
    return places[grams[places] == found]


@cache
def load_student() -> Student:
    """The student in the package."""
    path = files("ironwok.home.understanding") / "student.npz"
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        classes = tuple(str(name) for name in stored["classes"])
        weights = stored["weights"].astype(np.float32) * stored["scale"].astype(np.float32)[:, None]
        words = {str(name): frozenset(str(stored[f"words_{name}"]).split("\n")) for name in classes if name != REFUSE}
        threshold, margin, coverage = (float(value) for value in stored["bounds"])
        bias = stored["bias"].astype(np.float32)
        grams = stored["grams"]
    return Student(classes, grams, weights, bias, words, threshold=threshold, margin=margin, coverage=coverage)
