"""Stacks of blocks: the encoder, and encoder with decoder. Hidden states in, hidden states out; no tokens."""

# B batch, L tokens, K memory tokens, D width

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ironwok.errors import MaskError
from ironwok.nn import masks
from ironwok.nn.attention import KERNELS, Context, CrossAttention, SelfAttention, checked
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
        layer_masks = self.pattern(x_BLD, self.config, checked(mask), prefix_lengths)
        tables = self.rotary(x_BLD.shape[1])
        memory_mask = checked(memory_mask)
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
    """An encoder of any mask pattern, and a causal decoder that attends to its output."""

    def __init__(self, encoder: TransformerConfig, decoder: TransformerConfig, *, length: int = 512) -> None:
        super().__init__()
        self.encoder = Stack(encoder, length=length)
        self.decoder = Stack(decoder, length=length)

    def forward(
        self, source_BKD: Tensor, target_BLD: Tensor, *, source_mask: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Decoder states [B, L, D]; ``source_mask`` boolean [B, 1, 1, K] and ``mask`` [B, 1, 1, L] mark real tokens."""
        memory = self.encoder(source_BKD, mask=source_mask)
        return self.decoder(target_BLD, mask=mask, memory=memory, memory_mask=source_mask)


# A pattern gives the masks of the layers, repeated from the bottom: one for all layers, or several that alternate.
Pattern = Callable[[Tensor, TransformerConfig, Tensor | None, Tensor | None], list[Tensor | None]]


def _full(
    x: Tensor, config: TransformerConfig, mask: Tensor | None, prefix_lengths: Tensor | None
) -> list[Tensor | None]:
    return [mask]


def _causal(
    x: Tensor, config: TransformerConfig, mask: Tensor | None, prefix_lengths: Tensor | None
) -> list[Tensor | None]:
    return [_joined(masks.causal(x.shape[1], device=x.device), mask)]


def _prefix(
    x: Tensor, config: TransformerConfig, mask: Tensor | None, prefix_lengths: Tensor | None
) -> list[Tensor | None]:
    if prefix_lengths is None:
        raise MaskError(
            "the mask pattern 'prefix' needs prefix_lengths, integers of shape [batch]; zeros make it causal"
        )
    return [_joined(masks.prefix(prefix_lengths, x.shape[1]), mask)]


def _heads(
    x: Tensor, config: TransformerConfig, mask: Tensor | None, prefix_lengths: Tensor | None
) -> list[Tensor | None]:
    return [_joined(masks.forward_backward_heads(x.shape[1], config.heads, device=x.device), mask)]


def _layers(
    x: Tensor, config: TransformerConfig, mask: Tensor | None, prefix_lengths: Tensor | None
) -> list[Tensor | None]:
    length, device = x.shape[1], x.device
    return [_joined(masks.causal(length, device=device), mask), _joined(masks.anticausal(length, device=device), mask)]


PATTERNS: dict[str, Pattern] = {
    "full": _full,
    "causal": _causal,
    "prefix": _prefix,
    "forward-backward-heads": _heads,
    "forward-backward-layers": _layers,
}


def _joined(pattern: Tensor, mask: Tensor | None) -> Tensor:
    return pattern if mask is None else pattern & mask


def _call(function: Callable[..., Tensor], *arguments: Any) -> Tensor:
    return function(*arguments)


def _checkpoint(function: Callable[..., Tensor], *arguments: Any) -> Tensor:
    return checkpoint(function, *arguments, use_reentrant=False)


def _ignore(layer: int, x: Tensor) -> None:
    """The default of ``on_block``: nobody looks."""


def truncated_normal_std(fan_in: int, layers: int, *, gain: float | None = None) -> float:
    """Standard deviation before truncation at two of them: 1.1368472 / sqrt(fan_in) * gain, gain = N^(-1/2) if None.

    1.1368472 undoes what the truncation takes away, so that the result's is gain / sqrt(fan_in).
    """
    return 1.1368472 / fan_in**0.5 * (layers**-0.5 if gain is None else gain)
