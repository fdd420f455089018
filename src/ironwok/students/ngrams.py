"""A student for small machines: hashed n-grams and one linear layer, without torch and without scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ironwok.errors import CheckpointError, InputError
from ironwok.students.files import load_files, pack, save_files, unpack
from ironwok.students.hashing import HashedNgrams
from ironwok.students.student import Student


class NgramStudent(Student):
    """features: what rows are made of. weights: [known n-grams, labels]. bias: [labels]."""

    kind = "ngrams"

    def __init__(
        self,
        labels: Sequence[str],
        *,
        features: HashedNgrams,
        weights: NDArray[np.float32],
        bias: NDArray[np.float32],
        teacher: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(labels, teacher=teacher)
        expected = (len(features.buckets), len(self.labels))
        if weights.shape != expected or bias.shape != expected[1:]:
            raise InputError(f"weights are {weights.shape} and bias {bias.shape}, not {expected} and {expected[1:]}")
        self.features, self.weights, self.bias = features, weights, bias

    def decision_function(self, texts: Sequence[str]) -> NDArray[np.float64]:
        return (self.features.transform(texts) @ self.weights + self.bias).astype(np.float64)

    def save(self, folder: Path) -> None:
        """Write the student into a folder, weights in 8 bits. Raises OutputError."""
        packed, scale = pack(self.weights.astype(np.float64))
        save_files(
            folder,
            {
                "kind": self.kind,
                "labels": list(self.labels),
                "longest": self.features.longest,
                "bits": self.features.bits,
                "teacher": self.teacher,
            },
            {
                "buckets": self.features.buckets,
                "rarity": self.features.rarity.astype(np.float16),
                "weights": packed,
                "scale": scale,
                "bias": self.bias.astype(np.float32),
            },
        )

    @classmethod
    def load(cls, folder: Path) -> NgramStudent:
        """Raises CheckpointError."""
        names = ("buckets", "rarity", "weights", "scale", "bias")
        description, stored = load_files(folder, names)
        try:
            features = HashedNgrams(
                longest=description["longest"],
                bits=description["bits"],
                buckets=stored["buckets"].astype(np.uint32),
                rarity=stored["rarity"].astype(np.float32),
            )
            return cls(
                description["labels"],
                features=features,
                weights=unpack(stored["weights"], stored["scale"]),
                bias=stored["bias"].astype(np.float32),
                teacher=description["teacher"],
            )
        except (InputError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the student in {folder} contradicts itself: {error}") from error
