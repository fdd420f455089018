"""Answers from more text than a model can hold: naive-Bayes context extension for any causal language model.

Names load on first use, so that importing this package does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

# public name -> module that holds it
_EXPORTS = {
    "Answerer": "ironwok.nbce.answerer",
    "Context": "ironwok.nbce.contexts",
    "Layout": "ironwok.nbce.prompts",
    "NBCELogitsProcessor": "ironwok.nbce.processor",
    "Settings": "ironwok.nbce.settings",
    "combine": "ironwok.nbce.core",
    "load_causal": "ironwok.nbce.loading",
}

__all__ = sorted(_EXPORTS)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ironwok.nbce' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
