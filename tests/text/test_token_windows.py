"""The tokenizer, token windows, and the way between tokens and characters."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import ironwok
from ironwok.errors import CheckpointError, InputError
from ironwok.text.tokenizer import (
    LARGEST_VOCABULARY,
    SPECIAL_TOKENS,
    encode_texts,
    load_tokenizer,
    replace_surrogates,
    train_tokenizer,
    wrap_tokenizer,
)
from ironwok.text.windows import (
    Window,
    char_span_to_token_span,
    iter_windows,
    token_span_to_char_span,
    windows_for,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

TRAINING = [
    "社区图书馆从本周六起延长开放时间，晚上九点以前都可以借书还书。",
    "The library opens at nine and closes at nine; the reading room has twenty seats.",
    "价格是 3.14 元，共 2024 本书。Reading opens rooms.",
] * 3

ODD = [
    "你好，world! 😀👨\u200d👩\u200d👧 👍🏽",
    "ＡＢＣ１２３　ｶﾞｷﾞ㎏ﷺ½Ⅷ①ﬁ",
    "e\u0301cole cafe\u0301s Zoë a\u0302\u0303\u0301",
    "第一行\r\n第二行\r\n\r\n",
    "坏\ud83d字\udc00 \ud800\ud800",
    "𠮷野家𪚥",
    "\u200b\ufeff零\u00ad宽\x00\x07",
    "……。。。...⋯⋯",
    "İstanbul ß ŒUVRE ſ",
    "한국어 조선 각",
    "[CLS] [MASK] [SEP] [PAD] [UNK]",
    "กำลัง ไทย",
]

ANY_TEXT = st.text(
    st.characters()
    | st.sampled_from("图书馆开放，。的 abre\u0301\u200d\r\n１Ａ😀…[]")
    | st.sampled_from("\ud800\udfff")
)


@pytest.fixture(scope="module")
def small() -> PreTrainedTokenizerFast:
    return wrap_tokenizer(train_tokenizer(TRAINING, vocab_size=200, min_frequency=1, largest_alphabet=120))


@pytest.fixture(scope="module")
def byte_level() -> PreTrainedTokenizerFast:
    """As of GPT-like models: tokens are bytes, they begin with the space before the word and split characters."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(TRAINING, vocab_size=300, show_progress=False)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer._tokenizer)


@pytest.fixture(scope="module")
def bundled() -> PreTrainedTokenizerFast:
    return load_tokenizer(Path(ironwok.__file__).parent / "models" / "weights" / "ironwok-small")


def check_offsets(text: str, offsets: Sequence[tuple[int, int]]) -> None:
    """Offsets index the user's string, in order."""
    position = 0
    for start, end in offsets:
        assert 0 <= start <= end <= len(text)
        assert start >= position
        position = start


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("which", ["small", "byte_level", "bundled"])
def test_offsets_of_odd_texts(text: str, which: str, request: pytest.FixtureRequest) -> None:
    ((ids, offsets),) = encode_texts(request.getfixturevalue(which), [text])
    assert len(ids) == len(offsets) > 0
    check_offsets(text, offsets)


def test_offsets_are_those_of_the_words_that_the_user_wrote(bundled: PreTrainedTokenizerFast) -> None:
    def pieces(text: str) -> list[str]:
        ((_, offsets),) = encode_texts(bundled, [text])
        return [text[start:end] for start, end in offsets]

    assert pieces("你好，😀再见") == ["你", "好", "，", "😀", "再", "见"]
    assert pieces("第一行\r\n第二行") == list("第一行第二行")
    assert pieces("坏\ud83d字") == ["坏", "字"]
    assert pieces("走……。。好...a") == ["走", "……", "。。", "好", "...", "a"]
    assert pieces("𠮷野家") == ["𠮷", "野", "家"]
    assert "".join(pieces("ＡＢＣ１２３")) == "ＡＢＣ１２３"
    assert pieces("\u200b零\ufeff宽") == ["零", "宽"]


@settings(max_examples=300, deadline=None)
@given(ANY_TEXT)
def test_offsets_of_any_text(small: PreTrainedTokenizerFast, text: str) -> None:
    ((_, offsets),) = encode_texts(small, [text])
    check_offsets(text, offsets)


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("图书馆开放时间，。的价格ⅧXyz龘𠮷😀！ \n"), max_size=60))
def test_every_visible_character_is_in_a_token(bundled: PreTrainedTokenizerFast, text: str) -> None:
    ((_, offsets),) = encode_texts(bundled, [text])
    covered = {position for start, end in offsets for position in range(start, end)}
    assert covered == {i for i, character in enumerate(text) if not character.isspace()}


def test_unknown_words_keep_their_places(small: PreTrainedTokenizerFast) -> None:
    text = "图Œuvre " + "x" * 101 + "龘书"
    ((ids, offsets),) = encode_texts(small, [text])
    assert [text[start:end] for start, end in offsets] == ["图", "Œuvre", "x" * 101, "龘", "书"]
    assert [i == small.unk_token_id for i in ids] == [False, True, True, True, False]


