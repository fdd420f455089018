"""Pretraining killed again and again, at moments drawn at random, beside the same run that nobody killed.

    python benchmarks/kill_resume.py --text FILE [--kills 10] [--seed 0] [--steps 120] [--threads 1] [--work DIR]

`ironwok pretrain` on FILE (running text, as corpora are), a small model, a checkpoint every third step and an
evaluation every tenth. One run is left alone. The other is ended by SIGKILL --kills times and started anew with
--resume after each; then it may finish. A moment is drawn evenly from the time between the first line that the process
says of its work (before that Python imports, and there is nothing to break) and the process's share of what is left
of the run, which for the last kill is its end. What a kill hit is told by what it left: half a checkpoint, figures
without their evaluation. After every kill, all checkpoints that bear their name must be whole, byte by byte.

Fails unless every figure of every step, and the weights at the end, are the same in both runs, bit by bit. Work: keep
both runs there. Prints a table of the kills, then one line of JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from _table import carry_out, finish, show
from ironwok.errors import DamagedCheckpointError, IronwokError
from ironwok.training.checkpoints import list_checkpoints, read_state

CHECKPOINT_EVERY, EVALUATE_EVERY = 3, 10
RECIPE = """
name = "killed"
seed = 1
held_out = 0.1
precision = "fp32"
checkpoint_every = {checkpoint_every}

[model]
hidden_size = 192
num_hidden_layers = 3
num_attention_heads = 3
pooling = "segments"

[pairs]
lengths = [[32, 0.5], [64, 0.5]]

[embeddings]
tokens = 0

[optimizer]
steps = {steps}
tokens_per_batch = 512
warmup_steps = 10
alpha_warmup_steps = 40

[evaluation]
every = {evaluate_every}
pairs = 32

[[sources]]
name = "text"
files = [{text}]
weight = 1.0
"""
PHASES = (
    "preparing, restoring",
    "training",
    "evaluating",
    "writing a checkpoint",
    "removing an old checkpoint",
    "writing the model",
)
_LOOK_EVERY = 0.01  # seconds
_PATIENCE = 1800.0  # seconds that a run may take


class KilledRunError(IronwokError):
    """What was promised of killed runs does not hold, or could not be looked at."""


def command(work: Path, name: str, *, text: Path, threads: int) -> list[str]:
    data = ["--data", str(text.parent), "--out", str(work / name), "--resume", "--threads", str(threads)]
    return [sys.executable, "-m", "ironwok", "pretrain", str(work / "recipe.toml"), *data]


class Attempt:
    """One process of a run; a context in which it lives."""

    def __init__(self, arguments: Sequence[str], said: Path) -> None:
        self._said = said.open("wb")
        self._path = said
        environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
        self.process = subprocess.Popen(arguments, stdout=self._said, stderr=self._said, env=environment)

    def __enter__(self) -> Attempt:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._said.close()

    def at_work(self) -> bool:
        """Whether it has said more than one line: the first says that it loads, the second what it does."""
        return self._path.read_bytes().count(b"\n") >= 2

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return when something holds, or the process has ended. Raises KilledRunError after half an hour."""
        until = time.monotonic() + _PATIENCE
        while self.process.poll() is None and not condition():
            if time.monotonic() > until:
                raise KilledRunError(f"nothing has come of the run for {_PATIENCE:.0f} s (see {self._path.name})")
            time.sleep(_LOOK_EVERY)

    def finished(self) -> None:
        """Wait for the end. Raises KilledRunError for any that is not a good one."""
        self.wait_until(lambda: False)
        if self.process.returncode:
            last = self._path.read_text(encoding="utf-8", errors="replace").splitlines()[-1:]
            raise KilledRunError(f"the run ended with {self.process.returncode}: {' '.join(last)}")


# -- what a kill left ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Killed:
    """One kill. after: seconds of work. phase: of PHASES. torn: whether a line of figures was cut in two.

    step: the last one whose figures were written. resumes: the step of the newest checkpoint, 0 for none.
    """

    after: float
    phase: str
    torn: bool
    step: int
    resumes: int


