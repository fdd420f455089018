"""Heads that were trained over a table of words and lie beside it, each with a number of that very table."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from ironwok.errors import CheckpointError
from ironwok.files import replace_file
from ironwok.text.associations import Associations

HeadT = TypeVar("HeadT")


def fingerprint(table: Associations) -> int:
    """A number that another table hardly has."""
    return zlib.crc32(table.weights.tobytes(), zlib.crc32(table.vectors.tobytes()))


def file_of(name: str) -> str:
    """What the file of a head is called."""
    return f"{name}.safetensors"


def load_head(
    folder: str | Path, name: str, table: Associations, build: Callable[[dict[str, Any], dict[str, Tensor]], HeadT]
) -> HeadT | None:
    """The head ``name`` of a model folder; None if there is none in it.

    build: makes it of what was said about it and its weights; whatever these lack may come out as KeyError, ValueError,
    TypeError or RuntimeError. Raises CheckpointError for one that is damaged or was trained with another table.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(folder) / file_of(name)
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            about: dict[str, Any] = json.loads((file.metadata() or {})[name])
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
        head = build(about, weights)
        trained_with = int(about["table"])
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"{path} cannot be read as a head for {name}: {error}") from error
    if trained_with != fingerprint(table):
        raise CheckpointError(
            f"{path} was trained with another table of words than the one beside it: train it anew "
            f"(tools/learn_{name}.py), or take the file away"
        )
    return head


def save_head(
    folder: str | Path, name: str, table: Associations, weights: Mapping[str, Tensor], about: Mapping[str, Any]
) -> None:
    """Write what `load_head` reads, in one piece. about: plain JSON."""
    from safetensors.torch import save

    told = json.dumps({**about, "table": fingerprint(table)})
    replace_file(Path(folder) / file_of(name), save(dict(weights), {name: told}))
