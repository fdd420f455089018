"""Checkpoints that are either whole or absent, and the one to continue from."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from ironwok.errors import CheckpointError, DamagedCheckpointError, OutputError

_NAME = re.compile(r"step-(\d{9})")
_LEFT_BEHIND = re.compile(r"\.step-\d{9}\.(building|old)")
_STATE = "state.json"

# what torch, safetensors and a state that lacks something raise for files that are not what was written
UNREADABLE = (
    OSError,
    RuntimeError,
    KeyError,
    TypeError,
    ValueError,
    EOFError,
    SafetensorError,
    pickle.UnpicklingError,
)


def save_checkpoint(
    folder: Path, step: int, write: Callable[[Path], None], *, state: dict[str, Any], keep: int = 2
) -> Path:
    """Write a checkpoint beside its place, then move it there; of the earlier ones the last ``keep - 1`` stay.

    write: called with the folder to fill. state: JSON values, stored as ``state.json`` together with the step and a
    digest of each file.
    Raises OutputError when the disk is full or may not be written; earlier checkpoints stay.
    """
    final = folder / f"step-{step:09d}"

    def fill(building: Path) -> None:
        write(building)
        digests = {file.name: _digest(file) for file in sorted(building.iterdir()) if file.is_file()}
        text = json.dumps({"step": step, **state, "files": digests}, indent=1, ensure_ascii=False)
        (building / _STATE).write_text(text, encoding="utf-8")

    try:
        replace_folder(final, fill)
    except OutputError as error:
        raise OutputError(f"{error}; earlier checkpoints are intact") from error
    checkpoints = list_checkpoints(folder)
    # A run that goes on before a damaged checkpoint (see Run.restore) leaves that one behind itself.
    later = [path for path in checkpoints if path.name > final.name]
    for old in [*later, *[path for path in checkpoints if path.name <= final.name][:-keep]]:
        _discard(old)
    for path in folder.iterdir():
        if _LEFT_BEHIND.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)
    return final


def replace_folder(final: Path, write: Callable[[Path], None]) -> None:
    """Fill a folder beside its place, then put it there: nobody ever finds half of it.

    Raises OutputError when it cannot be written; what was there before stays.
    """
    building = final.with_name(f".{final.name}.building")
    try:
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        write(building)
        for path in [*building.rglob("*"), building]:
            _to_disk(path)
        if final.exists():
            _discard(final)
        building.replace(final)
        _to_disk(final.parent)
    except (OSError, SafetensorError) as error:  # safetensors wraps the errors of the disk
        shutil.rmtree(building, ignore_errors=True)
        raise OutputError(f"{final}: cannot be written ({error})") from error


def _discard(folder: Path) -> None:
    # moved away first: a deletion that is interrupted must not leave half a checkpoint under its name
    aside = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(aside, ignore_errors=True)
    folder.replace(aside)
    shutil.rmtree(aside, ignore_errors=True)


def _to_disk(path: Path) -> None:
    windows = os.name == "nt"
    if windows and path.is_dir():
        return  # Windows opens no folders
    handle = os.open(path, os.O_RDWR if windows else os.O_RDONLY)  # and brings to the disk what may be written alone
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _digest(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "blake2b").hexdigest()[:32]


def list_checkpoints(folder: Path) -> list[Path]:
    """Whole checkpoints, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name) and (path / _STATE).is_file())


def go_on_from(folder: Path, identity: dict[str, Any], read: Callable[[Path], None]) -> int:
    """Let ``read`` take up the last checkpoint of a run, if there is one; the step that it is of, 0 if there is none.

    identity: what makes the run what it is, in JSON values; checkpoints keep it in their state, under "run".
    Raises CheckpointError for a checkpoint of another run, or one that cannot be read.
    """
    for checkpoint in list_checkpoints(folder)[-1:]:
        try:
            state = read_state(checkpoint)
            if state.get("run") != identity:
                raise CheckpointError(
                    f"{checkpoint} is of a run with other data, another table or other settings: delete {folder}, "
                    "or name another folder"
                )
            read(checkpoint)
            return int(state["step"])
        except (DamagedCheckpointError, *UNREADABLE) as error:
            raise CheckpointError(f"{checkpoint} cannot be gone on from: {error}; delete {folder}") from error
    return 0


def read_state(checkpoint: Path) -> dict[str, Any]:
    """The JSON state of a checkpoint whose files are as they were written.

    Raises DamagedCheckpointError. A state without digests (an early format) is taken as it is.
    """
    try:
        state = json.loads((checkpoint / _STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedCheckpointError(f"{checkpoint}: {_STATE} cannot be read ({error})") from error
    if not isinstance(state, dict) or not isinstance(state.get("step"), int):
        raise DamagedCheckpointError(f"{checkpoint}: {_STATE} holds no step")
    for name, digest in state.get("files", {}).items():
        try:
            found = _digest(checkpoint / name)
        except OSError as error:
            raise DamagedCheckpointError(f"{checkpoint}: {name} cannot be read ({error})") from error
        if found != digest:
            raise DamagedCheckpointError(f"{checkpoint}: {name} is damaged (not the bytes that were written)")
    return state


def write_text_atomically(path: Path, text: str) -> None:
    """Replace a file at once: a reader sees the old one or the new one. Raises OutputError."""
    temporary = path.with_name(f".{path.name}.building")
    try:
        temporary.write_text(text, encoding="utf-8")
        _to_disk(temporary)
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error})") from error