def traces(out: Path) -> set[tuple[str, int, int]]:
    """What is there for a while only, and the files of each process that trained: (path, inode, time of change)."""
    found = [*out.glob(".*"), *out.glob("tensorboard/*")]
    facts = [(str(path.relative_to(out)), path.stat()) for path in found]
    return {
        # the files of TensorBoard grow: only their names tell
        (name, 0, 0) if name.startswith("tensorboard") else (name, stat.st_ino, stat.st_mtime_ns)
        for name, stat in facts
    }


def figures(out: Path) -> tuple[list[dict[str, float]], bool]:
    """The whole lines of a run's figures, and whether a part of one stands behind them."""
    path = out / "metrics.jsonl"
    text = path.read_bytes() if path.exists() else b""
    *lines, rest = text.split(b"\n")
    return [json.loads(line) for line in lines], bool(rest)


def phase_of(out: Path, before: set[tuple[str, int, int]], *, evaluate_every: int = EVALUATE_EVERY) -> str:
    """What a dead process was at. before: the traces when it was started."""
    fresh = {name for name, *_ in traces(out) - before}
    if any(name.startswith(".step-") and name.endswith(".building") for name in fresh):
        return "writing a checkpoint"
    if any(name.startswith(".step-") and name.endswith(".old") for name in fresh):
        return "removing an old checkpoint"
    if any(name.startswith(".model.") for name in fresh):
        return "writing the model"
    if not any(name.startswith("tensorboard") for name in fresh):
        return "preparing, restoring"
    lines, torn = figures(out)
    due = bool(lines) and "loss" in lines[-1] and lines[-1]["step"] % evaluate_every == 0 and not torn
    return "evaluating" if due else "training"


def look_after_kill(out: Path, before: set[tuple[str, int, int]], after: float) -> Killed:
    """Raises KilledRunError for a checkpoint that bears its name and is not whole."""
    checkpoints = list_checkpoints(out)
    for checkpoint in checkpoints:
        try:
            read_state(checkpoint)
        except DamagedCheckpointError as error:
            raise KilledRunError(f"a kill left half a checkpoint under its name: {error}") from error
    lines, torn = figures(out)
    resumes = read_state(checkpoints[-1])["step"] if checkpoints else 0
    step = max((int(line["step"]) for line in lines), default=0)
    return Killed(after, phase_of(out, before), torn, step, resumes)


def differences(whole: Path, killed: Path) -> list[str]:
    """Where two runs are not the same, a sentence each; figures of steps first, weights last."""
    one, two = (figures(out)[0] for out in (whole, killed))
    found = []
    if len(one) != len(two):
        found.append(f"{len(one)} lines of figures without kills, {len(two)} with")
    for ours, theirs in zip(one, two, strict=False):
        for name in sorted(ours.keys() | theirs.keys()):
            if ours.get(name) != theirs.get(name):
                found.append(f"step {ours['step']}: {name} is {ours.get(name)} without kills, {theirs.get(name)} with")
    if (whole / "model" / "model.safetensors").read_bytes() != (killed / "model" / "model.safetensors").read_bytes():
        found.append("the weights at the end are not the same")
    return found


# -- both runs -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Course:
    """Seconds of a run that nobody kills: tokenizing, preparing up to the first step, all that comes after it."""

    tokenizing: float
    preparing: float
    training: float


def tokenized(out: Path) -> bool:
    return (out / "store" / "store.json").exists()


def run_whole(work: Path, *, text: Path, threads: int) -> Course:
    """The run that nobody kills."""
    out = work / "whole"
    with Attempt(command(work, "whole", text=text, threads=threads), work / "whole.log") as attempt:
        moments = []
        for condition in (attempt.at_work, lambda: tokenized(out), lambda: bool(figures(out)[0])):
            attempt.wait_until(condition)
            moments.append(time.monotonic())
        attempt.finished()
    moments.append(time.monotonic())
    return Course(*(later - sooner for sooner, later in itertools.pairwise(moments)))


