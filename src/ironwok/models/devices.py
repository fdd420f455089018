"""Devices and number formats by name."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from ironwok.errors import InputError, SlowWarning

if TYPE_CHECKING:
    import torch

DTYPES = ("float32", "bfloat16", "float16", "auto")

# What Linux calls a processor's instructions for bfloat16, on x86 and on ARM. Without them it is slower than float32,
# and with some of them, too: a Xeon with avx512_bf16 and without AMX takes twice as long (docs/log.md).
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
_TIMED = (256, 512, 1024)  # rows, inputs and outputs of the product that is timed, 3 milliseconds of one core
_TIMES = 8
_WORTH_IT = 0.8  # of float32's time at most; numbers that are rounded need a reason
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
    """The number format by name, float32 for None; "auto" is bfloat16 where the device is faster in it."""
    import torch

    if dtype is not None and dtype not in DTYPES:
        raise InputError(f"dtype is {dtype!r}; it is one of {', '.join(DTYPES)}")
    if dtype == "auto":
        dtype = "bfloat16" if _is_faster_in_bfloat16(device) else "float32"
    if dtype == "float16" and device.type == "cpu":
        warnings.warn(
            "float16 may take ten times as long as other formats on a processor: dtype='auto' (--dtype auto) picks "
            "what is fast here",
            SlowWarning,
            stacklevel=3,
        )
    return getattr(torch, dtype or "float32")


def _is_faster_in_bfloat16(device: torch.device) -> bool:
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type != "cpu" or not _PROCESSOR.is_file():
        return False
    if _BFLOAT16_FLAGS.isdisjoint(_PROCESSOR.read_text(encoding="utf-8").split()):
        return False
    return _bfloat16_pays()


@functools.cache
def _bfloat16_pays() -> bool:
    """Whether this processor multiplies clearly faster in bfloat16, measured once in a process."""
    import torch

    single, half = _seconds(torch.float32, torch.bfloat16)
    return half < _WORTH_IT * single


def _seconds(*formats: torch.dtype) -> list[float]:
    """The least time that a product of matrices took in each format; they take turns, as other programs come and go."""
    import torch

    rows, inputs, outputs = _TIMED
    operands = [(torch.ones(rows, inputs, dtype=dtype), torch.ones(outputs, inputs, dtype=dtype)) for dtype in formats]
    times: list[list[float]] = [[] for _ in formats]
    for _ in range(1 + _TIMES):
        for (states, weights), own in zip(operands, times, strict=True):
            start = perf_counter()
            torch.nn.functional.linear(states, weights)
            own.append(perf_counter() - start)
    return [min(own[1:]) for own in times]  # the first product has to set things up
