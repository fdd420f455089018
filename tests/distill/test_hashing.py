"""Hashed n-grams: what counts as the same, and that the hash is the one that was saved with."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwok.errors import InputError
from ironwok.students import HashedNgrams, hashing

SAMPLES = ["央行宣布降准", "The bank cuts rates", "比赛 3:1 结束", "", "𠮷野家 naïve"]


def learn(texts, **options):
    return HashedNgrams.learn(texts, **({"longest": 3, "bits": 16, "fewest": 1} | options))


def test_rows_have_length_one_and_unknown_texts_are_empty():
    features = learn(SAMPLES)
    rows = features.transform([*SAMPLES, "ξψ"])
    lengths = np.sqrt((rows.toarray() ** 2).sum(axis=1))
    assert lengths == pytest.approx([1] * 6, abs=1e-6)  # an empty text still has its two ends
    assert rows[5].nnz <= 2


def test_an_n_gram_of_a_text_of_distinct_characters_is_counted_once():
    # ends included there are 6 signs: 6 + 5 + 4 runs of up to 3, no word
    features = learn(["甲乙丙丁"], bits=24)
    assert len(features.buckets) == 15
    assert features.rarity == pytest.approx(np.ones(15))  # ln(2/2) + 1


def test_words_and_pairs_of_words_are_features_of_their_own():
    # longest 1: the ends, the letters a b c and the space; beside them three words, and two pairs of neighbours
    assert len(learn(["a b c"], longest=1, bits=24).buckets) == 6 + 3 + 2


def test_the_same_word_hashes_alike_wherever_it_stands():
    codes = np.array([ord(c) for c in "xbase base"], dtype=np.uint64)
    letters = hashing._mixed(codes + np.uint64(1))
    owners = np.zeros(len(codes), dtype=np.int32)
    (_, words), _ = hashing._words(codes[1:], letters[1:], owners[1:])
    assert words[0] == words[1]


@pytest.mark.parametrize(
    ("one", "other"), [("ＡＢＣ 公司", "abc 公司"), ("a  b\n", " a b"), ("Straße", "straße"), ("①", "1")]
)
def test_forms_of_the_same_text_are_the_same(one, other):
    features = learn([one, other, "别的"])
    first, second = features.transform([one]), features.transform([other])
    assert (first != second).nnz == 0
    assert first.nnz > 2


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=8))
def test_a_text_has_the_same_row_alone_and_among_others(texts):
    features = learn([*SAMPLES, *texts])
    together = features.transform(texts)
    for number, text in enumerate(texts):
        alone = features.transform([text])
        assert alone.indices.tolist() == together[number].indices.tolist()
        assert alone.data == pytest.approx(together[number].data)


def test_blocks_change_nothing(monkeypatch):
    texts = SAMPLES * 5
    whole = learn(texts)
    rows = whole.transform(texts)
    monkeypatch.setattr(hashing, "_BLOCK", 12)
    parts = learn(texts)
    assert parts.buckets.tolist() == whole.buckets.tolist()
    assert parts.rarity == pytest.approx(whole.rarity)
    assert np.abs((parts.transform(texts) - rows).toarray()).max() < 1e-6


def test_rare_n_grams_are_left_out_and_rarer_ones_weigh_more():
    features = learn(["共同甲", "共同乙", "共同丙"], fewest=2)
    every = learn(["共同甲", "共同乙", "共同丙"])
    assert 0 < len(features.buckets) < len(every.buckets)
    assert every.rarity.max() == pytest.approx(np.log(4 / 2) + 1)
    assert every.rarity.min() == pytest.approx(1)


def test_hashes_are_those_of_every_machine():
    # a change here makes every saved student useless: raise the format in students/files.py with it
    assert learn(["ab"], longest=2).buckets.tolist() == [6306, 17407, 20144, 20744, 45722, 52204, 59031, 61218]


@pytest.mark.parametrize("wrong", [{"longest": 0}, {"longest": 9}, {"bits": 7}, {"bits": 25}])
def test_sizes_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match="give"):
        learn(SAMPLES, **wrong)


def test_buckets_that_contradict_are_refused():
    with pytest.raises(InputError, match="not sorted"):
        HashedNgrams(longest=2, bits=8, buckets=np.array([3, 3], np.uint32), rarity=np.ones(2, np.float32))
    with pytest.raises(InputError, match="8 bits"):
        HashedNgrams(longest=2, bits=8, buckets=np.array([300], np.uint32), rarity=np.ones(1, np.float32))
