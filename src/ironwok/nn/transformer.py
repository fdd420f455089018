"""Stacks of blocks: the encoder, and encoder with decoder. Hidden states in, hidden states out; no tokens."""

# B batch, L tokens, K memory tokens, D width

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ironwok.errors import ConfigError, MaskError
from ironwok.nn import masks
from ironwok.nn.attention import KERNELS, Context, CrossAttention, SelfAttention
from ironwok.nn.block import Residual, final_norm, make_block
from ironwok.nn.config import TransformerConfig
from ironwok.nn.rotary import Rotary


class Stack(nn.Module):
    """N blocks with rotary positions and the mask pattern of the configuration; an encoder or a decoder.

    gradient_checkpointing: recompute each block in the backward pass instead of keeping its inner values.
    """

    def __init__(self, config: TransformerConfig, *, length: int = 512, kernel: str = "auto") -> None:
        super().__init__()
        self.config = config
        self.rotary = Rotary(config.head_width, base=config.rotary_base, length=length)
        self.blocks = nn.ModuleList(make_block(config, layer, kernel=kernel) for layer in range(config.layers))
        self.norm = final_norm(config)
        self.pattern = PATTERNS[config.mask]
        self.gradient_checkpointing = False
        self._gradient_checkpointing_func: Callable[..., Tensor] = _checkpoint

    def forward(
        self,
        x_BLD: Tensor,
        *,
        mask: Tensor | None = None,
        prefix_lengths: Tensor | None = None,
        memory: Tensor | None = None,
        memory_mask: Tensor | None = None,
        on_block: Callable[[int, Tensor], None] | None = None,
    ) -> Tensor:
        """Hidden states [B, L, D] after all blocks and the final norm.

        x: float [B, L, D], normed embeddings.
        mask: boolean, broadcastable to [B, H, L, L], True = may attend; joined (``&``) with the pattern of the stack.
        prefix_lengths: integers [B], for the pattern "prefix" only.
        memory, memory_mask: [B, K, D] and boolean [B, 1, 1, K], for stacks with cross-attention.
        on_block: called with the block number and its input, before each block, and once with (N, last output).
        Raises MaskError.
        """
        batch, length, _ = x_BLD.shape
        mask = masks.check_mask(mask, (batch, self.config.heads, length, length))
        layer_masks = [_joined(own, mask) for own in self.pattern(x_BLD, self.config, prefix_lengths)]
        if memory is not None:
            memory_mask = masks.check_mask(memory_mask, (batch, self.config.heads, length, memory.shape[1]))
        tables = self.rotary(length)
        run = self._gradient_checkpointing_func if self.gradient_checkpointing and self.training else _call
        report = on_block or _ignore
        for layer, block in enumerate(self.blocks):
            report(layer, x_BLD)
            context = Context(tables, layer_masks[layer % len(layer_masks)], memory, memory_mask)
            x_BLD = run(block.__call__, x_BLD, context)
        report(len(self.blocks), x_BLD)
        return self.norm(x_BLD)

    def set_branch_scale(self, alpha: float) -> None:
        """Set the alpha of the warm-up in every branch (1.0 outside of it)."""
        for module in self.modules():
            if isinstance(module, Residual):
                module.branch_scale.fill_(alpha)

    def set_kernel(self, name: str) -> None:
        """Choose how attention is computed: "auto", "sdpa" or "eager"."""
        for module in self.modules():
            if isinstance(module, SelfAttention | CrossAttention):
                module.kernel = KERNELS[name]


