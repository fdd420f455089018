"""A table that learns: its words, what is drawn for it, what comes of it, and runs that are stopped."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from tiny_corpus import TOPICS

from crashing import Crash, CrashAfter
from ironwok.errors import CheckpointError, DataError, InputError
from ironwok.training import association_learning
from ironwok.training.association_learning import KINDS, Learning, learn_associations
from ironwok.training.associations import Counting, count_associations
from ironwok.training.checkpoints import list_checkpoints
from ironwok.training.corpus import CONTINUES, TOKEN_BITS, build_store
from ironwok.training.files import Source

LEARNING = Learning(steps=30, groups=2, group=24, rate=6e-2, longest=24, keep_every=10)


@pytest.fixture(scope="module")
def counted(store, tokenizer):
    return count_associations(store, tokenizer, Counting(pairs=300, contexts=100, width=12, segment=16))


@pytest.fixture(scope="module")
def started(store, counted):
    return association_learning._with_words(store, counted, LEARNING, association_learning.Silent())


@pytest.fixture(scope="module")
def learnt(store, counted, tmp_path_factory):
    return learn_associations(store, counted, LEARNING, work=tmp_path_factory.mktemp("learning"))


def training_words(store) -> Counter[tuple[int, ...]]:
    """Words of the training documents as tuples of tokens, plainly."""
    found: Counter[tuple[int, ...]] = Counter()
    for number in range(len(store.documents) - 1):
        if store.held_out[number]:
            continue
        start, end = (int(store.units[store.documents[number + one]]) for one in (0, 1))
        word: list[int] = []
        for token in store.tokens[start:end].tolist():
            if token < CONTINUES and word:
                found[tuple(word)] += 1
                word = []
            word.append(token & int(TOKEN_BITS))
        found[tuple(word)] += 1
    return found


def spelt(keys: np.ndarray, count: int, vocabulary: int) -> list[tuple[int, ...]]:
    return [tuple(int(key) // vocabulary**place % vocabulary for place in range(count - 1, -1, -1)) for key in keys]


def test_longer_words_are_those_of_the_segmenter(store, started):
    words = training_words(store)
    for keys, count in ((started.triples, 3), (started.fours, 4)):
        often = {word for word, times in words.items() if len(word) == count and times >= 8}
        assert set(spelt(keys, count, started.vocabulary)) == often
    assert len(started.triples)  # 采茶人, 滑雪场
    assert len(started.vectors) == started.vocabulary + sum(map(len, started.runs))


def test_only_the_most_frequent_words_are_taken(store, counted):
    words = Counter({word: times for word, times in training_words(store).items() if len(word) == 3})
    short = association_learning._with_words(
        store, counted, replace(LEARNING, triples=2), association_learning.Silent()
    )
    taken = spelt(short.triples, 3, short.vocabulary)
    assert len(taken) == 2
    assert min(words[word] for word in taken) >= sorted(words.values())[-2]


def test_a_longer_word_begins_as_the_sum_of_its_parts(counted, started):
    word = np.array(spelt(started.triples[:1], 3, started.vocabulary)[0])
    parts = counted.units(word)
    summed = counted.weights[parts] @ counted.vectors[parts].astype(np.float32)
    own = started.vectors[started.vocabulary + len(started.pairs)].astype(np.float32)
    assert own @ summed / np.linalg.norm(own) / np.linalg.norm(summed) > 0.999


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_come_from_one_document_and_from_none_that_is_held_out(store, started, kind):
    drawing = association_learning._Drawing(store, started, replace(LEARNING, kinds={kind: 1.0}))
    bounds = store.units[store.documents].astype(int)
    texts = []
    for number in np.flatnonzero(~store.held_out):
        ids = (store.tokens[bounds[number] : bounds[number + 1]] & TOKEN_BITS).astype(np.int64)
        texts.append(set(started.units(ids).tolist()))
    for step in range(4):
        for group in drawing.groups(step):
            assert KINDS[group.kind] == kind
            assert group.count >= 12
            for number in range(group.count):
                first = set(group.first.units[group.first.owners == number].tolist())
                second = set(group.second.units[group.second.owners == number].tolist())
                assert first
                assert second
                assert any(first | second <= text for text in texts)


def test_a_keyword_is_a_word_and_mostly_gone_from_its_text(store, started):
    drawing = association_learning._Drawing(store, started, replace(LEARNING, kinds={"keyword": 1.0}))
    words = training_words(store)
    gone = total = 0
    for step in range(6):
        for group in drawing.groups(step):
            for number in range(group.count):
                word = group.first.units[group.first.owners == number]
                tokens = tuple(word[word < started.vocabulary].tolist())
                assert words[tokens]
                assert 2 <= len(tokens) <= 4
                total += 1
                gone += not np.isin(word, group.second.units[group.second.owners == number]).any()
    assert total > 100
    assert 0.6 < gone / total <= 1.0  # seven of ten by rule, and where it stands once in the text


def test_the_pairs_of_a_step_do_not_depend_on_those_before(store, started):
    one, two = (association_learning._Drawing(store, started, LEARNING) for _ in range(2))
    one.groups(1)
    for left, right in zip(one.groups(7), two.groups(7), strict=True):
        assert np.array_equal(left.first.units, right.first.units)
        assert np.array_equal(left.second.units, right.second.units)
    assert not np.array_equal(one.groups(8)[0].first.units, one.groups(7)[0].first.units)


def test_words_left_out_are_fewer(store, started):
    def units(leave_out: float) -> int:
        drawing = association_learning._Drawing(store, started, replace(LEARNING, leave_out=leave_out))
        return sum(len(group.second.units) for group in drawing.groups(1))

    assert units(0.5) < 0.75 * units(0.0)


def test_it_learns_what_belongs_together(store, started, learnt):
    """The right partner is likelier than before, in pairs that were not trained on, at the best scale for either."""
    held = association_learning._Drawing(store, started, replace(LEARNING, seed=99))

    def surprise(table) -> float:
        """Mean negative log-likelihood of the right partner, at the best scale for this table."""
        cosines = []
        for step in range(5):
            for group in held.groups(step):
                vectors = []
                for piece in (group.first, group.second):
                    summed = np.zeros((group.count, table.vectors.shape[1]), dtype=np.float32)
                    np.add.at(summed, piece.owners, table.vectors[piece.units] * table.weights[piece.units][:, None])
                    vectors.append(summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-9))
                cosines.append(vectors[0] @ vectors[1].T)
        return min(
            float(
                np.mean([(np.log(np.exp(scale * one).sum(axis=1)) - scale * one.diagonal()).mean() for one in cosines])
            )
            for scale in (1, 2, 4, 8, 16)
        )

    assert surprise(learnt) < surprise(started) - 0.05


def test_words_of_a_topic_stay_nearer_to_its_texts(tokenizer, learnt):
    def ids(texts):
        return tokenizer(texts, add_special_tokens=False)["input_ids"]

    words = [own[0] for own in TOPICS.values()]
    texts = ["".join(own[1:]) for own in TOPICS.values()]
    first, second = np.divmod(np.arange(16), 4)
    near = learnt.affinities(ids, texts, words, first, second).reshape(4, 4)
    assert near.argmax(axis=1).tolist() == [0, 1, 2, 3]
    assert learnt.weight == 0  # counts nothing before it is fitted


def test_what_tells_nothing_still_tells_nothing(started, learnt):
    assert np.array_equal(started.weights > 0, learnt.weights > 0)


def test_a_stopped_run_ends_as_if_it_had_not_been(store, counted, learnt, tmp_path):
    with pytest.raises(Crash):
        learn_associations(store, counted, LEARNING, work=tmp_path, progress=CrashAfter(17))
    assert [one.name for one in list_checkpoints(tmp_path)] == ["step-000000010"]
    again = learn_associations(store, counted, LEARNING, work=tmp_path)
    assert np.array_equal(again.vectors, learnt.vectors)
    assert np.array_equal(again.weights, learnt.weights)


def test_checkpoints_of_another_run_and_damaged_ones_are_refused(store, counted, tmp_path):
    with pytest.raises(Crash):
        learn_associations(store, counted, LEARNING, work=tmp_path, progress=CrashAfter(12))
    with pytest.raises(CheckpointError, match="other data, another table or other settings"):
        learn_associations(store, counted, replace(LEARNING, seed=5), work=tmp_path)
    kept = tmp_path / "step-000000010" / "associations.pt"
    kept.write_bytes(kept.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="cannot be gone on from"):
        learn_associations(store, counted, LEARNING, work=tmp_path)


def test_what_cannot_learn_is_refused(store, tokenizer, counted, learnt, tmp_path):
    with pytest.raises(InputError, match="learnt already"):
        learn_associations(store, learnt, LEARNING, work=tmp_path)
    with pytest.raises(InputError, match="tokenizer of 135 tokens, the table is of one with 134"):
        learn_associations(store, replace(counted, vocabulary=134), LEARNING, work=tmp_path)
    short = tmp_path / "short.txt"
    short.write_text(
        "\n\n".join(f"茶园{number}，春雨{number}，棋手和棋盘{number}。" for number in range(200)), encoding="utf-8"
    )
    small = build_store([Source("short", (short,))], tmp_path / "store", tokenizer=tokenizer, held_out=0.0)
    with pytest.raises(DataError, match="more than 50 pairs of the kind 'heading'"):
        learn_associations(small, counted, LEARNING, work=tmp_path)
    single = tmp_path / "single.txt"  # no word of two characters
    texts = ["，".join(letters) + "。" for letters in permutations("茶棋海雪人水", 5)][:100]
    single.write_text("\n\n".join(texts), encoding="utf-8")
    wordless = build_store([Source("single", (single,))], tmp_path / "wordless", tokenizer=tokenizer, held_out=0.0)
    with pytest.raises(DataError, match="too few or too short for such groups"):
        learn_associations(wordless, counted, replace(LEARNING, kinds={"keyword": 1.0}), work=tmp_path)
    for wrong, message in (
        ({"steps": 0}, "steps is 0: it is at least 1"),
        ({"group": 10_000}, "group is 10000: it is at most 8192"),
        ({"rate": 0.0}, "rate is 0.0"),
        ({"leave_out": 1.0}, "leave_out is 1.0"),
        ({"kinds": {"headings": 1.0}}, "weights of next, heading, keyword"),
        ({"kinds": {"next": 0.0}}, "one of them above 0"),
    ):
        with pytest.raises(InputError, match=message):
            Learning(**wrong)
