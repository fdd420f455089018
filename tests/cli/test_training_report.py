"""What `ironwok train` says of data it could not use, and of how a run ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironwok.cli import EXIT_INTERRUPTED, main
from ironwok.events.formats import Problem
from ironwok.training.extraction import train as extraction
from ironwok.training.supervised import TrainResult
from ironwok.training.tuning import train as tuning

METRICS = {"event_f1": 0.5, "argument_classification_f1": 0.25, "accuracy": 0.75}


@pytest.fixture
def run(monkeypatch):
    """The command, with a run that only tells of problems and ends."""

    def run(task: str, out: Path, *more: str, problems: tuple[Problem, ...] = (), finished: bool = True) -> int:
        def ended(task, *, out, on_problem, **_) -> TrainResult:
            for problem in problems:
                on_problem(problem)
            return TrainResult(out / "model", 9, 6, METRICS, finished)

        monkeypatch.setattr(extraction, "train_extraction", ended)
        monkeypatch.setattr(tuning, "train_tuned", ended)
        return main(["train", task, "--train", "examples.jsonl", "--out", str(out), *more])

    return run


def problem(line: int, kind: str = "bad record") -> Problem:
    return Problem("examples.jsonl", line, "", kind, "is no text")


@pytest.mark.parametrize(
    ("task", "figures", "use"),
    [
        ("events", "event f1 0.500, argument classification f1 0.250", "ironwok extract --schema"),
        ("classify", "accuracy 0.750", "ironwok classify --model"),
        ("pairs", "accuracy 0.750", "ironwok predict --model"),
    ],
)
def test_a_finished_run_says_how_good_it_is_and_where(run, tmp_path, capsys, task, figures, use):
    assert run(task, tmp_path) == 0
    captured = capsys.readouterr()
    said = " ".join(captured.err.split())
    assert captured.out == f"{tmp_path / 'model'}\n"
    assert f"Finished after 9 steps; the best model is of step 6: {figures}. It is in:" in said
    assert f"Use it: {use} {tmp_path / 'model'} FILE" in said
    assert run(task, tmp_path, "--lang", "zh") == 0
    assert f"完成：9 步，最佳模型在第 6 步（{figures}），位于：" in capsys.readouterr().err.replace("\n", "")


@pytest.mark.parametrize("task", ["entities", "reading"])
def test_a_stopped_run_says_how_to_go_on(run, tmp_path, capsys, task):
    assert run(task, tmp_path, finished=False) == EXIT_INTERRUPTED
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Stopped after 9 steps" in captured.err
    assert "The same command with --resume continues." in " ".join(captured.err.split())


@pytest.mark.parametrize("task", ["relations", "choice"])
def test_the_first_ten_that_are_left_out_are_named(run, tmp_path, capsys, task):
    assert run(task, tmp_path, problems=tuple(problem(line) for line in range(1, 13))) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("left out: ")]
    assert said == [f"left out: examples.jsonl, line {line}: bad record: is no text" for line in range(1, 11)]


def test_annotations_that_are_not_lost_are_not_left_out(run, tmp_path, capsys):
    told = (problem(1, "offset repaired"), problem(2, "no trigger"), problem(3, "unknown role"))
    assert run("events", tmp_path, problems=told) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert said == ["left out: examples.jsonl, line 3: unknown role: is no text"]
