"""Ironwok: labels, events and sourced answers from unlabelled text, on one ordinary machine.

Public names load on first use, so that ``import ironwok`` stays fast and never imports torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# public name -> module that holds it
_EXPORTS = {
    "Classification": "ironwok.results",
    "IronwokError": "ironwok.errors",
    "Span": "ironwok.results",
    "ZeroShotClassifier": "ironwok.zero_shot",
}

__all__ = ["Classification", "IronwokError", "Span", "ZeroShotClassifier", "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ironwok' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
