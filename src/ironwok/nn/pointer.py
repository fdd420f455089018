"""Pointers: a score for every class and every pair of tokens, first and last of a span (or of a link).

`GlobalPointer` has queries and keys of its own for every class (kexue.fm 8373)::

    s_c(i, j) = q_ci · k_cj / √E

`EfficientGlobalPointer` shares them, which finds spans, and tells the classes by a linear layer (kexue.fm 8877)::

    s_c(i, j) = q_i · k_j / √E + w_c · [q_i; k_i; q_j; k_j]

Rotary positions on q and k make the first term a function of the distance too; without them spans of text are found
badly, while links between spans need none. A triangle mask rules out spans that end before they start; relations, which
lead from any token to any other, do without.
"""

# B texts, C classes, L tokens, D width, E head width, K right cells

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ironwok.errors import ConfigError
from ironwok.nn.losses import factored_multilabel_loss, sparse_multilabel_loss
from ironwok.nn.rotary import Rotary, rotate

# Efficient GlobalPointer starts believing that every cell is wrong; from 0 the first hundred steps learn nothing else.
STARTING_BIAS = -4.0


class GlobalPointer(nn.Module):
    """Queries and keys of its own for every class: D x 2E parameters a class.

    classes: C. head_width: E, even where ``rotary``. triangle: no span ends before it starts.
    """

    def __init__(
        self, width: int, classes: int, *, head_width: int = 64, rotary: bool = True, triangle: bool = True
    ) -> None:
        super().__init__()
        _check(classes, head_width, rotary)
        self.classes, self.head_width, self.triangle = classes, head_width, triangle
        self.dense = nn.Linear(width, 2 * classes * head_width)
        self.rotary = Rotary(head_width) if rotary else None

    @torch.no_grad()
    def take_over(self, other: GlobalPointer, classes: Mapping[int, int]) -> None:
        """Start from another pointer of the same sizes: ``classes`` says which of its classes each of ours was."""
        ours, theirs = list(classes.keys()), list(classes.values())
        for name in ("weight", "bias"):
            mine, its = (getattr(p.dense, name).unflatten(0, (-1, 2 * p.head_width)) for p in (self, other))
            mine[ours] = its[theirs]

    def forward(self, hidden_BLD: Tensor, usable_BL: Tensor) -> Tensor:
        """Scores, float32 [B, C, L, L]; the logarithm of the odds, so to say: above 0 means yes.

        hidden: [B, L, D]. usable: boolean [B, L], False for padding and special tokens. -inf where a token is not
        usable or (``triangle``) the second comes before the first.
        """
        projected = self.dense(hidden_BLD).unflatten(-1, (self.classes, 2 * self.head_width))
        query, key = (_turned(part, self.rotary) for part in projected.chunk(2, dim=-1))
        scores = torch.einsum("blce,bmce->bclm", query, key).float() / self.head_width**0.5
        return scores.masked_fill(~cells(usable_BL, triangle=self.triangle)[:, None], -torch.inf)

    def loss(self, hidden_BLD: Tensor, usable_BL: Tensor, right_K4: Tensor) -> Tensor:
        """The multi-label loss of each class of each text, [B, C].

        right: int64 [K, 4], each row (text, class, first, second), none twice. Raises InputError for a masked one.
        """
        scores = self(hidden_BLD, usable_BL)
        batch, classes, length, _ = scores.shape
        text, kind, first, second = right_K4.unbind(1)
        loss = sparse_multilabel_loss(
            scores.reshape(batch * classes, length * length), text * classes + kind, first * length + second
        )
        return loss.view(batch, classes)


class PointerParts(NamedTuple):
    """What the scores of `EfficientGlobalPointer` are sums of: ``pair[b, i, j] + start[b, c, i] + end[b, c, j]``.

    pair: float32 [B, L, L], -inf where no span can be. start, end: float32 [B, C, L].
    """

    pair: Tensor
    start: Tensor
    end: Tensor

    def scores(self) -> Tensor:
        """float32 [B, C, L, L]."""
        return self.pair[:, None] + self.start[..., None] + self.end[:, :, None, :]


class KindLinear(nn.Linear):
    """Tells the classes of an `EfficientGlobalPointer`: one score for the first token of a span, one for its last."""

    def reset_parameters(self) -> None:
        super().reset_parameters()
        nn.init.constant_(self.bias, STARTING_BIAS)


class EfficientGlobalPointer(nn.Module):
    """Queries and keys that all classes share: 4E parameters a class. Arguments as of `GlobalPointer`."""

    def __init__(
        self, width: int, classes: int, *, head_width: int = 64, rotary: bool = True, triangle: bool = True
    ) -> None:
        super().__init__()
        _check(classes, head_width, rotary)
        self.classes, self.head_width, self.triangle = classes, head_width, triangle
        self.dense = nn.Linear(width, 2 * head_width)
        self.kinds = KindLinear(2 * head_width, 2 * classes)
        self.rotary = Rotary(head_width) if rotary else None

    @torch.no_grad()
    def take_over(self, other: EfficientGlobalPointer, classes: Mapping[int, int]) -> None:
        """Start from another pointer of the same sizes: ``classes`` says which of its classes each of ours was."""
        self.dense.load_state_dict(other.dense.state_dict())
        ours, theirs = list(classes.keys()), list(classes.values())
        for name in ("weight", "bias"):
            mine, its = (getattr(pointer.kinds, name).unflatten(0, (2, -1)) for pointer in (self, other))
            mine[:, ours] = its[:, theirs]

    def parts(self, hidden_BLD: Tensor, usable_BL: Tensor) -> PointerParts:
        """The terms of the scores; arguments as of `forward`."""
        projected = self.dense(hidden_BLD)
        query, key = (_turned(part, self.rotary) for part in projected[:, :, None].chunk(2, dim=-1))
        pair = (query.squeeze(2) @ key.squeeze(2).mT).float() / self.head_width**0.5
        pair = pair.masked_fill(~cells(usable_BL, triangle=self.triangle), -torch.inf)
        start, end = self.kinds(projected).float().mT.contiguous().chunk(2, dim=1)
        return PointerParts(pair, start, end)

    def forward(self, hidden_BLD: Tensor, usable_BL: Tensor) -> Tensor:
        """As `GlobalPointer.forward`."""
        return self.parts(hidden_BLD, usable_BL).scores()

    def loss(self, hidden_BLD: Tensor, usable_BL: Tensor, right_K4: Tensor) -> Tensor:
        """As `GlobalPointer.loss`, without the table of all scores."""
        return factored_multilabel_loss(*self.parts(hidden_BLD, usable_BL), right_K4)


POINTERS = {"global": GlobalPointer, "efficient": EfficientGlobalPointer}
Pointer = GlobalPointer | EfficientGlobalPointer


def cells(usable_BL: Tensor, *, triangle: bool) -> Tensor:
    """Which pairs of tokens can be a span: boolean [B, L, L]."""
    allowed = usable_BL[:, :, None] & usable_BL[:, None, :]
    return allowed.triu() if triangle else allowed


def _turned(part_BLCE: Tensor, rotary: Rotary | None) -> Tensor:
    return part_BLCE if rotary is None else rotate(part_BLCE, rotary(part_BLCE.shape[1]))


def _check(classes: int, head_width: int, rotary: bool) -> None:
    if classes < 1:
        raise ConfigError(f"a pointer for {classes} classes: it needs at least 1")
    if head_width < 2 or (rotary and head_width % 2):
        raise ConfigError(f"head_width is {head_width}: rotary positions turn pairs, so it must be even, at least 2")
