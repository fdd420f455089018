"""Ironwok: labels, events and sourced answers from unlabelled text, on one ordinary machine.

Public names load on first use, so that ``import ironwok`` stays fast and never imports torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# public name -> module that holds it
_EXPORTS = {
    "Answer": "ironwok.results",
    "Answerer": "ironwok.nbce",
    "Argument": "ironwok.results",
    "Classification": "ironwok.results",
    "DocumentResult": "ironwok.results",
    "Entity": "ironwok.results",
    "Event": "ironwok.results",
    "EventExtractor": "ironwok.events",
    "IronwokError": "ironwok.errors",
    "PassageResult": "ironwok.results",
    "Relation": "ironwok.results",
    "Report": "ironwok.results",
    "Skip": "ironwok.results",
    "Span": "ironwok.results",
    "ZeroShotClassifier": "ironwok.zero_shot",
    "read": "ironwok.reading",
}

__all__ = [
    "Answer",
    "Answerer",
    "Argument",
    "Classification",
    "DocumentResult",
    "Entity",
    "Event",
    "EventExtractor",
    "IronwokError",
    "PassageResult",
    "Relation",
    "Report",
    "Skip",
    "Span",
    "ZeroShotClassifier",
    "__version__",
    "read",
]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ironwok' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
