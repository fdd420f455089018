"""Probes of attention matrices: numerical rank, effective rank, log-determinant, for each head.

softmax(Q K^T) of n tokens comes from a product of rank d, the size of a head; a causal matrix is lower triangular with
a positive diagonal, hence of full rank with a positive determinant whatever d is (kexue.fm 9529).
"""

# B batch, H heads, Q queries, K keys, L tokens, M matrices

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ironwok.errors import ModelError
from ironwok.nn.attention import SelfAttention

# relative to the largest singular value: what float32, in which attention is computed, cannot tell from 0
TOLERANCE = float(torch.finfo(torch.float32).eps)


@dataclass(frozen=True, slots=True)
class RankProfile:
    """Measures of the attention of one layer, a value for each head; means over the texts of the batch.

    tokens: n of the n x n matrices. numerical, effective: ranks as shares of n, in (0, 1].
    log_determinants: log |det| / n, natural logarithm; -inf where a matrix is singular even in float64.
    """

    tokens: int
    numerical: tuple[float, ...]
    effective: tuple[float, ...]
    log_determinants: tuple[float, ...]


def rank_measures(weights_MLL: Tensor, *, tolerance: float = TOLERANCE) -> tuple[Tensor, Tensor, Tensor]:
    """(numerical rank, effective rank, log |det|) of each square matrix, float64 [M].

    The numerical rank counts singular values above ``tolerance * n`` times the largest one; the effective rank is
    exp of the entropy of the singular values divided by their sum (Roy and Vetterli, 2007).
    """
    if weights_MLL.dim() != 3 or weights_MLL.shape[-1] != weights_MLL.shape[-2]:
        raise ModelError(f"rank probes take square matrices [M, L, L], not {list(weights_MLL.shape)}")
    matrices = weights_MLL.double()
    values_ML = torch.linalg.svdvals(matrices)
    largest_M1 = values_ML[:, :1]
    numerical = (values_ML > tolerance * matrices.shape[-1] * largest_M1).sum(dim=-1).double()
    shares_ML = values_ML / values_ML.sum(dim=-1, keepdim=True)
    effective = torch.special.entr(shares_ML).sum(dim=-1).exp()
    return numerical, effective, torch.linalg.slogdet(matrices).logabsdet


def rank_profile(weights_BHLL: Tensor, *, lengths: Tensor | None = None) -> RankProfile:
    """Measures of one layer's attention [B, H, L, L].

    lengths: integers [B], the real tokens of each text, at its beginning; padding is cut off before measuring.
    """
    texts, _heads, length, _ = weights_BHLL.shape
    sizes = [length] * texts if lengths is None else [int(size) for size in lengths]
    rows = []
    for weights_HLL, size in zip(weights_BHLL, sizes, strict=True):
        numerical, effective, determinant = rank_measures(weights_HLL[:, :size, :size])
        rows.append(torch.stack([numerical, effective, determinant]) / size)
    means = torch.stack(rows).mean(dim=0)
    return RankProfile(round(sum(sizes) / texts), *(tuple(row.tolist()) for row in means))


def attention_matrices(model: nn.Module, forward: Callable[[], Any]) -> list[Tensor]:
    """The self-attention [B, H, L, L] of every layer during one forward pass without gradients, bottom first.

    forward: runs the model. Our own models are listened to; one of Hugging Face must have been asked for
    ``output_attentions=True`` and loaded with ``attn_implementation="eager"``. Of encoder and decoder, the encoder.
    Raises ModelError where no matrix can be had.
    """
    with torch.no_grad(), _listening(model) as heard:
        output = forward()
    if heard:
        return heard
    for name in ("attentions", "encoder_attentions"):
        given = output.get(name) if isinstance(output, dict) else getattr(output, name, None)
        matrices = [] if given is None else [matrix for matrix in given if matrix is not None]
        if matrices:
            return matrices
    raise ModelError(
        f"{type(model).__name__} gave no attention matrices: load it with attn_implementation='eager' and call it "
        "with output_attentions=True"
    )


@contextmanager
def _listening(model: nn.Module) -> Iterator[list[Tensor]]:
    heard: list[Tensor] = []

    def listen(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        assert isinstance(module, SelfAttention)
        heard.append(module.weights(*arguments))

    with ExitStack() as hooks:
        for module in model.modules():
            if isinstance(module, SelfAttention):
                hooks.callback(module.register_forward_pre_hook(listen).remove)
        yield heard
