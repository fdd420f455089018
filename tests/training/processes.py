"""Runs in processes of their own, to be killed: forked from a server that has imported everything once.

Nothing here is called in the process of the tests; the functions are what the others run.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

from ironwok.training.progress import Silent

_PRELOADED = ["ironwok.training.pretrain", "ironwok.cli.pretrain", "torch.utils.tensorboard"]


def server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


def start(target: Any, *arguments: Any, **options: Any) -> ForkServerProcess:
    process = server().Process(target=target, args=arguments, kwargs=options, daemon=True)
    process.start()
    return process


class Fatal:
    """Kills the process with SIGKILL at the n-th thing it hears of."""

    def __init__(self, at: int) -> None:
        self.left = at

    def _hear(self) -> None:
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def busy(self, what, *, done, total, note=""):
        self._hear()

    def stepped(self, step, *, total, tokens_per_second, metrics):
        self._hear()

    def evaluated(self, step, metrics):
        self._hear()


def killed_at_event(data: Path, out: Path, at: int, **changes: Any) -> None:
    """A run that dies at the n-th event: while it prepares, between steps, in an evaluation."""
    _pretrain(data, out, Fatal(at), **changes)


def killed_at_write(data: Path, out: Path, at: int) -> None:
    """A run that dies at the n-th file that it brings to the disk: in the middle of a checkpoint."""
    from ironwok.training import checkpoints

    counter, to_disk = Fatal(at), checkpoints._to_disk

    def doomed(path: Path) -> None:
        counter._hear()
        to_disk(path)

    checkpoints._to_disk = doomed
    _pretrain(data, out, None)


def _pretrain(data: Path, out: Path, progress: Any, **changes: Any) -> None:
    import torch
    from tiny_corpus import tiny_recipe

    from ironwok.training.pretrain import pretrain

    torch.set_num_threads(1)
    pretrain(tiny_recipe(**changes), data=data, out=out, resume=True, progress=progress)


class Interrupting(Silent):
    """Ctrl-C after a step; only the main process hears of steps, so the other one gets no signal."""

    def __init__(self, at: int) -> None:
        self.at = at

    def stepped(self, step, *, total, tokens_per_second, metrics):
        if step == self.at:
            os.kill(os.getpid(), signal.SIGINT)


def one_of_two(rank: int, port: int, data: Path, out: Path, stop_at: int = 0, **changes: Any) -> None:
    """One of two processes, told who it is as launchers do. Keeps its weights and figures in out/rank-N.pt.

    stop_at: the step after which the main process is interrupted.
    """
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    import torch

    from ironwok.training import run

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("only the main process writes")

    if rank:
        run.save_checkpoint = run.replace_folder = run.MetricsLog = run.truncate_metrics = never
    finish = run.Run.train

    def train(self: run.Run) -> run.PretrainResult:
        result = finish(self)
        kept = {"weights": self.bare.state_dict(), "metrics": result.metrics, "step": result.step}
        kept["heads"] = self.heads.state_dict()
        torch.save(kept, out / f"rank-{rank}.pt")
        return result

    run.Run.train = train
    _pretrain(data, out, Interrupting(stop_at), **{"optimizer": {"steps": 6}, **changes})
    torch.distributed.destroy_process_group()


def command_line(arguments: list[str], said: Path) -> None:
    """The command, its stdout and stderr in a file, its exit code that of the process."""
    with said.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    import torch

    from ironwok.cli import main

    torch.set_num_threads(1)
    code = main(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code)
