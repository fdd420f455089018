"""Spoken sentences: what is meant, with which slots, or that it is none of the projector's business."""

from __future__ import annotations

from ironwok.home.understanding.understand import (
    AgreeingUnderstander,
    ClassifierUnderstander,
    StudentUnderstander,
    Understander,
    Understood,
    make_understander,
)

__all__ = [
    "AgreeingUnderstander",
    "ClassifierUnderstander",
    "StudentUnderstander",
    "Understander",
    "Understood",
    "make_understander",
]
