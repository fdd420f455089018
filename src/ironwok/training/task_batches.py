"""Labelled data as batches for heads of their own (see `ironwok.models.task_heads`), and what those are judged by.

What a head reads: "single" the text, "pair" both sentences, "choice" the passage and then the question with one of its
choices, "reading" the question and then a piece of the context, "entities" the text. A batch is of one task and a
function of its generator; rows are padded to a multiple of 16, so that few shapes come up.
"""

# R rows, L tokens, E examples, C choices

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ironwok.errors import DataError
from ironwok.models.roformer_v2 import mean_cross_entropy
from ironwok.models.task_heads import TaskHead, TaskHeads
from ironwok.training.corpus import TOKEN_BITS, Packer
from ironwok.training.labelled import LabelledTask, answer_span, reach, read_task, right_choice
from ironwok.training.masking import IGNORED
from ironwok.training.pairs import longest_prompt
from ironwok.training.progress import Progress, Silent

_MULTIPLE = 16
_ROWS = 64  # of a batch, at most
_ABSENT = -1e4  # score of a choice that a question does not have


@dataclass(frozen=True, slots=True)
class TaskBatch:
    """R rows of E examples of one task, padded to L tokens.

    task: number of the task. input_ids, token_type_ids: int64 [R, L]; attention_mask: bool [R, L]
    targets: int64; class or right choice [E], label of each token [R, L], or first and last token of the answer [R, 2]
    choices: int64 [E, C], the rows of each example's choices, -1 where it has fewer; of "choice" alone
    """

    task: int
    input_ids: np.ndarray
    token_type_ids: np.ndarray
    attention_mask: np.ndarray
    targets: np.ndarray
    choices: np.ndarray | None = None

    def inputs(self, device: torch.device | str) -> dict[str, Tensor]:
        arrays = {
            "input_ids": self.input_ids,
            "token_type_ids": self.token_type_ids,
            "attention_mask": self.attention_mask,
        }
        return {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}


@dataclass(frozen=True, slots=True)
class _Row:
    """One row: parts without special tokens, and what is to be said of it (offsets count from [CLS])."""

    first: np.ndarray
    second: np.ndarray | None
    target: Any

    def __len__(self) -> int:
        return len(self.first) + 2 + (0 if self.second is None else len(self.second) + 1)


