"""Who may attend to whom: boolean, True = may attend, broadcastable to [B, H, Q, K], composed with ``&``.

``causal(n) & padding(attention_mask)`` is the mask of a causal model on padded texts. A query that may attend nowhere
gets zeros from the attention, so only its residual goes on.
"""

# B batch, H heads, Q queries, K keys (both L tokens in self-attention)

from __future__ import annotations

import torch
from torch import Tensor

from ironwok.errors import MaskError


def check_mask(mask: Tensor | None, shape: tuple[int, int, int, int]) -> Tensor | None:
    """The mask itself if it is boolean and broadcasts to ``shape`` [B, H, Q, K]; None stays None.

    Raises MaskError: other dtypes have several meanings (added? 1 = hidden?), so none is guessed.
    """
    if mask is None:
        return None
    if mask.dtype != torch.bool:
        raise MaskError(f"a mask of dtype {mask.dtype} was given, only torch.bool (True = may attend) is taken")
    if mask.dim() != 4 or any(size not in (1, full) for size, full in zip(mask.shape, shape, strict=True)):
        raise MaskError(
            f"a mask of shape {tuple(mask.shape)} was given, it must broadcast to [batch, heads, queries, keys] = "
            f"{list(shape)}"
        )
    return mask


def full(length: int, *, device: torch.device | None = None) -> Tensor:
    """[1, 1, L, L]: everything sees everything."""
    return torch.ones(1, 1, length, length, dtype=torch.bool, device=device)


def causal(length: int, *, device: torch.device | None = None) -> Tensor:
    """[1, 1, L, L]: a position sees itself and what comes before it."""
    return full(length, device=device).tril()


def anticausal(length: int, *, device: torch.device | None = None) -> Tensor:
    """[1, 1, L, L]: a position sees itself and what comes after it."""
    return full(length, device=device).triu()


def prefix(prefix_lengths: Tensor, length: int) -> Tensor:
    """[B, 1, L, L]: everybody sees the first ``prefix_lengths`` [B] positions of its row; beyond them it is causal.

    An empty prefix is the causal mask, a prefix of the whole length the full one (UniLM's sequence-to-sequence mask).
    """
    if prefix_lengths.dim() != 1 or prefix_lengths.is_floating_point() or prefix_lengths.dtype == torch.bool:
        raise MaskError(
            "prefix lengths must be integers of shape [batch], "
            f"not {prefix_lengths.dtype} {tuple(prefix_lengths.shape)}"
        )
    key_K = torch.arange(length, device=prefix_lengths.device)
    in_prefix_BK = key_K < prefix_lengths[:, None]
    return causal(length, device=prefix_lengths.device) | in_prefix_BK[:, None, None, :]


def forward_backward_heads(length: int, heads: int, *, device: torch.device | None = None) -> Tensor:
    """[1, H, L, L]: the first half of the heads sees the past, the second half the future, both themselves."""
    past, future = causal(length, device=device), anticausal(length, device=device)
    return torch.cat([past.expand(-1, heads // 2, -1, -1), future.expand(-1, heads - heads // 2, -1, -1)], dim=1)


def padding(attention_mask: Tensor) -> Tensor:
    """[B, 1, 1, L] from ``attention_mask`` [B, L], boolean or integer, where 1 is a real token."""
    if attention_mask.dim() != 2 or attention_mask.is_floating_point():
        raise MaskError(
            f"attention_mask must be boolean or integer of shape [batch, tokens], "
            f"not {attention_mask.dtype} {tuple(attention_mask.shape)}"
        )
    return attention_mask.to(torch.bool)[:, None, None, :]
