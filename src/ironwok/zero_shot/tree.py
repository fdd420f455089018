"""Down a tree of labels, level by level; a flat row of labels is a tree of one level."""

# W windows, C candidates

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ironwok.results import Span
from ironwok.zero_shot.labels import LabelSet, Node
from ironwok.zero_shot.mapping import WindowReduction, combine_windows
from ironwok.zero_shot.reader import Reader


@dataclass(frozen=True, slots=True)
class Reached:
    """A node of the tree with the log-probability of its path and the window that spoke loudest for it."""

    node: Node
    log_probability: float
    window: int


def descend(
    reader: Reader,
    texts: Sequence[str],
    windows: Sequence[Sequence[Span]],
    label_sets: Sequence[LabelSet],
    *,
    multi_label: bool,
    reduction: WindowReduction,
    beam: int | None,
) -> list[list[Reached]]:
    """The leaves that each text reached.

    Siblings are compared with one another: the probability of a leaf is the product along its path of softmaxes over
    siblings (of sigmoids for multi_label).
    beam: go on from this many best nodes of each level only; None follows every branch.
    """
    reached = [[Reached(label_set.root, 0.0, 0)] for label_set in label_sets]
    while any(not step.node.is_leaf for steps in reached for step in steps):
        words = [_words_to_ask(steps, multi_label) for steps in reached]
        tables = reader.tables(texts, windows, words)
        reached = [
            _one_level(steps, table, multi_label, reduction, beam) for steps, table in zip(reached, tables, strict=True)
        ]
    return reached


def _words_to_ask(steps: Sequence[Reached], multi_label: bool) -> list[str]:
    return [child.words for step in steps if _is_asked(step.node, multi_label) for child in step.node.children]


def _is_asked(node: Node, multi_label: bool) -> bool:
    """An only child follows from its parent, unless each label stands for itself."""
    return len(node.children) > 1 or (multi_label and len(node.children) == 1)


def _one_level(
    steps: Sequence[Reached], table_WC: np.ndarray, multi_label: bool, reduction: WindowReduction, beam: int | None
) -> list[Reached]:
    level: list[Reached] = []
    column = 0
    for step in steps:
        children = step.node.children
        if not _is_asked(step.node, multi_label):
            level.extend([Reached(child, step.log_probability, step.window) for child in children] or [step])
            continue
        scores_C, loudest_C = combine_windows(table_WC[:, column : column + len(children)], reduction)
        column += len(children)
        logs_C = -np.logaddexp(0, -scores_C) if multi_label else scores_C - np.logaddexp.reduce(scores_C)
        level.extend(
            Reached(child, step.log_probability + float(log), int(window))
            for child, log, window in zip(children, logs_C, loudest_C, strict=True)
        )
    if beam is None or len(level) <= beam:
        return level
    kept = sorted(range(len(level)), key=lambda i: (-level[i].log_probability, i))[:beam]
    return [level[i] for i in sorted(kept)]
