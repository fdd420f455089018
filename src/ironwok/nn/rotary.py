"""Rotary position embedding: each pair of numbers turns by an angle that grows with the position.

Pairs are interleaved, (x0, x1), (x2, x3), ..., and pair i turns by ``position * base^(-2i/E)``, so that the product of
a turned query and a turned key depends on the distance alone. Source: RoFormer (2104.09864), kexue.fm 8265.
"""

# B batch, L tokens, H heads, E head width

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Rotary(nn.Module):
    """Angles for every position up to the longest seen; read once per forward, used by all layers.

    Its buffers are not saved: they follow from head width and base, and grow when a longer text arrives.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, head_width: int, *, base: float = 10000.0, length: int = 512) -> None:
        super().__init__()
        self.head_width = head_width
        self.base = base
        cos, sin = rotary_tables(head_width, base=base, length=length)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def reset_buffers(self) -> None:
        """Fill the tables again, for models whose memory was allocated without values."""
        tables = rotary_tables(self.head_width, base=self.base, length=self.cos.shape[0])
        with torch.no_grad():
            self.cos.copy_(tables[0])
            self.sin.copy_(tables[1])

    def forward(self, length: int) -> tuple[Tensor, Tensor]:
        """Tables of cos and sin, float32 [L, E/2] each, for `rotate`."""
        if length > self.cos.shape[0]:
            cos, sin = rotary_tables(self.head_width, base=self.base, length=length)
            self.cos, self.sin = cos.to(self.cos.device), sin.to(self.sin.device)
        # models moved to half precision as a whole take their buffers along; angles stay float32 in the product
        return self.cos[:length].float(), self.sin[:length].float()


def rotary_tables(head_width: int, *, base: float, length: int) -> tuple[Tensor, Tensor]:
    """Tables of cos and sin, float32 [L, E/2], of position times frequency.

    The angles are computed in float64: in float32 those of distant positions would be off by more than 1e-5.
    """
    pair = torch.arange(0, head_width, 2, dtype=torch.float64, device="cpu")
    position = torch.arange(length, dtype=torch.float64, device="cpu")
    angle = torch.outer(position, base ** (-pair / head_width))
    return angle.cos().float(), angle.sin().float()


def rotate(x_BLHE: Tensor, tables: tuple[Tensor, Tensor]) -> Tensor:
    """Turn every pair of ``x`` [B, L, H, E] by the angle of its position; the result keeps shape and dtype."""
    cos, sin = (table[:, None] for table in tables)
    if torch.compiler.is_compiling():  # compilers fuse real arithmetic and know no complex numbers
        return _rotate_real(x_BLHE, cos, sin)
    return _Rotate.apply(x_BLHE, torch.complex(cos, sin))


def _rotate_real(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    even, odd = _at_least_float32(x).unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((even * cos - odd * sin, odd * cos + even * sin), dim=-1).flatten(-2).to(x.dtype)


class _Rotate(torch.autograd.Function):
    """One complex product forward and one backward: several times faster on a CPU than strided real arithmetic."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, turn: Tensor) -> Tensor:
        ctx.save_for_backward(turn)
        return _times(x, turn)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (turn,) = ctx.saved_tensors
        return _times(gradient, turn.conj().resolve_conj()), None


def _times(x: Tensor, turn: Tensor) -> Tensor:
    pairs = torch.view_as_complex(_at_least_float32(x).unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(pairs * turn).flatten(-2).to(x.dtype)


def _at_least_float32(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
