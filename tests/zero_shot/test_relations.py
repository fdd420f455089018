"""The head for relations of two sentences: what it computes, and what its file holds."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from ironwok.errors import CheckpointError, InputError
from ironwok.text.associations import Associations
from ironwok.zero_shot import relations as relations_module
from ironwok.zero_shot.relations import FILE, OVERLAPS, RelationHead, Relations, overlaps, padded, units_of

LETTERS = "abcdefgh"
ANSWERS = {"inference": ("entailment", "neutral", "contradiction"), "paraphrase": ("different", "same")}


def letters(texts):
    return [[LETTERS.index(letter) for letter in text] for text in texts]


@pytest.fixture(scope="module")
def table() -> Associations:
    """Letters and the pair "gh"; h alone tells nothing."""
    generator = np.random.default_rng(0)
    vectors = generator.integers(-100, 100, size=(len(LETTERS) + 1, 6)).astype(np.int8)
    weights = np.full(len(LETTERS) + 1, 0.01, dtype=np.float32)
    weights[7] = 0
    return Associations(vectors, weights, np.array([6 * 8 + 7]), np.zeros(6, np.float32), len(LETTERS))


@pytest.fixture(scope="module")
def relations(table) -> Relations:
    torch.manual_seed(0)
    return Relations(RelationHead(ANSWERS, inputs=6, width=10).eval(), table, letters)


PAIRS = [("abc", "bcd"), ("a", "abcdefgabcdefg"), ("ghab", "ba"), ("h", "abc"), ("h", "h")]


def test_probabilities_do_not_depend_on_the_company_of_a_pair(relations):
    for relation, names in ANSWERS.items():
        together = relations.judge(PAIRS, relation)
        assert together.shape == (len(PAIRS), len(names))
        assert together.sum(axis=1) == pytest.approx(1)
        assert np.isfinite(together).all()  # a sentence of which no word tells anything, too
        alone = np.concatenate([relations.judge([pair], relation) for pair in PAIRS])
        assert alone == pytest.approx(together, abs=1e-5)
    assert relations.judge([], "inference").shape == (0, 3)


def test_symmetric_is_the_mean_of_both_orders(relations):
    turned = [(second, first) for first, second in PAIRS]
    one, other = relations.judge(PAIRS, "paraphrase"), relations.judge(turned, "paraphrase")
    assert not np.allclose(one, other)
    assert relations.judge(PAIRS, "paraphrase", symmetric=True) == pytest.approx((one + other) / 2)


def test_what_words_find_is_what_their_neighbours_in_the_other_sentence_are(relations, table):
    """The forward pass against the same in loops over words."""
    first, second = (units_of(table, letters, [text])[0] for text in ("abgh", "cd"))
    head = relations.head
    vectors = [table.vectors[units] * table.weights[units, None] for units in (first, second)]
    unit = [torch.tensor(one / np.linalg.norm(one, axis=1, keepdims=True)) for one in vectors]
    with torch.no_grad():
        words = [head.project(one) for one in unit]
        looks = [head.attend(one) for one in words]
        kernel, bias = head.around[1].weight, head.around[1].bias
        seen = []
        for own in words:
            apart = torch.cat([torch.zeros(1, own.shape[1]), own, torch.zeros(1, own.shape[1])])
            beside = [sum(kernel[:, :, near] @ apart[place + near] for near in range(3)) for place in range(len(own))]
            seen.append([word + (one + bias).relu() for word, one in zip(own, beside, strict=True)])
        words = [torch.stack(one) for one in seen]
        parts = []
        for own, other in ((0, 1), (1, 0)):
            compared = []
            for place, word in enumerate(words[own]):
                near = torch.stack(
                    [
                        head.sharpness[0] * (unit[own][place] @ unit[other][there])
                        + head.sharpness[1] * (looks[own][place] @ looks[other][there])
                        for there in range(len(words[other]))
                    ]
                )
                found = (near.softmax(0)[:, None] * words[other]).sum(0)
                compared.append(head.compare(torch.cat([word, found, word * found, (word - found).abs()])))
            lengths = torch.tensor(np.linalg.norm(vectors[own], axis=1))
            parts.append((torch.stack(compared) * (lengths / lengths.sum())[:, None]).sum(0))
            parts.append(torch.stack(compared).amax(0))
        texts = [torch.tensor(one.sum(0) / np.linalg.norm(one.sum(0))) for one in vectors]
        cosine = (texts[0] @ texts[1]).reshape(1)
        overlap = torch.tensor(overlaps([("abgh", "cd")])[0])
        wanted = head.decide(torch.cat([*parts, overlap, cosine, cosine**2]))
        got = head(padded(table, [first]), padded(table, [second]), overlap[None])
    assert torch.cat([got["inference"], got["paraphrase"]], dim=1)[0].numpy() == pytest.approx(wanted.numpy(), abs=1e-5)


def test_units_come_in_the_order_of_the_text_and_without_those_that_tell_nothing(table):
    assert units_of(table, letters, ["aghb", "h", ""])[0].tolist() == [0, 6, 8, 1]
    assert [len(units) for units in units_of(table, letters, ["h", "", "a" * 200])] == [0, 0, 96]


def test_overlaps_count_characters_lengths_and_negations():
    first, *_ = overlaps([("不是Ab", "ab是不没不")])
    shared, of_first, of_second, twos, *lengths, not_first, not_second = first[:8].tolist()
    assert (shared, of_first, of_second) == pytest.approx((4 / 5, 1, 4 / 5))
    assert twos == pytest.approx(1 / 7)  # "ab" of 不是 是a ab b是 是不 不没 没不
    assert lengths == pytest.approx([np.log(5) / 4, np.log(7) / 4])
    assert (not_first, not_second) == (1, 2)
    assert overlaps([("", "")]).shape == (1, OVERLAPS)
    assert np.isfinite(overlaps([("", ""), ("", "a")])).all()


def test_overlaps_know_the_order_of_characters():
    pairs = [("从北京飞上海", "从上海飞北京"), ("我要3张票", "我要4张票"), ("ab", "xaybz"), ("abc", "abc"), ("ab", "")]
    found = overlaps(pairs)[:, 8:].tolist()
    # 从北京, say
    assert found[0] == pytest.approx([3 / 6, 3 / 6, 1 / 6, 0, 0])
    assert found[1] == pytest.approx([4 / 5, 4 / 5, 2 / 5, 2 / 5, 1])
    assert found[2] == pytest.approx([2 / 5, 1, 0, 0, 1])
    assert found[3] == pytest.approx([1, 1, 1, 1, 0])
    assert found[4][:4] == [0, 0, 0, 0]


def test_the_longest_common_subsequence_is_that_of_the_textbook():
    generator = random.Random(0)
    for _ in range(50):
        first, second = ("".join(generator.choices("abc", k=generator.randrange(12))) for _ in range(2))
        row = [0] * (len(second) + 1)
        for one in first:
            above = row
            row = [0]
            for place, other in enumerate(second, start=1):
                row.append(above[place - 1] + 1 if one == other else max(above[place], row[-1]))
        assert relations_module._common_subsequence(first, second) == row[-1], (first, second)


def test_very_long_texts_are_compared_by_their_beginnings():
    long = "一二三四五六七八九十" * 100_000
    assert overlaps([(long, long)])[0, 8:].tolist() == [1, 1, 1, 1, 0]


def test_a_head_is_kept_with_the_table_it_was_trained_with(relations, table, tmp_path):
    assert Relations.load(tmp_path, table, letters) is None
    relations.save(tmp_path)
    again = Relations.load(tmp_path, table, letters)
    assert again is not None
    assert again.answers == ANSWERS
    assert again.judge(PAIRS, "inference") == pytest.approx(relations.judge(PAIRS, "inference"), abs=2e-3)  # 16 bits
    other = replace(table, weights=table.weights * 2)
    with pytest.raises(CheckpointError, match="trained with another table"):
        Relations.load(tmp_path, other, letters)
    (tmp_path / FILE).write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="cannot be read as a head for relations"):
        Relations.load(tmp_path, table, letters)


def test_an_unknown_relation_is_refused(relations):
    with pytest.raises(InputError, match="no relation 'irony' here; there are inference, paraphrase"):
        relations.judge(PAIRS, "irony")
