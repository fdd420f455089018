"""Runs that are killed end as if nothing had happened; runs of two processes are one run."""

from __future__ import annotations

import copy
import json
import random
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import processes
import pytest
import torch
from safetensors.torch import load_file
from test_pretrain import assert_same_run
from test_pretrain_command import RECIPE
from tiny_corpus import tiny_recipe, write_corpus
from tiny_tasks import with_heads, write_tasks

from ironwok.cli import main
from ironwok.models import RoFormerV2Config
from ironwok.models.task_heads import TaskHeads, read_heads
from ironwok.training.checkpoints import list_checkpoints, read_state
from ironwok.training.evaluation import inputs_of
from ironwok.training.pretrain import pretrain
from ironwok.training.run import Run

# the server of processes listens on a socket in the file system
pytestmark = pytest.mark.enable_socket


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory) -> Path:
    """The tiny recipe in a process that nobody kills."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    child = processes.start(processes.killed_at_event, data, out, 10**9)
    child.join(600)
    assert child.exitcode == 0
    return out


def events_of(data: Path, out: Path, **changes: Any) -> int:
    """How many things a run tells of from its beginning to its end."""

    class Counting(processes.Fatal):
        heard = 0

        def _hear(self) -> None:
            self.heard += 1

    counting = Counting(0)
    pretrain(tiny_recipe(**changes), data=data, out=out, progress=counting)
    return counting.heard


def test_a_run_killed_again_and_again_is_the_run_that_nobody_killed(data, undisturbed, tmp_path):
    events = events_of(data, tmp_path / "counted")
    assert_same_run(undisturbed, tmp_path / "counted")  # nor does it matter in which process it runs
    chance, out = random.Random(5), tmp_path / "killed"
    # soon after the start, later and later, and while files of a checkpoint are written
    plan = [(processes.killed_at_event, chance.randrange(events * n // 4, events * (n + 1) // 4)) for n in range(3)]
    plan.insert(2, (processes.killed_at_write, chance.randrange(2, 7)))
    for target, at in plan:
        child = processes.start(target, data, out, at)
        child.join(600)
        assert child.exitcode == -signal.SIGKILL
        for path in list_checkpoints(out):
            read_state(path)  # whole, whenever it is there
    child = processes.start(processes.killed_at_event, data, out, 10**9)
    child.join(600)
    assert child.exitcode == 0
    assert_same_run(undisturbed, out)
    assert not list(out.glob(".step-*"))


def test_a_run_with_heads_and_weighed_gradients_survives_a_kill(tmp_path):
    data, changes = write_tasks(write_corpus(tmp_path / "data")), with_heads(method="inverse_norm", tasks=2)
    events, out = events_of(data, tmp_path / "whole", **changes), tmp_path / "killed"
    for at, code in ((events * 3 // 4, -signal.SIGKILL), (10**9, 0)):
        child = processes.start(processes.killed_at_event, data, out, at, **changes)
        child.join(600)
        assert child.exitcode == code
    assert_same_run(tmp_path / "whole", out)
    heads = [(folder / "model" / "heads.safetensors").read_bytes() for folder in (tmp_path / "whole", out)]
    assert heads[0] == heads[1]


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def two_processes(data: Path, out: Path, *, stop_at: int = 0, **changes: Any) -> list[dict[str, Any]]:
    """What each of them kept."""
    out.mkdir(exist_ok=True)
    port = free_port()
    children = [processes.start(processes.one_of_two, rank, port, data, out, stop_at, **changes) for rank in (0, 1)]
    for child in children:
        child.join(600)
    assert [child.exitcode for child in children] == [0, 0]
    return [torch.load(out / f"rank-{rank}.pt") for rank in (0, 1)]


@pytest.fixture(scope="module")
def pair(data, tmp_path_factory) -> tuple[Path, list[dict[str, Any]]]:
    """A run of two processes: its folder, and what each of them kept."""
    out = tmp_path_factory.mktemp("pair") / "out"
    return out, two_processes(data, out)


def log_of(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_two_processes_are_one_run(data, pair, tmp_path):
    out, (first, second) = pair
    assert first["weights"].keys() == second["weights"].keys()
    assert all(torch.equal(first["weights"][name], second["weights"][name]) for name in first["weights"])
    saved = load_file(out / "model" / "model.safetensors")
    assert all(torch.equal(saved[name], first["weights"][name]) for name in saved)
    assert first["metrics"] == second["metrics"]
    assert "nsp_full" in first["metrics"]
    assert [path.name for path in list_checkpoints(out)] == ["step-000000003", "step-000000006"]

    # both saw other text: twice the tokens of a single process, and other losses
    lines = log_of(out)
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 7))
    pretrain(tiny_recipe(optimizer={"steps": 6}), data=data, out=tmp_path / "alone", store=out / "store")
    alone = log_of(tmp_path / "alone")
    assert 1.8 < lines[5]["tokens"] / alone[5]["tokens"] < 2.2
    assert lines[0]["loss"] != alone[0]["loss"]
    assert lines[0]["loss"] == pytest.approx(alone[0]["loss"], rel=0.1)
    # the held-out pairs are the same ones, shared out
    overlaps = {name: value for name, value in first["metrics"].items() if name.startswith("overlap")}
    assert overlaps.items() <= next(line for line in alone if "overlap_full" in line).items()

    # a signal to one of them stops both, and both go on
    stopped = two_processes(data, tmp_path / "parts", stop_at=4)
    assert [kept["step"] for kept in stopped] == [4, 4]
    resumed = two_processes(data, tmp_path / "parts")
    assert [kept["step"] for kept in resumed] == [6, 6]
    assert_same_run(out, tmp_path / "parts")


def with_both_batches(run: Run) -> None:
    """Let a run of one process learn in each step what two of them learn: the mean of both losses."""
    model, second_rank = run.bare, copy.copy(run)  # a copy: batches are prepared ahead, in another thread
    second_rank.rank = 1
    plain = model.forward

    def forward(**inputs: Any) -> Any:
        first = plain(**inputs)
        if not model.training:
            return first
        batch, masked, labels, _ = second_rank._batch(run.step)
        torch.manual_seed(int(np.random.SeedSequence((run.recipe.seed, 2, run.step, 1)).generate_state(1)[0]))
        second = plain(
            **inputs_of(batch, torch.device("cpu")) | {"input_ids": torch.from_numpy(masked)},
            labels=torch.from_numpy(labels),
            next_sentence_label=torch.from_numpy(batch.next_sentence_label),
        )
        for name in ("loss", "mlm_loss", "nsp_loss"):
            first[name] = (first[name] + second[name]) / 2
        return first

    model.forward = forward


def test_two_processes_agree_on_heads_and_weights(tmp_path):
    data, changes = write_tasks(write_corpus(tmp_path / "data")), with_heads(method="inverse_norm")
    out = tmp_path / "out"
    first, second = two_processes(data, out, optimizer={"steps": 3}, **changes)
    for part in ("weights", "heads"):
        assert all(torch.equal(first[part][name], second[part][name]) for name in first[part]), part
    # five heads, one of them in each step: weights of masked words, next sentences and that one
    assert first["metrics"] == second["metrics"]
    assert sum(name.startswith("head_") for name in first["metrics"]) == 5
    assert all(sum(line[name] for name in line if name.startswith("weight_")) > 3.99 for line in log_of(out)[:3])
    untrained = TaskHeads(
        read_heads(out / "model")[0], RoFormerV2Config.from_pretrained(out / "model"), seed=3
    ).state_dict()
    assert any(not torch.equal(untrained[name], first["heads"][name]) for name in untrained)


def test_one_process_with_the_texts_of_both_has_the_same_curve(data, pair, tmp_path, monkeypatch):
    wrap = Run._wrap

    def wrap_and_widen(self: Run) -> None:
        wrap(self)
        with_both_batches(self)

    monkeypatch.setattr(Run, "_wrap", wrap_and_widen)
    out, kept = pair
    pretrain(tiny_recipe(optimizer={"steps": 6}), data=data, out=tmp_path / "one", store=out / "store")
    two, one = log_of(out), log_of(tmp_path / "one")
    assert len(two) == len(one) > 6
    steps = 0
    for line, other in zip(two, one, strict=True):
        assert line["step"] == other["step"]
        if "loss" in line:
            steps += 1
            for name in ("loss", "mlm_loss", "nsp_loss", "gradient_norm"):
                assert line[name] == pytest.approx(other[name], rel=1e-3), name
    assert steps == 6
    weights = load_file(tmp_path / "one" / "model" / "model.safetensors")
    largest = max(float((weights[name] - kept[0]["weights"][name]).abs().max()) for name in weights)
    assert largest < 1e-2


def test_torchrun_starts_the_command_in_two_processes(tmp_path):
    write_corpus(tmp_path / "data")
    (tmp_path / "tiny.toml").write_text(RECIPE, encoding="utf-8")
    asked = ["pretrain", str(tmp_path / "tiny.toml"), "--data", str(tmp_path / "data"), "--threads", "1"]
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(free_port()), "-m"]
    together = subprocess.run(
        [sys.executable, *launcher, "ironwok", *asked, "--out", str(tmp_path / "two")],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
    )
    assert together.returncode == 0, together.stderr
    # one of them speaks, and writes
    assert together.stdout == f"{tmp_path / 'two' / 'model'}\n"
    assert together.stderr.count("Finished after 4 steps") == 1
    assert main([*asked, "--out", str(tmp_path / "one")]) == 0
    two, one = ([line for line in log_of(tmp_path / name) if "loss" in line] for name in ("two", "one"))
    assert [line["step"] for line in two] == [line["step"] for line in one] == [1, 2, 3, 4]
    assert 1.8 < two[-1]["tokens"] / one[-1]["tokens"] < 2.2
