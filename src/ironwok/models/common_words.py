"""What two segments have in common, as numbers that need no training: how much, how telling, and where it stands.

Next-sentence prediction is measured against counting shared words, and an encoder of a few layers does not learn that
count by itself (docs/log.md). These numbers are the count, for a linear head to use beside what the encoder says.
"""

# B batch, L tokens, F features

from __future__ import annotations

import torch
from torch import Tensor

FEATURES = (
    "distinct words, both sides",
    "distinct words, first side",
    "distinct words, second side",
    "words, first side",
    "words, second side",
    "pairs of neighbours, both sides",
    "words near the border, first side",
    "words near the border, second side",
    "length, first side",
    "length, second side",
    "most telling common word",
    "weight of common words",
    "one",
)
BORDER = 20.0  # tokens over which a word's part in the features "near the border" falls by a factor e
_LONG, _RARE, _HEAVY = 4.0, 10.0, 5.0  # bring lengths and weights to the size of the shares


def common_words(input_ids: Tensor, weights: Tensor, first_BL: Tensor, second_BL: Tensor) -> Tensor:
    """Features [B, F] of two segments, float32, in the order of `FEATURES`; each is from 0 to about 1.

    input_ids: integers [B, L]. weights: how much each token counts, float [B, L], 0 or more (idf squared).
    first_BL, second_BL: the tokens of either segment, boolean [B, L]; an empty one has nothing in common with another.

    Shares are of the weight of a side: of all its words, or with each word counted once ("distinct"); "both sides" is
    the geometric mean of the two shares, a cosine. "Near the border" counts exp(-d / BORDER) of the weight of a word
    that stands d tokens from where the segments meet. "one" is 1, for layers without bias.
    """
    weights_BL = weights.float()
    roots_BL = weights_BL.clamp(min=1e-12).sqrt()
    same_BLL = input_ids[:, :, None] == input_ids[:, None, :]
    pairs_BLL = same_BLL[:, :-1, :-1] & same_BLL[:, 1:, 1:]
    pair_weights_BL = (roots_BL[:, :-1] + roots_BL[:, 1:]) ** 2
    distances = _to_end(first_BL), _from_start(second_BL)

    onces, founds, distinct, counted, paired, bordering, lengths = [], [], [], [], [], [], []
    sides = ((first_BL, second_BL), (second_BL, first_BL))
    for (own_BL, other_BL), distance_BL in zip(sides, distances, strict=True):
        once_BL, found_BL = _once(weights_BL, same_BLL, own_BL), _found(same_BLL, other_BL)
        own_weights_BL = weights_BL * own_BL
        distinct.append(_share(once_BL, found_BL))
        counted.append(_share(own_weights_BL, found_BL))
        bordering.append(_share(own_weights_BL * torch.exp(-distance_BL / BORDER), found_BL))
        own_pairs_BL, other_pairs_BL = own_BL[:, :-1] & own_BL[:, 1:], other_BL[:, :-1] & other_BL[:, 1:]
        paired.append(_share(_once(pair_weights_BL, pairs_BLL, own_pairs_BL), _found(pairs_BLL, other_pairs_BL)))
        lengths.append((own_BL.sum(dim=-1) + 1.0).log())
        onces.append(once_BL)
        founds.append(found_BL)
    # these two are the same from either side
    shared_B, most_B = (onces[0] * founds[0]).sum(dim=-1), (roots_BL * (first_BL & founds[0])).amax(dim=-1)
    features = [
        _geometric(*distinct),
        *distinct,
        *counted,
        _geometric(*paired),
        *bordering,
        *(length_B / _LONG for length_B in lengths),
        most_B / _RARE,
        shared_B.log1p() / _HEAVY,
        torch.ones_like(shared_B),
    ]
    return torch.stack(features, dim=-1)


def _once(weights_BL: Tensor, same_BLL: Tensor, own_BL: Tensor) -> Tensor:
    """Weights shared out among the places of a segment that hold the same, [B, L]."""
    return weights_BL * own_BL / (same_BLL & own_BL[:, None, :]).sum(dim=-1).clamp(min=1)


def _found(same_BLL: Tensor, other_BL: Tensor) -> Tensor:
    """Which places hold what stands in the other segment too, boolean [B, L]."""
    return (same_BLL & other_BL[:, None, :]).any(dim=-1)


def _share(weights_BL: Tensor, chosen_BL: Tensor) -> Tensor:
    return (weights_BL * chosen_BL).sum(dim=-1) / weights_BL.sum(dim=-1).clamp(min=1e-6)


def _geometric(first_B: Tensor, second_B: Tensor) -> Tensor:
    # the root has no slope at zero; adding 1e-8 instead is taken for adding nothing by the exporter to ONNX
    return (first_B * second_B).clamp(min=1e-8).sqrt()


def _from_start(inside_BL: Tensor) -> Tensor:
    """How many tokens of the segment stand before each, [B, L]."""
    return inside_BL.cumsum(dim=-1) - 1.0


def _to_end(inside_BL: Tensor) -> Tensor:
    """How many tokens of the segment stand behind each, [B, L]."""
    return inside_BL.sum(dim=-1, keepdim=True) - inside_BL.cumsum(dim=-1).float()