class EncoderDecoder(nn.Module):
    """An encoder of any mask, and a decoder that sees its own past and all of the encoder's output.

    Raises ConfigError if the decoder is not causal, has no cross-attention, or is as wide as something else.
    """

    def __init__(self, encoder: TransformerConfig, decoder: TransformerConfig, *, length: int = 512) -> None:
        super().__init__()
        if decoder.mask != "causal" or not decoder.cross_attention:
            raise ConfigError(
                f"a decoder needs mask 'causal' and cross_attention, not {decoder.mask!r} and {decoder.cross_attention}"
            )
        if encoder.cross_attention or encoder.width != decoder.width:
            raise ConfigError(
                f"an encoder has no cross-attention and the width of its decoder ({decoder.width}, not {encoder.width})"
            )
        encoder, decoder = _deepnorm_pair(encoder, decoder)
        self.encoder = Stack(encoder, length=length)
        self.decoder = Stack(decoder, length=length)

    def forward(
        self,
        source_BKD: Tensor,
        target_BLD: Tensor,
        *,
        source_mask: Tensor | None = None,
        mask: Tensor | None = None,
        prefix_lengths: Tensor | None = None,
    ) -> Tensor:
        """Decoder states [B, L, D].

        source: [B, K, D], target: [B, L, D], normed embeddings.
        source_mask: boolean [B, 1, 1, K], mask: boolean [B, 1, 1, L]: real tokens.
        prefix_lengths: integers [B], for an encoder with the mask "prefix".
        """
        memory = self.encoder(source_BKD, mask=source_mask, prefix_lengths=prefix_lengths)
        return self.decoder(target_BLD, mask=mask, memory=memory, memory_mask=source_mask)


def _deepnorm_pair(
    encoder: TransformerConfig, decoder: TransformerConfig
) -> tuple[TransformerConfig, TransformerConfig]:
    """DeepNorm's constants for N encoder and M decoder layers, where none were given (2203.00555, table 2)."""
    joint = (encoder.layers**4 * decoder.layers) ** (1 / 16)
    constants = ((0.81 * joint, 0.87 / joint), ((3 * decoder.layers) ** 0.25, (12 * decoder.layers) ** -0.25))
    encoder, decoder = (
        replace(
            stack,
            deepnorm_alpha=alpha if stack.deepnorm_alpha is None else stack.deepnorm_alpha,
            deepnorm_beta=beta if stack.deepnorm_beta is None else stack.deepnorm_beta,
        )
        for stack, (alpha, beta) in zip((encoder, decoder), constants, strict=True)
    )
    return encoder, decoder


# A pattern gives the masks of the layers, repeated from the bottom: one for all layers, or several that take turns.
Pattern = Callable[[Tensor, TransformerConfig, Tensor | None], list[Tensor | None]]


def _full(x: Tensor, config: TransformerConfig, prefix_lengths: Tensor | None) -> list[Tensor | None]:
    return [None]


def _causal(x: Tensor, config: TransformerConfig, prefix_lengths: Tensor | None) -> list[Tensor | None]:
    return [masks.causal(x.shape[1], device=x.device)]


def _prefix(x: Tensor, config: TransformerConfig, prefix_lengths: Tensor | None) -> list[Tensor | None]:
    if prefix_lengths is None:
        raise MaskError("the mask 'prefix' needs prefix_lengths, integers of shape [batch]; zeros make it causal")
    if prefix_lengths.shape != x.shape[:1]:
        raise MaskError(f"prefix_lengths has shape {tuple(prefix_lengths.shape)}, the batch is {x.shape[0]}")
    return [masks.prefix(prefix_lengths, x.shape[1])]


def _heads(x: Tensor, config: TransformerConfig, prefix_lengths: Tensor | None) -> list[Tensor | None]:
    return [masks.forward_backward_heads(x.shape[1], config.heads, device=x.device)]


def _layers(x: Tensor, config: TransformerConfig, prefix_lengths: Tensor | None) -> list[Tensor | None]:
    return [masks.causal(x.shape[1], device=x.device), masks.anticausal(x.shape[1], device=x.device)]


PATTERNS: dict[str, Pattern] = {
    "full": _full,
    "causal": _causal,
    "prefix": _prefix,
    "forward-backward-heads": _heads,
    "forward-backward-layers": _layers,
}


def _joined(pattern: Tensor | None, mask: Tensor | None) -> Tensor | None:
    if pattern is None or mask is None:
        return mask if pattern is None else pattern
    return pattern & mask


def _call(function: Callable[..., Tensor], *arguments: Any) -> Tensor:
    return function(*arguments)


def _checkpoint(function: Callable[..., Tensor], *arguments: Any) -> Tensor:
    return checkpoint(function, *arguments, use_reentrant=False)


def _ignore(layer: int, x: Tensor) -> None:
    """The default of ``on_block``: nobody looks."""
