from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwok.errors import ModelError, TextTooLongError
from ironwok.text.inputs import buckets, layout_of
from ironwok.zero_shot.encoding import PairEncoder, unique


@pytest.fixture(scope="module")
def encoder(tokenizer):
    return PairEncoder(tokenizer, max_tokens=64, segments=True)


def test_assembled_pairs_equal_the_tokenizers_own(encoder, tokenizer):
    first, second = "外面下雨了。", "Shall I make some tea 记得带上雨伞"
    expected = tokenizer(first, second)
    (first_ids, second_ids) = encoder.ids([first, second])
    row = encoder.pair(first_ids, second_ids)
    batch = encoder.batch([row], "cpu")
    assert batch["input_ids"][0].tolist() == expected["input_ids"]
    assert batch["token_type_ids"][0].tolist() == expected["token_type_ids"]
    assert batch["attention_mask"][0].tolist() == expected["attention_mask"]
    assert encoder.single(first_ids)[0] == tokenizer(first)["input_ids"]


def test_padding_is_masked_and_in_segment_zero(encoder):
    short, long = encoder.ids(["下雨", "外面下雨了，记得带上雨伞"])
    batch = encoder.batch([encoder.pair(short, short), encoder.pair(long, long)], "cpu")
    used = len(short) * 2 + 3
    assert batch["input_ids"].shape == (2, len(long) * 2 + 3)
    assert batch["attention_mask"][0].tolist() == [1] * used + [0] * (2 * len(long) - 2 * len(short))
    assert batch["token_type_ids"][0, used:].sum() == 0
    assert batch["token_type_ids"][0].sum() == len(short) + 1


def test_models_without_segments_get_none(tokenizer):
    encoder = PairEncoder(tokenizer, max_tokens=64, segments=False)
    assert set(encoder.batch([encoder.single([7])], "cpu")) == {"input_ids", "attention_mask"}


def test_a_tokenizer_that_separates_nothing_is_refused(tokenizer):
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    bare = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    bare.post_processor = None
    with pytest.raises(ModelError, match="no separator between two sentences"):
        layout_of(PreTrainedTokenizerFast(tokenizer_object=bare, pad_token="[PAD]", unk_token="[UNK]"))


def test_a_prompt_that_leaves_no_room_says_so(encoder):
    assert encoder.room(10, limit=64, specials=3, prompt="x") == 51
    with pytest.raises(TextTooLongError, match="has 60 tokens and leaves 1 of 64"):
        encoder.room(60, limit=64, specials=3, prompt="x")


text_of = st.text(
    st.sampled_from("外面下雨了记得带上雨伞。，\n 　\t☕é😀𠮷Ａabcdefgh0123-_") | st.characters(codec="utf-8"),
    min_size=1,
    max_size=300,
)


@given(text_of, st.integers(8, 40))
def test_windows_cover_every_token_once_and_fit(encoder, text, room):
    spans = encoder.windows(text, room=room)
    assert all(text[span.start : span.end] == span.text for span in spans)
    assert all(a.end <= b.start for a, b in pairwise(spans))
    if len(spans) == 1:
        assert spans[0].text == text
        return
    ids, offsets = encoder.ids_and_offsets([text])[0]
    assert len(ids) > room
    covered = [any(s.start <= a and b <= s.end for s in spans) for a, b in offsets]
    assert all(covered)


def test_windows_do_not_tear_words(encoder):
    words = [f"word{i}" for i in range(60)]
    text = " ".join(words)
    spans = encoder.windows(text, room=16)
    assert len(spans) > 3
    assert [word for span in spans for word in span.text.split()] == words
    assert max(len(ids) for ids in encoder.ids([span.text for span in spans])) <= 16


def test_windows_are_even(encoder):
    spans = encoder.windows("雨" * 33, room=16)
    assert [len(span.text) for span in spans] == [11, 11, 11]


@given(st.lists(st.integers(0, 200), max_size=60), st.integers(1, 9), st.integers(1, 500))
def test_buckets_hold_every_index_once_within_bounds(lengths, batch_size, batch_tokens):
    batches = [batch.tolist() for batch in buckets(np.array(lengths), batch_size=batch_size, batch_tokens=batch_tokens)]
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[i] for i in batch)
        assert len(batch) == 1 or (len(batch) <= batch_size and len(batch) * longest <= batch_tokens)
    flat = [lengths[i] for batch in batches for i in batch]
    assert flat == sorted(flat, reverse=True)


@given(st.lists(st.text(max_size=2)))
def test_unique_rebuilds_the_list(items):
    distinct, inverse = unique(items)
    assert len(set(distinct)) == len(distinct)
    assert [distinct[i] for i in inverse] == items


def test_special_tokens_in_a_text_are_only_text(encoder, tokenizer):
    (ids,) = encoder.ids(["他写了[SEP]和[MASK]"])
    assert not {tokenizer.sep_token_id, tokenizer.mask_token_id} & set(ids)
    assert ids == encoder.ids_and_offsets(["他写了[SEP]和[MASK]"])[0][0]
