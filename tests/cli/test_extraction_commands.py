"""`ironwok train` and `ironwok extract`, from the command line to the file."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from extraction_samples import EVENTS, SCHEMA, quick_settings, write_jsonl
from ironwok.cli import main
from ironwok.errors import InputError
from ironwok.events.schema import EventType, Role, Schema
from ironwok.events.schema_files import save_schema

TEXTS = [text.text for text in EVENTS]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    return path


def records(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_extract_writes_a_line_a_text(event_run: Path, texts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["extract", str(texts), "--schema", str(event_run)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["text"] for line in lines] == TEXTS
    assert [len(line["events"]) for line in lines] == [len(text.events) for text in EVENTS]
    event = lines[0]["events"][0]
    assert event["trigger"]["text"] == TEXTS[0][event["trigger"]["start"] : event["trigger"]["end"]] == "买下"
    assert {a["role"] for a in event["arguments"]} == {"买方", "标的", "时间", "阶段"}


def test_extract_reads_standard_input(
    event_run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXTS[1].encode())))
    assert main(["extract", "-", "--schema", str(event_run)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert len(json.loads(line)["events"]) == 3


def test_an_interrupted_extraction_is_gone_on_with(event_run: Path, texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "events.jsonl"
    command = ["extract", str(texts), "--schema", str(event_run), "--out", str(out)]
    assert main(command) == 0
    whole = records(out)
    out.write_bytes(b"".join(out.read_bytes().splitlines(keepends=True)[:2]) + b'{"line": 3, "te')
    assert main(command) == 1, "an existing file is not overwritten unasked"
    assert main([*command, "--resume"]) == 0
    assert [(r["line"], r["text"]) for r in records(out)] == [(r["line"], r["text"]) for r in whole]
    assert [len(r["events"]) for r in records(out)] == [len(r["events"]) for r in whole]
    assert main([*command, "--resume", "--threshold", "2"]) == 1, "other settings, other results"


def test_what_was_extracted_can_be_trained_on(event_run: Path, texts: Path, tmp_path: Path) -> None:
    from ironwok.events.formats import read_annotations

    out = tmp_path / "events.jsonl"
    assert main(["extract", str(texts), "--schema", str(event_run), "--out", str(out)]) == 0
    problems = []
    again = list(read_annotations(out, schema=SCHEMA, on_problem=problems.append))
    assert [len(text.events) for text in again] == [len(text.events) for text in EVENTS]
    assert [problem for problem in problems if problem.outcome == "lost"] == []


def test_a_schema_file_asks_for_a_part(event_run: Path, texts: Path, tmp_path: Path, capsys) -> None:
    file = tmp_path / "part.toml"
    save_schema(Schema(events=(EventType("起诉", (Role("原告"), Role("被告"))),)), file)
    assert main(["extract", str(texts), "--schema", str(file), "--model", str(event_run)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {event["type"] for line in lines for event in line["events"]} == {"起诉"}
    save_schema(Schema(events=(EventType("合并"),)), file)
    assert main(["extract", str(texts), "--schema", str(file), "--model", str(event_run)]) == 1
    assert "合并" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--schema", "nowhere/at/all"], "no folder"),
        (["--resume"], "name it with --out"),
        (["--tolerance", "2"], "tolerance"),
    ],
)
def test_extract_says_what_is_wrong(
    arguments: list[str], message: str, texts: Path, event_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = arguments if "--schema" in arguments else [*arguments, "--schema", str(event_run)]
    assert main(["extract", str(texts), *given]) in (1, 2)
    assert message in capsys.readouterr().err


def test_train_from_the_command_line(tiny_encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_jsonl(tmp_path / "events.jsonl", EVENTS)
    schema, out = tmp_path / "schema.toml", tmp_path / "run"
    save_schema(SCHEMA, schema)
    chosen = [
        f"--set={name}={value}" for name, value in quick_settings(min_steps=4).to_dict().items() if value is not None
    ]
    command = ["train", "events", "--schema", schema, "--train", file, "--dev", file, "--out", out]
    assert main([*map(str, command), "--model", str(tiny_encoder), *chosen]) == 0
    said = capsys.readouterr()
    assert said.out.strip() == str(out / "model")
    assert "event F1" in said.err
    assert (out / "curves.png").exists()
    # it is done: going on changes nothing, starting anew is refused
    assert main([*map(str, command), "--model", str(tiny_encoder), *chosen, "--resume"]) == 0
    assert main([*map(str, command), "--model", str(tiny_encoder), *chosen]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "verbs", "--train", "x", "--out", "y"], "'verbs' is none of"),
        (["train", "events", "--train", "absent.jsonl", "--out", "OUT"], "absent.jsonl"),
        (["train", "events", "--train", "FILE", "--out", "OUT", "--schema", "absent.toml"], "absent.toml"),
        (["train", "relations", "--train", "FILE", "--out", "OUT"], "has no relations"),
        (["train", "events", "--train", "FILE", "--out", "OUT", "--model", "./absent/model"], "no folder"),
        (["train", "events", "--train", "FILE", "--out", "OUT", "--set", "speed=9"], "no setting 'speed'"),
    ],
)
def test_train_says_what_is_wrong(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_jsonl(tmp_path / "events.jsonl", EVENTS)
    given = [str(tmp_path / "run") if a == "OUT" else str(file) if a == "FILE" else a for a in arguments]
    assert main(given) in (1, 2)
    assert message in capsys.readouterr().err


def test_every_mention_reaches_the_decoding(event_run: Path, texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load(model: str, **choices: Any) -> None:
        asked.append(choices["options"].distinct)
        raise InputError("asked enough")

    monkeypatch.setattr("ironwok.events.extractor.load_extractor", load)
    assert main(["extract", "--schema", str(event_run), str(texts)]) == 1
    assert main(["extract", "--schema", str(event_run), str(texts), "--every-mention"]) == 1
    assert asked == [True, False]
