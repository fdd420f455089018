"""One tiny tokenizer, corpus and store for all tests of a session; they only read them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_corpus import TOKENIZER, write_corpus

from ironwok.text.tokenizer import load_tokenizer
from ironwok.training.corpus import Store, build_store
from ironwok.training.files import Source
from single_thread import on_one_thread


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    with on_one_thread():
        yield


@pytest.fixture(scope="session")
def tokenizer():
    return load_tokenizer(TOKENIZER)


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def sources(data) -> list[Source]:
    return [Source("plain", (data / "plain.txt",)), Source("records", (data / "records.jsonl",))]


@pytest.fixture(scope="session")
def store(sources, tokenizer, tmp_path_factory) -> Store:
    return build_store(sources, tmp_path_factory.mktemp("corpus") / "store", tokenizer=tokenizer, held_out=0.2)
