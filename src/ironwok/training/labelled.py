"""Labelled data as sentence pairs, so that the next-sentence head learns from it too.

A text and a label become the text and a prompt that names the label: does the prompt read on? A pair of sentences
becomes itself; a multiple-choice question becomes the passage and the question with one answer; a question on a text
becomes the question and the place of its answer; a text with entities becomes the text and a prompt that names a type.
Nothing is added to the model: the head that was pretrained on running text is the one that is trained and later used
zero-shot. Heads of a task's own are trained on other batches (see task_batches).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ironwok.errors import DataError
from ironwok.models.task_heads import Form
from ironwok.training.corpus import Packer
from ironwok.training.files import read_records
from ironwok.training.pairs import Template, longest_prompt
from ironwok.training.progress import Progress, Silent


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
    form: Form
    fields: tuple[str, ...]
    label: str = "label"
    labels: tuple[tuple[str, tuple[str, ...]], ...] = ()
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    templates: tuple[str, ...] = ("{}",)
    cast: bool = True
    heads: bool = False
    dev: tuple[Path, ...] = ()


_ITEMS = {"reading": ("text", "start"), "entities": ("type", "start", "end")}  # what the objects of the list need


def read_task(task: LabelledTask) -> Iterator[dict[str, Any]]:
    """Records of a task. Raises DataError with file and line for a broken one."""
    wanted = (*task.fields, task.label) if task.form in ("single", "pair") else task.fields
    listed = {"choice": 2, "reading": 2, "entities": 1}.get(task.form)  # which field holds a list
    for path in task.files:
        for number, record in read_records(path):
            try:
                for name in wanted:
                    reach(record, name)
                if listed is not None and not isinstance(reach(record, task.fields[listed]), list):
                    raise TypeError(f"{task.fields[listed]} is no list")
                for item in reach(record, task.fields[listed]) if task.form in _ITEMS and listed else ():
                    for name in _ITEMS[task.form]:
                        item[name]
            except (KeyError, TypeError) as error:
                raise DataError(f"{path}:{number}: task {task.name}: missing or wrong field ({error})") from error
            yield record


def reach(record: Any, name: str) -> Any:
    """A field of a record; dots lead into nested objects."""
    for part in name.split("."):
        record = record[part]
    return record


_Tokens = np.ndarray
_Drawn = tuple[_Tokens, _Tokens]  # prompt, text


class LabelledPool:
    """Draws (prompt, text) pairs of labelled tasks, as packed tokens (see corpus)."""

    def __init__(self, tasks: Sequence[LabelledTask], packer: Packer, *, progress: Progress | None = None) -> None:
        self._tasks = []
        for done, task in enumerate(tasks):
            (progress or Silent()).busy("pairs", done=done, total=len(tasks), note=task.name)
            self._tasks.append(_make(task, packer))
        weights = np.asarray([task.weight for task in tasks])
        self._weights = weights / weights.sum()

    def draw(self, generator: np.random.Generator, *, follows: bool, total: int) -> _Drawn | None:
        """(prompt, text) for a row of ``total`` tokens, or None where this draw does not fit one.

        Of two sentences either may be cut later; a prompt that ends with a label or an answer comes whole or not.
        """
        task = self._tasks[int(generator.choice(len(self._tasks), p=self._weights))]
        drawn = task.draw(generator, follows)
        if drawn is None or (task.whole and len(drawn[0]) > longest_prompt(total, drawn[1])):
            return None
        return drawn


class _Single:
    whole = True

    def __init__(self, task: LabelledTask, packer: Packer) -> None:
        self.templates = [_template(text, packer) for text in task.templates]
        self.phrases = [[packer.pack(phrase) for phrase in phrases] for _, phrases in task.labels]
        numbers = {raw: number for number, (raw, _) in enumerate(task.labels)}
        self.names = [{phrase.tobytes() for phrase in phrases} for phrases in self.phrases]
        self.examples: list[tuple[_Tokens, int]] = []
        for record in read_task(task):
            number = numbers.get(str(reach(record, task.label)))
            tokens = packer.pack(str(reach(record, task.fields[0])))
            if number is not None and len(tokens):
                self.examples.append((tokens, number))
        if len(numbers) < 2 or not self.examples:
            raise DataError(
                f"task {task.name}: {len(numbers)} labels and {len(self.examples)} examples; two and one needed"
            )

    def draw(self, generator: np.random.Generator, follows: bool) -> _Drawn | None:
        text, right = self.examples[int(generator.integers(len(self.examples)))]
        number = right if follows else int(right + generator.integers(1, len(self.phrases))) % len(self.phrases)
        phrase = self.phrases[number][int(generator.integers(len(self.phrases[number])))]
        if not follows and phrase.tobytes() in self.names[right]:
            return None  # two raw labels of the same name
        template = self.templates[int(generator.integers(len(self.templates)))]
        return _filled(template, phrase), text


class _Pair:
    whole = False

    def __init__(self, task: LabelledTask, packer: Packer) -> None:
        self.sides: dict[bool, list[_Drawn]] = {True: [], False: []}
        for record in read_task(task):
            label = str(reach(record, task.label))
            if label in task.positive or label in task.negative:
                first, second = (packer.pack(str(reach(record, name))) for name in task.fields)
                if len(first) and len(second):
                    self.sides[label in task.positive].append((second, first))
        if not all(self.sides.values()):
            raise DataError(f"task {task.name}: no pairs labelled {task.positive} or none labelled {task.negative}")

    def draw(self, generator: np.random.Generator, follows: bool) -> _Drawn | None:
        side = self.sides[follows]
        prompt, text = side[int(generator.integers(len(side)))]
        return (prompt, text) if generator.random() < 0.5 else (text, prompt)


class _Choice:
    whole = True

    def __init__(self, task: LabelledTask, packer: Packer) -> None:
        passage, question, choices, answer = task.fields
        self.examples: list[tuple[_Tokens, _Tokens, list[_Tokens], int]] = []
        for record in read_task(task):
            given, listed = reach(record, answer), [str(option) for option in reach(record, choices)]
            wanted = right_choice(listed, given)
            options = list(dict.fromkeys(listed))
            if wanted in options and len(options) > 1:
                packed = [packer.pack(option) for option in options]
                text, prompt = (packer.pack(str(reach(record, name))) for name in (passage, question))
                self.examples.append((text, prompt, packed, options.index(wanted)))
        if not self.examples:
            raise DataError(f"task {task.name}: no question has its answer among its choices")

    def draw(self, generator: np.random.Generator, follows: bool) -> _Drawn | None:
        passage, question, options, right = self.examples[int(generator.integers(len(self.examples)))]
        number = right if follows else int(right + generator.integers(1, len(options))) % len(options)
        return np.concatenate([question, options[number]]), passage


class _Reading:
    """Does the question fit this piece of a context? The piece begins a little before the answer, right or wrong."""

    whole = True
    _BEFORE = 40  # tokens, at most

    def __init__(self, task: LabelledTask, packer: Packer) -> None:
        context, question, answers = task.fields
        packed: dict[str, tuple[int, _Tokens, np.ndarray]] = {}
        self.examples: list[tuple[_Tokens, int, _Tokens, int]] = []  # question, number of the context, it, the answer
        for record in read_task(task):
            text, given = str(reach(record, context)), answer_span(record, answers)
            if given is None:
                continue
            if text not in packed:
                packed[text] = (len(packed), *packer.pack_with_starts(text))
            number, tokens, starts = packed[text]
            place = max(int(np.searchsorted(starts, given[0], side="right")) - 1, 0)
            asked = packer.pack(str(reach(record, question)))
            if len(asked) and len(tokens):
                self.examples.append((asked, number, tokens, place))
        if len({number for _, number, _, _ in self.examples}) < 2:
            raise DataError(f"task {task.name}: questions on {len(packed)} contexts; two contexts needed")

    def draw(self, generator: np.random.Generator, follows: bool) -> _Drawn | None:
        asked, number, tokens, place = self.examples[int(generator.integers(len(self.examples)))]
        if not follows:
            _, other, tokens, place = self.examples[int(generator.integers(len(self.examples)))]
            if other == number:
                return None
        begin = max(place - int(generator.integers(self._BEFORE)), 0)
        return asked, tokens[begin:]


class _Entities:
    """Does the text hold something of this type?"""

    whole = True

    def __init__(self, task: LabelledTask, packer: Packer) -> None:
        self.templates = [_template(text, packer) for text in task.templates]
        self.phrases = [[packer.pack(phrase) for phrase in phrases] for _, phrases in task.labels]
        numbers = {raw: number for number, (raw, _) in enumerate(task.labels)}
        text, entities = task.fields
        self.sides: dict[bool, list[tuple[_Tokens, list[int]]]] = {True: [], False: []}
        for record in read_task(task):
            tokens = packer.pack(str(reach(record, text)))
            held = {numbers[one["type"]] for one in reach(record, entities) if one.get("type") in numbers}
            for follows, types in ((True, sorted(held)), (False, sorted(set(numbers.values()) - held))):
                if len(tokens) and types:
                    self.sides[follows].append((tokens, types))
        if not all(self.sides.values()):
            raise DataError(f"task {task.name}: texts with and without one of {', '.join(numbers)} needed")

    def draw(self, generator: np.random.Generator, follows: bool) -> _Drawn | None:
        side = self.sides[follows]
        text, types = side[int(generator.integers(len(side)))]
        phrases = self.phrases[types[int(generator.integers(len(types)))]]
        template = self.templates[int(generator.integers(len(self.templates)))]
        return _filled(template, phrases[int(generator.integers(len(phrases)))]), text


_FORMS = {"single": _Single, "pair": _Pair, "choice": _Choice, "reading": _Reading, "entities": _Entities}


def _make(task: LabelledTask, packer: Packer) -> _Single | _Pair | _Choice | _Reading | _Entities:
    return _FORMS[task.form](task, packer)


def right_choice(listed: Sequence[str], given: Any) -> str:
    """The text of the right choice: C3 gives its number, others its text."""
    return listed[given] if isinstance(given, int) and 0 <= given < len(listed) else str(given)


def answer_span(record: Any, field: str) -> tuple[int, int] | None:
    """First and last character (exclusive) of the first answer of a record, None where it has none."""
    answers = reach(record, field)
    if not answers:
        return None
    start = int(answers[0]["start"])
    return start, start + max(len(str(answers[0]["text"])), 1)


def _filled(template: Template, phrase: _Tokens) -> _Tokens:
    before, after = (np.asarray(part, dtype=np.uint16) for part in (template.before, template.after))
    return np.concatenate([before, phrase, after])


def _template(text: str, packer: Packer) -> Template:
    before, after = text.split("{}")
    return Template(*(tuple(packer.pack(part).tolist()) if part else () for part in (before, after)))
