"""Devices and number formats by name."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from ironwok.errors import InputError, SlowWarning

if TYPE_CHECKING:
    import torch

DTYPES = ("float32", "bfloat16", "float16", "auto")

# What Linux calls a processor's instructions for bfloat16, on x86 and on ARM. Without them it is slower than float32.
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
_PROCESSOR = Path("/proc/cpuinfo")


def pick_device(device: str | None) -> torch.device:
    """The device by name; for None a GPU where there is one."""
    import torch

    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        picked = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"device is {device!r}; it is 'cpu', 'cuda', 'cuda:1', ...") from error
    if picked.type == "cuda" and not torch.cuda.is_available():
        raise InputError(
            f"device is {device!r}, but torch sees no GPU here: leave it out or pass device='cpu' (--device cpu)"
        )
    return picked


def pick_dtype(dtype: str | None, device: torch.device) -> torch.dtype:
    """The number format by name, float32 for None; "auto" is bfloat16 where the device computes in it, else float32."""
    import torch

    if dtype is not None and dtype not in DTYPES:
        raise InputError(f"dtype is {dtype!r}; it is one of {', '.join(DTYPES)}")
    if dtype == "auto":
        dtype = "bfloat16" if _computes_in_bfloat16(device) else "float32"
    if dtype == "float16" and device.type == "cpu":
        warnings.warn(
            "float16 takes about ten times as long as bfloat16 on a processor: dtype='auto' (--dtype auto) picks what "
            "is fast here",
            SlowWarning,
            stacklevel=3,
        )
    return getattr(torch, dtype or "float32")


def _computes_in_bfloat16(device: torch.device) -> bool:
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type != "cpu" or not _PROCESSOR.is_file():
        return False
    return not _BFLOAT16_FLAGS.isdisjoint(_PROCESSOR.read_text(encoding="utf-8").split())
