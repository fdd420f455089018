"""A head for relations learns: from which pairs, what comes of it, and runs that are stopped."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from crashing import Crash, CrashAfter
from ironwok.errors import CheckpointError, DataError, InputError, RecipeError
from ironwok.text.associations import Associations
from ironwok.training import relation_learning
from ironwok.training.checkpoints import list_checkpoints
from ironwok.training.relation_learning import RelationLearning, RelationSet, learn_relations, read_sets

LETTERS = "abcdefghijklmnop"
RELATIONS = {"inference": ("entailment", "neutral", "contradiction"), "paraphrase": ("different", "same")}
LEARNING = RelationLearning(epochs=6, batch=16, rate=1e-2, width=12, dropout=0.1, held_out=5, keep_every=20)


def letters(texts):
    return [[LETTERS.index(letter) for letter in text] for text in texts]


@pytest.fixture(scope="module")
def table() -> Associations:
    """The n-th letter means the same as the one eight behind it, though the sentences share no character."""
    meanings = np.random.default_rng(1).integers(-100, 100, size=(8, 10))
    vectors = np.concatenate([meanings, meanings]).astype(np.int8)
    return Associations(
        vectors, np.full(16, 0.01, np.float32), np.zeros(0, np.int64), np.zeros(10, np.float32), len(LETTERS)
    )


def write(path, rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> list[RelationSet]:
    folder, generator = tmp_path_factory.mktemp("pairs"), np.random.default_rng(2)
    rows = []
    for number in range(400):
        first = generator.choice(8, size=4, replace=False)
        second = first if number % 2 else np.setdiff1d(np.arange(8), first)
        text = ["".join(LETTERS[letter + more] for letter in one) for one, more in ((first, 0), (second, 8))]
        rows.append({"a": text[0], "b": text[1], "label": number % 2})
    write(folder / "same.jsonl", [*rows, {"a": "ab", "b": "cd", "label": "unsure"}])
    inferred = [{"s1": row["a"], "s2": row["b"], "gold": "yes" if row["label"] else "no"} for row in rows[:100]]
    write(folder / "inferred.jsonl", inferred)
    return [
        RelationSet("same", (folder / "same.jsonl",), "paraphrase", {"0": "different", "1": "same"}),
        RelationSet(
            *("inferred", (folder / "inferred.jsonl",), "inference", {"yes": "entailment", "no": "contradiction"}),
            fields=("s1", "s2"),
            label="gold",
        ),
    ]


@pytest.fixture(scope="module")
def learnt(sets, table, tmp_path_factory):
    return learn_relations(RELATIONS, sets, table, letters, LEARNING, work=tmp_path_factory.mktemp("work"))


def test_it_learns_what_the_table_says_and_judges_what_it_has_not_seen(learnt):
    relations, judged = learnt
    assert {one.name: (one.relation, one.count) for one in judged} == {
        "same": ("paraphrase", 80),
        "inferred": ("inference", 20),
    }
    assert all(one.right >= 0.9 > one.majority for one in judged)
    found = relations.judge([("abcd", "ijkl"), ("abcd", "mnop")], "paraphrase")
    assert found.argmax(axis=1).tolist() == [1, 0]
    assert relations.judge([("abcd", "ijkl"), ("abcd", "mnop")], "inference").argmax(axis=1).tolist() == [0, 2]


def test_a_set_that_is_held_out_is_judged_and_not_learnt(sets, table, tmp_path):
    held = [sets[0], replace(sets[1], held_out=True)]
    relations, judged = learn_relations(RELATIONS, held, table, letters, LEARNING, work=tmp_path / "held")
    assert [one.count for one in judged] == [80, 100]
    no_step = replace(LEARNING, epochs=1e-9)  # one, at a rate of 0
    started, _ = learn_relations(RELATIONS, held, table, letters, no_step, work=tmp_path / "started")
    last = [one.head.decide[-1].weight.detach() for one in (relations, started)]
    shares = last[0] / last[1]
    # what answers about inference alone has been moved by nothing but decay
    assert float(shares[:3].min()) == pytest.approx(float(shares[:3].max()), rel=1e-3)
    assert float(shares[3:].min()) != pytest.approx(float(shares[3:].max()), rel=1e-1)


def test_a_stopped_run_ends_as_if_it_had_not_been(sets, table, learnt, tmp_path):
    with pytest.raises(Crash):
        learn_relations(RELATIONS, sets, table, letters, LEARNING, work=tmp_path, progress=CrashAfter(47))
    assert [one.name for one in list_checkpoints(tmp_path)] == ["step-000000040"]
    again, judged = learn_relations(RELATIONS, sets, table, letters, LEARNING, work=tmp_path)
    for name, tensor in learnt[0].head.state_dict().items():
        assert np.array_equal(again.head.state_dict()[name].numpy(), tensor.numpy()), name
    assert judged == learnt[1]


def test_checkpoints_of_another_run_are_refused(sets, table, tmp_path):
    with pytest.raises(Crash):
        learn_relations(RELATIONS, sets, table, letters, LEARNING, work=tmp_path, progress=CrashAfter(21))
    with pytest.raises(CheckpointError, match="other data, another table or other settings"):
        learn_relations(RELATIONS, sets[:1], table, letters, LEARNING, work=tmp_path)


RECIPE = """
[relations]
paraphrase = ["different", "same"]
[[sets]]
name = "one"
files = ["one.jsonl"]
relation = "paraphrase"
answers = { 0 = "different", 1 = "same" }
"""


def test_sets_are_read_from_a_file(tmp_path):
    file = tmp_path / "sets.toml"
    file.write_text(RECIPE, encoding="utf-8")
    relations, sets = read_sets(file, tmp_path)
    assert relations == {"paraphrase": ("different", "same")}
    wanted = RelationSet("one", (tmp_path / "one.jsonl",), "paraphrase", {"0": "different", "1": "same"})
    assert sets == [wanted]
    assert read_sets(file, tmp_path, without=["one"])[1] == [replace(wanted, held_out=True)]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('1 = "same"', '1 = "alike"', "answers alike, different: there are paraphrase: different, same"),
        ('relation = "paraphrase"', 'relation = "irony"', "relation 'irony'"),
        ('name = "one"\n', "", "lacks or has a wrong 'name'"),
        ("[relations]", "[relations", "cannot be read"),
        ('["one.jsonl"]', '"one.jsonl"', "files is 'one.jsonl': a list is needed"),
        ("answers = {", 'fields = ["a"]\nanswers = {', r"fields is \['a'\]: two are needed"),
    ],
)
def test_broken_files_of_sets_are_refused(tmp_path, old, new, said):
    file = tmp_path / "sets.toml"
    assert old in RECIPE
    file.write_text(RECIPE.replace(old, new), encoding="utf-8")
    with pytest.raises(DataError, match=said):
        read_sets(file, tmp_path)


def test_sets_that_are_not_there_or_hold_nothing_are_refused(sets, table, tmp_path):
    file = tmp_path / "sets.toml"
    file.write_text(RECIPE, encoding="utf-8")
    with pytest.raises(DataError, match="has no set two; there are one"):
        read_sets(file, tmp_path, without=["two"])
    with pytest.raises(DataError, match="no pair labelled yes"):
        learn_relations(
            RELATIONS, [replace(sets[0], answers={"yes": "same"})], table, letters, LEARNING, work=tmp_path / "w"
        )
    with pytest.raises(DataError, match="no pair to train on"):
        learn_relations(RELATIONS, [replace(sets[0], held_out=True)], table, letters, LEARNING, work=tmp_path / "w")
    with pytest.raises(DataError, match=r"same.jsonl:1: set same: missing or wrong field \('c'\)"):
        learn_relations(RELATIONS, [replace(sets[0], fields=("a", "c"))], table, letters, LEARNING, work=tmp_path / "w")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("batch", 0), ("epochs", 0.0), ("epochs", float("inf")), ("rate", float("nan"))),
        *(("dropout", 1.0), ("held_out", 1), ("decay", -1.0), ("seed", -1)),
    ],
)
def test_settings_out_of_bounds_are_refused(name, value):
    with pytest.raises(InputError, match=f"{name} is {value}"):
        RelationLearning(**{name: value})


def test_a_run_that_comes_apart_is_stopped(sets, table, tmp_path):
    with pytest.raises(RecipeError, match=r"gradient is not finite, .* a lower rate than 1e\+30"):
        learn_relations(RELATIONS, sets, table, letters, replace(LEARNING, rate=1e30), work=tmp_path)


def test_the_answers_of_a_set_count_alike():
    weights = relation_learning._balanced(np.array([0, 2, 2, 2]))
    assert weights.tolist() == pytest.approx([2, 2 / 3, 2 / 3, 2 / 3])
