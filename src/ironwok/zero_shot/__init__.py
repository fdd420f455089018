"""Zero-shot understanding: labels, sentence pairs, blanks, pronouns and entities without a labelled example.

Names load on first use, so that importing this package does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

# public name -> module that holds it
_EXPORTS = {
    "CostEstimate": "ironwok.zero_shot.cost",
    "EncoderScorer": "ironwok.zero_shot.encoder_scorer",
    "NLIScorer": "ironwok.zero_shot.nli",
    "NSPScorer": "ironwok.zero_shot.nsp",
    "PETScorer": "ironwok.zero_shot.pet",
    "Pair": "ironwok.zero_shot.pairs",
    "Prompt": "ironwok.zero_shot.pairs",
    "Scorer": "ironwok.zero_shot.pairs",
    "ScorerOptions": "ironwok.zero_shot.registry",
    "SelfCheck": "ironwok.zero_shot.selfcheck",
    "ZeroShotClassifier": "ironwok.zero_shot.classifier",
    "load_scorer": "ironwok.zero_shot.registry",
    "scorer_names": "ironwok.zero_shot.registry",
    "self_check": "ironwok.zero_shot.selfcheck",
}

__all__ = sorted(_EXPORTS)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ironwok.zero_shot' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
