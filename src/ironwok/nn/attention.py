"""Multi-head attention with rotary positions: self-attention with one fused projection, and cross-attention."""

# B batch, L tokens, Q queries, K keys, H heads, E head width, D width

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ironwok.errors import ConfigError
from ironwok.nn.initialization import set_row_gains
from ironwok.nn.rotary import rotate

# q [B, H, Q, E], k and v [B, H, K, E], mask, dropout probability -> [B, H, Q, E]
Kernel = Callable[[Tensor, Tensor, Tensor, Tensor | None, float], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What the blocks of one layer need besides the hidden states.

    rotary: tables of `Rotary` for the tokens.
    mask: boolean, broadcastable to [B, H, L, L], or None where all may see all.
    memory: the other sequence [B, K, D] of cross-attention, with its mask [B, 1, 1, K].
    """

    rotary: tuple[Tensor, Tensor]
    mask: Tensor | None = None
    memory: Tensor | None = None
    memory_mask: Tensor | None = None


def attend_sdpa(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout: float) -> Tensor:
    """PyTorch's fused attention; a row that may attend nowhere gives zeros."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)


def attend_plain(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout: float) -> Tensor:
    """Attention with its matrix written out; a row that may attend nowhere gives zeros."""
    weights = attention_weights(q, k, mask)
    return F.dropout(weights, dropout) @ v if dropout else weights @ v


def attention_weights(q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
    """softmax(q k^T / sqrt(E)) over the keys: [B, H, Q, K], rows sum to 1, or to 0 where nothing may be seen."""
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    if mask is None:
        return scores.softmax(dim=-1)
    weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim=-1)
    return weights * mask.any(dim=-1, keepdim=True).to(weights.dtype)


def attend_auto(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout: float) -> Tensor:
    """The faster of the two: written out for bfloat16 on a CPU (2 to 3 times, measured at 128 and 512), else fused."""
    written_out = q.device.type == "cpu" and q.dtype == torch.bfloat16
    return (attend_plain if written_out else attend_sdpa)(q, k, v, mask, dropout)


KERNELS: dict[str, Kernel] = {"auto": attend_auto, "sdpa": attend_sdpa, "eager": attend_plain}


class SelfAttention(nn.Module):
    """Attention of a sequence to itself: one projection to queries, keys and values, rotation, mixing, projection.

    branch_gain: factor on the starting weights of values and output (DeepNorm's beta).
    """

    def __init__(
        self, width: int, heads: int, *, bias: bool, dropout: float, branch_gain: float = 1.0, kernel: str = "auto"
    ) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.query_key_value = nn.Linear(width, 3 * width, bias=bias)
        self.output = nn.Linear(width, width, bias=bias)
        set_row_gains(self.query_key_value, (1.0, 1.0, branch_gain))
        set_row_gains(self.output, (branch_gain,))
        self.kernel = KERNELS[kernel]

    def forward(self, x_BLD: Tensor, context: Context) -> Tensor:
        q_BHLE, k_BHLE, v_BHLE = self._projections(x_BLD, context)
        y_BHLE = self.kernel(q_BHLE, k_BHLE, v_BHLE, context.mask, self.dropout if self.training else 0.0)
        return self.output(y_BHLE.transpose(1, 2).flatten(2))

    def weights(self, x_BLD: Tensor, context: Context) -> Tensor:
        """The attention matrices [B, H, L, L] that `forward` would use, without dropout; for probes."""
        q_BHLE, k_BHLE, _ = self._projections(x_BLD, context)
        return attention_weights(q_BHLE, k_BHLE, context.mask)

    def _projections(self, x_BLD: Tensor, context: Context) -> tuple[Tensor, Tensor, Tensor]:
        mixed_BLHE = self.query_key_value(x_BLD).unflatten(-1, (3 * self.heads, -1))
        turning, v_BLHE = mixed_BLHE.split((2 * self.heads, self.heads), dim=2)
        q_BLHE, k_BLHE = rotate(turning, context.rotary).chunk(2, dim=2)
        return q_BLHE.transpose(1, 2), k_BLHE.transpose(1, 2), v_BLHE.transpose(1, 2)


class CrossAttention(nn.Module):
    """Attention of a sequence to another one, ``context.memory``; without positions, as the two have no common axis."""

    def __init__(
        self, width: int, heads: int, *, bias: bool, dropout: float, branch_gain: float = 1.0, kernel: str = "auto"
    ) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(width, width, bias=bias)
        self.key_value = nn.Linear(width, 2 * width, bias=bias)
        self.output = nn.Linear(width, width, bias=bias)
        set_row_gains(self.key_value, (1.0, branch_gain))
        set_row_gains(self.output, (branch_gain,))
        self.kernel = KERNELS[kernel]

    def forward(self, x_BQD: Tensor, context: Context) -> Tensor:
        if context.memory is None:
            raise ConfigError("a stack with cross-attention was called without a memory [batch, keys, width]")
        q_BQHE = self.query(x_BQD).unflatten(-1, (self.heads, -1))
        k_BKHE, v_BKHE = self.key_value(context.memory).unflatten(-1, (2 * self.heads, -1)).chunk(2, dim=2)
        y_BHQE = self.kernel(
            q_BQHE.transpose(1, 2),
            k_BKHE.transpose(1, 2),
            v_BKHE.transpose(1, 2),
            context.memory_mask,
            self.dropout if self.training else 0.0,
        )
        return self.output(y_BHQE.transpose(1, 2).flatten(2))
