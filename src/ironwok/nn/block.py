"""A block: branches around a residual stream, with three norm slots each.

::

        x ──┬──────────────────────────── × residual_scale ──┐
            └─ before ── branch ── after_branch ─ × branch_scale ─ + ── after_add ── x'

Every norm placement is a choice of slots and scales:

    placement   before           after_branch  after_add  residual_scale
    post        -                -             norm       1
    deepnorm    -                -             norm       (2N)^(1/4)
    pre         norm             -             -          1
    scaled-pre  norm, 1/sqrt(l)  -             -          1
    sandwich    norm             norm          -          1
    mix         post in the lower layers, pre above

``branch_scale`` is the alpha of RoFormerV2's warm-up, ``x <- Norm(x + alpha F(x))``, which goes from 0 to 1 over the
first steps.
"""

# B batch, L tokens, D width

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ironwok.errors import ConfigError
from ironwok.nn.attention import Context, CrossAttention, SelfAttention
from ironwok.nn.config import TransformerConfig
from ironwok.nn.initialization import set_row_gains
from ironwok.nn.norms import Scale, make_norm


def _gelu_tanh(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_new": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "relu": F.relu,
    "silu": F.silu,
    "swish": F.silu,
    "tanh": torch.tanh,
}


class FeedForward(nn.Module):
    """Linear, activation, linear; the context is not looked at."""

    def __init__(self, width: int, inner_width: int, *, activation: str, bias: bool, branch_gain: float = 1.0) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ConfigError(f"activation {activation!r} is none of {', '.join(ACTIVATIONS)}")
        self.up = nn.Linear(width, inner_width, bias=bias)
        self.activation = ACTIVATIONS[activation]
        self.down = nn.Linear(inner_width, width, bias=bias)
        set_row_gains(self.up, (branch_gain,))
        set_row_gains(self.down, (branch_gain,))

    def forward(self, x: Tensor, context: Context) -> Tensor:
        return self.down(self.activation(self.up(x)))


class Residual(nn.Module):
    """One branch around the residual stream; see the drawing at the top."""

    branch_scale: Tensor

    def __init__(
        self,
        branch: nn.Module,
        *,
        before: nn.Module | None = None,
        after_branch: nn.Module | None = None,
        after_add: nn.Module | None = None,
        residual_scale: float = 1.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.before = before or nn.Identity()
        self.branch = branch
        self.dropout = nn.Dropout(dropout)
        self.after_branch = after_branch or nn.Identity()
        self.after_add = after_add or nn.Identity()
        self.scale_residual = nn.Identity() if residual_scale == 1.0 else Scale(residual_scale)
        # a tensor, not a number: a compiled model must not be compiled again at every step of the warm-up
        self.register_buffer("branch_scale", torch.ones(()), persistent=False)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        y = self.after_branch(self.dropout(self.branch(self.before(x), context)))
        return self.after_add(self.scale_residual(x) + self.branch_scale * y)


class Block(nn.Module):
    """Self-attention, then cross-attention where there is one, then feed-forward."""

    def __init__(self, branches: dict[str, Residual]) -> None:
        super().__init__()
        self.branches = tuple(branches)
        for name, branch in branches.items():
            self.add_module(name, branch)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        for name in self.branches:
            x = getattr(self, name)(x, context)
        return x


def make_block(config: TransformerConfig, layer: int, *, kernel: str = "auto") -> Block:
    """Block number ``layer`` (from 0) of a stack, with the slots that ``config.norm_placement`` asks for."""

    def attention(kind: type[SelfAttention] | type[CrossAttention]) -> nn.Module:
        return kind(
            config.width,
            config.heads,
            bias=config.bias,
            dropout=config.attention_dropout,
            branch_gain=config.branch_gain,
            kernel=kernel,
        )

    def residual(branch: nn.Module) -> Residual:
        slots = norm_slots(config, layer)
        return Residual(branch, dropout=config.dropout, residual_scale=config.residual_scale, **slots)

    branches = {"attention": residual(attention(SelfAttention))}
    if config.cross_attention:
        branches["cross_attention"] = residual(attention(CrossAttention))
    feed_forward = FeedForward(
        config.width,
        config.feed_forward_width,
        activation=config.activation,
        bias=config.bias,
        branch_gain=config.branch_gain,
    )
    branches["feed_forward"] = residual(feed_forward)
    return Block(branches)


def norm_slots(config: TransformerConfig, layer: int) -> dict[str, nn.Module]:
    """Fresh norms for the slots of one branch of block ``layer`` (from 0)."""

    def norm() -> nn.Module:
        return make_norm(config.norm, config.width, eps=config.norm_eps, gain=config.norm_gain, bias=config.bias)

    placement = config.norm_placement
    if placement == "mix":
        placement = "post" if layer < round(config.mix_post_fraction * config.layers) else "pre"
    if placement in ("post", "deepnorm"):
        return {"after_add": norm()}
    if placement == "sandwich":
        return {"before": norm(), "after_branch": norm()}
    if placement == "scaled-pre":
        return {"before": nn.Sequential(norm(), Scale((layer + 1) ** -0.5))}
    return {"before": norm()}


def final_norm(config: TransformerConfig) -> nn.Module:
    """The norm at the end of a stack: one where the last block leaves its sum without, nothing elsewhere."""
    if "after_add" in norm_slots(config, config.layers - 1):
        return nn.Identity()
    return make_norm(config.norm, config.width, eps=config.norm_eps, gain=config.norm_gain, bias=config.bias)
