"""The benchmarks of the training loop: one curve from two loops, and what is read off a run that was killed."""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path

import pytest
import torch
from tiny_corpus import tiny_recipe

from ironwok.training.checkpoints import save_checkpoint

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def benchmark_of(monkeypatch):
    """A module of the benchmarks by name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield __import__
    for name in ("training_loop", "kill_resume", "_table"):
        if name not in before:
            sys.modules.pop(name, None)


# -- training_loop ---------------------------------------------------------------------------------------------------


def test_trainer_is_given_the_same_loop(benchmark_of, data, store, tmp_path):
    loop = benchmark_of("training_loop")
    # with everything that changes from step to step: both warm-ups, the decay, clipping at a norm that is reached
    changes = {"steps": 8, "schedule": "cosine", "decay_from": 0.5, "clip": 0.1}
    recipe = tiny_recipe(optimizer=changes)
    found = {}
    for name, run in loop.LOOPS.items():
        work = tmp_path / name
        work.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what transformers has to say
            found[name] = run(recipe, data, work, store=store.folder, warmup=3, workers=0)
    ours, theirs = found["ironwok"], found["trainer"]
    assert len(ours.losses) == 8
    assert loop.greatest_difference(ours.losses, theirs.losses) < 1e-4
    assert ours.tokens == theirs.tokens > 0
    for one in found.values():
        assert one.seconds > 0
        assert 0 < one.imported <= one.peak


def test_curves_that_differ_are_told(benchmark_of):
    greatest_difference = benchmark_of("training_loop").greatest_difference
    assert greatest_difference([2.0, 4.0], [2.0, 5.0]) == 0.25
    assert greatest_difference([2.0, 4.0], [2.0]) == float("inf")


def test_recorded_runs_are_compared_and_not_made_again(benchmark_of, data, tmp_path, capsys, monkeypatch):
    loop = benchmark_of("training_loop")
    monkeypatch.setattr(loop, "measure_apart", lambda *_: pytest.fail("a run was made"))
    given = ["--text", str(data / "plain.txt"), "--steps", "3", "--warmup", "1", "--repetitions", "3", "--small"]
    options = loop.parse([*given, "--precision", "fp32", "--work", str(tmp_path)])
    key = ["plain.txt", *(getattr(options, name) for name in loop.PASSED), True]
    losses, seconds = [2.0, 1.5, 1.0], {"ironwok": (5.0, 8.0, 2.0), "trainer": (10.0, 10.0, 10.0)}

    def record(name: str, repetition: int, losses: list[float]) -> str:
        peak = {"ironwok": 300, "trainer": 200}[name] << 20
        found = loop.Measured(losses, 1000, seconds[name][repetition], seconds[name][repetition], 100 << 20, peak)
        return json.dumps({"key": [*key, repetition, name], "measured": loop.asdict(found)}) + "\n"

    recorded = [record(name, number, losses) for number in range(3) for name in loop.LOOPS]
    (tmp_path / "results.jsonl").write_text("".join(recorded))
    loop.run(options, tmp_path)
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["losses_differ"] == 0
    ours, theirs = figures["results"]["ironwok"], figures["results"]["trainer"]
    assert (ours["tokens_per_second"], ours["tokens_per_second_times"]) == (200.0, 2.0)
    assert (theirs["tokens_per_second"], theirs["tokens_per_second_times"]) == (100.0, 1.0)
    assert (ours["peak_mib"], ours["peak_mib_times"], ours["imported_mib"]) == (300.0, 1.5, 100.0)

    recorded[-1] = record("trainer", 2, [2.0, 1.5, 1.1])
    (tmp_path / "results.jsonl").write_text("".join(recorded))
    with pytest.raises(loop.NotTheSameError, match=r"differ by 1\.0e-01, 1e-04 is allowed"):
        loop.run(options, tmp_path)


def test_optimizers_together_follow_one_schedule(benchmark_of):
    loop = benchmark_of("training_loop")
    one, two = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    together = loop.Together(torch.optim.SGD([one], lr=1.0), torch.optim.AdamW([two], lr=0.5))
    schedule = torch.optim.lr_scheduler.LambdaLR(together, lambda step: 1 / (step + 1))
    together.load_state_dict(together.state_dict())  # as accelerate does with what it prepares
    for part in (one, two):
        part.grad = torch.ones(2)
    together.step()
    schedule.step()
    assert torch.equal(one, torch.zeros(2))
    assert [part.param_groups[0]["lr"] for part in together.parts] == [0.5, 0.25]
    together.zero_grad()
    assert one.grad is two.grad is None


# -- kill_resume -----------------------------------------------------------------------------------------------------


def write_figures(out: Path, *lines: dict, torn: str = "") -> None:
    out.mkdir(exist_ok=True)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (out / "metrics.jsonl").write_text(text + torn)


@pytest.mark.parametrize(
    ("left", "last", "phase"),
    [
        ([], {"step": 9, "loss": 1.0}, "preparing, restoring"),
        (["tensorboard/two"], {"step": 9, "loss": 1.0}, "training"),
        (["tensorboard/two"], {"step": 10, "loss": 1.0}, "evaluating"),
        (["tensorboard/two"], {"step": 10, "mlm_accuracy": 0.5}, "training"),
        (["tensorboard/two", ".step-000000009.building/weights"], {"step": 9, "loss": 1.0}, "writing a checkpoint"),
        (["tensorboard/two", ".step-000000003.old/weights"], {"step": 9, "loss": 1.0}, "removing an old checkpoint"),
        (["tensorboard/two", ".model.building/weights"], {"step": 10, "mlm_accuracy": 0.5}, "writing the model"),
    ],
)
def test_what_a_kill_hit_is_told_by_what_it_left(benchmark_of, tmp_path, left, last, phase):
    kills, out = benchmark_of("kill_resume"), tmp_path / "out"
    write_figures(out, last)
    # left by an earlier kill: says nothing of this one
    for name in ("tensorboard/one", ".step-000000006.building/weights", ".step-000000001.old/weights"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("")
    before = kills.traces(out)
    (out / "tensorboard" / "one").write_text("more")
    for name in left:
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("")
    assert kills.phase_of(out, before) == phase


def test_half_a_checkpoint_under_its_name_is_a_failure(benchmark_of, tmp_path):
    kills, out = benchmark_of("kill_resume"), tmp_path / "out"
    write_figures(out, *({"step": step, "loss": 1.0} for step in (1, 2, 3, 4)), torn='{"step": 5, "lo')
    folder = save_checkpoint(out, 3, lambda building: (building / "weights").write_text("whole"), state={})
    found = kills.look_after_kill(out, kills.traces(out), 1.5)
    assert (found.after, found.torn, found.step, found.resumes) == (1.5, True, 4, 3)
    os.truncate(folder / "weights", 2)
    with pytest.raises(kills.KilledRunError, match=r"half a checkpoint under its name: .*weights is damaged"):
        kills.look_after_kill(out, set(), 1.5)


def test_a_figure_that_is_not_the_same_is_named(benchmark_of, tmp_path):
    kills = benchmark_of("kill_resume")
    runs = [tmp_path / "whole", tmp_path / "killed"]
    for out in runs:
        write_figures(out, {"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.5})
        (out / "model").mkdir()
        (out / "model" / "model.safetensors").write_bytes(b"weights")
    assert kills.differences(*runs) == []
    write_figures(runs[1], {"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.500001}, {"step": 2, "mlm_accuracy": 0.1})
    (runs[1] / "model" / "model.safetensors").write_bytes(b"others")
    assert kills.differences(*runs) == [
        "2 lines of figures without kills, 3 with",
        "step 2: loss is 1.5 without kills, 1.500001 with",
        "the weights at the end are not the same",
    ]
