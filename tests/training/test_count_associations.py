"""Which words keep company: counted as by hand, and topics end up apart."""

from __future__ import annotations

from collections import Counter
from itertools import combinations_with_replacement

import numpy as np
import pytest
from tiny_corpus import TOPICS

from ironwok.errors import DataError, InputError
from ironwok.training import associations
from ironwok.training.associations import Counting, count_associations
from ironwok.training.corpus import TOKEN_BITS

SMALL = Counting(pairs=300, contexts=200, width=12, segment=16)


@pytest.fixture(scope="module")
def table(store, tokenizer):
    return count_associations(store, tokenizer, SMALL)


def segments_of(store, size: int) -> list[list[int]]:
    """Token ids of each segment of each training document, plainly."""
    found = []
    for number in range(len(store.documents) - 1):
        if store.held_out[number]:
            continue
        start, end = (int(store.units[store.documents[number + one]]) for one in (0, 1))
        ids = [int(one & TOKEN_BITS) for one in store.tokens[start:end]]
        found += [ids[place : place + size] for place in range(0, len(ids), size)]
    return found


def test_counts_equal_plain_ones(store, tokenizer):
    words = np.array([any(map(str.isalnum, name)) for name in tokenizer.convert_ids_to_tokens(range(len(tokenizer)))])
    words[tokenizer.all_special_ids] = False
    counter = associations._Counter(store, words, np.zeros(len(words), bool), SMALL, associations.Silent())
    counter.choose_pairs()
    assert len(counter.pairs) == 0  # nothing is Chinese here
    together = counter.together()
    often: Counter[int] = Counter()
    company: Counter[tuple[int, int]] = Counter()
    segments = segments_of(store, SMALL.segment)
    for ids in segments:
        held = sorted({one for one in ids if words[one]})
        often.update(held)
        company.update(combinations_with_replacement(held, 2))
    assert counter.segments == len(segments)
    assert {unit: int(count) for unit, count in enumerate(counter.often) if count} == dict(often)
    for unit in list(often)[:40]:
        for column, context in enumerate(counter.contexts[:40].tolist()):
            assert together[unit, column] == company[min(unit, context), max(unit, context)]


def test_pairs_are_neighbours_within_words(store, tokenizer, table):
    names = tokenizer.convert_ids_to_tokens
    firsts, seconds = np.divmod(table.pairs, table.vocabulary)
    assert 0 < len(table.pairs) <= SMALL.pairs
    assert np.all(np.diff(table.pairs) > 0)
    texts = ["".join(names(ids)) for ids in segments_of(store, SMALL.segment)]
    for first, second in zip(firsts.tolist(), seconds.tolist(), strict=True):
        assert sum(text.count(names(first) + names(second)) for text in texts) >= 1


def test_words_of_a_topic_lie_nearer_to_its_texts_than_others(tokenizer, table):
    def ids(texts):
        return tokenizer(texts, add_special_tokens=False)["input_ids"]

    words = [own[0] for own in TOPICS.values()]
    texts = ["".join(own[1:]) for own in TOPICS.values()]
    count = len(texts)
    first, second = np.divmod(np.arange(count * count), count)
    near = table.affinities(ids, texts, words, first, second).reshape(count, count)
    assert near.argmax(axis=1).tolist() == list(range(count))
    assert near.argmax(axis=0).tolist() == list(range(count))


def test_the_same_seed_gives_the_same_table(store, tokenizer, table):
    again = count_associations(store, tokenizer, SMALL)
    assert np.array_equal(again.vectors, table.vectors)
    assert np.array_equal(again.weights, table.weights)
    assert again.weight == 0  # until it was fitted


def test_too_little_text_and_odd_settings_are_refused(store, tokenizer):
    with pytest.raises(DataError, match="need more text"):
        count_associations(store, tokenizer, Counting(contexts=10, width=12))
    with pytest.raises(InputError, match="share is 0"):
        Counting(share=0)
    with pytest.raises(InputError, match="segment is 0"):
        Counting(segment=0)
