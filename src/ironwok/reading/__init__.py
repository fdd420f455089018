"""The main job: read files and folders, find what was asked for in every passage, leave a report.

Names load on first use, so that importing this package does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

# public name -> module that holds it
_EXPORTS = {
    "Advanced": "ironwok.reading.events",
    "EventReader": "ironwok.reading.event_reader",
    "LabelReader": "ironwok.reading.readers",
    "PassageReader": "ironwok.reading.readers",
    "Planned": "ironwok.reading.events",
    "Skipped": "ironwok.reading.events",
    "Stopped": "ironwok.reading.events",
    "document_classification": "ironwok.reading.aggregate",
    "read": "ironwok.reading.pipeline",
    "render": "ironwok.reading.html",
}

__all__ = sorted(_EXPORTS)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ironwok.reading' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
