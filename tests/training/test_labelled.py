"""Labelled data as pairs: right prompts for right pairs, wrong ones for wrong pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ironwok.errors import DataError
from ironwok.training.corpus import TOKEN_BITS, Packer
from ironwok.training.labelled import LabelledPool, LabelledTask, read_task


@pytest.fixture
def packer(tokenizer) -> Packer:
    return Packer(tokenizer)


def task_of(folder: Path, records: list[Any], **values: Any) -> LabelledTask:
    path = folder / "task.jsonl"
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return LabelledTask(**{"name": "task", "files": (path,), "weight": 1.0, **values})


def drawn(pool: LabelledPool, tokenizer, *, follows: bool, total: int = 200, draws: int = 200) -> set[tuple[str, str]]:
    """Distinct (prompt, text) as text."""
    generator = np.random.default_rng(0)
    pairs = [pool.draw(generator, follows=follows, total=total) for _ in range(draws)]
    return {
        tuple(tokenizer.decode((part & TOKEN_BITS).tolist()).replace(" ", "") for part in pair)
        for pair in pairs
        if pair is not None
    }


SINGLE = {
    "form": "single",
    "fields": ("text",),
    "labels": (("1", ("茶园", "茶叶")), ("2", ("雪山",)), ("3", ("棋手",))),
}


def test_single_texts_meet_the_phrases_of_their_label(tmp_path, packer, tokenizer):
    records = [
        {"text": "采茶人等着春雨", "label": 1},
        {"text": "教练离不开炉火", "label": 2},
        {"text": "后来", "label": 9},
    ]
    pool = LabelledPool([task_of(tmp_path, records, **SINGLE)], packer)
    tea, snow = "采茶人等着春雨", "教练离不开炉火"
    assert drawn(pool, tokenizer, follows=True) == {("茶园", tea), ("茶叶", tea), ("雪山", snow)}
    assert drawn(pool, tokenizer, follows=False) == {
        ("雪山", tea),
        ("棋手", tea),
        ("茶园", snow),
        ("茶叶", snow),
        ("棋手", snow),
    }


def test_templates_stand_around_the_phrase(tmp_path, packer, tokenizer):
    records = [{"text": "采茶人等着春雨", "label": 1}]
    task = task_of(tmp_path, records, **SINGLE, templates=("大家记得{}", "{}旁边", "{}"))
    prompts = {prompt for prompt, _ in drawn(LabelledPool([task], packer), tokenizer, follows=True)}
    assert prompts == {"大家记得茶园", "大家记得茶叶", "茶园旁边", "茶叶旁边", "茶园", "茶叶"}


def test_labels_of_the_same_name_are_no_negatives_of_each_other(tmp_path, packer, tokenizer):
    labels = (("good", ("高兴",)), ("great", ("高兴",)), ("bad", ("寒风",)))
    task = task_of(
        tmp_path, [{"text": "老人笑了起来", "label": "good"}], form="single", fields=("text",), labels=labels
    )
    assert drawn(LabelledPool([task], packer), tokenizer, follows=False) == {("寒风", "老人笑了起来")}


def test_fields_and_labels_may_lie_deep(tmp_path, packer, tokenizer):
    records = [{"body": {"text": "采茶人等着春雨"}, "meta": {"label": True}}]
    labels = (("True", ("茶园",)), ("False", ("雪山",)))
    task = task_of(tmp_path, records, form="single", fields=("body.text",), label="meta.label", labels=labels)
    assert drawn(LabelledPool([task], packer), tokenizer, follows=True) == {("茶园", "采茶人等着春雨")}


def test_pairs_are_themselves_either_way_round(tmp_path, packer, tokenizer):
    records = [
        {"a": "大雪", "b": "雪山", "label": "same"},
        {"a": "大雪", "b": "棋盘", "label": "other"},
        {"a": "大雪", "b": "海浪", "label": "unclear"},
    ]
    task = task_of(tmp_path, records, form="pair", fields=("a", "b"), positive=("same",), negative=("other",))
    pool = LabelledPool([task], packer)
    assert drawn(pool, tokenizer, follows=True) == {("雪山", "大雪"), ("大雪", "雪山")}
    assert drawn(pool, tokenizer, follows=False) == {("棋盘", "大雪"), ("大雪", "棋盘")}


CHOICE = {"form": "choice", "fields": ("passage", "question", "choices", "answer")}


def test_choices_follow_the_question(tmp_path, packer, tokenizer):
    records = [
        {"passage": "老人等着渔船", "question": "老人等着", "choices": ["渔船", "雪山", "渔船"], "answer": "渔船"},
        {"passage": "没有答案", "question": "谁", "choices": ["雪山", "海浪"], "answer": "棋手"},
        {"passage": "一个答案", "question": "谁", "choices": ["雪山"], "answer": "雪山"},
    ]
    pool = LabelledPool([task_of(tmp_path, records, **CHOICE)], packer)
    assert drawn(pool, tokenizer, follows=True) == {("老人等着渔船", "老人等着渔船")}
    assert drawn(pool, tokenizer, follows=False) == {("老人等着雪山", "老人等着渔船")}


def test_a_prompt_comes_whole_or_not_at_all(tmp_path, packer, tokenizer):
    records = [
        {"passage": "老人" * 40, "question": "大家" * 10, "choices": ["渔船", "雪山"], "answer": "渔船"},
        {"passage": "老人" * 40, "question": "谁", "choices": ["渔船", "雪山"], "answer": "渔船"},
    ]
    pool = LabelledPool([task_of(tmp_path, records, **CHOICE)], packer)
    short = drawn(pool, tokenizer, follows=True, total=21)
    assert {len(prompt) for prompt, _ in short} == {3}
    assert {len(prompt) for prompt, _ in drawn(pool, tokenizer, follows=True, total=44)} == {3, 22}


def test_tasks_are_drawn_by_their_weights(tmp_path, packer, tokenizer):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one = task_of(tmp_path / "one", [{"text": "大雪", "label": 2}], **SINGLE, weight=3.0)
    two = task_of(tmp_path / "two", [{"text": "茶叶", "label": 1}], **SINGLE, weight=1.0)
    pool, generator = LabelledPool([one, two], packer), np.random.default_rng(0)
    snow = packer.pack("大雪").tobytes()
    draws = [pool.draw(generator, follows=True, total=60) for _ in range(2000)]
    assert np.mean([pair is not None and pair[1].tobytes() == snow for pair in draws]) == pytest.approx(0.75, abs=0.04)


@pytest.mark.parametrize(
    ("record", "values"),
    [
        ({"text": "没有标签"}, SINGLE),
        ({"label": 1}, SINGLE),
        ({"text": "甲", "label": {"x": 1}}, {**SINGLE, "label": "label.y"}),
        ({"text": "甲", "label": 1}, {**SINGLE, "label": "label.y"}),
        ({"a": "甲", "label": "same"}, {"form": "pair", "fields": ("a", "b"), "positive": ("same",)}),
        ({"passage": "甲", "question": "乙", "choices": "丙", "answer": "丙"}, CHOICE),
        ({"passage": "甲", "question": "乙", "answer": "丙"}, CHOICE),
    ],
)
def test_a_broken_record_is_named(tmp_path, record, values):
    task = task_of(tmp_path, [record], **values)
    with pytest.raises(DataError, match=r"task\.jsonl:1: task task: missing or wrong field"):
        list(read_task(task))


def test_a_line_that_is_no_record_is_named(tmp_path):
    task = task_of(tmp_path, [{"text": "甲", "label": 1}, ["乙"]], **SINGLE)
    with pytest.raises(DataError, match=r"task\.jsonl:2: not a JSON object"):
        list(read_task(task))


@pytest.mark.parametrize(
    ("records", "values", "said"),
    [
        ([{"text": "甲", "label": 7}], SINGLE, "3 labels and 0 examples"),
        ([{"text": "大雪", "label": 1}], {**SINGLE, "labels": (("1", ("茶园",)),)}, "1 labels and 1 examples"),
        (
            [{"a": "大雪", "b": "雪山", "label": "same"}],
            {"form": "pair", "fields": ("a", "b"), "positive": ("same",), "negative": ("other",)},
            "none labelled",
        ),
        (
            [{"passage": "甲", "question": "乙", "choices": ["丙"], "answer": "丙"}],
            CHOICE,
            "no question has its answer",
        ),
    ],
)
def test_a_task_that_teaches_nothing_is_refused(tmp_path, packer, records, values, said):
    with pytest.raises(DataError, match=said):
        LabelledPool([task_of(tmp_path, records, **values)], packer)