class TaskExamples:
    """The examples of one task. ``rows`` gives the rows of one of them, cut to ``longest`` tokens.

    Raises DataError for a task without examples.
    """

    def __init__(self, task: LabelledTask, packer: Packer) -> None:
        self.task = task
        self.labels = head_of(task).labels
        self._numbers = {label: number for number, label in enumerate(self.labels)}
        read, self._rows = {
            "single": (self._read_single, self._single),
            "pair": (self._read_pair, self._pair),
            "choice": (self._read_choice, self._choice),
            "reading": (self._read_reading, self._reading),
            "entities": (self._read_entities, self._entities),
        }[task.form]
        self._contexts: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.examples = [example for record in read_task(task) if (example := read(record, packer)) is not None]
        if not self.examples:
            raise DataError(f"task {task.name}: no example for a head of its own in {', '.join(map(str, task.files))}")

    def __len__(self) -> int:
        return len(self.examples)

    def rows(self, number: int, generator: np.random.Generator, longest: int) -> list[_Row]:
        """The rows of an example: one, or as many as it has choices."""
        return self._rows(self.examples[number], generator, longest)

    def _label(self, record: Any) -> int | None:
        return self._numbers.get(str(reach(record, self.task.label)))

    def _read_single(self, record: Any, packer: Packer) -> Any:
        number, tokens = self._label(record), packer.pack(str(reach(record, self.task.fields[0])))
        return (tokens, number) if number is not None and len(tokens) else None

    def _single(self, example: Any, generator: np.random.Generator, longest: int) -> list[_Row]:
        tokens, number = example
        return [_Row(tokens[: longest - 2], None, number)]

    def _read_pair(self, record: Any, packer: Packer) -> Any:
        number = self._label(record)
        one, two = (packer.pack(str(reach(record, name))) for name in self.task.fields)
        return (one, two, number) if number is not None and len(one) and len(two) else None

    def _pair(self, example: Any, generator: np.random.Generator, longest: int) -> list[_Row]:
        one, two, number = example
        room = longest - 3
        two = two[: longest_prompt(room, one)]
        return [_Row(one[: room - len(two)], two, number)]

    def _read_choice(self, record: Any, packer: Packer) -> Any:
        passage, question, choices, answer = (reach(record, name) for name in self.task.fields)
        options = [str(choice) for choice in choices]
        wanted = right_choice(options, answer)
        if wanted not in options or len(options) < 2:
            return None
        text, prompt = packer.pack(str(passage)), packer.pack(str(question))
        return text, [np.concatenate([prompt, packer.pack(option)]) for option in options], options.index(wanted)

    def _choice(self, example: Any, generator: np.random.Generator, longest: int) -> list[_Row]:
        text, prompts, right = example
        room = longest - 3
        # the end of a prompt is the choice
        cut = [prompt[-longest_prompt(room, text) :] for prompt in prompts]
        return [_Row(text[: room - len(prompt)], prompt, right) for prompt in cut]

    def _read_reading(self, record: Any, packer: Packer) -> Any:
        context, span = str(reach(record, self.task.fields[0])), answer_span(record, self.task.fields[2])
        question = packer.pack(str(reach(record, self.task.fields[1])))
        if context not in self._contexts:
            self._contexts[context] = packer.pack_with_starts(context)
        tokens, starts = self._contexts[context]
        if span is None or not len(tokens) or not len(question):
            return None
        first, last = _tokens_of(starts, *span)
        return question, tokens, first, last

    def _reading(self, example: Any, generator: np.random.Generator, longest: int) -> list[_Row]:
        question, tokens, first, last = example
        question = question[: longest // 3]
        room = longest - 3 - len(question)
        # a piece with the answer, which may stand anywhere in it
        low, high = max(last - room + 1, 0), min(first, max(len(tokens) - room, 0))
        begin = int(generator.integers(low, high + 1)) if low < high else high
        shift = len(question) + 2 - begin
        last = min(last, begin + room - 1)
        return [_Row(question, tokens[begin : begin + room], (first + shift, last + shift))]

    def _read_entities(self, record: Any, packer: Packer) -> Any:
        text, entities = (reach(record, name) for name in self.task.fields)
        tokens, starts = packer.pack_with_starts(str(text))
        labels = np.zeros(len(tokens), dtype=np.int64)
        for entity in sorted(entities, key=lambda one: (one["start"], -one["end"])):
            begin = self._numbers.get(f"B-{entity['type']}")
            if begin is None or not len(tokens):
                continue
            first, last = _tokens_of(starts, int(entity["start"]), int(entity["end"]))
            if not labels[first : last + 1].any():  # of nested ones the outer one is learnt
                labels[first : last + 1] = begin + 1
                labels[first] = begin
        return (tokens, labels) if len(tokens) else None

    def _entities(self, example: Any, generator: np.random.Generator, longest: int) -> list[_Row]:
        tokens, labels = example
        return [_Row(tokens[: longest - 2], None, labels[: longest - 2])]


def _tokens_of(starts: np.ndarray, start: int, end: int) -> tuple[int, int]:
    """First and last token (inclusive) of characters [start, end)."""
    first = max(int(np.searchsorted(starts, start, side="right")) - 1, 0)
    last = max(int(np.searchsorted(starts, end, side="left")) - 1, first)
    return first, last


def head_of(task: LabelledTask) -> TaskHead:
    """The head that a task gets: classes are the raw labels, in the order of the recipe."""
    if task.form == "single":
        labels = tuple(raw for raw, _ in task.labels)
    elif task.form == "pair":
        labels = (*task.positive, *task.negative)
    elif task.form == "entities":
        labels = ("O", *(f"{place}-{raw}" for raw, _ in task.labels for place in "BI"))
    else:
        labels = ()
    return TaskHead(task.name, task.form, labels)


class TaskSampler:
    """Batches for the heads of several tasks.

    seed: of everything that is drawn. tokens: of a batch, padding counted. longest: tokens of a row.
    """

    def __init__(
        self,
        tasks: Sequence[LabelledTask],
        packer: Packer,
        *,
        cls_id: int,
        sep_id: int,
        pad_id: int,
        seed: int,
        tokens: int,
        longest: int,
        progress: Progress | None = None,
    ) -> None:
        self.heads = tuple(head_of(task) for task in tasks)
        self.cls_id, self.sep_id, self.pad_id = cls_id, sep_id, pad_id
        self.seed, self.tokens, self.longest = seed, tokens, longest
        self._examples: list[TaskExamples] = []
        self._dev: dict[int, TaskExamples] = {}
        for number, task in enumerate(tasks):
            (progress or Silent()).busy("pairs", done=number, total=len(tasks), note=task.name)
            self._examples.append(TaskExamples(task, packer))
            if task.dev:
                self._dev[number] = TaskExamples(replace(task, files=task.dev), packer)
        weights = np.asarray([task.weight for task in tasks])
        self._weights = weights / weights.sum()

    def draw(self, step: int, *, rank: int = 0, count: int = 1) -> list[TaskBatch]:
        """The batches of a step: ``count`` different tasks, or all there are; the same tasks for every ``rank``."""
        which = np.random.default_rng((self.seed, 3, step))
        count = min(count, len(self._weights))
        drawn = which.choice(len(self._weights), size=count, replace=False, p=self._weights)
        return [
            self._batch(task, np.random.default_rng((self.seed, 4, step, rank, task)))
            for task in sorted(drawn.tolist())
        ]

    def _batch(self, task: int, generator: np.random.Generator) -> TaskBatch:
        examples = self._examples[task]

        def endless() -> Iterator[list[_Row]]:
            while True:
                yield examples.rows(int(generator.integers(len(examples))), generator, self.longest)

        return self._collate(task, next(self._filled(endless())))

    def dev_batches(self, most: int) -> list[TaskBatch]:
        """Up to ``most`` examples of each task's dev files, the same ones each time.

        A context that is too long for a row comes cut to a piece that holds the answer.
        """
        batches = []
        for task, examples in self._dev.items():
            generator = np.random.default_rng((self.seed, 5, task))
            chosen = generator.permutation(len(examples))[:most].tolist()
            rows = [examples.rows(number, generator, self.longest) for number in chosen]
            rows.sort(key=lambda own: max(map(len, own)))
            batches += [self._collate(task, drawn) for drawn in self._filled(iter(rows))]
        return batches

    def _filled(self, drawn: Iterator[list[_Row]]) -> Iterator[list[list[_Row]]]:
        """Examples together, as many as fit into ``tokens`` padded ones; one at least."""
        kept: list[list[_Row]] = []
        count = length = 0
        for rows in drawn:
            padded = max(length, *(_padded(len(row)) for row in rows))
            if kept and ((count + len(rows)) * padded > self.tokens or count + len(rows) > _ROWS):
                yield kept
                kept, count, padded = [], 0, max(_padded(len(row)) for row in rows)
            kept.append(rows)
            count, length = count + len(rows), padded
        if kept:
            yield kept

    def _collate(self, task: int, examples: Sequence[Sequence[_Row]]) -> TaskBatch:
        rows = [row for example in examples for row in example]
        shape = (len(rows), max(_padded(len(row)) for row in rows))
        input_ids = np.full(shape, self.pad_id, dtype=np.int64)
        token_type_ids = np.zeros(shape, dtype=np.int64)
        attention_mask = np.zeros(shape, dtype=bool)
        for number, row in enumerate(rows):
            end = 1 + len(row.first)
            input_ids[number, 0], input_ids[number, 1:end] = self.cls_id, row.first & TOKEN_BITS
            input_ids[number, end] = self.sep_id
            if row.second is not None:
                begin, end = end + 1, end + 1 + len(row.second)
                input_ids[number, begin:end], input_ids[number, end] = row.second & TOKEN_BITS, self.sep_id
                token_type_ids[number, begin : end + 1] = 1
            attention_mask[number, : end + 1] = True
        form, choices = self.heads[task].form, None
        if form == "entities":
            targets = np.full(shape, IGNORED, dtype=np.int64)
            for number, row in enumerate(rows):
                targets[number, 1 : 1 + len(row.target)] = row.target
        else:
            targets = np.asarray([example[0].target for example in examples], dtype=np.int64)
        if form == "choice":
            choices = np.full((len(examples), max(map(len, examples))), -1, dtype=np.int64)
            places = iter(range(len(rows)))
            for number, example in enumerate(examples):
                choices[number, : len(example)] = [next(places) for _ in example]
        return TaskBatch(task, input_ids, token_type_ids, attention_mask, targets, choices)


def _padded(length: int) -> int:
    return -(-length // _MULTIPLE) * _MULTIPLE


def head_logits(encoder: nn.Module, heads: TaskHeads, batch: TaskBatch) -> Tensor:
    """What a task's head says of a batch: [E, classes], [E, C], [R, L, labels] or [R, 2, L], as ``targets`` has it."""
    device = next(heads.parameters()).device
    encoded = encoder(**batch.inputs(device))
    logits = heads(batch.task, encoded.last_hidden_state, encoded.pooler_output)
    if batch.choices is not None:
        places = torch.from_numpy(batch.choices).to(logits.device)
        return logits.squeeze(-1)[places.clamp(min=0)].float().masked_fill(places < 0, _ABSENT)
    if heads.heads[batch.task].form == "reading":
        real = torch.from_numpy(batch.attention_mask).to(logits.device)
        return logits.transpose(1, 2).float().masked_fill(~real[:, None, :], _ABSENT)
    return logits


def head_loss(logits: Tensor, batch: TaskBatch) -> Tensor:
    """Mean cross entropy in nats of `head_logits`."""
    targets = torch.from_numpy(batch.targets).to(logits.device)
    return mean_cross_entropy(logits.flatten(0, -2), targets.flatten())


class TaskJudge:
    """The dev files of tasks, and how many of them their heads get right."""

    def __init__(self, sampler: TaskSampler, *, most: int) -> None:
        self._heads = sampler.heads
        self._batches = sampler.dev_batches(most)

    def evaluate(
        self,
        encoder: nn.Module,
        heads: TaskHeads,
        *,
        autocast: Callable[[], AbstractContextManager] = nullcontext,
        share: tuple[int, int] = (0, 1),
        total_of: Callable[[Tensor], Tensor] = lambda counts: counts,
        stop: Callable[[], bool] = lambda: False,
        progress: Progress | None = None,
    ) -> dict[str, float] | None:
        """``head_NAME`` of each task with dev files, or None where ``stop`` said so. See `HeldOut.evaluate`.

        Accuracy of "single", "pair" and "choice"; of "reading" the share of answers marked exactly; of "entities" the
        F1 of exact spans with their type.
        """
        progress = progress or Silent()
        # right, said, wanted for each task; the last row: was it given up?
        counts = torch.zeros(len(self._heads) + 1, 3, dtype=torch.float64)
        training = encoder.training, heads.training
        encoder.eval()
        heads.eval()
        own = self._batches[share[0] :: share[1]]
        with torch.inference_mode(), autocast():
            for done, batch in enumerate(own):
                if stop():
                    counts[-1, 0] = 1
                    break
                progress.busy("evaluation", done=done, total=len(own), note=self._heads[batch.task].name)
                logits = head_logits(encoder, heads, batch).float().cpu().numpy()
                counts[batch.task] += torch.tensor(_judged(self._heads[batch.task], batch, logits), dtype=torch.float64)
        encoder.train(training[0])
        heads.train(training[1])
        counts = total_of(counts).cpu()
        if counts[-1, 0]:
            return None
        scores: Mapping[str, list[float]] = {
            f"head_{head.name}": counts[number].tolist() for number, head in enumerate(self._heads)
        }
        return {name: 2 * right / (said + wanted) for name, (right, said, wanted) in scores.items() if wanted}


def _judged(head: TaskHead, batch: TaskBatch, logits: np.ndarray) -> tuple[int, int, int]:
    """(right, said, wanted): examples, or spans of entities."""
    said = logits.argmax(-1)
    if head.form == "entities":
        counts = [0, 0, 0]
        for row_said, row_wanted in zip(said, batch.targets, strict=True):
            read = row_wanted != IGNORED
            found, wanted = (entity_spans(row[read].tolist()) for row in (row_said, row_wanted))
            counts = [a + b for a, b in zip(counts, (len(found & wanted), len(found), len(wanted)), strict=True)]
        return tuple(counts)  # pyright: ignore[reportReturnType]
    right = said == batch.targets
    if head.form == "reading":
        right = right.all(-1)
    return int(right.sum()), len(right), len(right)


def entity_spans(labels: Sequence[int]) -> set[tuple[int, int, int]]:
    """(type, first token, one past the last) of labels 0 = outside, 2t + 1 = type t begins, 2t + 2 = it goes on.

    Something that goes on where nothing of its type began begins there.
    """
    spans: set[tuple[int, int, int]] = set()
    begin, kind = 0, -1
    for place, label in enumerate([*labels, 0]):
        goes_on = label > 0 and label % 2 == 0 and (label - 1) // 2 == kind
        if not goes_on:
            if kind >= 0:
                spans.add((kind, begin, place))
            begin, kind = place, (label - 1) // 2 if label > 0 else -1
    return spans
