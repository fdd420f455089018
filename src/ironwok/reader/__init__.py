"""Answers marked in the texts themselves, without a language model: Chinese questions above all.

A question's words find passages, passages give sentences, a sentence gives the words that answer. Nothing here needs
torch. Names load on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

# public name -> module that holds it
_EXPORTS = {
    "ByLanguage": "ironwok.reader.choice",
    "ExtractiveReader": "ironwok.reader.extractive",
}

__all__ = sorted(_EXPORTS)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ironwok.reader' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
