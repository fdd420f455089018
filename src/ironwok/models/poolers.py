"""What sums a sequence up for the heads that judge it as a whole: the first token, or both segments compared.

Every pooler takes hidden states [B, L, D], word embeddings [B, L, D], token ids [B, L] (or None), segments [B, L]
(or None) and which tokens are real, boolean [B, L] (or None), and returns [B, D + F]: F is its ``beside``, how many
numbers it adds.
"""

# B batch, L tokens, D width, F features

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ironwok.errors import InputError
from ironwok.models.common_words import FEATURES, common_words
from ironwok.models.configuration import RoFormerV2Config


class RoFormerV2Pooler(nn.Module):
    """tanh of a projection of the first token, [B, D]."""

    beside = 0

    def __init__(self, config: RoFormerV2Config) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size, bias=config.use_bias)

    def forward(
        self,
        hidden_BLD: Tensor,
        words_BLD: Tensor,
        input_ids: Tensor | None,
        token_type_ids: Tensor | None,
        real_BL: Tensor | None,
    ) -> Tensor:
        return torch.tanh(self.dense(hidden_BLD[:, 0]))


class RoFormerV2SegmentPooler(nn.Module):
    """Both segments compared, in what they mean and in the words they share, [B, D].

    tanh of a projection of [first; a; b; a * b; |a - b|; c * d] and of three similarities. a and b are means of the
    segments' hidden states, c and d of their word embeddings, each weighted by a learnt score per token and brought to
    a root mean square of 1. The similarities are the cosine of c and d and, from either side, the mean of each word's
    greatest cosine with a word of the other side (late interaction: Khattab and Zaharia, arXiv 2004.12832).

    Whether two pieces of text belong together shows in these from the first steps on; [CLS] alone has to learn first to
    compare words across segments (docs/log.md). A segment without tokens is zero.
    """

    beside = 0
    SIMILARITY_SCALE = 5.0  # cosines differ by a tenth or so, the other inputs by about 1

    def __init__(self, config: RoFormerV2Config) -> None:
        super().__init__()
        self.score = nn.Linear(config.hidden_size, 1, bias=False)
        self.word_score = nn.Linear(config.hidden_size, 1, bias=False)
        self.dense = nn.Linear(6 * config.hidden_size, config.hidden_size, bias=config.use_bias)
        self.similarity = nn.Linear(3, config.hidden_size, bias=False)

    def forward(
        self,
        hidden_BLD: Tensor,
        words_BLD: Tensor,
        input_ids: Tensor | None,
        token_type_ids: Tensor | None,
        real_BL: Tensor | None,
    ) -> Tensor:
        return self.compared(hidden_BLD, words_BLD, _segments(hidden_BLD, token_type_ids, real_BL))

    def compared(self, hidden_BLD: Tensor, words_BLD: Tensor, inside: list[Tensor]) -> Tensor:
        """What `forward` gives; ``inside``: the tokens of either segment, boolean [B, L] each."""
        width = hidden_BLD.shape[-1]
        dtype = self.dense.weight.dtype  # cosines and means are taken in float32, whatever the weights are in
        unit_BLD = F.normalize(words_BLD.float(), dim=-1)
        score_BL = self.score(hidden_BLD).squeeze(-1).float()
        word_score_BL = self.word_score((unit_BLD * width**0.5).to(dtype)).squeeze(-1).float()
        word_weights = [_weights(word_score_BL, inside_BL) for inside_BL in inside]
        a_BD, b_BD = (_mean(_weights(score_BL, inside_BL), hidden_BLD) for inside_BL in inside)
        c_BD, d_BD = (_mean(weights_BL, unit_BLD) for weights_BL in word_weights)
        similarities = [(c_BD * d_BD).mean(dim=-1)]
        for weights_BL, nearest_BL in zip(word_weights, _nearest(unit_BLD, inside), strict=True):
            similarities.append((weights_BL * nearest_BL).sum(dim=-1))
        similarity_B3 = torch.stack(similarities, dim=-1) * self.SIMILARITY_SCALE
        features = torch.cat(
            [hidden_BLD[:, 0].float(), a_BD, b_BD, a_BD * b_BD, (a_BD - b_BD).abs(), c_BD * d_BD], dim=-1
        )
        return torch.tanh(self.dense(features.to(dtype)) + self.similarity(similarity_B3.to(dtype)))


