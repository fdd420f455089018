"""`ironwok convert-annotations`: converts, counts what it could not take over, and never leaves half a file."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ironwok.cli import main
from ironwok.events import load_schema, read_annotations

SAMPLES = Path(__file__).resolve().parents[2] / "examples" / "events" / "annotated.jsonl"
BROKEN = [
    {"text": "甲公司收购乙公司。", "event_list": [
        {"event_type": "收购", "trigger": "收购", "trigger_start_index": 9, "arguments": [
            {"role": "sub-org", "argument": "甲公司", "argument_start_index": 0},
            {"role": "obj-org", "argument": "丙公司", "argument_start_index": 5},
            {"role": "颜色", "argument": "乙公司", "argument_start_index": 5},
        ]},
    ]},
    {"text": "没有事件。", "event_list": []},
]  # fmt: skip


@pytest.fixture
def broken(tmp_path) -> Path:
    path = tmp_path / "broken.jsonl"
    path.write_text("\n".join([*map(json.dumps, BROKEN), "{"]), encoding="utf-8")
    return path


def run(*arguments: object) -> int:
    return main(["convert-annotations", *map(str, arguments)])


@pytest.mark.parametrize("format", ["duee", "doccano", "label-studio", "ironwok"])
def test_the_samples_go_there_and_back(tmp_path, capsys, format):
    there, back = tmp_path / "there.json", tmp_path / "back.jsonl"
    assert run(SAMPLES, there, "--to", format, "--schema", "finance", "--strict") == 0
    assert run(there, back, "--from", format, "--strict") == 0
    assert [one.events for one in read_annotations(back)] == [one.events for one in read_annotations(SAMPLES)]
    said = capsys.readouterr()
    assert said.err == ""
    assert re.search(rf"11 texts, 15 events, 0 entities, 0 relations → {re.escape(str(back))}", said.out)


def test_what_cannot_be_taken_over_is_named_and_counted(broken, tmp_path, capsys):
    out, problems = tmp_path / "out.jsonl", tmp_path / "problems.jsonl"
    assert run(broken, out, "--schema", "finance", "--problems", problems) == 0
    said = capsys.readouterr()
    assert f"{broken}, line 1: not in the text: 收购 / obj-org: '丙公司'" in said.err.replace("\n", " ")
    table = dict(re.findall(r"^(\w[\w ]*?)  +(\d+)", said.out, flags=re.MULTILINE))
    assert table == {
        "bad record": "1", "not in the text": "1", "unknown role": "1", "offset repaired": "1", "no annotations": "1",
    }  # fmt: skip
    records = [json.loads(line) for line in problems.read_text(encoding="utf-8").splitlines()]
    assert [(one["line"], one["kind"], one["outcome"]) for one in records] == [
        (1, "offset repaired", "repaired"),
        (1, "not in the text", "lost"),
        (1, "unknown role", "lost"),
        (2, "no annotations", "noted"),
        (3, "bad record", "lost"),
    ]
    first, _ = read_annotations(out)
    (event,) = first.events
    assert (event.trigger.start, [one.role for one in event.arguments]) == (3, ["sub-org"])


def test_strict_ends_with_another_code_and_still_writes(broken, tmp_path):
    assert run(broken, tmp_path / "out.jsonl", "--strict") == 3
    assert len(list(read_annotations(tmp_path / "out.jsonl"))) == 2


def test_without_an_output_it_only_checks(broken, tmp_path, capsys):
    assert run(broken) == 0
    assert "2 texts, 1 events" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["broken.jsonl"]


def test_the_schema_of_the_annotations(tmp_path):
    assert run(SAMPLES, "--write-schema", tmp_path / "s.toml") == 0
    schema = load_schema(tmp_path / "s.toml")
    assert len(schema.events) == 10
    known = load_schema("finance")
    assert not [change for change in known.difference(schema) if change.startswith("+")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "brat"], "there is no format 'brat'"),
        (["--from", "brat"], "there is no format 'brat'"),
        (["--schema", "nowhere.toml"], "nowhere.toml cannot be read"),
        (["--from", "label-studio"], "holds no text that can be used"),
    ],
)
def test_bad_input_is_one_line(broken, tmp_path, capsys, arguments, said):
    (tmp_path / "out.jsonl").write_text("old", encoding="utf-8")
    assert run(broken, tmp_path / "out.jsonl", *arguments) == 1
    message = capsys.readouterr().err
    assert said in message
    assert "Traceback" not in message
    assert (tmp_path / "out.jsonl").read_text(encoding="utf-8") == "old"


def test_input_and_output_are_not_the_same_file(broken, capsys):
    before = broken.read_bytes()
    assert run(broken, broken) == 1
    assert "different files" in capsys.readouterr().err
    assert broken.read_bytes() == before


def test_it_speaks_chinese(broken, capsys):
    assert main(["--lang", "zh", "convert-annotations", str(broken)]) == 0
    assert "条文本" in capsys.readouterr().out
