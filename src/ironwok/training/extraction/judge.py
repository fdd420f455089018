"""How good a model is on annotated texts, as flat figures for logs and for choosing the best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ironwok.events.annotations import AnnotatedText
from ironwok.events.metrics import Score, score_entities, score_events, score_relations

# The score that decides which checkpoint is the best, and what settles a draw, by task.
DECIDING = {
    "events": ("event_f1", "argument_classification_f1"),
    "entities": ("entity_f1",),
    "relations": ("relation_f1",),
}


def judge(task: str, found: Sequence[Sequence[Any]], texts: Sequence[AnnotatedText]) -> dict[str, float]:
    """Precision, recall and F1 of everything that is scored, in [0, 1]."""
    if task == "events":
        scores = score_events(found, [text.events for text in texts])
        named = {name: getattr(scores, name) for name in type(scores).__dataclass_fields__}
    elif task == "entities":
        named = {"entity": score_entities(found, [text.entities for text in texts])}
    else:
        named = {"relation": score_relations(found, [text.relations for text in texts])}
    return {f"{name}_{kind}": value for name, score in named.items() for kind, value in _figures(score).items()}


def _figures(score: Score) -> dict[str, float]:
    return {"precision": score.precision, "recall": score.recall, "f1": score.f1}


def rank(task: str, metrics: dict[str, float]) -> tuple[float, ...]:
    """What to compare two evaluations by, the greater the better."""
    return tuple(metrics[name] for name in DECIDING[task])
