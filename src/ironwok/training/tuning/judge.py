"""How good a model is on the development examples, as flat figures for logs and for choosing the best."""

# E examples, N labels

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ironwok.students.tuned.examples import ReadingExample
from ironwok.students.tuned.network import Marked
from ironwok.text.characters import is_unspaced

# The score that decides which checkpoint is the best; among equals the smaller loss wins.
DECIDING = {"classify": "accuracy", "pairs": "accuracy", "choice": "accuracy", "reading": "f1"}


def judge_classes(
    scores: Sequence[NDArray[np.float64]], right: Sequence[int], *, labels: int, unknown: int = 0
) -> dict[str, float]:
    """Accuracy and mean loss in nats; with ``labels`` also the mean F1 of all labels that occur.

    scores: of each example, logits of the labels or choices. right: the right one's number, -1 for one that is none of
    them: wrong whatever is said. labels: how many there are, 0 where examples have choices of their own. unknown: how
    many other labels are right answers: each has an F1 of 0.
    """
    said = np.array([row.argmax() for row in scores])
    wanted = np.array(right)
    losses = [_loss(row, number) for row, number in zip(scores, right, strict=True) if number >= 0]
    metrics = {"accuracy": float((said == wanted).mean()), "dev_loss": float(np.mean(losses)) if losses else 0.0}
    if labels:
        parts = [0.0] * unknown
        for label in range(labels):
            called, there = said == label, wanted == label
            if called.any() or there.any():
                parts.append(2 * (called & there).sum() / (called.sum() + there.sum()))
        metrics["macro_f1"] = float(np.mean(parts))
    return metrics


def _loss(row: NDArray[np.float64], number: int) -> float:
    top = row.max()
    return float(np.log(np.exp(row - top).sum()) + top - row[number])


def judge_marks(found: Sequence[Marked], examples: Sequence[ReadingExample]) -> dict[str, float]:
    """Mean F1 and exact match over questions, as CMRC 2018 is scored; a question without an answer counts 1 or 0."""
    scores = []
    for marked, example in zip(found, examples, strict=True):
        said = "" if marked.span is None else marked.span.text
        answers = [span.text for span in example.answers or ()]
        if not answers or not said:
            right = float(not answers and not said)
            scores.append((right, right))
        else:
            scores.append((answer_f1(said, answers), float(_bare(said) in map(_bare, answers))))
    f1, exact = np.mean(np.array(scores, dtype=np.float64).reshape(-1, 2), axis=0)
    return {"f1": float(f1), "exact": float(exact)}


def answer_f1(said: str, answers: Sequence[str]) -> float:
    """The best F1 with any of the answers: of the longest common run of characters, other scripts' words as one.

    After the evaluation of CMRC 2018 (ymcui/cmrc2018, cmrc2018_evaluate.py): punctuation does not count.
    """
    best = 0.0
    pieces = _pieces(said)
    for answer in answers:
        wanted = _pieces(answer)
        run = _longest_run(pieces, wanted)
        if run:
            precision, recall = run / len(pieces), run / len(wanted)
            best = max(best, 2 * precision * recall / (precision + recall))
    return best


def _bare(text: str) -> str:
    return "".join(one for one in text.lower() if not one.isspace() and unicodedata.category(one)[0] not in "PS")


def _pieces(text: str) -> list[str]:
    kept = "".join(one for one in text.lower() if unicodedata.category(one)[0] not in "PS")
    spread = "".join(f" {one} " if is_unspaced(one) else one for one in kept)
    return re.findall(r"\S+", spread)


def _longest_run(first: Sequence[str], second: Sequence[str]) -> int:
    best = 0
    row = [0] * (len(second) + 1)
    for one in first:
        previous, row = row, [0] * (len(second) + 1)
        for place, other in enumerate(second):
            if one == other:
                row[place + 1] = previous[place] + 1
                best = max(best, row[place + 1])
    return best


def rank(task: str, metrics: dict[str, float]) -> tuple[float, ...]:
    """What to compare two evaluations by, the greater the better."""
    return metrics[DECIDING[task]], -metrics.get("dev_loss", 0.0)
