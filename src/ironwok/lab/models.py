"""The small models of the lab: a stack with its embeddings, a classifier on top of one, an encoder with a decoder."""

# B batch, L tokens, K source tokens, D width, V vocabulary, C classes

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ironwok.nn import masks
from ironwok.nn.config import TransformerConfig
from ironwok.nn.initialization import initialize
from ironwok.nn.norms import RMSNorm
from ironwok.nn.transformer import EncoderDecoder, Stack

PAD, MASK, SEPARATOR, UNKNOWN = range(4)
SPECIAL = ("[PAD]", "[MASK]", "[SEP]", "[UNK]")


class Embeddings(nn.Module):
    """Normed token vectors [B, L, D], so that every variant starts from the same x_0; the output layer is tied."""

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.norm = RMSNorm(width, eps=1e-6)

    def forward(self, tokens_BL: Tensor) -> Tensor:
        return self.norm(self.tokens(tokens_BL))

    def logits(self, hidden_BLD: Tensor) -> Tensor:
        """Unit variance at the start: hidden states have a mean square of 1, rows of the table a length of 1."""
        return F.linear(hidden_BLD, self.tokens.weight)


class LanguageModel(nn.Module):
    """Predicts tokens with one stack: masked-LM with a mask of both directions, else the next token."""

    def __init__(self, config: TransformerConfig, *, vocabulary: int, length: int) -> None:
        super().__init__()
        self.embeddings = Embeddings(vocabulary, config.width)
        self.stack = Stack(config, length=length)

    def hidden(self, tokens_BL: Tensor, *, prefix_lengths: Tensor | None = None) -> Tensor:
        """States [B, L, D]; padding is seen by nobody."""
        real_BL = tokens_BL != PAD
        # most batches have no padding, and attention is faster without a mask
        mask = None if bool(real_BL.all()) else masks.padding(real_BL)
        return self.stack(self.embeddings(tokens_BL), mask=mask, prefix_lengths=prefix_lengths)

    def forward(self, tokens_BL: Tensor, *, prefix_lengths: Tensor | None = None) -> Tensor:
        """Logits [B, L, V]."""
        return self.embeddings.logits(self.hidden(tokens_BL, prefix_lengths=prefix_lengths))


class Classifier(nn.Module):
    """A language model that was trained before, with a fresh linear layer on the mean state of a text.

    The mean for both objectives: the last state alone would favour causal models for the way they were trained.
    """

    def __init__(self, model: LanguageModel, *, classes: int, seed: int) -> None:
        super().__init__()
        self.model = model
        self.head = nn.Linear(model.stack.config.width, classes)
        initialize(self.head, gain=1.0, generator=torch.Generator().manual_seed(seed))

    def forward(self, tokens_BL: Tensor) -> Tensor:
        """Logits [B, C]."""
        real_BL1 = (tokens_BL != PAD)[:, :, None]
        states = self.model.hidden(tokens_BL) * real_BL1
        return self.head(states.sum(dim=1) / real_BL1.sum(dim=1).clamp(min=1))


class SequenceModel(nn.Module):
    """Encoder and decoder on the same embeddings; all sources of a batch are of one length, and all targets."""

    def __init__(self, encoder: TransformerConfig, decoder: TransformerConfig, *, vocabulary: int, length: int) -> None:
        super().__init__()
        self.embeddings = Embeddings(vocabulary, decoder.width)
        self.pair = EncoderDecoder(encoder, decoder, length=length)

    def forward(self, source_BK: Tensor, target_BL: Tensor) -> Tensor:
        """Logits [B, L, V] of what follows each token of the target."""
        states = self.pair(self.embeddings(source_BK), self.embeddings(target_BL))
        return self.embeddings.logits(states)


def initialized(model: nn.Module, *, seed: int, gain: float) -> nn.Module:
    """Draw all weights: the same seed gives variants of the same shape the same numbers (DeepNorm scales some)."""
    initialize(model, gain=gain, generator=torch.Generator().manual_seed(seed))
    return model
