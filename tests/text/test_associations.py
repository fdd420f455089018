"""The table of words that keep company: what it reads, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from ironwok.errors import CheckpointError
from ironwok.text.associations import FILE, RUNS, Associations, find_units

VOCABULARY = 6  # "abcdef"


def table(**changed) -> Associations:
    values = {
        # a and b lie one way, c and d the other, e and f tell nothing; the pair "ef" is near c and d
        "vectors": np.array([[100, 0], [90, 10], [0, 100], [10, 90], [0, 0], [50, 50], [1, 127]], dtype=np.int8),
        "weights": np.array([0.01, 0.01, 0.01, 0.01, 0, 0, 0.02], dtype=np.float32),
        "pairs": np.array([4 * VOCABULARY + 5]),
        "mean": np.zeros(2, dtype=np.float32),
        "vocabulary": VOCABULARY,
        "head": 0.5,
        "weight": 3.0,
        "offset": 0.25,
    }
    return Associations(**{**values, **changed})


def letters(texts):
    return [["abcdef".index(letter) for letter in text] for text in texts]


def affinity(of: Associations, first: str, second: str) -> float:
    return float(of.affinities(letters, [first], [second], np.array([0]), np.array([0]))[0])


def test_units_are_the_tokens_and_the_pairs_that_are_known():
    assert table().units(np.array([0, 4, 5, 1])).tolist() == [0, 4, 5, 1, VOCABULARY]
    assert table().units(np.array([5, 4])).tolist() == [5, 4]
    assert table().units(np.array([], dtype=np.int64)).tolist() == []
    assert table(pairs=np.zeros(0, dtype=np.int64)).units(np.array([4, 5])).tolist() == [4, 5]


def with_longer_words() -> Associations:
    """The pair "ef", the triples "abc" and "def", the four "abcd"."""
    vectors = np.concatenate([table().vectors, np.array([[127, 0], [0, 127], [127, 127]], dtype=np.int8)])
    weights = np.concatenate([table().weights, np.full(3, 0.02, dtype=np.float32)])
    triples = np.array([0 * 36 + 1 * 6 + 2, 3 * 36 + 4 * 6 + 5])
    return table(vectors=vectors, weights=weights, triples=triples, fours=np.array([0 * 216 + 1 * 36 + 2 * 6 + 3]))


def test_longer_words_are_units_too():
    of = with_longer_words()
    pair, first, second, four = range(VOCABULARY, VOCABULARY + 4)
    assert sorted(of.units(np.array([0, 1, 2, 3, 4, 5])).tolist()) == [0, 1, 2, 3, 4, 5, pair, first, second, four]
    assert of.units(np.array([1, 2, 3])).tolist() == [1, 2, 3]
    assert affinity(of, "abc", "a") > affinity(table(), "abc", "a")


def test_no_word_goes_from_one_text_into_the_next():
    of = with_longer_words()
    ids = np.array([0, 1, 2, 3, 4, 5])
    for texts in ([0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 1, 1], [0, 1, 2, 3, 3, 3], [0, 0, 1, 1, 2, 2], [0, 1, 2, 3, 4, 5]):
        units, places = find_units(ids, of.runs, VOCABULARY, np.array(texts))
        plain = [
            (unit, start + place)
            for text in sorted(set(texts))
            for start in [texts.index(text)]
            for unit, place in zip(*find_units(ids[np.array(texts) == text], of.runs, VOCABULARY), strict=True)
        ]
        assert sorted(zip(units.tolist(), places.tolist(), strict=True)) == sorted(plain)


def test_a_text_is_the_weighted_sum_of_its_units():
    found = table().vectors_of(letters(["aac"]))
    sum_of = 0.01 * (2 * np.array([100.0, 0]) + np.array([0, 100.0]))
    assert found[0] == pytest.approx(sum_of / np.linalg.norm(sum_of))
    mean = np.array([0.6, 0.0], dtype=np.float32)
    less = sum_of / np.linalg.norm(sum_of) - mean
    assert table(mean=mean).vectors_of(letters(["aac"]))[0] == pytest.approx(less / np.linalg.norm(less))


def test_words_that_keep_company_are_near():
    assert affinity(table(), "a", "b") > 0.9
    assert affinity(table(), "a", "c") == pytest.approx(0, abs=1e-6)
    assert affinity(table(), "ef", "c") > 0.9
    assert affinity(table(), "ab", "ef") < 0.3


def test_what_tells_nothing_is_no_number():
    found = table().affinities(letters, ["a", "e", ""], ["b", "fe"], np.array([0, 1, 2, 0]), np.array([0, 0, 0, 1]))
    assert np.isnan(found).tolist() == [False, True, True, True]


def test_many_texts_at_once_give_what_each_gives_alone():
    generator = np.random.default_rng(0)
    texts = ["".join(generator.choice(list("abcdef"), size=5)) for _ in range(600)]
    together = table().affinities(letters, texts, texts, np.arange(600), np.arange(600)[::-1].copy())
    for number in (0, 255, 256, 599):
        alone = affinity(table(), texts[number], texts[599 - number])
        assert together[number] == pytest.approx(alone, nan_ok=True, abs=1e-6)


@pytest.mark.parametrize("saved", [table(), with_longer_words()], ids=["counted", "learnt"])
def test_a_table_comes_back_as_it_was_saved(tmp_path, saved):
    assert Associations.load(tmp_path, vocabulary=VOCABULARY) is None
    saved.save(tmp_path)
    loaded = Associations.load(tmp_path, vocabulary=VOCABULARY)
    assert loaded is not None
    for name in ("vectors", "weights", "mean", *RUNS):
        assert np.array_equal(getattr(loaded, name), getattr(saved, name))
    assert (loaded.vocabulary, loaded.head, loaded.weight, loaded.offset) == (VOCABULARY, 0.5, 3.0, 0.25)


def test_a_file_of_before_there_were_longer_words_is_read(tmp_path):
    table().save(tmp_path)
    old = {name: array for name, array in load_file(tmp_path / FILE).items() if name not in RUNS[1:]}
    with safe_open(tmp_path / FILE, framework="numpy") as file:
        about = file.metadata()
    save_file(old, tmp_path / FILE, about)
    loaded = Associations.load(tmp_path, vocabulary=VOCABULARY)
    assert loaded is not None
    assert [len(one) for one in loaded.runs] == [1, 0, 0]


def test_a_damaged_table_and_one_of_another_tokenizer_are_refused(tmp_path):
    table().save(tmp_path)
    with pytest.raises(CheckpointError, match="vocabulary of 6, the tokenizer beside it has 7"):
        Associations.load(tmp_path, vocabulary=7)
    table(weights=np.zeros(3, dtype=np.float32)).save(tmp_path)
    with pytest.raises(CheckpointError, match="weights for 3"):
        Associations.load(tmp_path, vocabulary=VOCABULARY)
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[:-5])
    with pytest.raises(CheckpointError, match="cannot be read"):
        Associations.load(tmp_path, vocabulary=VOCABULARY)
    save_file({"vectors": np.zeros((2, 2))}, tmp_path / FILE)
    with pytest.raises(CheckpointError, match="cannot be read"):
        Associations.load(tmp_path, vocabulary=VOCABULARY)


def test_around_a_blank_the_nearest_words_count_most():
    of = table()
    # a and c lie across: what stands next to the blank decides, on either side of it
    for around, near in (
        (("c" + "f" * 20 + "a", ""), 0),
        (("a" + "f" * 20 + "c", ""), 1),
        (("", "a" + "f" * 20 + "c"), 0),
    ):
        vector = of.vector_around(*letters(around))
        assert np.argmax(vector) == near, around
        assert np.linalg.norm(vector) == pytest.approx(1)
    weights = np.exp(-np.array([1.0, 2.0]) / 10)  # "a" right before the blank, "c" a token before that
    assert of.vector_around(*letters(("ca", ""))) == pytest.approx(weights / np.linalg.norm(weights), abs=1e-5)
    assert not of.vector_around(*letters(("ff", ""))).any()


def test_affinities_take_what_stands_around_a_blank_for_a_text():
    around = ("c" + "f" * 20 + "a", "f")
    found = table().affinities(letters, [around, "ca", ("", "")], ["b"], np.array([0, 1, 2]), np.array([0, 0, 0]))
    b = np.array([0.9, 0.1]) / np.hypot(0.9, 0.1)
    assert found[0] == pytest.approx(table().vector_around(*letters(around)) @ b, abs=1e-5)
    assert found[1] == pytest.approx(affinity(table(), "ca", "b"), abs=1e-5)
    assert found[0] > found[1]
    assert np.isnan(found[2])


def test_how_much_a_word_tells_is_how_long_its_vectors_are_together():
    # a: 1; ab: (1.9, 0.1); ac: (1, 1); ef: the pair alone, 0.02 * (1, 127); f: nothing
    found = table().telling(letters(["a", "ab", "ac", "ef", "f", ""]))
    assert found == pytest.approx([1, np.hypot(1.9, 0.1), np.sqrt(2), 0.02 * np.hypot(1, 127), 0, 0], abs=1e-5)
