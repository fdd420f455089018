"""Embeddings from co-occurrences: counted by hand, and tokens of the same company end up together."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_corpus import TOPICS

from ironwok.text.tokenizer import train_tokenizer, wrap_tokenizer
from ironwok.training.corpus import TOKEN_BITS, build_store
from ironwok.training.embeddings import cooccurrences, ppmi_svd
from ironwok.training.files import Source


@pytest.fixture(scope="module")
def letters():
    return wrap_tokenizer(train_tokenizer(["茶水雪山海风"], vocab_size=110, min_frequency=1, largest_alphabet=100))


def store_of(tmp_path, letters, text: str, held_out: float = 0.0):
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    source = Source("one", (tmp_path / "a.txt",))
    return build_store([source], tmp_path / "store", tokenizer=letters, held_out=held_out)


def counted(store, letters, *, window: int) -> dict[str, float]:
    counts = cooccurrences(store, vocabulary=len(letters), window=window, tokens=1000, seed=0)
    assert counts.shape == (len(letters), len(letters))
    assert np.array_equal(counts, counts.T)
    name = letters.convert_ids_to_tokens
    return {name(int(a)) + name(int(b)): float(counts[a, b]) for a, b in np.argwhere(counts) if a <= b}


def test_counts_by_hand(tmp_path, letters):
    store = store_of(tmp_path, letters, "茶水雪\n水茶\n\n山海\n")
    pairs = counted(store, letters, window=2)
    # document one reads 茶 水 雪 水 茶: neighbours count 1, one apart 1/2; nothing reaches into document two
    expected = {"茶水": 2.0, "水雪": 2.0, "茶雪": 1.0, "水水": 2 * 0.5, "山海": 1.0}
    assert {"".join(sorted(pair)): value for pair, value in pairs.items()} == {
        "".join(sorted(pair)): value for pair, value in expected.items()
    }


def test_a_wider_window_counts_further_and_less(tmp_path, letters):
    store = store_of(tmp_path, letters, "茶水雪山\n")
    pairs = {"".join(sorted(pair)): value for pair, value in counted(store, letters, window=3).items()}
    assert pairs["".join(sorted("茶山"))] == pytest.approx(1 / 3)
    pairs = {"".join(sorted(pair)): value for pair, value in counted(store, letters, window=9).items()}
    assert len(pairs) == 6


def test_held_out_documents_are_not_counted(store, tokenizer):
    counts = cooccurrences(store, vocabulary=len(tokenizer), window=1, tokens=10**9, seed=0)
    bounds = store.units[store.documents].astype(int)
    kept = [n for n in range(len(store)) if not store.held_out[n]]
    assert counts.sum() == 2 * sum(bounds[n + 1] - bounds[n] - 1 for n in kept)
    expected = np.zeros_like(counts)
    for n in kept:
        ids = (store.tokens[bounds[n] : bounds[n + 1]] & TOKEN_BITS).astype(int)
        np.add.at(expected, (ids[:-1], ids[1:]), 1)
    assert np.array_equal(counts, expected + expected.T)


def test_tokens_of_the_same_company_are_near(store, tokenizer):
    counts = cooccurrences(store, vocabulary=len(tokenizer), window=5, tokens=10**9, seed=0)
    vectors = torch.nn.functional.normalize(ppmi_svd(counts, width=16, std=0.02), dim=1)
    groups = []
    for words in TOPICS.values():
        own = {character for word in words for character in word}
        others = {character for rest in TOPICS.values() if rest is not words for word in rest for character in word}
        ids = tokenizer.convert_tokens_to_ids(sorted(own - others))
        groups.append([i for i in ids if i != tokenizer.unk_token_id and counts[i].sum()])
    assert min(map(len, groups)) >= 6
    centres = torch.stack([torch.nn.functional.normalize(vectors[group].mean(0), dim=0) for group in groups])
    for number, group in enumerate(groups):
        nearest = (vectors[group] @ centres.T).argmax(dim=1)
        assert (nearest == number).float().mean() > 0.9


def test_rows_have_one_length_and_unseen_tokens_are_random():
    counts = np.zeros((40, 40), dtype=np.float32)
    chance = np.random.default_rng(0)
    counts[:30, :30] = chance.integers(0, 20, size=(30, 30))
    counts += counts.T
    vectors = ppmi_svd(counts, width=8, std=0.05, seed=1)
    assert vectors.dtype == torch.float32
    assert torch.isfinite(vectors).all()
    seen = vectors[:30].norm(dim=1)
    assert torch.allclose(seen, torch.full((30,), 0.05 * 8**0.5), rtol=1e-4)
    assert vectors[30:].std().item() == pytest.approx(0.05, rel=0.4)
    assert len(torch.unique(vectors[30:], dim=0)) == 10


def test_the_same_seed_gives_the_same_start(store, tokenizer):
    one, two = (cooccurrences(store, vocabulary=len(tokenizer), window=3, tokens=1000, seed=5) for _ in range(2))
    assert np.array_equal(one, two)
    assert torch.equal(ppmi_svd(one, width=16, std=0.02, seed=5), ppmi_svd(two, width=16, std=0.02, seed=5))
    assert not torch.equal(ppmi_svd(one, width=16, std=0.02, seed=5), ppmi_svd(two, width=16, std=0.02, seed=6))


@pytest.mark.parametrize("width", [4, 64])
def test_a_width_beyond_the_vocabulary_is_filled(width):
    counts = np.ones((10, 10), dtype=np.float32) + np.eye(10, dtype=np.float32) * 5
    vectors = ppmi_svd(counts, width=width, std=0.02)
    assert vectors.shape == (10, width)
    assert torch.isfinite(vectors).all()
    assert vectors.std() > 0.001


def test_no_counts_at_all_give_a_random_start():
    vectors = ppmi_svd(np.zeros((50, 50), dtype=np.float32), width=16, std=0.02)
    assert vectors.std().item() == pytest.approx(0.02, rel=0.15)