class RoFormerV2MatchPooler(RoFormerV2SegmentPooler):
    """Segments compared as above, and beside that what they have in common, counted, [B, D + 16].

    The last 16 numbers are tanh of a projection of `ironwok.models.common_words` alone: with a layer between, the head
    can let the count decide where both segments are running text, and not where one is a label (docs/log.md). Each
    token of the vocabulary counts exp(salience); salience starts from 2 log idf.

    Raises InputError where only inputs_embeds are given: which words are the same cannot be seen from them.
    """

    beside = 16

    def __init__(self, config: RoFormerV2Config) -> None:
        super().__init__(config)
        self.salience = nn.Parameter(torch.ones(config.vocab_size))
        self.common = nn.Linear(len(FEATURES), self.beside, bias=False)

    def resize(self, tokens: int) -> None:
        """Cut the vocabulary, or add words of average salience."""
        old = self.salience.detach()
        more = old.mean().expand(max(tokens - len(old), 0))
        self.salience = nn.Parameter(torch.cat([old[:tokens], more]))

    @torch.no_grad()
    def start(self, idf_V: Tensor, special_ids: Sequence[int]) -> None:
        """Give words the salience of their inverse document frequency [V]; special tokens count nothing."""
        self.salience.copy_(2 * idf_V.clamp(min=0.1).log())
        self.salience[list(special_ids)] = -20.0

    def forward(
        self,
        hidden_BLD: Tensor,
        words_BLD: Tensor,
        input_ids: Tensor | None,
        token_type_ids: Tensor | None,
        real_BL: Tensor | None,
    ) -> Tensor:
        if input_ids is None:
            raise InputError('pooling "matches" compares words by their ids: pass input_ids instead of inputs_embeds')
        inside = _segments(input_ids, token_type_ids, real_BL)
        compared_BD = self.compared(hidden_BLD, words_BLD, inside)
        common_BF = self._counts(input_ids, inside)
        return torch.cat([compared_BD, torch.tanh(self.common(common_BF.to(compared_BD.dtype)))], dim=-1)

    def counts(self, input_ids: Tensor, token_type_ids: Tensor | None, real_BL: Tensor | None) -> Tensor:
        """What the last numbers are made of, float32 [B, F] in the order of `common_words.FEATURES`."""
        return self._counts(input_ids, _segments(input_ids, token_type_ids, real_BL))

    def _counts(self, input_ids: Tensor, inside: list[Tensor]) -> Tensor:
        return common_words(input_ids, self.salience[input_ids].float().exp(), *inside)


POOLERS = {"first": RoFormerV2Pooler, "segments": RoFormerV2SegmentPooler, "matches": RoFormerV2MatchPooler}
# poolers that hold all of another one, and go on from its weights
GROWN_FROM = {"matches": "segments"}


def pooled_size(config: RoFormerV2Config) -> int:
    """How many numbers the pooler of a configuration gives for a sequence."""
    return config.hidden_size + POOLERS[config.pooling].beside


def grow(weights: Mapping[str, Tensor], pooling: str) -> dict[str, Tensor]:
    """The weights of a model with a simpler pooler, made to fit one with ``pooling``: what is new counts nothing yet.

    Not among them are the layer that is new, and the salience of words (see `RoFormerV2MatchPooler.start`).
    """
    head = "cls.seq_relationship.weight"
    return {**weights, head: F.pad(weights[head], (0, POOLERS[pooling].beside))}


def _segments(tokens: Tensor, token_type_ids: Tensor | None, real_BL: Tensor | None) -> list[Tensor]:
    """The real tokens of the first and of the second segment, boolean [B, L] each, the very first token left out.

    tokens: anything [B, L, ...], for its shape and device.
    """
    batch, length = tokens.shape[:2]
    if token_type_ids is None:
        token_type_ids = torch.zeros((batch, length), dtype=torch.long, device=tokens.device)
    usable_BL = torch.ones_like(token_type_ids, dtype=torch.bool) if real_BL is None else real_BL
    usable_BL = usable_BL & (torch.arange(length, device=tokens.device) > 0)
    return [usable_BL & (token_type_ids == number) for number in (0, 1)]


def _nearest(unit_BLD: Tensor, inside: list[Tensor]) -> list[Tensor]:
    """For either segment the greatest cosine of each token with one of the other segment, float32 [B, L] each."""
    cosine_BLL = (unit_BLD @ unit_BLD.mT).float()
    return [cosine_BLL.masked_fill(~other_BL[:, None, :], -1.0).amax(dim=-1) for other_BL in reversed(inside)]


def _weights(score_BL: Tensor, inside_BL: Tensor) -> Tensor:
    """Softmax of the scores inside a segment, [B, L]; all zero for a segment without tokens."""
    return torch.softmax(score_BL.masked_fill(~inside_BL, -1e4), dim=-1) * inside_BL


def _mean(weights_BL: Tensor, states_BLD: Tensor) -> Tensor:
    """Weighted mean at a root mean square of 1, float32 [B, D]."""
    mean_BD = torch.einsum("bl,bld->bd", weights_BL, states_BLD.float())
    return F.normalize(mean_BD, dim=-1) * states_BLD.shape[-1] ** 0.5
