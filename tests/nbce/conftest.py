"""Tiny causal models with random weights, of every kind of attention, and a byte-level tokenizer."""

from __future__ import annotations

import pytest
from tiny_causal import KINDS, make_model, make_tokenizer


@pytest.fixture(scope="session")
def tokenizer():
    return make_tokenizer(chat=True)


@pytest.fixture(scope="session")
def plain_tokenizer():
    return make_tokenizer(chat=False)


@pytest.fixture(scope="session", params=KINDS)
def any_model(request):
    return make_model(request.param)


@pytest.fixture(scope="session")
def model():
    return make_model("grouped")
