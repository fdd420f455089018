"""The benchmarks run and count rightly, on a few rows of our own in the formats of FewCLUE."""

from __future__ import annotations

import json
import lzma
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from ironwok.errors import DataError

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"

ROWS = {
    "eprstmt": [{"sentence": "好用，很好", "label": "Positive"}, {"sentence": "太差了", "label": "Negative"}],
    "csldcp": [{"content": "数学里的证明", "label": "数学"}, {"content": "化学实验", "label": "化学"}],
    "tnews": [
        {"sentence": "体育比赛", "label": "103", "label_desc": "news_sports"},
        {"sentence": "财经消息", "label": "104", "label_desc": "news_finance"},
    ],
    "iflytek": [
        {"sentence": "音乐播放", "label": 1, "label_des": "音乐"},
        {"sentence": "地图导航", "label": 2, "label_des": "地图"},
    ],
    "ocnli": [
        {"sentence1": "天下雨了", "sentence2": "下雨了", "label": "entailment"},
        {"sentence1": "天下雨了", "sentence2": "天黑了", "label": "neutral"},
        {"sentence1": "天下雨了", "sentence2": "我没睡", "label": "contradiction"},
    ],
    "bustm": [
        {"sentence1": "今天几号", "sentence2": "几号今天", "label": "1"},
        {"sentence1": "今天几号", "sentence2": "放首歌", "label": "0"},
    ],
    "csl": [
        {"abst": "关于水稻的栽培", "keyword": ["水稻", "栽培"], "label": "1"},
        {"abst": "关于水稻的栽培", "keyword": ["飞机", "火箭"], "label": "0"},
    ],
    "chid": [
        {"content": "雪夜里，他#idiom#。雪里有炭，他送来了。", "candidates": ["天马行空", "雪中送炭"], "answer": 1},
        {"content": "天上的马，#idiom#。马在空中行走。", "candidates": ["天马行空", "雪中送炭"], "answer": 0},
    ],
    "cluewsc": [
        {
            "text": "小狗跑了，它很快。",
            "label": label,
            "target": {"span1_index": start, "span1_text": noun, "span2_index": 5, "span2_text": "它"},
        }
        for label, start, noun in (("true", 0, "小狗"), ("false", 7, "快"))
    ],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fewclue")
    for name, rows in ROWS.items():
        (folder / name).mkdir()
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        if name in ("chid", "csl"):
            (folder / name / "dev.jsonl").write_text(text, encoding="utf-8")
        else:
            with lzma.open(folder / name / "dev.jsonl.xz", "wt", encoding="utf-8") as file:
                file.write(text)
    return folder


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import _fewclue

    return _fewclue


def answers(benchmarks, data, name, scorer, **options):
    return benchmarks.evaluate(benchmarks.load_task(data, name, "dev"), scorer, benchmarks.Options(**options))


@pytest.mark.parametrize("name", ["eprstmt", "csldcp", "tnews", "iflytek", "ocnli", "bustm", "csl"])
def test_a_scorer_of_overlap_answers_what_overlap_tells(benchmarks, data, overlap, name):
    outcome = answers(benchmarks, data, name, overlap)
    assert outcome.accuracy == 100
    assert outcome.count == len(ROWS[name])
    assert outcome.protocol == benchmarks.SETTINGS[name]["protocol"]


def test_the_blank_and_the_pronoun_are_asked_as_the_paper_asks(benchmarks, data, overlap):
    assert answers(benchmarks, data, "chid", overlap).accuracy == 100
    assert [pair.prompt.text for pair in overlap.asked[:2]] == ["雪夜里，他天马行空。", "雪夜里，他雪中送炭。"]
    overlap.asked.clear()
    assert answers(benchmarks, data, "cluewsc", overlap).count == 2
    assert [pair.prompt.text for pair in overlap.asked] == ["小狗跑了，小狗很快。", "小狗跑了，快很快。"]
    assert {pair.position for pair in overlap.asked} == {"suffix"}


@pytest.mark.parametrize("name", ["ocnli", "bustm", "csl", "cluewsc"])
def test_candidates_contrast_is_there_for_every_task(benchmarks, data, overlap, name):
    outcome = answers(benchmarks, data, name, overlap, protocol="cc")
    assert outcome.protocol == "cc"
    assert len(overlap.asked) == len(ROWS[name]) * outcome.classes * (2 if name == "bustm" else 1)


class Doubting:
    """A head that finds every pair different, and the first one least."""

    answers: ClassVar = {"paraphrase": ("different", "same")}

    def judge(self, pairs, relation, *, symmetric=False):
        assert (relation, symmetric) == ("paraphrase", True)
        return np.array([(1 - score, score) for score in np.linspace(0.4, 0.1, len(pairs))])


def test_a_head_answers_row_by_row_or_across_the_split_as_the_paper_does(benchmarks, data, overlap):
    overlap.relations = Doubting()
    alone = answers(benchmarks, data, "bustm", overlap, protocol="head")
    assert (alone.protocol, alone.answers) == ("head", ("0",) * len(ROWS["bustm"]))
    across = answers(benchmarks, data, "bustm", overlap)
    assert (across.protocol, across.answers) == ("head-sc", ("1", "0"))
    assert overlap.asked == []
    assert answers(benchmarks, data, "bustm", overlap, protocol="sc").protocol == "sc"
    assert overlap.asked
    assert answers(benchmarks, data, "csl", overlap, protocol="head").protocol == "sc"  # no head for these


def test_a_masked_lm_answers_all_tasks_by_candidates(benchmarks, data, pet_scorer):
    for name in benchmarks.TASKS:
        assert answers(benchmarks, data, name, pet_scorer).protocol == "cc"


def test_classes_come_from_all_files_but_rows_from_the_split(benchmarks, data, tmp_path):
    folder = tmp_path / "iflytek"
    folder.mkdir()
    for split, labels in (("train", "甲乙丙"), ("dev", "乙甲")):
        rows = [json.dumps({"sentence": "文", "label_des": label}, ensure_ascii=False) for label in labels]
        (folder / f"{split}.jsonl").write_text("\n".join(rows), encoding="utf-8")
    (folder / "unlabeled.jsonl").write_text('{"sentence": "文"}', encoding="utf-8")
    task = benchmarks.load_task(tmp_path, "iflytek", "dev")
    assert sorted(task.classes) == sorted("甲乙丙")
    assert task.truth == ("乙", "甲")
    with pytest.raises(DataError, match="1 of 1 rows have no 'label_des'"):
        benchmarks.load_task(tmp_path, "iflytek", "unlabeled")


def test_a_limit_takes_rows_evenly(benchmarks, tmp_path):
    folder = tmp_path / "csldcp"
    folder.mkdir()
    rows = [json.dumps({"content": str(i), "label": str(i % 2)}) for i in range(10)]
    (folder / "dev.jsonl").write_text("\n".join(rows), encoding="utf-8")
    task = benchmarks.load_task(tmp_path, "csldcp", "dev", limit=4)
    assert [row["content"] for row in task.rows] == ["0", "2", "5", "7"]
    assert len(benchmarks.load_task(tmp_path, "csldcp", "dev", limit=99).rows) == 10


def test_missing_and_broken_files_are_named(benchmarks, data, tmp_path):
    with pytest.raises(DataError, match=r"has no test\.jsonl.*it has dev\.jsonl"):
        benchmarks.load_task(data, "chid", "test")
    (tmp_path / "chid").mkdir()
    (tmp_path / "chid" / "dev.jsonl").write_text("{}\n{\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"dev\.jsonl:2 is no JSON"):
        benchmarks.load_task(tmp_path, "chid", "dev")


def test_published_averages_are_those_of_their_rows(benchmarks):
    for model, (average, *figures) in benchmarks.PUBLISHED.items():
        assert len(figures) == len(benchmarks.TASKS)
        assert sum(figures) / 9 == pytest.approx(average, abs=0.07), model


def test_the_program_ends_with_a_line_of_json(benchmarks, data, nsp_folder, monkeypatch, capsys):
    import fewclue

    command = ["fewclue.py", "--data", str(data), "--split", "dev", "--model", str(nsp_folder), "--dtype", "float32"]
    monkeypatch.setattr(sys, "argv", command)
    assert fewclue.main() == 0
    *table, last = capsys.readouterr().out.splitlines()
    figures = json.loads(last)
    assert set(benchmarks.TASKS) < set(figures)
    assert figures["avg"] == pytest.approx(sum(figures[name] for name in benchmarks.TASKS) / 9, abs=0.01)
    assert figures["token_overlap"]["tnews"] == 100
    shown = "\n".join(table)
    for row in (
        "this run, dev",
        "chance",
        "token overlap, no model",
        "majority",
        "NSP-BERT 102M, test_public",
        "human, test_public",
    ):
        assert row in shown


def test_random_weights_replace_the_models(benchmarks, data, nsp_folder, monkeypatch, capsys):
    import fewclue
    from ironwok.zero_shot import ScorerOptions, load_scorer

    scorer = load_scorer("nsp", str(nsp_folder), ScorerOptions(device="cpu", on_self_check="skip"))
    before = {name: value.clone() for name, value in scorer.model.state_dict().items()}
    fewclue.randomize(scorer, 7)
    first = {name: value.clone() for name, value in scorer.model.state_dict().items()}
    fewclue.randomize(scorer, 7)
    weight = "bert.encoder.layer.0.attention.self.query.weight"
    assert not (before[weight] == first[weight]).all()
    assert (scorer.model.state_dict()[weight] == first[weight]).all()


def test_a_shortlist_is_measured_beside_the_full_reading(benchmarks, data, nsp_folder, monkeypatch, capsys):
    import fewclue

    command = ["fewclue.py", "--data", str(data), "--split", "dev", "--model", str(nsp_folder), "--shortlist", "2"]
    monkeypatch.setattr(sys, "argv", [*command, "--task", "tnews", "--dtype", "float32"])
    assert fewclue.main() == 0
    assert "shortlist" not in json.loads(capsys.readouterr().out.splitlines()[-1])
    extra = [{"sentence": "军事", "label": "110", "label_desc": f"news_{name}"} for name in ("military", "car")]
    (data / "tnews" / "more.jsonl").write_text("\n".join(map(json.dumps, extra)), encoding="utf-8")
    assert fewclue.main() == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["shortlist"]["tnews"]["size"] == 2


def test_the_speed_benchmark_compares_equal_work(nsp_folder, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import zero_shot_speed

    assert len(set(zero_shot_speed.FIELDS)) == len(zero_shot_speed.FIELDS) == 100
    command = ["zero_shot_speed.py", "--model", str(nsp_folder), "--labels", "3", "5", "--texts", "2"]
    monkeypatch.setattr(sys, "argv", [*command, "--repetitions", "1", "--shortlist", "3"])
    zero_shot_speed.main()
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert len(figures["3"]) == 3
    assert len(figures["5"]) == 4
    assert all(way["texts_per_second"] > 0 for way in figures["5"].values())