def test_special_tokens_in_a_text_are_text(small: PreTrainedTokenizerFast) -> None:
    ((ids, offsets),) = encode_texts(small, ["a [MASK] b[SEP]"])
    assert not set(small.convert_ids_to_tokens(ids)) & {"[MASK]", "[SEP]", "[CLS]", "[PAD]"}
    assert offsets[1] == (2, 3)
    assert small.convert_tokens_to_ids("[MASK]") in small("[MASK]")["input_ids"]  # elsewhere it is what it was


def test_encoding_nothing(small: PreTrainedTokenizerFast) -> None:
    assert encode_texts(small, []) == []
    assert encode_texts(small, ["", " \n"]) == [([], []), ([], [])]


def test_a_tokenizer_without_offsets_is_refused() -> None:
    class Slow:
        is_fast = False

    with pytest.raises(InputError, match="Slow has no character offsets"):
        encode_texts(Slow(), ["x"])  # pyright: ignore[reportArgumentType]


def test_surrogates_are_replaced_one_for_one() -> None:
    assert replace_surrogates("a\ud83d\udc00b😀") == "a\ufffd\ufffdb😀"
    same = "没有"
    assert replace_surrogates(same) is same


def test_a_trained_tokenizer_is_saved_and_loaded(small: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    small.save_pretrained(tmp_path / "folder")
    small.backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    text = "图书馆 opens at 9……"
    for place in (tmp_path / "folder", tmp_path / "tokenizer.json", tmp_path):
        loaded = load_tokenizer(place)
        assert loaded(text)["input_ids"] == small(text)["input_ids"]
        assert loaded.convert_tokens_to_ids(list(SPECIAL_TOKENS)) == [0, 1, 2, 3, 4]
        assert loaded.mask_token == "[MASK]"
    pair = small("图书", "馆")
    assert pair["token_type_ids"] == [0, 0, 0, 0, 1, 1]


def test_training_is_bounded() -> None:
    for wrong in (100, LARGEST_VOCABULARY + 1):
        with pytest.raises(InputError, match=f"vocab_size is {wrong}"):
            train_tokenizer(TRAINING, vocab_size=wrong, largest_alphabet=120)
    trained = train_tokenizer(TRAINING, vocab_size=150, min_frequency=1, largest_alphabet=99)
    assert 100 < trained.get_vocab_size() <= 150
    assert set(SPECIAL_TOKENS) < set(trained.get_vocab())


def test_what_is_no_tokenizer_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no tokenizer here"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{broken", encoding="utf-8")
    with pytest.raises(CheckpointError, match="not a readable tokenizer file"):
        load_tokenizer(tmp_path)


def test_tokens_to_characters_by_hand() -> None:
    offsets = [(0, 0), (0, 1), (1, 4), (5, 6), (5, 6), (0, 0)]  # [CLS] a bcd _ ½ ½ [SEP]
    assert token_span_to_char_span(offsets, 1, 2) == (0, 4)
    assert token_span_to_char_span(offsets, 0, 3) == (0, 6)
    assert token_span_to_char_span(offsets, 4, 5) == (5, 6)
    assert char_span_to_token_span(offsets, 0, 4) == (1, 2)
    assert char_span_to_token_span(offsets, 3, 6) == (2, 4)
    assert char_span_to_token_span(offsets, 5, 6) == (3, 4)
    assert char_span_to_token_span(offsets, 4, 5) is None
    assert char_span_to_token_span(offsets, 6, 99) is None


@pytest.mark.parametrize(("first", "last"), [(-1, 0), (1, 0), (0, 6), (9, 9)])
def test_token_spans_out_of_range(first: int, last: int) -> None:
    with pytest.raises(InputError, match=f"tokens {first} to {last}"):
        token_span_to_char_span([(0, 1)] * 6, first, last)


def test_spans_without_characters() -> None:
    with pytest.raises(InputError, match="special tokens"):
        token_span_to_char_span([(0, 0), (0, 1)], 0, 0)
    for start, end in ((3, 3), (-1, 2), (4, 2)):
        with pytest.raises(InputError, match="no span of characters"):
            char_span_to_token_span([(0, 5)], start, end)


@settings(max_examples=300, deadline=None)
@given(text=ANY_TEXT.filter(bool), data=st.data())
@example(text="ﷺ", data=None)
def test_there_and_back_again(small: PreTrainedTokenizerFast, text: str, data: st.DataObject | None) -> None:
    ((_, offsets),) = encode_texts(small, [text])
    if not offsets:
        return
    for first, (start, end) in enumerate(offsets):
        if start < end:
            found = char_span_to_token_span(offsets, start, end)
            assert found is not None
            assert found[0] <= first <= found[1]
            assert token_span_to_char_span(offsets, *found)[0] <= start
    if data is not None:
        start = data.draw(st.integers(0, len(text) - 1))
        end = data.draw(st.integers(start + 1, len(text)))
        found = char_span_to_token_span(offsets, start, end)
        held = [i for i, (a, b) in enumerate(offsets) if set(range(a, b)) & set(range(start, end))]
        assert found == ((held[0], held[-1]) if held else None)


