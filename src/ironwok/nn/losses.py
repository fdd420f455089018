"""Multi-label losses over span scores: a few cells of a huge table are right, all others are wrong.

For one class with scores s over all its cells, P the right ones and N the rest (kexue.fm 7359)::

    log(1 + Σ_P e^-s) + log(1 + Σ_N e^s)

natural logarithm; at the optimum right cells score above 0 and all others below. Three ways to the same number:

- `dense_multilabel_loss` takes a label for every cell: the definition, and the oracle of the other two;
- `sparse_multilabel_loss` takes the places of the right cells alone (kexue.fm 8888). There the second sum is
  Σ_all - Σ_P, with the difference clipped away from 0, as it vanishes where the right cells outweigh the rest. Here the
  right cells are left out of the sum instead, so nothing cancels and nothing needs a clip;
- `factored_multilabel_loss` takes scores that are sums ``pair(i, j) + start(c, i) + end(c, j)``, as those of Efficient
  GlobalPointer are. Σ e^s is then a product of three small matrices, and the table of classes x L x L is built for
  those classes alone that stand in the text.

A score of -inf marks a cell that cannot be: padding, or an end before its start.
"""

# B texts, C classes, L tokens, R rows (one class of one text each), N cells of a row, K right cells

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ironwok.errors import InputError


def dense_multilabel_loss(scores_RN: Tensor, labels_RN: Tensor) -> Tensor:
    """The loss of each row, float32 [R] (or float64 for such scores).

    scores: float [R, N]; -inf for cells that cannot be. labels: boolean [R, N], True = right.
    """
    scores_RN = _at_least_float32(scores_RN)
    never = torch.full_like(scores_RN, -torch.inf)
    wrong = torch.where(labels_RN, never, scores_RN)
    missed = torch.where(labels_RN, -scores_RN, never)
    return _log_one_plus_sum_exp(wrong) + _log_one_plus_sum_exp(missed)


def _log_one_plus_sum_exp(scores_RN: Tensor) -> Tensor:
    # logsumexp has no gradient where all is -inf, so the 1 comes in as a cell of score 0
    return torch.logsumexp(F.pad(scores_RN, (0, 1)), dim=-1)


def sparse_multilabel_loss(scores_RN: Tensor, rows: Tensor, cells: Tensor) -> Tensor:
    """The same, given where the right cells are.

    scores: float [R, N] of any float dtype; the sums are taken in float32 at least.
    rows, cells: int64 [K] each, no pair twice; a row without right cells does not occur among them.
    Raises InputError where a right cell is one that cannot be (-inf): its loss would be infinite.
    """
    return _SparseLoss.apply(scores_RN, rows, cells)  # pyright: ignore[reportReturnType]


class _SparseLoss(torch.autograd.Function):
    """One table of the size of the scores is made; in the end it holds their gradient."""

    @staticmethod
    def forward(ctx: Any, scores_RN: Tensor, rows: Tensor, cells: Tensor) -> Tensor:
        work = _at_least_float32(scores_RN)
        work = work.clone() if work is scores_RN else work
        right_K = work[rows, cells]
        if right_K.numel() and bool(torch.isneginf(right_K).any()):
            raise InputError(
                f"{int(torch.isneginf(right_K).sum())} of {right_K.numel()} right cells are masked (score -inf): "
                "a span reaches into padding or ends before it starts"
            )
        work[rows, cells] = -torch.inf
        top_R = work.amax(dim=1).clamp(min=0.0)
        work.sub_(top_R[:, None]).exp_()
        sum_R = work.sum(dim=1) + torch.exp(-top_R)
        wrong_R = sum_R.log() + top_R
        work.div_(sum_R[:, None])

        deepest_R = torch.zeros_like(top_R).scatter_reduce(0, rows, -right_K, "amax")  # of 0 and all -s
        missing_K = torch.exp(-right_K - deepest_R[rows])
        missing_R = torch.exp(-deepest_R).index_add(0, rows, missing_K)
        work[rows, cells] = -missing_K / missing_R[rows]
        ctx.save_for_backward(work)
        ctx.dtype = scores_RN.dtype
        return wrong_R + missing_R.log() + deepest_R

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient_R: Tensor) -> tuple[Tensor, None, None]:
        (work,) = ctx.saved_tensors
        return (work * gradient_R[:, None]).to(ctx.dtype), None, None


def factored_multilabel_loss(pair_BLL: Tensor, start_BCL: Tensor, end_BCL: Tensor, right_K4: Tensor) -> Tensor:
    """The loss of each class of each text, [B, C], for scores ``pair[b, i, j] + start[b, c, i] + end[b, c, j]``.

    pair: float [B, L, L], -inf where no span can be. start, end: float [B, C, L], finite.
    right: int64 [K, 4], each row (text, class, i, j), none twice.
    The sums of absent classes are taken in float64 (float32 on devices without it): their parts are scaled by separate
    maxima, which may lie apart.
    """
    absent_BC = _all_wrong(pair_BLL, start_BCL, end_BCL)
    if not right_K4.shape[0]:
        return absent_BC
    present, rows = torch.unique(right_K4[:, :2], dim=0, return_inverse=True)
    text, kind = present.unbind(1)
    table = pair_BLL[text] + start_BCL[text, kind][:, :, None] + end_BCL[text, kind][:, None, :]
    length = pair_BLL.shape[-1]
    loss_R = sparse_multilabel_loss(table.flatten(1), rows, right_K4[:, 2] * length + right_K4[:, 3])
    return absent_BC.index_put((text, kind), loss_R.to(absent_BC.dtype))


def _all_wrong(pair_BLL: Tensor, start_BCL: Tensor, end_BCL: Tensor) -> Tensor:
    """log(1 + Σ_ij e^(pair + start + end)), [B, C]."""
    wide = torch.float32 if pair_BLL.device.type == "mps" else torch.float64
    parts = [part.to(wide) for part in (pair_BLL, start_BCL, end_BCL)]
    # a text without any cell has -inf as its maximum: 0 instead, so that nothing becomes inf - inf
    tops = [part.detach().amax(dim=axes, keepdim=True) for part, axes in zip(parts, ((1, 2), (2,), (2,)), strict=True)]
    tops[0] = tops[0].clamp(min=torch.finfo(pair_BLL.dtype).min)
    pair, start, end = (torch.exp(part - top) for part, top in zip(parts, tops, strict=True))
    sum_BC = (torch.bmm(start, pair) * end).sum(dim=2)
    log_BC = (
        sum_BC.clamp(min=torch.finfo(wide).tiny).log() + tops[0].squeeze(2) + tops[1].squeeze(2) + tops[2].squeeze(2)
    )
    return F.softplus(log_BC).to(torch.promote_types(pair_BLL.dtype, torch.float32))


def _at_least_float32(scores: Tensor) -> Tensor:
    return scores.to(torch.promote_types(scores.dtype, torch.float32))
