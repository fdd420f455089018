"""The teacher of `keyword_teacher`, and a tiny encoder with random weights."""

from __future__ import annotations

import pytest
from keyword_teacher import KeywordScorer, sentences

from ironwok.zero_shot import ZeroShotClassifier


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """128 of each label, mixed."""
    every = sentences()
    return [every[i * 37 % len(every)] for i in range(len(every))]


@pytest.fixture
def scorer():
    return KeywordScorer()


@pytest.fixture
def teacher(scorer):
    return ZeroShotClassifier(scorer=scorer)


@pytest.fixture(scope="session")
def encoder_folder(texts, tmp_path_factory):
    """A BERT with a next-sentence head, random weights and the characters of the texts."""
    import torch
    from transformers import BertConfig, BertForNextSentencePrediction

    from ironwok.text.tokenizer import train_tokenizer, wrap_tokenizer

    folder = tmp_path_factory.mktemp("tiny")
    trained = train_tokenizer(texts, vocab_size=300, min_frequency=1, largest_alphabet=200)
    tokenizer = wrap_tokenizer(trained, model_max_length=48)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=48,
        initializer_range=0.3,
        pad_token_id=tokenizer.pad_token_id,
    )
    BertForNextSentencePrediction(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
