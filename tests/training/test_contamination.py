"""The contamination report on texts small enough to check by eye."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwok.errors import InputError
from ironwok.training.contamination import contamination, fold, window_hashes

LONG = "铁锅要先烧热再放油，这样炒出来的菜不容易粘在锅底上"  # 24 characters without the comma


def only(training, texts, **options):
    (overlap,) = contamination(training, {"set": texts}, **options)
    return overlap


def test_a_text_that_stands_in_a_training_text_is_exact():
    overlap = only(
        [("book", f"师傅说：{LONG}。大家都点头。"), ("news", "今天晴。")], [LONG, "完全不同的一句话而且也足够长了吧"]
    )
    assert (overlap.texts, overlap.exact, overlap.near, overlap.sources) == (2, 1, 0, (("book", 1),))


def test_spaces_punctuation_width_and_case_do_not_hide_a_copy():
    overlap = only([("web", "ＩＲＯＮ wok, is plain; and durable!")], ["Iron Wok is plain and durable"])
    assert overlap.exact == 1


def test_half_of_the_windows_make_it_near():
    # 24 characters have 12 windows of 13; the first 18 characters have 6 of them
    start = fold(LONG)[:18]
    assert len(fold(LONG)) == 24
    assert only([("a", start)], [LONG]).near == 1
    assert only([("a", start[:17])], [LONG]).near == 0
    assert only([("a", start[:17])], [LONG], near=5 / 12).near == 1


def test_windows_do_not_reach_over_two_training_texts():
    halves = [("a", LONG[:12]), ("a", LONG[12:])]
    overlap = only(halves, [LONG])
    assert (overlap.exact, overlap.near) == (0, 0)


def test_short_texts_are_compared_as_wholes():
    overlap = only([("a", "打开音乐！"), ("b", "请打开音乐吧")], ["打开音乐", "音乐"])
    assert (overlap.exact, overlap.near, overlap.sources) == (1, 0, (("a", 1),))


def test_windows_spread_over_two_sources_are_no_copy_in_either():
    text = fold(LONG)
    overlap = only([("a", text[:16]), ("b", text[8:])], [LONG], near=1.0)
    assert (overlap.exact, overlap.near) == (0, 0)


def test_nothing_to_compare():
    assert only([], [LONG]).exact == 0
    assert only([("a", "")], ["", "！？"]) == only([], ["", ""])
    assert contamination([("a", LONG)], {}) == []


@pytest.mark.parametrize("options", [{"width": 0}, {"near": 0.0}, {"near": 1.5}])
def test_impossible_options_are_refused(options):
    with pytest.raises(InputError, match="width"):
        contamination([], {}, **options)


@given(st.text(alphabet="铁锅油菜a", max_size=40), st.integers(1, 15))
def test_equal_windows_have_equal_hashes_and_only_they(text, width):
    hashes = window_hashes(text, width)
    width = min(width, len(text))
    windows = [text[i : i + width] for i in range(len(text) - width + 1)] if text else []
    assert len(hashes) == len(windows)
    assert len(np.unique(hashes)) == len(set(windows))
