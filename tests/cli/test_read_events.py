"""`ironwok read --schema` with a tiny model that knows a few sentences by heart."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from extraction_samples import EVENTS
from ironwok.cli import main
from ironwok.results import Event


@pytest.fixture
def folder(tmp_path) -> Path:
    """A file for the first text, a record for each."""
    root = tmp_path / "in"
    root.mkdir()
    (root / "a.txt").write_text(f"\n\n{EVENTS[0].text}\n", encoding="utf-8")
    (root / "b.jsonl").write_text(records(1), encoding="utf-8")
    return root


def records(times: int) -> str:
    return "\n".join(json.dumps({"text": text.text}) for text in EVENTS * times)


def test_events_reach_every_output(folder, event_run, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["read", str(folder), "--schema", str(event_run), "--out", str(out)]) == 0
    said = capsys.readouterr()
    lines = [json.loads(line) for line in (out / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 1 + len(EVENTS)
    for line, text in zip(lines[1:], EVENTS, strict=True):
        assert {key_of(Event.from_dict(event)) for event in line["events"]} == {key_of(event) for event in text.events}
    # in the file the text begins behind two line feeds, and offsets are those of the file
    whole = (folder / "a.txt").read_text(encoding="utf-8")
    (found,) = lines[0]["events"]
    for member in (found["trigger"], *found["arguments"]):
        assert whole[member["start"] : member["end"]] == member["text"]
    table = (out / "events.csv").read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(table, newline="")))
    assert len(rows) == sum(len(line["events"]) for line in lines) == 7
    assert rows[0]["买方"] == "云岭矿业"
    assert f"{len(rows)} events" in said.out
    assert "收购" in said.out
    assert (out / "index.html").is_file()


def key_of(event: Event) -> tuple:
    members = frozenset((one.role, one.span, one.value) for one in event.arguments)
    return event.type, event.trigger, members


def test_asking_for_nothing_is_a_wrong_command_line(folder, tmp_path, capsys):
    assert main(["read", str(folder), "--out", str(tmp_path / "out")]) == 2
    assert "--schema finance" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("schema", "said"),
    [("nowhere.toml", "nowhere.toml"), ("no/such/model", "no/such/model"), ("mine.toml", "Extra inputs")],
)
def test_a_schema_that_will_not_do_is_one_line(folder, tmp_path, capsys, monkeypatch, schema, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    Path("mine.toml").write_text('[[event]]\ntyp = "收购"\n', encoding="utf-8")
    assert main(["read", str(folder), "--schema", schema, "--out", "out"]) == 1
    message = capsys.readouterr().err
    assert said in message
    assert "Traceback" not in message


def test_tolerance_reaches_the_decoding_and_the_settings(folder, event_run, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["read", str(folder), "--schema", str(event_run), "--out", str(out)]
    assert main([*command, "--tolerance", "0.3"]) == 0
    assert json.loads((out / "run.json").read_text(encoding="utf-8"))["settings"]["events_tolerance"] == 0.3
    assert main(command) == 1
    assert "events_tolerance: 0.3 there, 0.0 now" in " ".join(capsys.readouterr().err.split())
    assert main([*command, "--tolerance", "1.5"]) == 2


def test_a_schema_with_names_that_the_model_never_saw(folder, event_run, tmp_path, capsys):
    (tmp_path / "mine.toml").write_text('[[event]]\ntype = "登月"\nroles = ["飞船"]\n', encoding="utf-8")
    arguments = ["--schema", str(tmp_path / "mine.toml"), "--event-model", str(event_run)]
    assert main(["read", str(folder), *arguments, "--out", str(tmp_path / "out")]) == 1
    assert "登月" in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_files(event_run, tmp_path):
    """SIGKILL while it reads; the same command then ends with what an uninterrupted run writes."""
    source = tmp_path / "in.jsonl"
    source.write_text(records(20), encoding="utf-8")

    def command(out: Path) -> list[str]:
        arguments = ["read", str(source), "--schema", str(event_run), "--out", str(out)]
        return [sys.executable, "-m", "ironwok", *arguments]

    out, whole = tmp_path / "out", tmp_path / "whole"
    process = subprocess.Popen(command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    results = out / "results.jsonl"
    end = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < end:
        if results.exists() and results.stat().st_size:
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.005)
    assert process.wait() == -signal.SIGKILL
    assert not (out / "events.csv").exists()
    for folder in (out, whole):
        subprocess.run(command(folder), check=True, capture_output=True)
    for name in ("results.jsonl", "events.csv"):
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name
