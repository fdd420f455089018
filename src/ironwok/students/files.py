"""A student's two files: JSON for what people read, arrays for the weights. Nothing in them can run code."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ironwok.errors import CheckpointError
from ironwok.files import replace_file, writing

DESCRIPTION = "student.json"
WEIGHTS = "student.npz"
FORMAT = 1


def save_files(folder: Path, description: Mapping[str, Any], arrays: Mapping[str, NDArray]) -> None:
    """Raises OutputError."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    held = io.BytesIO()
    np.savez_compressed(held, allow_pickle=False, **arrays)
    replace_file(folder / WEIGHTS, held.getvalue())
    text = json.dumps({"format": FORMAT} | dict(description), ensure_ascii=False, indent=2)
    # last: a folder with a description has its weights
    replace_file(folder / DESCRIPTION, text.encode() + b"\n")


def load_files(folder: Path, names: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, NDArray]]:
    """Raises CheckpointError for files that are absent, damaged or of another format."""
    description = read_description(folder)
    try:
        # a file of our own: np.load leaves the one it opened open where there is no archive in it
        with (folder / WEIGHTS).open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{folder / WEIGHTS} is no file of a student's weights: {error}") from error
    return description, arrays


def read_description(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    try:
        description = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not of format {FORMAT}, the one that this version reads")
    return description


def pack(weights: NDArray[np.float64]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Weights [K, C] in 8 bits, with the scale of each column [C]: a quarter of the size, and answers as good."""
    largest = np.abs(weights).max(axis=0, initial=0.0)
    scale = np.where(largest > 0, largest / 127, 1.0)
    return np.round(weights / scale).astype(np.int8), scale.astype(np.float32)


def unpack(packed: NDArray[np.int8], scale: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(packed.astype(np.float32) * scale.astype(np.float32))
