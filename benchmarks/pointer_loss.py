"""Training cost of pointer losses: labels for every cell, the right cells alone, and no table of scores at all.

    python benchmarks/pointer_loss.py [--classes 50 200] [--lengths 128 512] [--batch 2] [--repetitions 5] [--threads N]

Hidden states of width 384 in, an Efficient GlobalPointer, a loss, gradients out: what stands on top of an encoder in
every training step. Right cells are 12 of each text, as on FewFC. The variants:

    dense      the published form (kexue.fm 7359): a label for each of classes x L x L cells, made on the host and moved
    sparse     the places of the right cells alone, the table of scores once (kexue.fm 8888)
    factored   the same number, without the table for classes that are absent (ironwok.nn.losses)
    bound      the pointer's linear layers and their gradient alone: what no loss can be faster than

Every variant runs in a process of its own, for its peak memory is the process's, less what it had before the first
step (on a GPU: what torch allocated). Within a repetition all variants of a size run after another, in another order
each time; ratios are taken within a repetition. Medians. All losses and gradients are compared before timing.
Published for dense against sparse labels: the sparse ones train 1.5 times as fast, the whole model counted (kexue.fm
8888). Prints a table, then one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from _table import finish, show
from ironwok.nn.losses import sparse_multilabel_loss
from ironwok.nn.pointer import EfficientGlobalPointer

WIDTH, RIGHT_CELLS = 384, 12
VARIANTS = ("dense", "sparse", "factored", "bound")


def published_dense_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """The multi-label loss as its author writes it, for each row."""
    scores = (1 - 2 * labels) * scores
    wrong = scores - labels * 1e12
    right = scores - (1 - labels) * 1e12
    zeros = torch.zeros_like(scores[..., :1])
    return torch.logsumexp(torch.cat([wrong, zeros], -1), -1) + torch.logsumexp(torch.cat([right, zeros], -1), -1)


class Task:
    """One step of one variant on fixed inputs."""

    def __init__(self, variant: str, *, classes: int, length: int, batch: int, device: torch.device) -> None:
        torch.manual_seed(0)
        self.variant, self.device = variant, device
        self.pointer = EfficientGlobalPointer(WIDTH, classes).to(device)
        self.hidden = torch.randn(batch, length, WIDTH, device=device, requires_grad=True)
        self.usable = torch.ones(batch, length, dtype=torch.bool, device=device)
        draw = random.Random(0)
        cells = set()
        while len(cells) < RIGHT_CELLS * batch:
            first = draw.randrange(length)
            cells.add((len(cells) % batch, draw.randrange(classes), first, min(first + draw.randrange(8), length - 1)))
        self.cells = torch.tensor(sorted(cells))
        self.shape = (batch, classes, length, length)

    def step(self) -> Tensor:
        self.hidden.grad = None
        self.pointer.zero_grad(set_to_none=True)
        loss = getattr(self, f"_{self.variant}")()
        loss.backward()
        return loss.detach()

    def _dense(self) -> Tensor:
        labels = torch.zeros(self.shape)
        labels[self.cells.unbind(1)] = 1.0
        scores = self.pointer(self.hidden, self.usable).clamp(min=-1e12)
        return published_dense_loss(scores.flatten(2), labels.to(self.device).flatten(2)).sum(1).mean()

    def _sparse(self) -> Tensor:
        batch, classes, length, _ = self.shape
        text, kind, first, second = self.cells.to(self.device).unbind(1)
        scores = self.pointer(self.hidden, self.usable).view(batch * classes, length * length)
        loss = sparse_multilabel_loss(scores, text * classes + kind, first * length + second)
        return loss.view(batch, classes).sum(1).mean()

    def _factored(self) -> Tensor:
        return self.pointer.loss(self.hidden, self.usable, self.cells.to(self.device)).sum(1).mean()

    def _bound(self) -> Tensor:
        projected = self.pointer.dense(self.hidden)
        return F.softplus(projected).mean() + self.pointer.kinds(projected).mean()


def child(choices: argparse.Namespace) -> None:
    """Answers a line "go" with the seconds of a step; at its end tells its peak memory."""
    device = torch.device("cuda" if choices.device == "cuda" else "cpu")
    if choices.threads:
        torch.set_num_threads(choices.threads)
    task = Task(
        choices.child, classes=choices.classes[0], length=choices.lengths[0], batch=choices.batch, device=device
    )
    torch.nn.functional.linear(torch.ones(8, 8, device=device), torch.ones(8, 8, device=device))
    before = _memory(device)
    loss = float(task.step())
    norm = float(task.hidden.grad.norm()) if task.hidden.grad is not None else 0.0
    print(json.dumps([loss, norm]), flush=True)
    for line in sys.stdin:
        if line.strip() != "go":
            break
        began = time.perf_counter()
        for _ in range(choices.steps):
            task.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        print((time.perf_counter() - began) / choices.steps, flush=True)
    print((_memory(device) - before) / 2**20, flush=True)


def _memory(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Child:
    def __init__(self, variant: str, classes: int, length: int, choices: argparse.Namespace) -> None:
        given = ["--child", variant, "--classes", classes, "--lengths", length, "--batch", choices.batch]
        given += ["--steps", choices.steps, "--threads", choices.threads, "--device", choices.device]
        command = [sys.executable, str(Path(__file__)), *map(str, given)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.loss, self.norm = json.loads(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("a variant died, probably for want of memory: give a smaller --batch")
        return line

    def seconds(self) -> float:
        self._tell("go")
        return float(self._line())

    def memory(self) -> float:
        self._tell("end")
        return float(self._line())

    def _tell(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()


def measure(classes: int, length: int, choices: argparse.Namespace) -> dict[str, dict[str, float]]:
    children = {variant: Child(variant, classes, length, choices) for variant in VARIANTS}
    for variant in ("sparse", "factored"):
        for name in ("loss", "norm"):
            ours, theirs = getattr(children[variant], name), getattr(children["dense"], name)
            if abs(ours - theirs) > 1e-3 * abs(theirs):
                raise SystemExit(f"the {name} of {variant} is {ours}, that of dense {theirs}: they should be equal")
    times: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    draw = random.Random(1)
    for _ in range(choices.repetitions):
        for variant in draw.sample(VARIANTS, len(VARIANTS)):
            times[variant].append(children[variant].seconds())
    memory = {variant: child.memory() for variant, child in children.items()}
    return {
        variant: {
            "milliseconds": 1000 * statistics.median(times[variant]),
            "speed": statistics.median(d / own for d, own in zip(times["dense"], times[variant], strict=True)),
            "megabytes": memory[variant],
            "memory": memory[variant] / memory["dense"],
        }
        for variant in VARIANTS
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, nargs="+", default=[50, 200])
    parser.add_argument("--lengths", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2, help="steps in a measurement")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--child", choices=VARIANTS, help=argparse.SUPPRESS)
    choices = parser.parse_args()
    if choices.child:
        child(choices)
        return
    rows, figures = [], {}
    for length in choices.lengths:
        for classes in choices.classes:
            found = measure(classes, length, choices)
            figures[f"{classes}x{length}"] = {
                variant: {name: round(value, 3) for name, value in one.items()} for variant, one in found.items()
            }
            rows += [
                [
                    f"{classes} classes, {length} tokens: {variant}",
                    f"{one['milliseconds']:.1f}",
                    f"{one['speed']:.2f}",
                    f"{one['megabytes']:.0f}",
                    f"{one['memory']:.2f}",
                ]
                for variant, one in found.items()
            ]
    show(
        f"A training step of an Efficient GlobalPointer on {choices.batch} texts, {choices.device}",
        ["", "ms", "speed, dense = 1", "peak MB", "memory, dense = 1"],
        rows,
        notes=["published for whole models: sparse labels train 1.5 times as fast as dense ones (kexue.fm 8888)"],
    )
    finish({"benchmark": "pointer_loss", "batch": choices.batch, "device": choices.device, "sizes": figures})


if __name__ == "__main__":
    main()
