"""`ironwok pretrain`: what it prints, and what it says when something is wrong."""

from __future__ import annotations

import io
import json
import os
import signal
import time
from pathlib import Path

import processes
import pytest
from rich.console import Console
from tiny_corpus import TOKENIZER, write_corpus

from ironwok.cli import EXIT_INTERRUPTED, main
from ironwok.cli.training_watch import TrainingWatch
from ironwok.training.checkpoints import list_checkpoints

RECIPE = f"""
name = "tiny"
precision = "fp32"
held_out = 0.2
checkpoint_every = 3

[model]
hidden_size = 32
num_hidden_layers = 2
num_attention_heads = 2

[tokenizer]
source = '{TOKENIZER}'

[[sources]]
name = "plain"
files = ["plain.txt"]
weight = 1.0

[pairs]
lengths = [[32, 1.0]]

[embeddings]
tokens = 0

[optimizer]
steps = 4
tokens_per_batch = 512

[evaluation]
every = 2
pairs = 16
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("command")
    write_corpus(folder / "data")
    (folder / "tiny.toml").write_text(RECIPE, encoding="utf-8")
    return folder


def command(place: Path, out: Path, *more: str) -> list[str]:
    store = ["--store", str(place / "store")]
    return ["pretrain", str(place / "tiny.toml"), "--data", str(place / "data"), "--out", str(out), *store, *more]


def test_a_run_prints_its_evaluations_and_where_the_model_is(place, tmp_path, capsys):
    assert main(command(place, tmp_path / "out")) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{tmp_path / 'out' / 'model'}\n"
    assert (tmp_path / "out" / "model" / "model.safetensors").exists()
    lines = captured.err.splitlines()
    evaluations = [line for line in lines if "NSP full" in line]
    assert [line.split()[0] for line in evaluations] == ["2", "4"]
    last = json.loads((tmp_path / "out" / "metrics.jsonl").read_text().splitlines()[-1])
    assert f"MLM {last['mlm_accuracy']:.3f}" in evaluations[-1]
    assert f"NSP short {last['nsp_short']:.3f} ({last['overlap_short']:.3f})" in evaluations[-1]
    assert any("Finished after 4 steps" in line for line in lines)
    # in a log file: what it is at, but no bars
    assert "tokenizing the corpus" in captured.err
    assert "\x1b" not in captured.err

    assert main(command(place, tmp_path / "out")) == 1
    assert "holds a run at step-000000004: pass resume (--resume)" in capsys.readouterr().err
    assert main(command(place, tmp_path / "out", "--resume", "--set", "optimizer.steps=5", "--lang", "zh")) == 0
    assert "完成：5 步" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda arguments: [*arguments[:1], "nowhere.toml", *arguments[2:]], "nowhere.toml: no such recipe"),
        (lambda arguments: [*arguments[:3], "nowhere", *arguments[4:]], "nowhere: no such folder"),
        (lambda arguments: [*arguments, "--set", "optimizer.stesp=2"], "optimizer.stesp: no such key"),
        (lambda arguments: [*arguments, "--set", "model.hidden_sise=2"], "model.hidden_sise: no such key"),
        (lambda arguments: [*arguments, "--set", "sources=[]"], "sources: List should have at least 1 item"),
        (lambda arguments: [*arguments, "--initial", "somebody/model"], "a run starts from a model on this machine"),
        (lambda arguments: [*arguments, "--set", "tokenizer.source=a/b/c"], "there is no folder 'a/b/c'"),
    ],
)
def test_what_is_wrong_is_one_line(place, tmp_path, capsys, change, said):
    assert main(change(command(place, tmp_path / "out"))) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert said in error


def test_data_and_out_are_asked_for(place, capsys):
    assert main(["pretrain", str(place / "tiny.toml")]) == 2
    assert "--data" in capsys.readouterr().err


@pytest.mark.enable_socket
def test_ctrl_c_writes_a_checkpoint_and_says_how_to_go_on(place, tmp_path):
    out, said = tmp_path / "out", tmp_path / "said.txt"
    arguments = command(place, out, "--set", "optimizer.steps=100000", "--set", "evaluation.every=100000")
    child = processes.start(processes.command_line, arguments, said)
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and (not (out / "metrics.jsonl").exists() or not list_checkpoints(out)):
        assert child.is_alive(), said.read_text()
        time.sleep(0.05)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGINT)
    child.join(600)
    assert child.exitcode == EXIT_INTERRUPTED
    newest = list_checkpoints(out)[-1]
    step = json.loads((newest / "state.json").read_text())["step"]
    lines = (out / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["step"] == step
    assert not any("nsp_full" in line for line in lines)
    text = said.read_text()
    assert f"Stopped after {step} steps" in text
    assert f"{newest} holds everything. The same command with --resume continues." in text
    assert "Traceback" not in text


def test_a_terminal_gets_bars(monkeypatch):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=140)
    monkeypatch.setattr("ironwok.cli.training_watch.err", lambda: console)
    with TrainingWatch("small") as watch:
        watch.busy("corpus", done=250, total=1000, note="[news]")
        watch._bar.refresh()
        for step in (1, 2):
            watch.stepped(step, total=200, tokens_per_second=1234.5, metrics={"loss": 1.5})
        watch.busy("evaluation", done=1, total=3)
        watch._bar.refresh()
        watch.evaluated(2, {"mlm_accuracy": 0.25, "nsp_full": 0.75, "overlap_full": 0.5})
    shown = screen.getvalue()
    for part in (
        "tokenizing the corpus",
        "250/1000",
        "[news]",
        "small",
        "2/200",
        "1,234 tokens/s  loss 1.500",
        "333/1000",
    ):
        assert part in shown, part
    assert "2  MLM 0.250  NSP full 0.750 (0.500)" in shown


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_log_file_gets_a_line_now_and_then(capsys):
    clock = Clock()
    metrics = {"loss": 1.5}
    with TrainingWatch("small", clock=clock) as watch:
        for done in range(0, 1000, 100):
            watch.busy("corpus", done=done, total=1000, note="news")
            clock.now += 7
        watch.busy("words", done=0, total=0)
        for step in range(1, 101):
            watch.stepped(step, total=200, tokens_per_second=1234.5, metrics=metrics)
            if step == 50:
                watch.busy("evaluation", done=0, total=3, note="full")
                watch.evaluated(50, {"mlm_accuracy": 0.25, "nsp_full": 0.75, "overlap_full": 0.5})
                watch.busy("checkpoint", done=0, total=0)
            clock.now += 1
    assert capsys.readouterr().err.splitlines() == [
        "tokenizing the corpus 0% news",
        "tokenizing the corpus 50% news",
        "counting words",
        "small 31/200  1,234 tokens/s  loss 1.500",
        "      50  MLM 0.250  NSP full 0.750 (0.500)",
        "small 61/200  1,234 tokens/s  loss 1.500",
        "small 91/200  1,234 tokens/s  loss 1.500",
    ]
