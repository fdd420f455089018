"""Events, entities and relations: schemas, annotated texts and their formats, metrics, and the extractor.

Names load on first use, so that importing this package does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

# public name -> module that holds it
_EXPORTS = {
    "AnnotatedText": "ironwok.events.annotations",
    "DecodingOptions": "ironwok.events.decoding",
    "EntityExtractor": "ironwok.events.extractor",
    "EntityType": "ironwok.events.schema",
    "EventExtractor": "ironwok.events.extractor",
    "EventType": "ironwok.events.schema",
    "RelationExtractor": "ironwok.events.extractor",
    "RelationType": "ironwok.events.schema",
    "Role": "ironwok.events.schema",
    "Schema": "ironwok.events.schema",
    "choose_model": "ironwok.events.choosing",
    "infer_schema": "ironwok.events.schema",
    "read_annotations": "ironwok.events.formats",
    "write_annotations": "ironwok.events.formats",
    "load_extractor": "ironwok.events.extractor",
    "load_schema": "ironwok.events.schema_files",
    "save_schema": "ironwok.events.schema_files",
    "score_entities": "ironwok.events.metrics",
    "score_events": "ironwok.events.metrics",
    "score_relations": "ironwok.events.metrics",
}

__all__ = sorted(_EXPORTS)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ironwok.events' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
