"""The four kinds of fine-tuned models, each with the calls that its task asks for, and the door that loads them."""

# E examples, N labels, C choices

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ironwok.errors import CheckpointError, InputError
from ironwok.results import Span
from ironwok.students.files import read_description
from ironwok.students.student import Student
from ironwok.students.tuned.examples import TASKS, ChoiceExample, PairExample, ReadingExample, TextExample
from ironwok.students.tuned.network import Marked, Network
from ironwok.zero_shot.mapping import ranked, softmax

KIND = "tuned"
_AUTO = {
    "classify": "AutoModelForSequenceClassification",
    "pairs": "AutoModelForSequenceClassification",
    "choice": "AutoModelForMultipleChoice",
    "reading": "AutoModelForQuestionAnswering",
}


class TunedClassifier(Student):
    """A text in, one of the labels out: everything that takes a student or the zero-shot classifier takes this.

    Texts longer than ``max_tokens`` are read in windows, whose scores are averaged.
    """

    kind = KIND
    task = "classify"

    def __init__(self, network: Network, labels: Sequence[str], *, teacher: Mapping[str, Any] | None = None) -> None:
        super().__init__(labels, teacher=teacher)
        self.network = network

    def decision_function(self, texts: Sequence[str]) -> NDArray[np.float64]:
        encoded = self.network.encode([TextExample(text) for text in texts])
        return _stacked(self.network.scores(encoded), len(self.labels))


@dataclass(frozen=True, slots=True)
class PairResult:
    """Labels of two texts, best first, with probabilities that sum to 1."""

    first: str
    second: str
    labels: tuple[str, ...]
    scores: tuple[float, ...]

    @property
    def label(self) -> str:
        return self.labels[0]

    def to_dict(self) -> dict[str, Any]:
        return {"label": self.label, "labels": list(self.labels), "scores": list(self.scores)}


class PairClassifier:
    """Two texts in, one of the labels out. teacher: how it was trained, for people."""

    task = "pairs"

    def __init__(self, network: Network, labels: Sequence[str], *, teacher: Mapping[str, Any] | None = None) -> None:
        self.network, self.labels, self.teacher = network, tuple(labels), dict(teacher or {})

    def predict_proba(self, pairs: Iterable[tuple[str, str]]) -> NDArray[np.float64]:
        """Probabilities [E, N], in the order of ``labels``."""
        asked = [PairExample(_text(first), _text(second)) for first, second in pairs]
        return softmax(_stacked(self.network.scores(self.network.encode(asked)), len(self.labels)))

    def predict(self, pairs: Iterable[tuple[str, str]]) -> list[str]:
        """The best label of each pair."""
        return [self.labels[best] for best in self.predict_proba(pairs).argmax(axis=1)]

    def classify(self, pairs: Iterable[tuple[str, str]]) -> list[PairResult]:
        """All labels of each pair, best first."""
        listed = list(pairs)
        results = []
        for (first, second), row in zip(listed, self.predict_proba(listed), strict=True):
            labels, scores = ranked(self.labels, row)
            results.append(PairResult(first, second, tuple(labels), tuple(map(float, scores))))
        return results


@dataclass(frozen=True, slots=True)
class ChoiceResult:
    """answer: number of the best choice, from 0. choice: itself. scores: probability of each choice, in their order."""

    answer: int
    choice: str
    scores: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"answer": self.answer, "choice": self.choice, "scores": list(self.scores)}


class ChoiceModel:
    """A passage, a question and several answers in, the right answer out."""

    task = "choice"

    def __init__(self, network: Network, *, teacher: Mapping[str, Any] | None = None) -> None:
        self.network, self.teacher = network, dict(teacher or {})

    def choose(self, question: str, choices: Sequence[str], *, passage: str = "") -> ChoiceResult:
        """Raises InputError for fewer than two choices."""
        (result,) = self.choose_many([(question, choices, passage)])
        return result

    def choose_many(self, questions: Iterable[tuple[str, Sequence[str], str]]) -> list[ChoiceResult]:
        """questions: (question, choices, passage) each; they may differ in how many choices they have."""
        asked = []
        for question, choices, passage in questions:
            if isinstance(choices, str) or len(choices) < 2:
                raise InputError(f"{choices!r:.60} are no choices: give a list of two or more")
            asked.append(ChoiceExample(_text(passage, blank=True), _text(question), tuple(map(_text, choices))))
        scores = self.network.scores(self.network.encode(asked))
        results = []
        for example, row in zip(asked, scores, strict=True):
            best = int(row.argmax())
            shares = softmax(row[None])[0]
            results.append(ChoiceResult(best, example.choices[best], tuple(map(float, shares))))
        return results


