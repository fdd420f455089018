"""What the teacher said, and which of it is for what: learning, choosing, reporting."""

# N texts, C labels

from __future__ import annotations

import warnings
import zlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ironwok.distill.labelling import Labelled
from ironwok.errors import DataError, DataWarning

# scores have five digits: what is less than one of the last is as good as one
_LEAST = 1e-5


class Lesson:
    """What the teacher said, and which of it is learned from.

    best: its labels. sure: their scores. said: natural logarithms of its scores, less their mean [N, C]. kept: where it
    did not abstain. held: what is kept for the report. aside: what strengths and rounds are chosen on. All over texts.
    absent: labels that are the best one of no text that is learned from [C].
    """

    def __init__(
        self, labelled: Sequence[Labelled], labels: tuple[str, ...], threshold: float, held_out: float
    ) -> None:
        self.texts = [one.text for one in labelled]
        self.labels = labels
        self.best = np.array([one.labels[0] for one in labelled])
        self.sure = np.array([one.scores[0] for one in labelled])
        columns = {label: column for column, label in enumerate(labels)}
        scores_NC = np.zeros((len(labelled), len(labels)))
        for row, one in enumerate(labelled):
            scores_NC[row, [columns[label] for label in one.labels]] = one.scores
        logs_NC = np.log(np.maximum(scores_NC, _LEAST))
        self.said = logs_NC - logs_NC.mean(axis=1, keepdims=True)
        self.kept = self.sure >= threshold
        places = np.array([zlib.crc32(text.encode("utf-8", "surrogatepass")) for text in self.texts]) / 2**32
        self.held = places < held_out
        self.aside = (places >= held_out) & (places < held_out + 0.1 * (1 - held_out))
        self.threshold = threshold
        self.absent = ~np.isin(labels, self.best[self.learned])

    def balance(self) -> dict[str, int]:
        counts = Counter(self.best[self.kept].tolist())
        return {label: counts[label] for label in self.labels}

    def check(self) -> None:
        """Raises DataError where there is nothing to learn; warns of labels that no text got."""
        empty = [label for label, count in self.balance().items() if not count]
        if len(self.labels) - len(empty) < 2:
            raise DataError(
                f"of {len(self.texts)} texts {int(self.kept.sum())} reach the threshold of {self.threshold:.2f}, and "
                f"with {len(self.labels) - len(empty)} of {len(self.labels)} labels: give more texts, other words for "
                "the labels, or a lower threshold"
            )
        learned = int((~self.absent).sum())
        if learned < 2:
            raise DataError(
                f"the {len(self.learned)} texts that are not held out have {learned} of {len(self.labels)} labels: "
                "there is nothing to learn; give more texts, or hold out a smaller share"
            )
        if empty:
            warnings.warn(
                f"no text was labelled {', '.join(empty[:5])}{' …' if len(empty) > 5 else ''}: the students will never "
                "say so",
                DataWarning,
                stacklevel=3,
            )

    @property
    def learned(self) -> NDArray[np.int64]:
        """Numbers of the texts that are learned from."""
        return np.flatnonzero(self.kept & ~self.held)
