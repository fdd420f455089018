"""Small classifiers, taught by the zero-shot one or fine-tuned on labelled texts, and the door that loads them all.

Names load on first use; the student of n-grams needs neither torch nor scikit-learn.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

# public name -> module that holds it
_EXPORTS = {
    "AnswerMarker": "ironwok.students.tuned.models",
    "ChoiceModel": "ironwok.students.tuned.models",
    "EncoderStudent": "ironwok.students.encoder",
    "HashedNgrams": "ironwok.students.hashing",
    "NgramStudent": "ironwok.students.ngrams",
    "PairClassifier": "ironwok.students.tuned.models",
    "Student": "ironwok.students.student",
    "TunedClassifier": "ironwok.students.tuned.models",
    "is_student": "ironwok.students.loading",
    "known_labels": "ironwok.students.loading",
    "load_classifier": "ironwok.students.loading",
    "load_student": "ironwok.students.loading",
    "load_tuned": "ironwok.students.tuned.models",
}

__all__ = sorted(_EXPORTS)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ironwok.students' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
