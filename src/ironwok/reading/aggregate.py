"""The label of a document, drawn together from the labels of its passages. Plain Python, knows no model."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

from ironwok.results import Classification, PassageResult

# digits kept of every score, in files and in memory, so that a resumed run computes with what the first one computed
SCORE_DIGITS = 6


def document_classification(
    passages: Sequence[PassageResult], *, multi_label: bool, threshold: float | None
) -> Classification | None:
    """Labels of a document from those of its passages; None where no passage was classified.

    One label per passage: the score of a label is the mean of its scores over the passages, each weighted by its length
    in characters, so that a heading does not outvote the paragraphs under it. The means sum to 1 as the passages do.
    Several labels (``multi_label``): the greatest score of any passage, since a document is about everything that one
    of its passages is about.
    threshold: in [0, 1]; the document abstains where its best score stays under it.
    """
    judged = [(len(passage.span.text), passage.classification) for passage in passages]
    pairs = [(length, classification) for length, classification in judged if classification is not None]
    if not pairs:
        return None
    scores_by_label: dict[str, list[tuple[int, float]]] = {}
    for length, classification in pairs:
        for label, score in zip(classification.labels, classification.scores, strict=True):
            scores_by_label.setdefault(label, []).append((length, score))
    characters = sum(length for length, _ in pairs)
    combined = {
        label: max(score for _, score in scores)
        if multi_label
        else fsum(length * score for length, score in scores) / characters
        for label, scores in scores_by_label.items()
    }
    # equal scores stand in the order of their labels, whichever passage came first
    ranked = sorted(combined.items(), key=lambda item: (-round(item[1], SCORE_DIGITS), item[0]))
    scores = tuple(round(score, SCORE_DIGITS) for _, score in ranked)
    return Classification(
        text="".join(piece for passage in passages for piece in (passage.before, passage.span.text)),
        labels=tuple(label for label, _ in ranked),
        scores=scores,
        abstained=threshold is not None and bool(scores) and scores[0] < threshold,
    )
