"""Labelled data as sentence pairs, so that the next-sentence head learns from it too.

A text and a label become the text and a prompt that names the label: does the prompt read on? A pair of sentences
becomes itself; a multiple-choice question becomes the passage and the question with one answer. Nothing is added to
the model: the head that was pretrained on running text is the one that is trained and later used zero-shot.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ironwok.errors import DataError
from ironwok.training.corpus import open_text, pack_text
from ironwok.training.pairs import Template


@dataclass(frozen=True, slots=True)
class LabelledTask:
    """One labelled data set.

    form: "single" (text, label), "pair" (two sentences, label), "choice" (passage, question, choices, answer).
    fields: names of the text fields, in that order: (text,), (first, second) or (passage, question, choices, answer).
    label: name of the label field, dots reach into nested objects ("label.category").
    labels: for "single": raw label -> phrases that name it. Labels left out are skipped.
    positive, negative: for "pair": the raw labels that count as reading on and as not.
    templates: around the phrase of a label.
    """

    name: str
    files: tuple[Path, ...]
    weight: float
    form: Literal["single", "pair", "choice"]
    fields: tuple[str, ...]
    label: str = "label"
    labels: tuple[tuple[str, tuple[str, ...]], ...] = ()
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    templates: tuple[str, ...] = ("{}",)


def read_records(task: LabelledTask) -> Iterator[dict[str, Any]]:
    """Records of a task. Raises DataError with file and line for a broken one."""
    for path in task.files:
        with open_text(path) as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    record = json.loads(line)
                    for name in (*task.fields, task.label) if task.form != "choice" else task.fields:
                        _reach(record, name)
                except (json.JSONDecodeError, KeyError, TypeError) as error:
                    raise DataError(
                        f"{path}:{number}: task {task.name}: broken record or missing field ({error})"
                    ) from error
                yield record


def _reach(record: Any, name: str) -> Any:
    for part in name.split("."):
        record = record[part]
    return record


_Tokens = np.ndarray
_Drawn = tuple[_Tokens, _Tokens]  # prompt, text


class LabelledPool:
    """Draws (prompt, text) pairs of labelled tasks, as packed tokens (see corpus)."""

    def __init__(self, tasks: Sequence[LabelledTask], tokenizer: Any) -> None:
        self._tasks = [_make(task, tokenizer) for task in tasks]
        weights = np.asarray([task.weight for task in tasks])
        self._weights = weights / weights.sum()

    def draw(self, generator: np.random.Generator, *, follows: bool) -> _Drawn | None:
        task = self._tasks[int(generator.choice(len(self._tasks), p=self._weights))]
        return task.draw(generator, follows)


class _Single:
    def __init__(self, task: LabelledTask, tokenizer: Any) -> None:
        self.templates = [_template(text, tokenizer) for text in task.templates]
        self.phrases = [[pack_text(phrase, tokenizer) for phrase in phrases] for _, phrases in task.labels]
        numbers = {raw: number for number, (raw, _) in enumerate(task.labels)}
        self.examples: list[tuple[_Tokens, int]] = []
        for record in read_records(task):
            number = numbers.get(str(_reach(record, task.label)))
            tokens = pack_text(str(_reach(record, task.fields[0])), tokenizer)
            if number is not None and len(tokens):
                self.examples.append((tokens, number))
        if len(numbers) < 2 or not self.examples:
            raise DataError(
                f"task {task.name}: {len(numbers)} labels and {len(self.examples)} examples; two and one needed"
            )

    def draw(self, generator: np.random.Generator, follows: bool) -> _Drawn | None:
        text, number = self.examples[int(generator.integers(len(self.examples)))]
        if not follows:
            number = int(number + generator.integers(1, len(self.phrases))) % len(self.phrases)
        phrase = self.phrases[number][int(generator.integers(len(self.phrases[number])))]
        template = self.templates[int(generator.integers(len(self.templates)))]
        before, after = (np.asarray(part, dtype=np.uint16) for part in (template.before, template.after))
        return np.concatenate([before, phrase, after]), text


class _Pair:
    def __init__(self, task: LabelledTask, tokenizer: Any) -> None:
        self.sides: dict[bool, list[_Drawn]] = {True: [], False: []}
        for record in read_records(task):
            label = str(_reach(record, task.label))
            if label in task.positive or label in task.negative:
                first, second = (pack_text(str(_reach(record, name)), tokenizer) for name in task.fields)
                if len(first) and len(second):
                    self.sides[label in task.positive].append((second, first))
        if not all(self.sides.values()):
            raise DataError(f"task {task.name}: no pairs labelled {task.positive} or none labelled {task.negative}")

    def draw(self, generator: np.random.Generator, follows: bool) -> _Drawn | None:
        side = self.sides[follows]
        prompt, text = side[int(generator.integers(len(side)))]
        return (prompt, text) if generator.random() < 0.5 else (text, prompt)


class _Choice:
    def __init__(self, task: LabelledTask, tokenizer: Any) -> None:
        passage, question, choices, answer = task.fields
        self.examples: list[tuple[_Tokens, _Tokens, list[_Tokens], int]] = []
        for record in read_records(task):
            options = [str(option) for option in record[choices]]
            if record[answer] in options and len(options) > 1:
                packed = [pack_text(option, tokenizer) for option in options]
                text, prompt = (pack_text(str(record[name]), tokenizer) for name in (passage, question))
                self.examples.append((text, prompt, packed, options.index(record[answer])))
        if not self.examples:
            raise DataError(f"task {task.name}: no question has its answer among its choices")

    def draw(self, generator: np.random.Generator, follows: bool) -> _Drawn | None:
        passage, question, options, right = self.examples[int(generator.integers(len(self.examples)))]
        number = right if follows else int(right + generator.integers(1, len(options))) % len(options)
        return np.concatenate([question, options[number]]), passage


def _make(task: LabelledTask, tokenizer: Any) -> _Single | _Pair | _Choice:
    return {"single": _Single, "pair": _Pair, "choice": _Choice}[task.form](task, tokenizer)


def _template(text: str, tokenizer: Any) -> Template:
    before, after = text.split("{}")
    return Template(*(tuple(pack_text(part, tokenizer).tolist()) if part else () for part in (before, after)))
