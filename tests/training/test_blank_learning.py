"""A head for blanks learns: what is taken out, what is read around it, what comes of it, and runs that are stopped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crashing import Crash, CrashAfter
from ironwok.errors import CheckpointError, DataError, InputError, RecipeError
from ironwok.training import blank_learning
from ironwok.training.association_learning import Learning, learn_associations
from ironwok.training.associations import Counting, count_associations
from ironwok.training.blank_learning import BlankLearning, learn_blanks
from ironwok.training.checkpoints import list_checkpoints
from ironwok.training.corpus import CONTINUES, TOKEN_BITS, build_store
from ironwok.training.files import Source
from ironwok.training.progress import Silent
from ironwok.zero_shot.blanks import REACH, Shape, around, near_by

LEARNING = BlankLearning(steps=90, groups=1, group=48, rate=2e-2, harder=2, keep_every=20)
SHAPE = Shape(project=6, hidden=24, close=8, own=6, word=8)


@pytest.fixture(scope="module")
def tokenize(tokenizer):
    return lambda texts: tokenizer(list(texts), add_special_tokens=False)["input_ids"]


@pytest.fixture(scope="module")
def table(store, tokenizer, tmp_path_factory):
    counted = count_associations(store, tokenizer, Counting(pairs=300, contexts=100, width=12, segment=16))
    learning = Learning(steps=20, groups=2, group=24, rate=6e-2, longest=24)
    return learn_associations(store, counted, learning, work=tmp_path_factory.mktemp("table"))


@pytest.fixture(scope="module")
def learnt(store, table, tokenizer, tokenize, tmp_path_factory):
    work = tmp_path_factory.mktemp("blanks")
    return learn_blanks(store, table, tokenizer, tokenize, LEARNING, shape=SHAPE, work=work)


def run_of(store, table, tokenizer, work, learning=LEARNING):
    words = blank_learning._Words.of(table, tokenizer)
    places = blank_learning._find(store, table, words, learning, Silent())
    return blank_learning._Run(store, table, words, places, learning, SHAPE, work)


def test_where_a_word_stands_tells_more_than_what_it_is_about(learnt):
    """Openings, verbs and endings stand in all documents; only their places tell them apart."""
    _, judged = learnt
    found = {one.kind: one for one in judged}
    assert {"pairs", "triples"} <= set(found)
    assert found["pairs"].count > 200
    assert found["pairs"].right > found["pairs"].before + 0.1


def test_what_was_learnt_fills_blanks_of_new_sentences(learnt):
    blanks, _ = learnt
    names = ["清早", "茶叶", "遇见"]
    for sides, right in (
        (("老人笑了起来。", "，茶园等着水温，山泉旁边谁也没有说话。"), "清早"),
        (("谁也没有说话。清早，", "等着山泉，水温旁边大家都很高兴。"), "茶叶"),
    ):
        found = blanks.judge([sides] * len(names), names)
        assert names[int(found.argmax())] == right
    assert blanks.weight > 0


def test_words_are_those_of_the_segmenter_and_held_out_ones_are_kept_apart(store, table, tokenizer):
    words = blank_learning._Words.of(table, tokenizer)
    found = blank_learning._find(store, table, words, LEARNING, Silent())
    bounds = store.units[store.documents].astype(int)
    raw = np.asarray(store.tokens)
    keys = {int(key): number for number, key in enumerate(table.pairs)}
    wanted: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    for document in range(len(store.documents) - 1):
        start, end = bounds[document], bounds[document + 1]
        if end - start < 20:
            continue
        for place in range(start, end - 1):
            inside = place + 2 >= len(raw) or raw[place + 2] < CONTINUES
            if raw[place] < CONTINUES and raw[place + 1] >= CONTINUES and inside:
                first, second = (int(raw[place + one] & TOKEN_BITS) for one in (0, 1))
                unit = keys.get(first * table.vocabulary + second)
                if unit is not None:
                    wanted[int(store.held_out[document])].append((place, table.vocabulary + unit))
    for places, own in zip(found["pairs"], wanted, strict=True):
        assert list(zip(places.tokens.tolist(), places.units.tolist(), strict=True)) == own
        assert len(own) > 100


def test_what_is_read_around_a_word_is_its_document_without_the_word(store, table, tokenizer, tmp_path):
    run = run_of(store, table, tokenizer, tmp_path)
    places = run.drawn["triples"][0]
    chosen = places[np.arange(0, len(places.tokens), max(len(places.tokens) // 20, 1))]
    found = run._around(chosen)
    befores, behinds = [], []
    for token, document in zip(chosen.tokens, chosen.documents, strict=True):
        start, end = run.bounds[document], run.bounds[document + 1]
        befores.append((store.tokens[max(start, token - REACH) : token] & TOKEN_BITS).astype(np.int64))
        behinds.append((store.tokens[token + 3 : min(end, token + 3 + REACH)] & TOKEN_BITS).astype(np.int64))
    near = near_by(befores, behinds)
    units, owners, *_ = near.units(table)
    wanted = around(table, near, len(befores), left_out=units == chosen.units[owners])
    for name in ("units", "begins", "fading", "close"):
        assert np.array_equal(getattr(found, name), getattr(wanted, name)), name
    again = run._around(chosen, generator=np.random.default_rng(0))
    assert 0.8 * len(found.units) < len(again.units) < len(found.units)


def test_words_that_others_are_held_against_are_near_and_never_the_same(table, tokenizer):
    words = blank_learning._Words.of(table, tokenizer)
    own, near = words.of_kind["pairs"], blank_learning._nearest(words, "pairs")
    assert near.shape == (len(own), 24)
    assert not (near == own[:, None]).any()
    cosines = words.vectors[own] @ words.vectors[own].T
    picked = np.take_along_axis(cosines, near - own[0], axis=1)
    allowed = np.where(cosines > 0.9, -2, cosines)
    np.fill_diagonal(allowed, -3)
    assert picked.clip(max=0.9).min(axis=1) == pytest.approx(np.sort(allowed, axis=1)[:, -24].clip(min=-1), abs=1e-5)


def test_a_stopped_run_ends_as_if_it_had_not_been(store, table, tokenizer, tokenize, learnt, tmp_path):
    with pytest.raises(Crash):
        learn_blanks(store, table, tokenizer, tokenize, LEARNING, shape=SHAPE, work=tmp_path, progress=CrashAfter(47))
    assert [one.name for one in list_checkpoints(tmp_path)] == ["step-000000040"]
    again, judged = learn_blanks(store, table, tokenizer, tokenize, LEARNING, shape=SHAPE, work=tmp_path)
    for name, tensor in learnt[0].head.state_dict().items():
        assert np.array_equal(again.head.state_dict()[name].numpy(), tensor.numpy()), name
    assert (again.weight, again.offset, judged) == (learnt[0].weight, learnt[0].offset, learnt[1])


def test_checkpoints_of_another_run_are_refused(store, table, tokenizer, tokenize, tmp_path):
    with pytest.raises(Crash):
        learn_blanks(store, table, tokenizer, tokenize, LEARNING, shape=SHAPE, work=tmp_path, progress=CrashAfter(21))
    with pytest.raises(CheckpointError, match="other data, another table or other settings"):
        learn_blanks(store, table, tokenizer, tokenize, replace(LEARNING, seed=5), shape=SHAPE, work=tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("steps", 0), ("group", 1), ("harder", -1), ("harder", 25), ("rate", 0.0), ("rate", float("nan"))),
        *(
            ("decay", -1.0),
            ("evenness", float("inf")),
            ("leave_out", 1.0),
            ("dropout", -0.1),
            ("seed", -1),
        ),
        *(("kinds", {"verbs": 1.0}), ("kinds", {"pairs": 0.0}), ("kinds", {"pairs": -1.0, "fours": 2.0})),
    ],
)
def test_settings_out_of_bounds_are_refused(name, value):
    with pytest.raises(InputError, match=f"{name} is "):
        BlankLearning(**{name: value})


def test_a_run_that_comes_apart_is_stopped(store, table, tokenizer, tokenize, tmp_path):
    with pytest.raises(RecipeError, match=r"gradient is not finite, .* a lower rate than 1e\+30"):
        learn_blanks(store, table, tokenizer, tokenize, replace(LEARNING, rate=1e30), shape=SHAPE, work=tmp_path)


def test_stores_that_do_not_fit_are_refused(store, table, tokenizer, tokenize, tmp_path):
    with pytest.raises(InputError, match="take the store that it was counted in"):
        learn_blanks(store, replace(table, vocabulary=7), tokenizer, tokenize, LEARNING, work=tmp_path / "a")
    few = tmp_path / "few.txt"
    few.write_text("只有一句话。\n", encoding="utf-8")
    little = build_store([Source("few", (few,))], tmp_path / "little", tokenizer=tokenizer, held_out=0.0)
    with pytest.raises(DataError, match="no source with more than 50 words of the table"):
        learn_blanks(little, table, tokenizer, tokenize, LEARNING, work=tmp_path / "b")


def test_the_weight_is_the_likeliest_and_the_offset_parts_right_from_wrong():
    generator = np.random.default_rng(0)
    products = generator.normal(size=(4000, 7)) * 0.2
    # one of seven is right with odds that grow by 12 times its product
    right = (12 * products + generator.gumbel(size=products.shape)).argmax(axis=1)
    swapped = products.copy()
    rows = np.arange(len(products))
    swapped[rows, 0], swapped[rows, right] = products[rows, right], products[rows, 0]
    weight, offset = blank_learning._fitted(swapped)
    assert weight == pytest.approx(12, abs=1)
    assert swapped[:, 1:].mean() < offset < swapped[:, 0].mean()
