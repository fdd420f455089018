"""Weights in a quarter of their size: every row of a matrix in 8 bits, with a scale of its own.

A row r is stored as integers q in [-127, 127] and one number s with r ≈ s q, where s is the largest magnitude in the
row over 127. That is done to files alone: models compute with what is read back, in any number format. Vectors stay as
they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ironwok.errors import CheckpointError

FILE = "model.int8.safetensors"
_QUANTA, _SCALE = "quanta.", "scale."
_LARGEST = 127


def pack(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Matrices as int8 with a float32 scale for each row; what is no matrix as float32.

    Raises CheckpointError for weights that are not finite.
    """
    packed: dict[str, Tensor] = {}
    for name, value in state.items():
        value = value.detach().float().cpu()
        if not torch.isfinite(value).all():
            raise CheckpointError(f"{name} is not finite: such a model cannot be packed")
        if value.ndim != 2:
            packed[name] = value.contiguous()
            continue
        scale = value.abs().amax(dim=1, keepdim=True) / _LARGEST
        quanta = (value / scale.clamp(min=torch.finfo(torch.float32).tiny)).round()
        packed[_QUANTA + name] = quanta.clamp(-_LARGEST, _LARGEST).to(torch.int8)
        packed[_SCALE + name] = scale.squeeze(1)
    return packed


def unpack(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights, float32, each half a quantum from where it was at most. Raises CheckpointError for a lost scale."""
    state: dict[str, Tensor] = {}
    for name, value in packed.items():
        if name.startswith(_SCALE):
            continue
        if not name.startswith(_QUANTA):
            state[name] = value
            continue
        plain = name.removeprefix(_QUANTA)
        scale = packed.get(_SCALE + plain)
        if scale is None or scale.shape != value.shape[:1]:
            raise CheckpointError(f"{plain} is packed without the scales of its {value.shape[0]} rows")
        state[plain] = value.float() * scale[:, None]
    return state


def write_packed(state: Mapping[str, Tensor], folder: Path) -> None:
    """Write ``model.int8.safetensors`` into a folder."""
    save_file(pack(state), folder / FILE, metadata={"format": "pt"})


def read_packed(folder: Path) -> dict[str, Tensor] | None:
    """The weights of a folder, None where they are not packed. Raises CheckpointError for a damaged file."""
    if not (folder / FILE).is_file():
        return None
    try:
        return unpack(load_file(folder / FILE))
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{folder / FILE} cannot be read: {error}") from error