def check_windows(
    text: str, windows: list[Window], offsets: Sequence[tuple[int, int]], most: int, overlap: int
) -> None:
    """Windows are exact, in order, not too long, and hold every token."""
    expected = 0
    for i, window in enumerate(windows):
        assert window.span.text == text[window.span.start : window.span.end]
        assert 1 <= len(window.token_ids) == len(window.offsets) == window.last - window.first + 1 <= most
        assert token_span_to_char_span(window.offsets, 0, len(window.offsets) - 1) == (
            window.span.start,
            window.span.end,
        )
        assert expected - overlap <= window.first <= expected
        assert i == 0 or window.first > windows[i - 1].first
        expected = window.last + 1
    assert expected == len(offsets)


@settings(max_examples=150, deadline=None)
@given(text=ANY_TEXT, most=st.integers(1, 25), data=st.data())
def test_windows_of_any_text(small: PreTrainedTokenizerFast, text: str, most: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, most // 2))
    ((ids, offsets),) = encode_texts(small, [text])
    windows = windows_for(text, small, max_tokens=most, overlap=overlap)
    check_windows(text, windows, offsets, most, overlap)
    rebuilt = {window.first + i: token for window in windows for i, token in enumerate(window.token_ids)}
    assert [rebuilt[i] for i in range(len(ids))] == ids


@settings(max_examples=60, deadline=None)
@given(text=ANY_TEXT.filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text)), most=st.integers(4, 25))
def test_windows_of_byte_level_tokens(byte_level: PreTrainedTokenizerFast, text: str, most: int) -> None:
    ((_, offsets),) = encode_texts(byte_level, [text])
    windows = windows_for(text, byte_level, max_tokens=most, overlap=most // 4)
    assert sum(len(window.token_ids) for window in windows) >= len(offsets)
    assert all(window.span.text == text[window.span.start : window.span.end] for window in windows)


SENTENCE = "图书馆从本周六起延长开放时间。"


def test_a_text_that_fits_is_one_window(small: PreTrainedTokenizerFast) -> None:
    (window,) = windows_for(f" {SENTENCE}\n", small, max_tokens=len(SENTENCE))
    assert (window.span.start, window.span.text, window.first, window.last) == (1, SENTENCE, 0, len(SENTENCE) - 1)
    assert windows_for(" \n", small, max_tokens=5) == []


def test_windows_end_with_sentences_and_are_even(small: PreTrainedTokenizerFast) -> None:
    windows = windows_for(SENTENCE * 8, small, max_tokens=70)
    assert [window.span.text for window in windows] == [SENTENCE * 4] * 2
    windows = windows_for(SENTENCE * 9, small, max_tokens=70, overlap=20)
    assert all(window.span.text.startswith("图书馆") and window.span.text.endswith("。") for window in windows)
    assert all(after.span.start == before.span.end - len(SENTENCE) for before, after in itertools.pairwise(windows))


def test_windows_end_with_clauses_or_words_where_no_sentence_ends(small: PreTrainedTokenizerFast) -> None:
    windows = windows_for("图书馆周六开放，" * 20, small, max_tokens=30)
    assert all(window.span.text.endswith("，") for window in windows)
    windows = windows_for("reading library " * 20, small, max_tokens=12)
    assert {word for window in windows for word in window.span.text.split()} == {"reading", "library"}


@pytest.mark.parametrize(("most", "overlap"), [(0, 0), (10, 6), (10, -1)])
def test_window_sizes_are_checked(small: PreTrainedTokenizerFast, most: int, overlap: int) -> None:
    with pytest.raises(InputError, match=f"{overlap if most else most}"):
        iter_windows("x", small, max_tokens=most, overlap=overlap)


def test_long_texts_are_encoded_in_blocks_with_the_same_result(
    small: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = ("图书馆周六开放。The library opens at nine.\n" * 10 + "没有句号的长句" * 8) * 10
    whole = windows_for(text, small, max_tokens=50, overlap=10)
    monkeypatch.setattr("ironwok.text.windows._BLOCK", 100)
    assert windows_for(text, small, max_tokens=50, overlap=10) == whole


@pytest.mark.slow
def test_ten_megabytes_of_noise_through_tokenizer_and_windows(bundled: PreTrainedTokenizerFast) -> None:
    draw = random.Random(0)
    odd = [chr(draw.randrange(0x20, 0xD800)) for _ in range(300)] + [
        chr(draw.randrange(0x10000, 0x20000)) for _ in range(99)
    ]
    alphabet = odd + list("的一是在。，\u3000\n ab1é\u0301\u200d\ud800ｶﾞ㎏😀𠮷" * 20)
    text = "".join(draw.choices(alphabet, k=3_900_000))
    assert len(text.encode("utf-8", "surrogatepass")) > 10_000_000
    end = token = 0
    for window in iter_windows(text, bundled, max_tokens=510):
        assert window.first == token
        assert window.span.start >= end
        # nothing between the windows but what has no token of its own: white space, marks, invisible characters
        assert not any(character in "的一是在。，ab1" for character in text[end : window.span.start])
        end, token = window.span.end, window.last + 1
    assert not any(character in "的一是在。，ab1" for character in text[end:])
