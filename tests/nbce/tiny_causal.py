"""Tiny causal models with random weights, of the three kinds of attention, and a byte-level tokenizer."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

SPECIAL = ["<s>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "initializer_range": 0.3,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 2,
}


def make_tokenizer(*, chat: bool) -> PreTrainedTokenizerFast:
    """Every byte is a token: it knows all text and spells Chinese in three pieces."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *alphabet])}
    inner = Tokenizer(BPE(vocab=vocabulary, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<s>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>"],
        clean_up_tokenization_spaces=False,
    )
    if chat:
        wrapped.chat_template = TEMPLATE
    return wrapped


def make_model(kind: str, *, vocab_size: int = 259, seed: int = 0):
    torch.manual_seed(seed)
    if kind == "gpt2":  # learned absolute positions
        config = GPT2Config(
            vocab_size=vocab_size,
            n_positions=512,
            n_embd=32,
            n_layer=3,
            n_head=4,
            initializer_range=0.3,
            bos_token_id=0,
            eos_token_id=2,
        )
        return GPT2LMHeadModel(config).eval()
    shared = _SMALL | {"vocab_size": vocab_size}
    if kind == "dense":
        return LlamaForCausalLM(LlamaConfig(**shared, num_key_value_heads=4)).eval()
    if kind == "grouped":
        return LlamaForCausalLM(LlamaConfig(**shared, num_key_value_heads=2)).eval()
    if kind == "sliding":
        return MistralForCausalLM(MistralConfig(**shared, num_key_value_heads=2, sliding_window=16)).eval()
    assert kind == "mixed"  # some layers slide, some see all
    config = Qwen2Config(
        **shared,
        num_key_value_heads=2,
        use_sliding_window=True,
        sliding_window=16,
        layer_types=["full_attention", "sliding_attention", "full_attention"],
    )
    return Qwen2ForCausalLM(config).eval()


KINDS = ("dense", "grouped", "sliding", "mixed", "gpt2")
