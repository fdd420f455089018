"""Supervised runs that die: in this process right after a step, or in one of their own by SIGKILL."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ironwok.training.progress import Silent

_SCRIPT = """
import sys
sys.path[:0] = {folders!r}
import torch
torch.set_num_threads(1)
from pathlib import Path
from ironwok.training import supervised
supervised._SAVE_EVERY = 0.0
{statements}
"""
_PATIENCE = 240.0  # seconds until the first checkpoint


class Crash(Exception):
    pass


class CrashAfter(Silent):
    """Ends the run as a crash would, right after a step."""

    def __init__(self, at: int) -> None:
        self.at = at

    def stepped(self, step: int, *, total: int, tokens_per_second: float, metrics: dict[str, float]) -> None:
        if step == self.at:
            raise Crash


def kill_at_first_checkpoint(out: Path, statements: str, *, folders: Sequence[Path]) -> None:
    """Let a process train and kill it when a checkpoint is there, which it writes after every step.

    out: folder of the run. statements: of Python, that train; Path is imported. folders: to import from.
    """
    script = _SCRIPT.format(folders=[str(folder) for folder in folders], statements=statements)
    process = subprocess.Popen([sys.executable, "-c", script])
    deadline = time.monotonic() + _PATIENCE
    while not list(out.glob("step-*")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it had ended before it was killed"
    assert list(out.glob("step-*")), "it was killed before it had a checkpoint"