def run_killed(
    work: Path, *, text: Path, threads: int, kills: int, steps: int, chance: random.Random, course: Course
) -> list[Killed]:
    """The run that is killed. course: of the one that nobody kills, so that moments can be drawn."""
    out, done = work / "killed", []
    for number in range(kills):
        resumes = done[-1].resumes if done else 0
        share = course.training * (steps - resumes) / steps / (kills - number)
        before_steps = course.preparing + (0 if tokenized(out) else course.tokenizing)
        after = chance.uniform(0, before_steps + share)
        before = traces(out) if out.exists() else set()
        with Attempt(command(work, "killed", text=text, threads=threads), work / f"killed-{number}.log") as attempt:
            attempt.wait_until(attempt.at_work)
            moment = time.monotonic() + after
            attempt.wait_until(lambda moment=moment: time.monotonic() >= moment)
            attempt.process.kill()
            if attempt.process.wait() != (-signal.SIGKILL if os.name == "posix" else 1):
                raise KilledRunError(
                    f"the run had ended ({attempt.process.returncode}) before kill {number + 1} of {kills}, after "
                    f"{after:.1f} s: try another --seed, or more --steps"
                )
        done.append(look_after_kill(out, before, after))
        print(f"kill {number + 1}: {done[-1]}", file=sys.stderr, flush=True)
    with Attempt(command(work, "killed", text=text, threads=threads), work / "last.log") as attempt:
        attempt.finished()
    return done


def run(options: argparse.Namespace, work: Path) -> None:
    work.mkdir(parents=True, exist_ok=True)
    for name in ("whole", "killed"):
        if (work / name).exists():
            raise KilledRunError(f"{work / name} is there already: name another --work")
    text = options.text.resolve()
    recipe = RECIPE.format(
        steps=options.steps,
        checkpoint_every=CHECKPOINT_EVERY,
        evaluate_every=EVALUATE_EVERY,
        text=json.dumps(text.name, ensure_ascii=False),
    )
    (work / "recipe.toml").write_text(recipe, encoding="utf-8")
    course = run_whole(work, text=text, threads=options.threads)
    print(f"nobody kills: {course}", file=sys.stderr, flush=True)
    done = run_killed(
        work,
        text=text,
        threads=options.threads,
        kills=options.kills,
        steps=options.steps,
        chance=random.Random(options.seed),
        course=course,
    )
    apart = differences(work / "whole", work / "killed")
    report(options, done, apart, lines=len(figures(work / "whole")[0]))
    if apart:
        raise KilledRunError(f"{len(apart)} differences from the run that nobody killed: {'; '.join(apart[:3])}")


def report(options: argparse.Namespace, done: Sequence[Killed], apart: Sequence[str], *, lines: int) -> None:
    rows = [
        (number, f"{one.after:.2f}", one.phase + (", a line torn" if one.torn else ""), one.step, one.resumes)
        for number, one in enumerate(done, 1)
    ]
    counts = Counter(one.phase for one in done)
    hit = {phase: counts[phase] for phase in PHASES}
    verdict = "the same, bit by bit" if not apart else f"NOT the same: {len(apart)} differences"
    show(
        f"Killed {len(done)} times in {options.steps} steps (seed {options.seed})",
        ("", "s of work", "killed while", "last step told", "goes on from"),
        rows,
        notes=[f"{lines} lines of figures and the weights at the end: {verdict}"],
    )
    finish(
        {
            "benchmark": "kill_resume",
            "kills": len(done),
            "seed": options.seed,
            "steps": options.steps,
            "hit": hit,
            "torn_lines": sum(one.torn for one in done),
            "steps_made_twice": sum(max(one.step - one.resumes, 0) for one in done),
            "lines_compared": lines,
            "differences": len(apart),
        }
    )


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True, help="file of running text")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", type=Path, help="folder of both runs (default: a temporary one)")
    options = parser.parse_args(arguments)
    if options.kills < 1 or options.steps < options.kills:
        parser.error(f"--kills {options.kills} must be at least 1, and at most --steps {options.steps}")
    return options


if __name__ == "__main__":
    sys.exit(carry_out(run, parse()))
