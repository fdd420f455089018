"""Tiny models with random weights and scorers whose answers one can work out by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain

import numpy as np
import pytest
from tokenizers import models

from ironwok.text.tokenizer import SPECIAL_TOKENS, UNK, train_tokenizer, wrap_tokenizer
from ironwok.zero_shot.pairs import Pair
from ironwok.zero_shot.selfcheck_pairs import CHINESE, ENGLISH

WIDTH, LAYERS, HEADS, POSITIONS = 32, 2, 2, 64


class OverlapScorer:
    """Scores a pair by the share of the prompt's marked characters that the text holds, in [0, 10].

    ``asked`` keeps every pair, so that tests can look at what was asked.
    """

    def __init__(self) -> None:
        self.asked: list[Pair] = []

    def score(self, pairs: Sequence[Pair]) -> np.ndarray:
        self.asked.extend(pairs)
        return np.array([10 * len(set(p.prompt.label) & set(p.text)) / max(len(set(p.prompt.label)), 1) for p in pairs])


class TableScorer:
    """Scores by a table (text, label) → score; what is not in it scores 0."""

    def __init__(self, table: dict[tuple[str, str], float]) -> None:
        self.table = table

    def score(self, pairs: Sequence[Pair]) -> np.ndarray:
        return np.array([self.table.get((pair.text, pair.prompt.label), 0.0) for pair in pairs])


@pytest.fixture
def overlap():
    return OverlapScorer()


@pytest.fixture(scope="session")
def table_scorer():
    return TableScorer


@pytest.fixture(scope="session")
def tokenizer():
    """Characters and whole words in a fixed order: training breaks ties by chance, and a random model with another
    vocabulary is another model, of which one in some dozens passes the self-check."""
    sentences = list(chain.from_iterable(chain(CHINESE, ENGLISH)))
    made = train_tokenizer(sentences, vocab_size=1200, min_frequency=1, largest_alphabet=1000)
    plain = "".join(sentences).lower()
    words = {*plain, *(f"##{character}" for character in plain), *re.findall(r"[a-z0-9]+", " ".join(sentences).lower())}
    vocabulary = [*SPECIAL_TOKENS, *sorted(word for word in words if word.strip())]
    made.model = models.WordPiece({word: number for number, word in enumerate(vocabulary)}, unk_token=UNK)
    return wrap_tokenizer(made, model_max_length=POSITIONS)


@pytest.fixture(scope="session")
def bert_config(tokenizer):
    from transformers import BertConfig

    return BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=2 * WIDTH,
        max_position_embeddings=POSITIONS,
        initializer_range=0.3,
        pad_token_id=tokenizer.pad_token_id,
    )


@pytest.fixture(scope="session")
def nsp_model(bert_config):
    import torch
    from transformers import BertForNextSentencePrediction

    torch.manual_seed(0)
    return BertForNextSentencePrediction(bert_config).eval()


@pytest.fixture(scope="session")
def mlm_model(bert_config):
    import torch
    from transformers import BertForMaskedLM

    torch.manual_seed(1)
    return BertForMaskedLM(bert_config).eval()


@pytest.fixture(scope="session")
def nsp_scorer(nsp_model, tokenizer):
    from ironwok.zero_shot import NSPScorer

    return NSPScorer(nsp_model, tokenizer)


@pytest.fixture(scope="session")
def pet_scorer(mlm_model, tokenizer):
    from ironwok.zero_shot import PETScorer

    return PETScorer(mlm_model, tokenizer)


@pytest.fixture(scope="session")
def nsp_folder(nsp_model, tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny-nsp")
    nsp_model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def mlm_folder(mlm_model, tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny-mlm")
    mlm_model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
