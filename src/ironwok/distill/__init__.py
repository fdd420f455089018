"""From prompt scoring to a small, fast classifier: label unlabelled texts, teach students, say how good they are.

Names load on first use; teaching and `HashedTextClassifier` need scikit-learn (the extra "distill").
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

# public name -> module that holds it
_EXPORTS = {
    "DistillReport": "ironwok.distill.report",
    "HashedTextClassifier": "ironwok.distill.estimator",
    "StudentReport": "ironwok.distill.report",
    "distill": "ironwok.distill.pipeline",
}

__all__ = sorted(_EXPORTS)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ironwok.distill' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
