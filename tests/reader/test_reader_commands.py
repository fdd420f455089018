"""Chinese questions at the command line and in reports: answered without a language model."""

from __future__ import annotations

import json
import re

import pytest

from ironwok.cli import language, main
from ironwok.reader import choice
from ironwok.reading import read
from ironwok.results import Answer

FERRY = "渡轮每天上午七点从北港开往林岛，周日停航。船票在船上购买，每张十二元。\n"
TOWER = "林岛的灯塔建于1887年，由工程师顾长明设计，共有二百零六级台阶。\n"
QUESTION = "灯塔是谁设计的？"


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setattr(language, "_current", "en")
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(autouse=True)
def no_language_model(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("nobody asked for a language model")

    monkeypatch.setattr(choice, "_load", refuse)


@pytest.fixture
def notes(tmp_path):
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "ferry.txt").write_text(FERRY, encoding="utf-8")
    (notes / "tower.txt").write_text(TOWER, encoding="utf-8")
    return notes


def test_ask_answers_chinese_and_says_who_answered(notes, capsys):
    assert main(["ask", QUESTION, str(notes)]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0] == "顾长明"
    assert "tower.txt:0-" in captured.out
    assert re.search(r"Marked in the files by the extractive reader, .*; score 0\.\d\d\.", captured.out)
    assert captured.err == ""


def test_ask_says_which_columns_it_does_not_read(tmp_path, capsys):
    table = tmp_path / "ferries.csv"
    table.write_text(
        "说明,船名,票价\n开往林岛的渡轮早上七点开。,海燕号,12\n开往南港的渡轮中午开。,白鹭号,9\n", encoding="utf-8"
    )
    assert main(["ask", "开往南港的渡轮什么时候开？", str(table)]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("中午")
    assert "ferries.csv: answers come from one column; not read: 船名, 票价 (--text-field" in captured.err
    assert main(["ask", "开往南港的渡轮什么时候开？", str(table), "--text-field", "说明"]) == 0
    assert capsys.readouterr().err == ""


def test_ask_says_so_in_chinese(notes, capsys, monkeypatch):
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert main(["ask", QUESTION, str(notes)]) == 0
    assert "由抽取式阅读器在文件中标出" in capsys.readouterr().out


def test_ask_gives_places_as_json(notes, capsys):
    assert main(["ask", QUESTION, str(notes), "-q", "船票在哪里购买？", "--json"]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["answer"], first["model"], first["settled"]) == ("顾长明", "extractive", True)
    assert 0 < first["score"] <= 1
    evidence = first["sources"][0]["evidence"]
    assert TOWER[evidence["start"] : evidence["end"]] == "顾长明"
    assert second["sources"][0]["document"].endswith("ferry.txt")


def test_ask_says_what_the_files_do_not_settle(notes, capsys):
    assert main(["ask", "火星上的陨石坑叫什么名字？", str(notes)]) == 0
    assert "The sources do not settle this" in capsys.readouterr().out


def test_english_goes_to_the_reader_by_name(tmp_path, capsys):
    (tmp_path / "a.txt").write_text("The ferry leaves at seven. It does not sail on Sundays.", encoding="utf-8")
    assert main(["ask", "When does the ferry leave?", str(tmp_path), "--model", "extractive"]) == 0
    assert "seven" in capsys.readouterr().out.splitlines()[0]


def test_answers_enter_the_report(notes, tmp_path):
    out = tmp_path / "out"
    report = read(notes, ask=[QUESTION, "一张船票多少钱？"], out=out)
    assert report.answer_model == "extractive"
    for answer in report.answers:
        source = answer.sources[0]
        text = report.documents[source.context].text
        assert source.evidence is not None
        assert text[source.evidence.start : source.evidence.end] == source.evidence.text == answer.text
    kept = [json.loads(line) for line in (out / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [Answer.from_dict(record) for record in kept] == list(report.answers)
    page = report.page.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, flags=re.DOTALL)
    assert found
    given = json.loads(found[1])["answers"]
    assert given["model"] == "extractive"
    assert given["given"][0]["sources"][0]["quote"][1] == "顾长明"
    # a second run has nothing to do
    assert read(notes, ask=[QUESTION, "一张船票多少钱？"], out=out).answers == report.answers


def test_read_prints_who_answered(notes, tmp_path, capsys):
    assert main(["read", str(notes), "--ask", QUESTION, "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "顾长明" in printed
    assert "extractive reader" in printed
