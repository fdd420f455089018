"""Checkpoints that are either whole or absent, and the one to continue from."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ironwok.errors import CheckpointError, OutputError

_NAME = re.compile(r"step-(\d{9})")


def save_checkpoint(
    folder: Path, step: int, write: Callable[[Path], None], *, state: dict[str, Any], keep: int = 2
) -> Path:
    """Write a checkpoint beside its place, then move it there; older ones than the last ``keep`` are deleted.

    write: called with the folder to fill. state: JSON values, stored as ``state.json`` together with the step.
    Raises OutputError when the disk is full or may not be written; earlier checkpoints stay.
    """
    final = folder / f"step-{step:09d}"
    building = folder / f".{final.name}.building"
    try:
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        write(building)
        (building / "state.json").write_text(json.dumps({"step": step, **state}, indent=1), encoding="utf-8")
        for file in building.rglob("*"):
            if file.is_file():
                with file.open("rb") as handle:
                    os.fsync(handle.fileno())
        shutil.rmtree(final, ignore_errors=True)
        building.replace(final)
    except OSError as error:
        shutil.rmtree(building, ignore_errors=True)
        raise OutputError(
            f"{final}: the checkpoint cannot be written ({error}); earlier checkpoints are intact"
        ) from error
    for old in list_checkpoints(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def list_checkpoints(folder: Path) -> list[Path]:
    """Whole checkpoints, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name) and (path / "state.json").is_file())


def read_state(checkpoint: Path) -> dict[str, Any]:
    """The JSON state of a checkpoint. Raises CheckpointError when it is damaged."""
    try:
        state = json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{checkpoint}: state.json cannot be read ({error})") from error
    if not isinstance(state, dict) or not isinstance(state.get("step"), int):
        raise CheckpointError(f"{checkpoint}: state.json holds no step")
    return state


def write_text_atomically(path: Path, text: str) -> None:
    """Replace a file at once: a reader sees the old one or the new one."""
    temporary = path.with_name(f".{path.name}.building")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error})") from error


def truncate_metrics(path: Path, *, last_step: int) -> None:
    """Drop the lines of steps behind ``last_step`` (a killed run's tail) and a torn last line."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= last_step:
                kept.append(line + "\n")
        except (json.JSONDecodeError, KeyError):
            continue
    write_text_atomically(path, "".join(kept))
