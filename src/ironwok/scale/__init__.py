"""One job on many machines: files cut into parts, parts given to workers, each part written once.

    files -> plan (parts: byte ranges, groups of rows, whole documents)
          -> workers, each with one pipeline            here, or as actors of Ray
          -> part-00000.parquet …, with what failed in _quarantine/ and the state of the job in _job/

Names load on first use, so that importing this package imports neither Ray nor torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

# public name -> module that holds it
_EXPORTS = {
    "ClassifyTexts": "ironwok.scale.work",
    "ExtractTexts": "ironwok.scale.work",
    "Fleet": "ironwok.scale.job",
    "JobReport": "ironwok.scale.job",
    "ReadFiles": "ironwok.scale.documents",
    "run_job": "ironwok.scale.job",
}

__all__ = sorted(_EXPORTS)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ironwok.scale' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
