"""`ironwok fill` with the head that ships: texts with a blank in, a line of JSON for each out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ironwok.cli import main

ROOM = {"text": "他把房间收拾得____，连书都按大小排好。", "candidates": ["反败为胜", "井井有条", "春暖花开"]}
DOCTOR = {"句子": "  医生建议他每天______半小时。", "选项": "锻炼|下雨|发行"}
LETTERS = {"text": "外面正在__，出门记得带伞。", "A": "发行", "B": "下雨", "选项C": "贬值"}
NONE = {"text": "请大家____参加明天的会议。"}


def write(file: Path, *rows: dict) -> Path:
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return file


def records(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_each_blank_gets_the_likeliest_word(tmp_path, capsys):
    file = write(
        tmp_path / "blanks.jsonl", ROOM, {"text": "没有空格", "candidates": ["甲", "乙"]}, DOCTOR, LETTERS, NONE
    )
    assert main(["fill", str(file)]) == 0
    said = capsys.readouterr()
    found = records(said.out)
    assert [(one["line"], one["word"]) for one in found] == [(1, "井井有条"), (3, "锻炼"), (4, "下雨")]
    assert [one["text"] for one in found] == [ROOM["text"], DOCTOR["句子"], LETTERS["text"]]
    for one in found:
        start, end = one["blank"]
        assert set(one["text"][start:end]) == {"_"}
        assert "_" not in one["text"][:start] + one["text"][end:]
        assert sum(one["scores"].values()) == pytest.approx(1, abs=1e-5)
        assert next(iter(one["scores"])) == one["word"]
    assert "line 2: text '没有空格' has 0 blanks of two underscores or more" in said.err
    assert "line 5: it has no candidates" in said.err


def test_an_id_is_kept_and_all_that_is_left_out_is_counted(tmp_path, capsys):
    rows = [ROOM | {"id": "q1"}, *[NONE] * 12, LETTERS | {"candidates": "", "id": 7}]
    assert main(["fill", str(write(tmp_path / "blanks.jsonl", *rows))]) == 0
    said = capsys.readouterr()
    assert [(one["line"], one["id"], one["word"]) for one in records(said.out)] == [
        (1, "q1", "井井有条"),
        (14, 7, "下雨"),
    ]
    assert said.err.count("left out: ") == 10
    assert "12 records left out; the first 10 are named above" in said.err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("井井有条", "has 1 candidates: give two or more"),
        ("井井有条,反败为胜,井井有条", "has the candidate '井井有条' twice"),
        ("@words.json=5", "is 5: a list of words is needed"),
        ('@words.json="井井有条"', "is '井井有条': a list of words is needed"),
        ("@words.json=[1, 2]", "a list of words is needed"),
        ('@words.json=["甲", " 甲 "]', "has the candidate '甲' twice"),
    ],
)
def test_candidates_for_all_that_cannot_be_are_refused_at_once(tmp_path, capsys, monkeypatch, given, said):
    monkeypatch.chdir(tmp_path)
    name, _, content = given.partition("=")
    if content:
        (tmp_path / "words.json").write_text(content, encoding="utf-8")
    write(tmp_path / "blanks.jsonl", NONE)
    assert main(["fill", "blanks.jsonl", "--candidates", name]) == 1
    found = capsys.readouterr().err.splitlines()
    assert len(found) == 1
    assert said in found[0]


def test_any_number_of_candidates_will_do(tmp_path, capsys):
    many = [f"第{number}名" for number in range(40)]
    file = write(tmp_path / "blanks.jsonl", NONE | {"candidates": ["准时", *many]})
    assert main(["fill", str(file)]) == 0
    (found,) = records(capsys.readouterr().out)
    assert found["word"] == "准时"
    assert len(found["scores"]) == 41


def test_earlier_results_stay_until_there_are_others(tmp_path, capsys):
    file, out = write(tmp_path / "blanks.jsonl", ROOM), tmp_path / "filled.jsonl"
    assert main(["fill", str(tmp_path / "nothing.jsonl"), "--out", str(out)]) == 1
    assert not out.exists()
    assert main(["fill", str(file), "--out", str(out)]) == 0
    before = out.read_bytes()
    for wrong in ([str(tmp_path / "nothing.jsonl")], [str(file), "--blank", "@@"]):
        assert main(["fill", *wrong, "--out", str(out), "--overwrite"]) == 1
        assert out.read_bytes() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == [".filled.jsonl.settings", "blanks.jsonl", "filled.jsonl"]
    assert main(["fill", str(file), "--out", str(out), "--resume"]) == 0
    capsys.readouterr()


def test_candidates_may_be_the_same_for_all(tmp_path, capsys):
    file = write(tmp_path / "blanks.jsonl", ROOM, NONE)
    assert main(["fill", str(file), "--candidates", "准时，蓝色"]) == 0
    found = records(capsys.readouterr().out)
    assert [(one["word"], set(one["scores"])) for one in found] == [
        ("井井有条", set(ROOM["candidates"])),
        ("准时", {"准时", "蓝色"}),
    ]
    listed = tmp_path / "words.txt"
    listed.write_text("准时\n蓝色\n", encoding="utf-8")
    assert main(["fill", str(file), "--candidates", f"@{listed}"]) == 0
    assert records(capsys.readouterr().out) == found


def test_blanks_are_written_as_told(tmp_path, capsys):
    file = tmp_path / "blanks.csv"
    file.write_text("content,choices\n天气#idiom#，花都开了,春暖花开|画蛇添足\n", encoding="utf-8")
    assert main(["fill", str(file), "--blank", "#idiom#"]) == 0
    (found,) = records(capsys.readouterr().out)
    assert (found["word"], found["blank"]) == ("春暖花开", [2, 9])
    assert main(["fill", str(file)]) == 1
    assert "no text in it has a blank with candidates" in capsys.readouterr().err


def test_candidates_adapt_to_texts_with_blanks(tmp_path, capsys):
    heap = write(tmp_path / "heap.jsonl", *[ROOM | {"text": f"{place}{ROOM['text']}"} for place in ("家里", "店里")])
    file = write(tmp_path / "blanks.jsonl", ROOM)
    out = tmp_path / "filled.jsonl"
    assert main(["fill", str(file)]) == 0
    (plain,) = records(capsys.readouterr().out)
    assert main(["fill", str(file), "--adapt", str(heap), "--out", str(out)]) == 0
    (adapted,) = records(out.read_text(encoding="utf-8"))
    assert adapted["word"] == "井井有条"
    assert adapted["scores"] != plain["scores"]
    capsys.readouterr()
    assert main(["fill", str(file), "--out", str(out), "--resume"]) == 1
    assert "adapted" in capsys.readouterr().err
    assert main(["fill", str(file), "--adapt", str(heap), "--out", str(heap), "--overwrite"]) == 1
    assert "which --adapt reads" in capsys.readouterr().err
    empty = write(tmp_path / "empty.jsonl", NONE)
    assert main(["fill", str(file), "--adapt", str(empty)]) == 1
    said = capsys.readouterr().err
    assert "where no text has a blank with candidates" in said
    assert "empty.jsonl, line 1: it has no candidates" in said
    write(file, ROOM, NONE)
    assert main(["fill", str(file), "--adapt", str(file)]) == 0
    said = capsys.readouterr().err
    assert said.count("it has no candidates") == 1
    assert "has 1 texts with blanks; adapting wants some hundreds" in said


def test_a_file_of_results_is_gone_on_with(tmp_path, capsys):
    file, out = write(tmp_path / "blanks.jsonl", ROOM, DOCTOR, LETTERS), tmp_path / "filled.jsonl"
    assert main(["fill", str(file), "--out", str(out)]) == 0
    assert "3 blanks filled into" in capsys.readouterr().err
    whole = out.read_bytes()
    out.write_bytes(whole[: whole.index(b"\n") + 20])  # a line and a part of one
    assert main(["fill", str(file), "--out", str(out)]) == 1
    assert "pass --resume to go on with it" in capsys.readouterr().err
    assert main(["fill", str(file), "--out", str(out), "--resume"]) == 0
    said = capsys.readouterr().err
    assert "2 blanks filled into" in said
    assert "1 were there already" in said
    assert out.read_bytes() == whole
    assert main(["fill", str(file), "--out", str(out), "--resume", "--blank", "__"]) == 1
    assert "blank: '____' there, '__' now" in capsys.readouterr().err
    write(file, ROOM | {"candidates": ["反败为胜", "井井有条"]}, DOCTOR, LETTERS)
    assert main(["fill", str(file), "--out", str(out), "--resume"]) == 1
    assert "resume with the same input" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--blank", " "], "--blank is empty"),
        (["--field", "c=x"], "no part 'c'"),
        (["--resume"], "--resume goes on with a file"),
        (["--model", "finance"], "finance brings no head for blanks"),
        (["--model", "no/such/model"], "no/such/model"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, arguments, said):
    file = write(tmp_path / "blanks.jsonl", ROOM)
    assert main(["fill", str(file), *arguments]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert errors[-1].startswith("error: ")
    assert said in errors[-1]


def test_a_model_without_the_head(tmp_path, capsys):
    from ironwok.models import resolve_model
    from ironwok.zero_shot.blanks import FILE

    folder = tmp_path / "headless"
    folder.mkdir()
    for one in Path(resolve_model("ironwok-small")).iterdir():
        if one.name != FILE and one.is_file():
            (folder / one.name).symlink_to(one)
    assert main(["fill", str(write(tmp_path / "blanks.jsonl", ROOM)), "--model", str(folder)]) == 1
    assert "brings no head for blanks" in capsys.readouterr().err
