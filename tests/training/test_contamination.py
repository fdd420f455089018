"""The contamination report on texts small enough to check by eye."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_corpus import tiny_recipe

from ironwok.errors import DataError, InputError
from ironwok.training import contamination_report
from ironwok.training.contamination import contamination, fold, window_hashes
from ironwok.training.contamination_report import write_report
from ironwok.training.files import Source
from ironwok.training.labelled import LabelledTask
from ironwok.training.pretrain import pretrain

LONG = "铁锅要先烧热再放油，这样炒出来的菜不容易粘在锅底上"  # 24 characters without the comma


def only(training, texts, **options):
    (overlap,) = contamination(training, {"set": texts}, **options)
    return overlap


def test_a_text_that_stands_in_a_training_text_is_exact():
    overlap = only(
        [("book", f"师傅说：{LONG}。大家都点头。"), ("news", "今天晴。")], [LONG, "完全不同的一句话而且也足够长了吧"]
    )
    assert (overlap.texts, overlap.exact, overlap.near, overlap.sources) == (2, 1, 0, (("book", 1),))


def test_spaces_punctuation_width_and_case_do_not_hide_a_copy():
    overlap = only([("web", "ＩＲＯＮ wok, is plain; and durable!")], ["Iron Wok is plain and durable"])
    assert overlap.exact == 1


def test_half_of_the_windows_make_it_near():
    # 24 characters have 12 windows of 13; the first 18 characters have 6 of them
    start = fold(LONG)[:18]
    assert len(fold(LONG)) == 24
    assert only([("a", start)], [LONG]).near == 1
    assert only([("a", start[:17])], [LONG]).near == 0
    assert only([("a", start[:17])], [LONG], near=5 / 12).near == 1


def test_windows_do_not_reach_over_two_training_texts():
    halves = [("a", LONG[:12]), ("a", LONG[12:])]
    overlap = only(halves, [LONG])
    assert (overlap.exact, overlap.near) == (0, 0)


def test_short_texts_are_compared_as_wholes():
    overlap = only([("a", "打开音乐！"), ("b", "请打开音乐吧")], ["打开音乐", "音乐"])
    assert (overlap.exact, overlap.near, overlap.sources) == (1, 0, (("a", 1),))


def test_windows_spread_over_two_sources_are_no_copy_in_either():
    text = fold(LONG)
    overlap = only([("a", text[:16]), ("b", text[8:])], [LONG], near=1.0)
    assert (overlap.exact, overlap.near) == (0, 0)


def test_nothing_to_compare():
    assert only([], [LONG]).exact == 0
    assert only([("a", "")], ["", "！？"]) == only([], ["", ""])
    assert contamination([("a", LONG)], {}) == []


@pytest.mark.parametrize("options", [{"width": 0}, {"near": 0.0}, {"near": 1.5}])
def test_impossible_options_are_refused(options):
    with pytest.raises(InputError, match="width"):
        contamination([], {}, **options)


@given(st.text(alphabet="铁锅油菜a", max_size=40), st.integers(1, 15))
def test_equal_windows_have_equal_hashes_and_only_they(text, width):
    hashes = window_hashes(text, width)
    width = min(width, len(text))
    windows = [text[i : i + width] for i in range(len(text) - width + 1)] if text else []
    assert len(hashes) == len(windows)
    assert len(np.unique(hashes)) == len(set(windows))


# -- as a part of a recipe --


def evaluated(folder, name="eval.jsonl", **record):
    path = folder / name
    path.write_text(json.dumps(record, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def report_of(folder, files, **options):
    book = folder / "book.txt"
    book.write_text(f"{LONG}。\n", encoding="utf-8")
    records = folder / "task.jsonl"
    records.write_text(json.dumps({"text": "打开音乐", "label": "1"}, ensure_ascii=False) + "\n", encoding="utf-8")
    task = LabelledTask("music", (records,), 1.0, "single", ("text",), labels=(("1", ("听歌",)), ("2", ("看书",))))
    return write_report(folder, sources=[Source("book", (book,))], tasks=[task], files=files, **options)


def test_a_report_tells_reading_from_learning(tmp_path):
    files = [
        evaluated(tmp_path, "read.jsonl", sentence=LONG, label="1"),
        evaluated(tmp_path, "learnt.jsonl", text="打开音乐！"),
    ]
    (tmp_path / "lines.txt").write_text(f"{LONG}\n\n今天晴\n", encoding="utf-8")
    report = report_of(tmp_path, [*files, tmp_path / "lines.txt"])
    nothing = {"exact": 0, "near": 0, "held_by": {}}
    read, learnt, lines = report["sets"]
    assert read == {
        "file": str(files[0]),
        "texts": 1,
        "running_text": {"exact": 1, "near": 0, "held_by": {"book": 1}},
        "labelled_data": nothing,
    }
    assert (learnt["running_text"], learnt["labelled_data"]["held_by"]) == (nothing, {"music": 1})
    assert (lines["texts"], lines["running_text"]["exact"]) == (2, 1)
    assert json.loads((tmp_path / "contamination.json").read_text()) == report


def test_a_report_is_made_once_for_the_same_files(tmp_path, monkeypatch):
    path = evaluated(tmp_path, text=LONG)
    first = report_of(tmp_path, [path])
    looked = []

    def watched(*arguments, **options):
        looked.append(1)
        return contamination(*arguments, **options)

    monkeypatch.setattr(contamination_report, "contamination", watched)
    assert report_of(tmp_path, [path]) == first
    assert not looked
    assert report_of(tmp_path, [path], near=0.7)["near"] == 0.7
    evaluated(tmp_path, text="另一句话")
    assert report_of(tmp_path, [path], near=0.7)["sets"][0]["running_text"]["exact"] == 0
    (tmp_path / "contamination.json").write_text("{", encoding="utf-8")  # torn
    assert report_of(tmp_path, [path], near=0.7)["near"] == 0.7
    assert len(looked) == 6


def test_evaluation_texts_need_a_field(tmp_path):
    path = evaluated(tmp_path, title=LONG)
    with pytest.raises(DataError, match=r"eval\.jsonl:1: none of the fields text, .* name those that do"):
        report_of(tmp_path, [path])
    assert report_of(tmp_path, [path], fields=["title"])["sets"][0]["running_text"]["exact"] == 1


def test_a_recipe_leaves_its_report_with_the_model(data, store, tmp_path):
    text = (data / "plain.txt").read_text(encoding="utf-8").splitlines()[1]
    (data / "judged.txt").write_text(text + "\n", encoding="utf-8")
    against = evaluated(tmp_path, text="这句话哪里都没有出现过，也不像任何一句")
    recipe = tiny_recipe(optimizer={"steps": 1}, contamination={"files": ["judged.txt"]})
    result = pretrain(recipe, data=data, out=tmp_path / "out", store=store.folder, against=[against])
    report = json.loads((result.folder / "contamination.json").read_text())
    assert [one["running_text"]["exact"] for one in report["sets"]] == [1, 0]
    assert (tmp_path / "out" / "contamination.json").read_text() == (result.folder / "contamination.json").read_text()
    with pytest.raises(DataError, match=r"contamination\.files: nothing in .* matches none"):
        pretrain(tiny_recipe(contamination={"files": ["none*"]}), data=data, out=tmp_path / "other", store=store.folder)
