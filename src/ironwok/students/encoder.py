"""A student with the encoder's own eyes: the mean of its last hidden states, and one linear layer.

It reads a text once, whatever the number of labels; the zero-shot model reads it once for every label.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ironwok.errors import CheckpointError, InputError
from ironwok.students.files import load_files, save_files
from ironwok.students.student import Student
from ironwok.zero_shot.pairs import EmbeddingScorer


class EncoderStudent(Student):
    """embedder: gives the vectors of texts, float32 [N, D]. weights: [D, labels]. bias: [labels].

    model: name, folder or hub id of the encoder, which is loaded from there again.
    """

    kind = "encoder"

    def __init__(
        self,
        labels: Sequence[str],
        *,
        embedder: EmbeddingScorer,
        model: str,
        weights: NDArray[np.float32],
        bias: NDArray[np.float32],
        teacher: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(labels, teacher=teacher)
        if weights.ndim != 2 or weights.shape[1:] != bias.shape or len(bias) != len(self.labels):
            raise InputError(f"weights {weights.shape} and bias {bias.shape} do not go with {len(self.labels)} labels")
        self.embedder, self.model = embedder, model
        self.weights, self.bias = weights, bias

    def decision_function(self, texts: Sequence[str]) -> NDArray[np.float64]:
        if not len(texts):
            return np.zeros((0, len(self.labels)))
        return (self.embedder.embed(texts) @ self.weights + self.bias).astype(np.float64)

    def save(self, folder: Path) -> None:
        """Write the head into a folder; of the encoder only where it is and a hash. Raises OutputError."""
        description = {
            "kind": self.kind,
            "labels": list(self.labels),
            "model": self.model,
            "model_sha256": weights_hash(self.model),
            "teacher": self.teacher,
        }
        save_files(folder, description, {"weights": self.weights, "bias": self.bias})

    @classmethod
    def load(
        cls, folder: Path, *, batch_size: int = 64, device: str | None = None, dtype: str | None = None
    ) -> EncoderStudent:
        """Raises CheckpointError, also where the encoder is not the one that the head was made for."""
        description, stored = load_files(folder, ("weights", "bias"))
        try:
            model, expected = description["model"], description["model_sha256"]
            labels, teacher = description["labels"], description["teacher"]
        except KeyError as error:
            raise CheckpointError(f"the student in {folder} lacks {error}") from error
        if expected is not None and weights_hash(model) != expected:
            raise CheckpointError(
                f"the student in {folder} was made for other weights than {model} has now: distil it again"
            )
        embedder = load_embedder(model, batch_size=batch_size, device=device, dtype=dtype)
        try:
            return cls(
                labels,
                embedder=embedder,
                model=model,
                weights=stored["weights"].astype(np.float32),
                bias=stored["bias"].astype(np.float32),
                teacher=teacher,
            )
        except (InputError, TypeError, ValueError) as error:
            raise CheckpointError(f"the student in {folder} contradicts itself: {error}") from error


def load_embedder(
    model: str, *, batch_size: int = 64, device: str | None = None, dtype: str | None = None
) -> EmbeddingScorer:
    """The encoder of a model, as something that gives vectors. Raises as `ironwok.models.load_model`."""
    from ironwok.zero_shot.loading import load_encoder
    from ironwok.zero_shot.nsp import NSPScorer

    encoder, tokenizer = load_encoder(model, head="nsp", device=device, dtype=dtype)
    return NSPScorer(encoder, tokenizer, batch_size=batch_size)


def weights_hash(model: str) -> str | None:
    """SHA-256 of the weights of a bundled model or a folder; None for a hub id."""
    from ironwok.models.bundled import resolve_model

    digest = hashlib.sha256()
    files = sorted(Path(resolve_model(model)).glob("*.safetensors"))
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest() if files else None
