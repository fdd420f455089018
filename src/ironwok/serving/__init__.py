"""Classification, extraction and sourced answers over HTTP: `ironwok serve`.

Names load on first use; the server itself needs the extra "serve".
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

# public name -> module that holds it
_EXPORTS = {
    "Limits": "ironwok.serving.limits",
    "Services": "ironwok.serving.services",
    "create_app": "ironwok.serving.app",
    "load_services": "ironwok.serving.services",
}

__all__ = sorted(_EXPORTS)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ironwok.serving' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
