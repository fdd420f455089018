"""The figures of a run as they come: ``metrics.jsonl`` and TensorBoard."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType

from ironwok.errors import OutputError
from ironwok.training.checkpoints import write_text_atomically

_DECIMALS = 6


class MetricsLog:
    """Writes figures until it is closed; use it as a context manager.

    folder: of the run. first_step: what TensorBoard holds from this step on is of a run that was killed, and void.
    """

    def __init__(self, folder: Path, *, first_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.path = folder / "metrics.jsonl"
        try:
            self._lines = self.path.open("a", encoding="utf-8", buffering=1)
            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step)
        except OSError as error:
            raise OutputError(f"{folder}: the metrics cannot be written ({error})") from error

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """One line, whole or torn, never mixed with another. Raises OutputError when the disk is full."""
        line = json.dumps({"step": step, **{name: round(value, _DECIMALS) for name, value in metrics.items()}}) + "\n"
        try:
            self._lines.write(line)
            for name, value in metrics.items():
                self._board.add_scalar(name, value, step)
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written ({error}); --resume continues once it can") from error

    def sync(self) -> None:
        """Bring all lines to the disk: a checkpoint of a step must never outlive the step's figures."""
        try:
            self._lines.flush()
            os.fsync(self._lines.fileno())
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written ({error}); --resume continues once it can") from error

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._lines.close()
            self._board.close()
        except OSError as closing:
            if error is None:  # else the first trouble is the one to tell of
                raise OutputError(f"{self.path}: cannot be written ({closing})") from closing


def truncate_metrics(path: Path, *, last_step: int) -> None:
    """Drop the lines of steps behind ``last_step`` (a killed run's tail) and a torn last line."""
    if not path.exists():
        return
    kept = []
    for line in path.read_bytes().splitlines():
        try:
            if json.loads(line)["step"] <= last_step:
                kept.append(line.decode() + "\n")
        except (ValueError, KeyError, TypeError):  # torn, by a kill or a full disk
            continue
    write_text_atomically(path, "".join(kept))
