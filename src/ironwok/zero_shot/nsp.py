"""Does the text read on from the prompt? The next-sentence head as a scorer (NSP-BERT, arXiv 2109.03564)."""

from __future__ import annotations

from typing import Any

from ironwok.errors import MissingHeadError
from ironwok.zero_shot.encoder_scorer import PairScorer


class NSPScorer(PairScorer):
    """Log-odds that the second sentence follows the first.

    model: any ``AutoModelForNextSentencePrediction`` whose class 0 is IsNext, or a model for pre-training that gives
    ``seq_relationship_logits``.
    """

    def _logits(self, outputs: Any) -> Any:
        """[B, 2] of either kind of model."""
        logits = getattr(outputs, "seq_relationship_logits", None)
        if logits is None:
            logits = getattr(outputs, "logits", None)
        if logits is None or logits.ndim != 2 or logits.shape[-1] != 2:
            shape = None if logits is None else tuple(logits.shape)
            raise MissingHeadError(
                f"{type(self.model).__name__} gives logits of shape {shape}, a next-sentence head gives [batch, 2]: "
                f"load the model for next-sentence prediction, or use scorer='pet' for a masked-LM head"
            )
        return logits