class AnswerMarker:
    """A question and a passage of any length in, the words of the passage that answer out.

    longest: tokens of an answer at most. may_lack: whether it was taught questions that the passage does not answer.
    """

    task = "reading"

    def __init__(
        self, network: Network, *, longest: int, may_lack: bool, teacher: Mapping[str, Any] | None = None
    ) -> None:
        self.network, self.longest, self.may_lack, self.teacher = network, longest, may_lack, dict(teacher or {})

    def answer(self, question: str, context: str) -> Marked:
        """Raises TextTooLongError for a question that leaves no room for the passage."""
        (marked,) = self.answer_many([(question, context)])
        return marked

    def mark(self, question: str, text: str) -> tuple[Span, float]:
        """The words of a text that answer and how likely they do; all of it, with 0, where there are none."""
        marked = self.answer(question, text)
        return (Span(0, len(text), text), 0.0) if marked.span is None else (marked.span, marked.score)

    def answer_many(self, questions: Iterable[tuple[str, str]]) -> list[Marked]:
        """questions: (question, passage) each."""
        return self.marks([ReadingExample(_text(context), _text(question)) for question, context in questions])

    def marks(self, asked: Sequence[ReadingExample]) -> list[Marked]:
        """As `answer_many`, for examples."""
        encoded = self.network.encode(asked)
        return self.network.marks(asked, encoded, longest=self.longest, may_lack=self.may_lack)


TunedModel = TunedClassifier | PairClassifier | ChoiceModel | AnswerMarker


def load_tuned(
    folder: str | os.PathLike[str], *, batch_size: int = 64, device: str | None = None, dtype: str | None = None
) -> TunedModel:
    """Load what `ironwok train classify|pairs|choice|reading` made, by the folder of the model or of its run.

    Raises CheckpointError for a folder that holds none or is damaged, InputError for a device or number format that is
    not there.
    """
    from ironwok.students.loading import refuse_extractor, student_folder

    path = student_folder(folder)
    if path is None:
        refuse_extractor(folder)
        raise CheckpointError(f"{folder} holds no trained model: name the folder of one (RUN/model), or of its run")
    described = read_description(path)
    if described.get("kind") != KIND:
        raise CheckpointError(
            f"{path} holds a model of kind {described.get('kind')!r}, not a fine-tuned one: "
            f"`ironwok classify --model {path}` answers with it"
        )
    task = described.get("task")
    if task not in TASKS:
        raise CheckpointError(
            f"{path} holds a model fine-tuned for {task!r}; this version of Ironwok knows {', '.join(TASKS)}"
        )
    try:
        labels = [str(label) for label in described["labels"]]
        max_tokens, teacher = int(described["max_tokens"]), described.get("trained", {})
        longest, may_lack = int(described.get("longest_answer", 64)), bool(described.get("may_lack", False))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"the model in {path} lacks a part of its description ({error})") from error
    model, tokenizer = _load(path, task, device=device, dtype=dtype)
    if labels and model.config.num_labels != len(labels):
        raise CheckpointError(f"the model in {path} has {model.config.num_labels} outputs for {len(labels)} labels")
    network = Network(model, tokenizer, task=task, max_tokens=max_tokens, batch_size=batch_size)
    if task == "classify":
        return TunedClassifier(network, labels, teacher=teacher)
    if task == "pairs":
        return PairClassifier(network, labels, teacher=teacher)
    if task == "choice":
        return ChoiceModel(network, teacher=teacher)
    return AnswerMarker(network, longest=longest, may_lack=may_lack, teacher=teacher)


def auto_class(task: str) -> Any:
    """The Auto class of ``transformers`` whose models have the head of a task."""
    import transformers

    import ironwok.models  # noqa: F401  # registers RoFormerV2 with it

    return getattr(transformers, _AUTO[task])


def _load(path: Path, task: str, *, device: str | None, dtype: str | None) -> tuple[Any, Any]:
    from safetensors import SafetensorError

    from ironwok.models.convert import first_line
    from ironwok.models.devices import pick_device, pick_dtype
    from ironwok.models.loading import quiet, read_config
    from ironwok.zero_shot.loading import tokenizer_of

    where = pick_device(device)
    precision = pick_dtype(dtype, where)
    read_config(str(path))
    try:
        with quiet():
            model, report = auto_class(task).from_pretrained(path, dtype=precision, output_loading_info=True)
    except (OSError, RuntimeError, ValueError, SafetensorError, UnpicklingError) as error:
        raise CheckpointError(f"{path} cannot be loaded: {first_line(error)}") from error
    if missing := sorted(report["missing_keys"]):
        raise CheckpointError(f"{path} lacks {len(missing)} weights, the first is {missing[0]}: it is damaged")
    return model.to(where).eval(), tokenizer_of(str(path))


def _stacked(rows: Sequence[NDArray[np.float64]], width: int) -> NDArray[np.float64]:
    return np.stack(rows) if len(rows) else np.zeros((0, width))


def _text(value: Any, *, blank: bool = False) -> str:
    if not isinstance(value, str) or not (blank or value.strip()):
        raise InputError(f"{value!r:.60} is no text: give a string that is not blank")
    return value
