"""What a transformer is made of: one frozen value that the builders in this package read.

Every choice here selects what sits in a slot (see :mod:`ironwok.nn.block`); none becomes a branch in ``forward``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ironwok.errors import ConfigError

NormKind = Literal["rms", "layer"]
NormPlacement = Literal["post", "pre", "sandwich", "deepnorm", "mix", "scaled-pre"]
MaskPattern = Literal["full", "causal", "prefix", "forward-backward-heads", "forward-backward-layers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerConfig:
    """Shape and choices of a stack of blocks.

    layers, width, heads, feed_forward_width: sizes; width is a multiple of heads, the head size even (rotary pairs).
    activation: name of an activation in ``ironwok.nn.block.ACTIVATIONS``.
    norm, norm_eps, norm_gain: kind of norm, its epsilon, and whether it has a trainable gain (and bias, with ``bias``).
    norm_placement: post ``Norm(x + F(x))``, pre ``x + F(Norm(x))``, sandwich ``x + Norm(F(Norm(x)))``,
        deepnorm ``Norm(a x + F(x))`` with a = (2N)^(1/4), mix: post below and pre above (Mix-LN),
        scaled-pre: pre with the norm's output divided by sqrt(layer) (LayerNorm-Scaling).
    mix_post_fraction: share of the layers, from the bottom, that are post in "mix" (0.25 in the Mix-LN paper).
    deepnorm_alpha, deepnorm_beta: factors of residual and starting weights under "deepnorm"; by default those of an
        encoder or decoder alone, (2N)^(1/4) and (8N)^(-1/4).
    mask: which positions see which, on top of padding.
    cross_attention: each block attends to a second sequence between self-attention and feed-forward.
    """

    layers: int
    width: int
    heads: int
    feed_forward_width: int
    activation: str = "gelu"
    norm: NormKind = "rms"
    norm_eps: float = 1e-12
    norm_gain: bool = False
    norm_placement: NormPlacement = "post"
    mix_post_fraction: float = 0.25
    bias: bool = False
    mask: MaskPattern = "full"
    cross_attention: bool = False
    deepnorm_alpha: float | None = None
    deepnorm_beta: float | None = None
    dropout: float = 0.0
    attention_dropout: float = 0.0
    rotary_base: float = 10000.0

    def __post_init__(self) -> None:
        for name in ("layers", "width", "heads", "feed_forward_width"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, it must be at least 1")
        if self.width % self.heads:
            raise ConfigError(f"width {self.width} is not a multiple of {self.heads} heads")
        if (self.width // self.heads) % 2:
            raise ConfigError(
                f"width {self.width} over {self.heads} heads gives a head size of {self.width // self.heads}, "
                "rotary pairs need an even one"
            )
        for name, choices in (("norm", NormKind), ("norm_placement", NormPlacement), ("mask", MaskPattern)):
            if getattr(self, name) not in get_args(choices):
                raise ConfigError(f"{name} {getattr(self, name)!r} is none of {', '.join(get_args(choices))}")
        for name in ("dropout", "attention_dropout"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ConfigError(f"{name} is {getattr(self, name)}, it must lie in [0, 1)")
        if not 0.0 <= self.mix_post_fraction <= 1.0:
            raise ConfigError(f"mix_post_fraction is {self.mix_post_fraction}, it must lie in [0, 1]")
        if self.mask == "forward-backward-heads" and self.heads % 2:
            raise ConfigError(f"mask 'forward-backward-heads' splits the heads in two halves, {self.heads} is odd")
        if self.norm_eps <= 0.0 or self.rotary_base <= 1.0:
            raise ConfigError(f"norm_eps {self.norm_eps} must be above 0 and rotary_base {self.rotary_base} above 1")

    @property
    def head_width(self) -> int:
        return self.width // self.heads

    @property
    def residual_scale(self) -> float:
        """Factor on the residual stream at every addition: DeepNorm's alpha, else 1."""
        if self.norm_placement != "deepnorm":
            return 1.0
        return (2 * self.layers) ** 0.25 if self.deepnorm_alpha is None else self.deepnorm_alpha

    @property
    def branch_gain(self) -> float:
        """Factor on the starting weights inside the branches: DeepNorm's beta, else 1."""
        if self.norm_placement != "deepnorm":
            return 1.0
        return (8 * self.layers) ** -0.25 if self.deepnorm_beta is None else self.deepnorm_beta
