"""What every student can do: answer as the zero-shot classifier does, and as a classifier of scikit-learn does."""

# N texts, C labels

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ironwok.errors import InputError, LabelError
from ironwok.progress import progress_bar
from ironwok.results import Classification
from ironwok.zero_shot.cost import CostEstimate
from ironwok.zero_shot.labels import is_per_text, parse_labels
from ironwok.zero_shot.mapping import abstains, check_threshold, ranked, softmax
from ironwok.zero_shot.pairs import check_text, check_texts

_AT_ONCE = 1024
_SOON = 64
_TRIAL = 256


class Student(ABC):
    """A classifier of fixed labels. Each text has one of them.

    labels: in the order of the columns of ``predict_proba``. teacher: how it was taught, plain JSON, for people.
    """

    kind: ClassVar[str]

    def __init__(self, labels: Sequence[str], *, teacher: Mapping[str, Any] | None = None) -> None:
        self.labels = parse_labels(list(labels)).names
        self.teacher = dict(teacher or {})
        self._columns = {label: column for column, label in enumerate(self.labels)}

    @abstractmethod
    def decision_function(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Scores whose softmax are the probabilities, float64 [N, C]."""

    @property
    def classes_(self) -> NDArray[np.str_]:
        return np.array(self.labels)

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities, float64 [N, C]; each row sums to 1."""
        return softmax(self.decision_function(check_texts(texts)))

    def predict(self, texts: Sequence[str]) -> NDArray[np.str_]:
        """The best label of each text."""
        return self.classes_[self.decision_function(check_texts(texts)).argmax(axis=1)]

    def __call__(
        self,
        sequences: str | Sequence[str],
        candidate_labels: str | Sequence[str] | None = None,
        hypothesis_template: str | None = None,
        multi_label: bool = False,
        *,
        batch_size: int | None = None,
        truncation: bool | str | None = None,
    ) -> dict[str, Any] | list[dict[str, Any]]:
        """Classify like the zero-shot pipeline of ``transformers``. candidate_labels: None for all of the student's.

        hypothesis_template, batch_size, truncation: without effect.
        """
        del hypothesis_template, batch_size, truncation
        results = self.classify(sequences, labels=candidate_labels, multi_label=multi_label)
        answers = [
            {"sequence": result.text, "labels": list(result.labels), "scores": list(result.scores)}
            for result in results
        ]
        return answers[0] if isinstance(sequences, str) else answers

    def classify(
        self,
        texts: Iterable[str] | str,
        *,
        labels: Any = None,
        template: Any = None,
        multi_label: bool = False,
        threshold: float | None = None,
        calibrate: Any = None,
        position: Any = None,
        protocol: str = "cc",
        prior: Any = None,
        shortlist: int | None = None,
        shortlist_by: Any = None,
        label_separator: str | None = None,
        beam: int | None = None,
        overflow: Any = None,
        windows: Any = None,
        max_tokens: int | None = None,
        progress: bool = False,
    ) -> list[Classification]:
        """Classify texts; one result for each, in their order.

        labels: None for all that the student knows, else some of them, in any form that `ZeroShotClassifier` takes;
        the scores are then those of the given labels alone, and sum to 1.
        threshold: abstain where the best score is lower. shortlist: give only so many labels, the best ones.
        template, calibrate, position, shortlist_by, beam, overflow, windows, max_tokens: without effect; how the
        question was put was settled when the student was taught, and it reads every text as a whole.

        Raises LabelError for a label that the student does not know; InputError for ``multi_label`` and for
        samples-contrast, which a student was not taught.
        """
        del template, calibrate, position, shortlist_by, beam, overflow, windows, max_tokens
        listed = check_texts(texts)
        if prior is not None:
            raise InputError("a prior is for samples-contrast, which a student does not do: leave it out")
        choose = self._chooser(labels, label_separator, multi_label, threshold, protocol, shortlist)
        results: list[Classification] = []
        with progress_bar("classify", total=len(listed), shown=progress) as advance:
            for start in range(0, len(listed), _AT_ONCE):
                chunk = listed[start : start + _AT_ONCE]
                results.extend(choose(chunk, start))
                advance(len(chunk))
        if is_per_text(labels) and len(labels) != len(listed):
            raise InputError(f"there are {len(listed)} texts but labels for {len(labels)}: give one set a text")
        return results

    def classify_iter(
        self,
        texts: Iterable[str],
        *,
        labels: Any = None,
        template: Any = None,
        multi_label: bool = False,
        threshold: float | None = None,
        calibrate: Any = None,
        position: Any = None,
        shortlist: int | None = None,
        shortlist_by: Any = None,
        label_separator: str | None = None,
        beam: int | None = None,
        overflow: Any = None,
        windows: Any = None,
        max_tokens: int | None = None,
        progress: bool = False,
    ) -> Iterator[Classification]:
        """Classify a stream of texts in its order; arguments as of `classify`, texts as of `ZeroShotClassifier`."""
        del template, calibrate, position, shortlist_by, beam, overflow, windows, max_tokens
        if isinstance(texts, str):
            raise InputError("texts is one string: give a list or another iterable of strings")
        choose = self._chooser(labels, label_separator, multi_label, threshold, "cc", shortlist)
        total = len(texts) if isinstance(texts, Sized) else None
        return self._stream(iter(texts), choose, total, progress)

    def estimate_cost(
        self,
        texts: Sequence[str],
        *,
        labels: Any = None,
        template: Any = None,
        shortlist: int | None = None,
        label_separator: str | None = None,
        max_tokens: int | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> CostEstimate:
        """Predict the cost of `classify`, by a trial. A text is one reading; ``tokens`` counts its characters."""
        del template, max_tokens
        listed = check_texts(texts)
        names = self._names(labels, label_separator) if not is_per_text(labels) else self.labels
        self._chooser(labels, label_separator, False, None, "cc", shortlist)
        if not listed:
            return CostEstimate(0, len(names), 0, 0, 0.0)
        trial = listed[:: max(1, len(listed) // _TRIAL)][:_TRIAL]
        self.decision_function(trial)
        start = clock()
        self.decision_function(trial)
        seconds = (clock() - start) * len(listed) / len(trial)
        return CostEstimate(len(listed), len(names), len(listed), sum(map(len, listed)), seconds)

    def _stream(self, texts: Iterator[str], choose: _Chooser, total: int | None, progress: bool) -> Iterator:
        pauses: Callable[[], bool] | None = getattr(texts, "pauses", None)
        done = 0
        with progress_bar("classify", total=total, shown=progress) as advance:
            while True:
                chunk: list[str] = []
                for text in texts:
                    chunk.append(check_text(text, done + len(chunk)))
                    if len(chunk) >= _SOON or (pauses is not None and pauses()):
                        break
                if not chunk:
                    return
                yield from choose(chunk, done)
                done += len(chunk)
                advance(len(chunk))

    def _chooser(
        self,
        labels: Any,
        separator: str | None,
        multi_label: bool,
        threshold: float | None,
        protocol: str,
        shortlist: int | None,
    ) -> _Chooser:
        """Checks the arguments; gives what turns texts, and the number of the first, into results."""
        if multi_label:
            raise InputError(
                "this student was taught one label a text: leave multi_label out, or take the zero-shot model"
            )
        if protocol != "cc":
            raise InputError(f"protocol is {protocol!r}; a student compares the labels of each text ('cc')")
        if shortlist is not None and shortlist < 2:
            raise InputError(f"shortlist is {shortlist}; keep 2 labels or more, or None for all")
        bound = check_threshold(threshold)
        per_text = [self._names(own, separator) for own in labels] if is_per_text(labels) else None
        names = self.labels if per_text is not None else self._names(labels, separator)

        def choose(texts: list[str], first: int) -> list[Classification]:
            if per_text is not None and first + len(texts) > len(per_text):
                raise InputError(f"there are labels for {len(per_text)} texts, but more texts: give one set a text")
            scores_NC = self.decision_function(texts)
            results = []
            for number, text in enumerate(texts):
                own = names if per_text is None else per_text[first + number]
                chosen = scores_NC[number, [self._columns[name] for name in own]]
                best, values = ranked(own, chosen)
                probabilities = softmax(np.array(values)[:shortlist])
                low = abstains(float(probabilities[0]), bound)
                results.append(Classification(text, best[:shortlist], tuple(map(float, probabilities)), low))
            return results

        return choose

    def _names(self, labels: Any, separator: str | None) -> tuple[str, ...]:
        if labels is None:
            return self.labels
        names = parse_labels(labels, separator=separator).names
        unknown = [name for name in names if name not in self._columns]
        if unknown:
            raise LabelError(
                f"this student does not know {', '.join(map(repr, unknown[:3]))}: it was taught "
                f"{', '.join(self.labels)}; distil or train another one, or take the zero-shot model"
            )
        return names


_Chooser = Callable[[list[str], int], list[Classification]]
