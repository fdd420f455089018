"""What sums a sequence up for the heads that judge it as a whole: the first token, or both segments compared.

Every pooler takes hidden states [B, L, D], word embeddings [B, L, D], token ids [B, L] (or None), segments [B, L]
(or None) and which tokens are real, boolean [B, L] (or None), and returns [B, D].
"""

# B batch, L tokens, D width

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ironwok.errors import InputError
from ironwok.models.configuration import RoFormerV2Config


class RoFormerV2Pooler(nn.Module):
    """tanh of a projection of the first token, [B, D]."""

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
        width = hidden_BLD.shape[-1]
        inside = _segments(hidden_BLD, token_type_ids, real_BL)
        dtype = self.dense.weight.dtype  # cosines and means are taken in float32, whatever the weights are in
        unit_BLD = F.normalize(words_BLD.float(), dim=-1)
        score_BL = self.score(hidden_BLD).squeeze(-1).float()
        word_score_BL = self.word_score((unit_BLD * width**0.5).to(dtype)).squeeze(-1).float()
        word_weights = [_weights(word_score_BL, inside_BL) for inside_BL in inside]
        a_BD, b_BD = (_mean(_weights(score_BL, inside_BL), hidden_BLD) for inside_BL in inside)
        c_BD, d_BD = (_mean(weights_BL, unit_BLD) for weights_BL in word_weights)
        nearest = _nearest(unit_BLD, inside)
        similarities = [(c_BD * d_BD).mean(dim=-1)]
        for weights_BL, nearest_BL in zip(word_weights, nearest, strict=True):
            similarities.append((weights_BL * nearest_BL).sum(dim=-1))
        similarity_B3 = torch.stack(similarities, dim=-1) * self.SIMILARITY_SCALE
        features = torch.cat(
            [hidden_BLD[:, 0].float(), a_BD, b_BD, a_BD * b_BD, (a_BD - b_BD).abs(), c_BD * d_BD], dim=-1
        )
        return torch.tanh(
            self.dense(features.to(dtype))
            + self.similarity(similarity_B3.to(dtype))
            + self.matched(unit_BLD, nearest, input_ids, inside)
        )

    def matched(
        self, unit_BLD: Tensor, nearest: list[Tensor], input_ids: Tensor | None, inside: list[Tensor]
    ) -> Tensor | float:
        """What subclasses add, [B, D]."""
        return 0.0


class RoFormerV2MatchPooler(RoFormerV2SegmentPooler):
    """Segments compared as above, and besides: how much of either side stands, or nearly stands, on the other.

    Each token of the vocabulary has a salience, which starts from its idf; tokens count by exp(salience), shared out
    within their segment. From either side: the share that stands on the other side as it is, the mean greatest cosine,
    and how the greatest cosines of the rest spread over four Gaussian kernels (kernel pooling: Xiong and others, arXiv
    1706.06613). For both: the geometric mean of the exact shares, which for salience 2 log idf is the idf-weighted
    overlap that next-sentence prediction is measured against, and the cosine of the weighted means.

    Raises InputError where only inputs_embeds are given: which words are the same cannot be seen from them.
    """

    KERNELS = (0.8, 0.6, 0.4, 0.2)
    KERNEL_WIDTH = 0.1
    FEATURES = 2 * (2 + len(KERNELS)) + 2

    def __init__(self, config: RoFormerV2Config) -> None:
        super().__init__(config)
        self.salience = nn.Parameter(torch.ones(config.vocab_size))
        self.matches = nn.Linear(self.FEATURES, config.hidden_size, bias=False)

    def resize(self, tokens: int) -> None:
        """Cut the vocabulary, or add words of average salience."""
        old = self.salience.detach()
        more = old.mean().expand(max(tokens - len(old), 0))
        self.salience = nn.Parameter(torch.cat([old[:tokens], more]))

    def matched(
        self, unit_BLD: Tensor, nearest: list[Tensor], input_ids: Tensor | None, inside: list[Tensor]
    ) -> Tensor:
        if input_ids is None:
            raise InputError('pooling "matches" compares words by their ids: pass input_ids instead of inputs_embeds')
        same_BLL = input_ids[:, :, None] == input_ids[:, None, :]
        salience_BL = self.salience[input_ids].float()
        features, means, shares = [], [], []
        for own_BL, other_BL, nearest_BL in zip(inside, reversed(inside), nearest, strict=True):
            weights_BL = _weights(salience_BL, own_BL)
            exact_BL = (same_BLL & other_BL[:, None, :]).any(dim=-1)
            share_B = (weights_BL * exact_BL).sum(dim=-1)
            rest_BL = weights_BL * ~exact_BL
            features += [share_B, (weights_BL * nearest_BL).sum(dim=-1)]
            features += [(rest_BL * _kernel(nearest_BL, at, self.KERNEL_WIDTH)).sum(dim=-1) for at in self.KERNELS]
            means.append(F.normalize(torch.einsum("bl,bld->bd", weights_BL, unit_BLD), dim=-1))
            shares.append(share_B)
        # the root has no slope at zero
        features += [(shares[0] * shares[1] + 1e-6).sqrt(), (means[0] * means[1]).sum(dim=-1)]
        features_BF = torch.stack(features, dim=-1) * self.SIMILARITY_SCALE
        return self.matches(features_BF.to(self.matches.weight.dtype))


POOLERS = {"first": RoFormerV2Pooler, "segments": RoFormerV2SegmentPooler, "matches": RoFormerV2MatchPooler}


def _segments(hidden_BLD: Tensor, token_type_ids: Tensor | None, real_BL: Tensor | None) -> list[Tensor]:
    """The real tokens of the first and of the second segment, boolean [B, L] each, the very first token left out."""
    batch, length, _ = hidden_BLD.shape
    if token_type_ids is None:
        token_type_ids = torch.zeros((batch, length), dtype=torch.long, device=hidden_BLD.device)
    usable_BL = torch.ones_like(token_type_ids, dtype=torch.bool) if real_BL is None else real_BL
    usable_BL = usable_BL & (torch.arange(length, device=hidden_BLD.device) > 0)
    return [usable_BL & (token_type_ids == number) for number in (0, 1)]


def _nearest(unit_BLD: Tensor, inside: list[Tensor]) -> list[Tensor]:
    """For either segment the greatest cosine of each token with one of the other segment, float32 [B, L] each."""
    cosine_BLL = (unit_BLD @ unit_BLD.mT).float()
    return [cosine_BLL.masked_fill(~other_BL[:, None, :], -1.0).amax(dim=-1) for other_BL in reversed(inside)]


def _kernel(values: Tensor, at: float, width: float) -> Tensor:
    return torch.exp(-((values - at) ** 2) / (2 * width**2))


def _weights(score_BL: Tensor, inside_BL: Tensor) -> Tensor:
    """Softmax of the scores inside a segment, [B, L]; all zero for a segment without tokens."""
    return torch.softmax(score_BL.masked_fill(~inside_BL, -1e4), dim=-1) * inside_BL


def _mean(weights_BL: Tensor, states_BLD: Tensor) -> Tensor:
    """Weighted mean at a root mean square of 1, float32 [B, D]."""
    mean_BD = torch.einsum("bl,bld->bd", weights_BL, states_BLD.float())
    return F.normalize(mean_BD, dim=-1) * states_BLD.shape[-1] ** 0.5
