"""Runs that are killed end as if nothing had happened; runs of two processes are one run."""

from __future__ import annotations

import json
import random
import signal
import socket
from pathlib import Path
from typing import Any

import processes
import pytest
import torch
from safetensors.torch import load_file
from test_pretrain import assert_same_run
from tiny_corpus import tiny_recipe

from ironwok.training.checkpoints import list_checkpoints, read_state
from ironwok.training.pretrain import pretrain

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


def events_of(data: Path, out: Path) -> int:
    """How many things a run tells of from its beginning to its end."""

    class Counting(processes.Fatal):
        heard = 0

        def _hear(self) -> None:
            self.heard += 1

    counting = Counting(0)
    pretrain(tiny_recipe(), data=data, out=out, progress=counting)
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


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def two_processes(data: Path, out: Path, *, stop_at: int = 0) -> list[dict[str, Any]]:
    """What each of them kept."""
    out.mkdir(exist_ok=True)
    port = free_port()
    children = [processes.start(processes.one_of_two, rank, port, data, out, stop_at) for rank in (0, 1)]
    for child in children:
        child.join(600)
    assert [child.exitcode for child in children] == [0, 0]
    return [torch.load(out / f"rank-{rank}.pt") for rank in (0, 1)]


def test_two_processes_are_one_run(data, tmp_path):
    out = tmp_path / "out"
    first, second = two_processes(data, out)
    assert first["weights"].keys() == second["weights"].keys()
    assert all(torch.equal(first["weights"][name], second["weights"][name]) for name in first["weights"])
    saved = load_file(out / "model" / "model.safetensors")
    assert all(torch.equal(saved[name], first["weights"][name]) for name in saved)
    assert first["metrics"] == second["metrics"]
    assert "nsp_full" in first["metrics"]
    assert [path.name for path in list_checkpoints(out)] == ["step-000000003", "step-000000006"]

    # both saw other text: twice the tokens of a single process, and other losses
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 7))
    pretrain(tiny_recipe(optimizer={"steps": 6}), data=data, out=tmp_path / "alone", store=out / "store")
    alone = [json.loads(line) for line in (tmp_path / "alone" / "metrics.jsonl").read_text().splitlines()]
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
