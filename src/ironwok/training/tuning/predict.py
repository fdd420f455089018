"""A trained model on a file of records: its answers, and how often they are right where that is known."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ironwok.errors import DataError
from ironwok.students.tuned.examples import Example, PairExample, ReadingExample, TextExample
from ironwok.students.tuned.models import AnswerMarker, TunedModel, load_tuned
from ironwok.students.tuned.network import Marked
from ironwok.training.tuning.data import Problem, read_examples
from ironwok.training.tuning.examples import right_answers, unknown_labels
from ironwok.training.tuning.fields import Fields
from ironwok.training.tuning.judge import judge_classes, judge_marks
from ironwok.zero_shot.mapping import ranked, softmax

_AT_ONCE = 256


class Predictions(Iterator[dict[str, Any]]):
    """One record after the other, in the order of the file; when all are read, `metrics` tells how good they are."""

    def __init__(
        self,
        model: TunedModel,
        examples: Iterator[tuple[int, Example]],
        *,
        source: Path,
        on_record: Callable[[int], None],
    ) -> None:
        self.model, self.task, self.labels = model, model.task, tuple(getattr(model, "labels", ()))
        self.count = self.left_out = self.unjudged = 0
        self.first_unjudged: Problem | None = None
        self._scores: list[NDArray[np.float64]] = []
        self._marks: list[Marked] = []
        self._known: list[Example] = []
        self._source, self._on_record = source, on_record
        self._stream = self._answers(examples)

    def __next__(self) -> dict[str, Any]:
        return next(self._stream)

    @property
    def judged(self) -> int:
        """How many records had a right answer."""
        return len(self._known)

    def unknown(self) -> Counter[str]:
        """Right answers that the model does not know, and how many records have each."""
        return unknown_labels(self._known, self.labels)

    def metrics(self) -> dict[str, float]:
        """Figures of the records that had a right answer; nothing where none had."""
        if not self._known:
            return {}
        if self.task == "reading":
            return judge_marks(self._marks, [one for one in self._known if isinstance(one, ReadingExample)])
        right = right_answers(self._known, self.labels).tolist()
        return judge_classes(self._scores, right, labels=len(self.labels), unknown=len(self.unknown()))

    def _answers(self, examples: Iterator[tuple[int, Example]]) -> Iterator[dict[str, Any]]:
        while chunk := list(itertools.islice(examples, _AT_ONCE)):
            asked = [example for _, example in chunk]
            if isinstance(self.model, AnswerMarker):
                found: list[Any] = self.model.marks(asked)  # pyright: ignore[reportArgumentType]
            else:
                found = self.model.network.scores(self.model.network.encode(asked))
            for (line, example), one in zip(chunk, found, strict=True):
                self._remember(example, one)
                self.count += 1
                self._on_record(1)
                yield {"line": line} | self._record(example, one)
        if not self.count:
            raise DataError(f"{self._source} has no records for {self.task!r}: name its fields with --field PART=NAME")

    def _remember(self, example: Example, one: Any) -> None:
        known = {"reading": "answers", "choice": "answer"}.get(self.task, "label")
        if getattr(example, known) is not None:
            self._known.append(example)
            (self._marks if self.task == "reading" else self._scores).append(one)

    def _record(self, example: Example, one: Any) -> dict[str, Any]:
        if isinstance(example, ReadingExample):
            span = one.span
            record = {"question": example.question, "answer": None if span is None else span.text}
            return record | ({} if span is None else {"start": span.start, "end": span.end}) | {"score": one.score}
        shares = softmax(one[None])[0]
        if isinstance(example, TextExample | PairExample):
            labels, scores = ranked(self.labels, shares)
            asked = (
                {"text": example.text}
                if isinstance(example, TextExample)
                else {"a": example.first, "b": example.second}
            )
            return asked | {"label": labels[0], "labels": list(labels), "scores": list(scores)}
        best = int(shares.argmax())
        return {
            "question": example.question,
            "answer": best,
            "choice": example.choices[best],
            "scores": [float(share) for share in shares],
        }


def predict_file(
    model: str | os.PathLike[str],
    file: Path,
    *,
    fields: Mapping[str, str] | None = None,
    encoding: str | None = None,
    batch_size: int = 64,
    device: str | None = None,
    dtype: str | None = None,
    on_problem: Callable[[Problem], None] = lambda problem: None,
    on_record: Callable[[int], None] = lambda count: None,
) -> Predictions:
    """Answer the records of a file with a model of `ironwok train classify|pairs|choice|reading`.

    model: its folder, or that of its run. fields: part -> field; None takes the names of the training data.
    The right answers may be missing, or such that nothing can be judged by them: those records are answered all the
    same, and counted in ``unjudged``. Records that cannot be used are told of and left out.
    Raises what `load_tuned` and `read_examples` raise; DataError, while iterating, where no record can be used.
    """
    loaded = load_tuned(model, batch_size=batch_size, device=device, dtype=dtype)
    named = dict(fields) if fields else dict(loaded.teacher.get("fields", {}))
    predictions: Predictions

    def note(problem: Problem) -> None:
        predictions.left_out += 1
        on_problem(problem)

    def note_doubt(problem: Problem) -> None:
        predictions.unjudged += 1
        predictions.first_unjudged = predictions.first_unjudged or problem

    parts = Fields(loaded.task, named, gold=False)
    examples = read_examples(file, parts, encoding=encoding, on_problem=note, on_doubt=note_doubt)
    predictions = Predictions(loaded, examples, source=file, on_record=on_record)
    return predictions
