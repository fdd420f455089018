"""Masking: how often, what with, and never half a word."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwok.training.masking import IGNORED, mask_words

MASK, FIRST, VOCABULARY = 4, 5, 1000


def masked(input_ids, continues, maskable, *, seed: int = 0, **options):
    options = {"rate": 0.15, "mask_id": MASK, "vocabulary": VOCABULARY, "first_ordinary_id": FIRST, **options}
    return mask_words(input_ids, continues, maskable, generator=np.random.default_rng(seed), **options)


def many_rows(rows: int = 2000, length: int = 64, seed: int = 1):
    chance = np.random.default_rng(seed)
    input_ids = chance.integers(FIRST, VOCABULARY, size=(rows, length))
    continues = chance.random((rows, length)) < 0.4
    maskable = np.ones((rows, length), dtype=bool)
    maskable[:, 0] = maskable[:, -4:] = False
    maskable[:, length // 2] = False
    continues &= maskable
    continues[:, [1, length // 2 + 1]] = False
    return input_ids, continues, maskable


def test_rates_are_as_asked_for():
    input_ids, continues, maskable = many_rows()
    _, labels = masked(input_ids, continues, maskable)
    begins = maskable & ~continues
    assert (labels[begins] != IGNORED).mean() == pytest.approx(0.15, abs=0.005)
    _, labels = masked(input_ids, continues, maskable, rate=0.4, row_rate=0.25)
    rows = (labels != IGNORED).any(axis=1)
    assert rows.mean() == pytest.approx(0.25, abs=0.03)
    assert (labels[rows][begins[rows]] != IGNORED).mean() == pytest.approx(0.4, abs=0.02)


def test_most_become_mask_some_random_some_stay():
    input_ids, continues, maskable = many_rows()
    out, labels = masked(input_ids, continues, maskable)
    chosen = labels != IGNORED
    count = chosen.sum()
    assert count > 15_000
    assert (out[chosen] == MASK).sum() / count == pytest.approx(0.8, abs=0.02)
    # one in a thousand random tokens is the old one
    assert (out[chosen] == input_ids[chosen]).sum() / count == pytest.approx(0.1, abs=0.02)
    others = out[chosen & (out != MASK) & (out != input_ids)]
    assert len(others) / count == pytest.approx(0.1, abs=0.02)
    assert others.min() >= FIRST
    assert others.max() < VOCABULARY
    assert len(np.unique(others)) > 600


def test_units_are_masked_as_a_whole():
    input_ids, continues, maskable = many_rows()
    pairs = maskable[:, 1:] & maskable[:, :-1]
    inside, between = pairs & continues[:, 1:], pairs & ~continues[:, 1:]
    shares = {}
    for unit in ("word", "token", "span"):
        _, labels = masked(input_ids, continues, maskable, unit=unit)
        chosen = labels != IGNORED
        assert not chosen[~maskable].any()
        assert chosen[maskable].mean() == pytest.approx(0.15, abs=0.01)
        both = chosen[:, 1:] & chosen[:, :-1]
        shares[unit] = [both[of].sum() / chosen[:, :-1][of].sum() for of in (inside, between)]
    # the chance that the neighbour of a masked token is masked, too: in its word, and in the next word
    assert shares["word"] == [1, pytest.approx(0.15, abs=0.02)]
    assert shares["token"] == [pytest.approx(0.15, abs=0.02)] * 2
    assert shares["span"] == [1, pytest.approx(0.5 + 0.5 * 0.15, abs=0.02)]
    # a part ends where a special token stands
    _, labels = masked(input_ids, np.zeros_like(continues), maskable, unit="span")
    middle = input_ids.shape[1] // 2
    ends = labels[:, [middle - 1, middle + 1]] != IGNORED
    assert ends.all(axis=1).mean() < 0.05


def test_labels_are_the_tokens_that_were_there_and_nothing_else_changes():
    input_ids, continues, maskable = many_rows(200)
    out, labels = masked(input_ids, continues, maskable)
    chosen = labels != IGNORED
    assert (labels[chosen] == input_ids[chosen]).all()
    assert (labels[~chosen] == IGNORED).all()
    assert (out[~chosen] == input_ids[~chosen]).all()


@st.composite
def batches(draw):
    rows, length = draw(st.integers(1, 5)), draw(st.integers(2, 20))
    maskable = np.array(draw(st.lists(st.booleans(), min_size=rows * length, max_size=rows * length)))
    continues = np.array(draw(st.lists(st.booleans(), min_size=rows * length, max_size=rows * length)))
    maskable, continues = maskable.reshape(rows, length), continues.reshape(rows, length) & maskable.reshape(rows, -1)
    # a part never begins inside a word: see PairSampler
    continues[:, 0] = False
    continues[:, 1:] &= maskable[:, :-1]
    input_ids = np.arange(rows * length).reshape(rows, length) % (VOCABULARY - FIRST) + FIRST
    return input_ids, continues, maskable


@given(batches(), st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.integers(0, 2**32))
def test_words_are_masked_whole_and_special_tokens_never(batch, rate, row_rate, seed):
    input_ids, continues, maskable = batch
    out, labels = masked(input_ids, continues, maskable, rate=rate, row_rate=row_rate, seed=seed)
    chosen = labels != IGNORED
    assert not chosen[~maskable].any()
    assert (out[~maskable] == input_ids[~maskable]).all()
    # a token that continues a word shares its fate
    inside = np.argwhere(continues)
    for row, column in inside:
        assert chosen[row, column] == chosen[row, column - 1]
        assert (out[row, column] == MASK) == (out[row, column - 1] == MASK)


@given(batches(), st.integers(1, 9), st.integers(0, 2**32))
def test_the_number_of_labels_is_a_multiple(batch, multiple, seed):
    input_ids, continues, maskable = batch
    every, labels = masked(input_ids, continues, maskable, rate=0.6, seed=seed)
    out, fewer = masked(input_ids, continues, maskable, rate=0.6, seed=seed, multiple=multiple)
    count = (labels != IGNORED).sum()
    assert (fewer != IGNORED).sum() == count - count % multiple
    assert ((fewer == labels) | (fewer == IGNORED)).all()
    assert (out == every).all()


@pytest.mark.parametrize(("rate", "share"), [(0.0, 0.0), (1.0, 1.0)])
def test_none_and_all(rate, share):
    input_ids, continues, maskable = many_rows(20)
    _, labels = masked(input_ids, continues, maskable, rate=rate)
    assert (labels[maskable] != IGNORED).mean() == share


def test_the_same_generator_masks_the_same():
    batch = many_rows(50)
    one, two, other = masked(*batch, seed=3), masked(*batch, seed=3), masked(*batch, seed=4)
    assert (one[0] == two[0]).all()
    assert (one[1] == two[1]).all()
    assert (one[1] != other[1]).any()
