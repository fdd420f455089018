"""The configuration of RoFormerV2 in the terms of ``transformers``."""

from __future__ import annotations

from transformers import PreTrainedConfig

from ironwok.errors import ConfigError
from ironwok.nn.block import ACTIVATIONS
from ironwok.nn.config import TransformerConfig

POOLINGS = ("first", "segments", "matches")


class RoFormerV2Config(PreTrainedConfig):
    """Sizes and choices of a RoFormerV2 encoder; the defaults are the small one: 6 layers of 384 with 6 heads.

    max_position_embeddings: longest input in tokens. Rotary positions need no table, so this is a limit, not a size.
    norm_type ("rms" or "layer"), norm_gain, use_bias: RoFormerV2 has RMS norms without gain, and no bias anywhere.
    norm_placement, mix_post_fraction, mask_pattern: see :class:`ironwok.nn.config.TransformerConfig`.
    initializer_gain: factor on the standard deviations of the initialisation, N^(-1/2) where None.
    branch_scale: alpha of the warm-up, ``x <- Norm(x + alpha F(x))``; 1.0 but in checkpoints taken during it.
    pooling: what sums a sequence up for the heads that judge it as a whole: "first" (the first token, as in BERT) or
        "segments" (the first token, and both segments compared) or "matches" (these, and the words that both share,
        by how telling each word is).
    next_sentence_weight: weight of the next-sentence loss beside the masked-LM loss.

    Raises ConfigError where two values contradict each other.
    """

    model_type = "roformer_v2"

    vocab_size: int = 12800
    hidden_size: int = 384
    num_hidden_layers: int = 6
    num_attention_heads: int = 6
    intermediate_size: int | None = None
    hidden_act: str = "gelu"
    hidden_dropout_prob: float | int = 0.0
    attention_probs_dropout_prob: float | int = 0.0
    classifier_dropout: float | int | None = None
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    norm_type: str = "rms"
    norm_eps: float = 1e-12
    norm_gain: bool = False
    norm_placement: str = "post"
    mix_post_fraction: float = 0.25
    mask_pattern: str = "full"
    use_bias: bool = False
    rotary_base: float | int = 10000.0
    initializer_gain: float | None = None
    branch_scale: float = 1.0
    pooling: str = "first"
    next_sentence_weight: float = 1.0
    pad_token_id: int | None = 0
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    tie_word_embeddings: bool = True

    def __post_init__(self, **kwargs) -> None:
        super().__post_init__(**kwargs)
        if self.intermediate_size is None:
            self.intermediate_size = 4 * self.hidden_size
        for name in ("vocab_size", "max_position_embeddings", "type_vocab_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, it must be at least 1")
        if self.hidden_act not in ACTIVATIONS:
            raise ConfigError(f"hidden_act {self.hidden_act!r} is none of {', '.join(ACTIVATIONS)}")
        if self.pooling not in POOLINGS:
            raise ConfigError(f"pooling {self.pooling!r} is none of {', '.join(POOLINGS)}")
        self.transformer()  # contradictions show up here, not when weights are already being made

    def transformer(self) -> TransformerConfig:
        """The same choices in the terms of :mod:`ironwok.nn`."""
        return TransformerConfig(
            layers=self.num_hidden_layers,
            width=self.hidden_size,
            heads=self.num_attention_heads,
            feed_forward_width=self.intermediate_size or 4 * self.hidden_size,
            activation=self.hidden_act,
            norm=self.norm_type,  # pyright: ignore[reportArgumentType]  # checked there
            norm_eps=self.norm_eps,
            norm_gain=self.norm_gain,
            norm_placement=self.norm_placement,  # pyright: ignore[reportArgumentType]
            mix_post_fraction=self.mix_post_fraction,
            mask=self.mask_pattern,  # pyright: ignore[reportArgumentType]
            bias=self.use_bias,
            dropout=float(self.hidden_dropout_prob),
            attention_dropout=float(self.attention_probs_dropout_prob),
            rotary_base=float(self.rotary_base),
        )
