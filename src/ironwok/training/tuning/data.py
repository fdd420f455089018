"""A user's labelled files as examples: what is wrong with them, what is held out, which labels there are."""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ironwok.errors import DataError, DataWarning, DocumentError, EmptyDocumentError
from ironwok.students.tuned.examples import ChoiceExample, Example, PairExample, ReadingExample, TextExample
from ironwok.text.formats.files import unpacked_name
from ironwok.text.formats.records import BrokenRecord, json_records
from ironwok.text.formats.tables import table_records
from ironwok.text.formats.values import ReadOptions, Skip
from ironwok.training.tuning.examples import unknown_labels
from ironwok.training.tuning.fields import Fields, Unusable, known_names, questions_of

_HELD_OUT = 0.1
_JSON = (".jsonl", ".ndjson", ".json")
_TABLES = (".csv", ".tsv", ".txt")
_MANY_LABELS = 1000


@dataclass(frozen=True, slots=True)
class Problem:
    """A record that is no example. line: where it begins, from 1."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.reason}"


@dataclass(slots=True)
class Corpus:
    """train: to learn from. dev: to judge by. labels: of train, in their order, none for choice and reading."""

    task: str
    train: list[Example]
    dev: list[Example]
    labels: tuple[str, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """The same for the same examples in the same order."""
        digest = hashlib.blake2b(digest_size=16)
        for examples in (self.train, self.dev):
            for example in examples:
                digest.update(json.dumps(asdict(example), sort_keys=True, ensure_ascii=True).encode())
            digest.update(b"\0")
        return digest.hexdigest()

    @property
    def may_lack(self) -> bool:
        """Whether passages to learn from leave questions open."""
        return any(isinstance(example, ReadingExample) and not example.answers for example in self.train)


def read_examples(
    path: Path,
    fields: Fields,
    *,
    encoding: str | None = None,
    on_problem: Callable[[Problem], None] = lambda problem: None,
    on_doubt: Callable[[Problem], None] = lambda problem: None,
) -> Iterator[tuple[int, Example]]:
    """The examples of a file with the lines they begin at: .jsonl, .json, .csv or .tsv, packed or not.

    A .txt is a table, too. What is no example is reported and left out, the rest goes on. on_doubt: told of right
    answers that cannot be used, where they need not be there.
    Raises DataError for a file that cannot be read at all.
    """
    for line, example, _ in identified_examples(
        path, fields, encoding=encoding, on_problem=on_problem, on_doubt=on_doubt
    ):
        yield line, example


def identified_examples(
    path: Path,
    fields: Fields,
    *,
    encoding: str | None = None,
    on_problem: Callable[[Problem], None] = lambda problem: None,
    on_doubt: Callable[[Problem], None] = lambda problem: None,
) -> Iterator[tuple[int, Example, str | int | None]]:
    """As `read_examples`, each with the "id" of its record, None where it has none."""
    for line, record in _records(path, fields, encoding, on_problem):
        try:
            for one in questions_of(record):
                name = one.get("id")
                try:
                    example = fields.example(
                        one, on_doubt=lambda why, line=line: on_doubt(Problem(str(path), line, why))
                    )
                    yield line, example, name if isinstance(name, str | int) else None
                except Unusable as problem:
                    on_problem(Problem(str(path), line, str(problem)))
        except Unusable as problem:
            on_problem(Problem(str(path), line, str(problem)))


def _records(
    path: Path, fields: Fields, encoding: str | None, on_problem: Callable[[Problem], None]
) -> Iterator[tuple[int, Any]]:
    suffix = unpacked_name(path).suffix.lower()
    if suffix not in (*_JSON, *_TABLES):
        raise DataError(f"{path}: records are read from .jsonl, .json, .csv and .tsv files, packed or not")
    options = ReadOptions(encoding=encoding)
    try:
        if suffix in _JSON:
            for item in json_records(path, options):
                if isinstance(item, BrokenRecord):
                    on_problem(Problem(str(path), item.line, _bare(item.reason, path, item.line)))
                else:
                    yield item.line, item.value
            return
        names = known_names(fields.task) | {name.lower() for name in fields.named.values()}
        for row in table_records(path, options, names=names):
            if isinstance(row, Skip):
                on_problem(Problem(str(path), row.line or 1, _bare(row.reason, path, row.line)))
            else:
                yield row.line, row.cells
    except EmptyDocumentError:
        return  # who asked says what that means
    except DocumentError as error:
        raise DataError(str(error)) from error


def _bare(reason: str, path: Path, line: int | None) -> str:
    """A reason without the place, which is said by who tells it."""
    return reason.removeprefix(f"{path}, line {line}: ")


def read_corpus(
    task: str,
    *,
    train: Path,
    dev: Path | None = None,
    named: Mapping[str, str] | None = None,
    encoding: str | None = None,
    seed: int = 0,
    on_problem: Callable[[Problem], None] | None = None,
) -> Corpus:
    """Read and check the files of a run.

    dev: None holds a tenth of the training examples out, drawn by ``seed``: of every label its share, and all questions
    about one passage together. named: part of an example -> field of a record.
    Records that are no examples are left out, reported to ``on_problem`` one by one, and in sum as a DataWarning.
    Raises DataError where there is nothing to learn from, or to judge by; InputError for a part that is none.
    """
    fields = Fields(task, named)
    problems: list[Problem] = []

    def note(problem: Problem) -> None:
        problems.append(problem)
        if on_problem is not None:
            on_problem(problem)

    def read(path: Path) -> list[Example]:
        found = [example for _, example in read_examples(path, fields, encoding=encoding, on_problem=note)]
        if not found:
            mine = [problem for problem in problems if problem.file == str(path)]
            why = f"{len(mine)} records are unusable, the first: {mine[0]}" if mine else "there is no record in it"
            raise DataError(f"{path} has no examples for {task!r}: {why}")
        return found

    examples = read(train)
    labels = _labels(examples, train)
    if dev is None:
        examples, held_out = hold_out(examples, seed=seed, source=train)
    else:
        held_out = read(dev)
    corpus = Corpus(task, examples, held_out, labels, problems)
    _say(corpus, train, dev)
    return corpus


def _labels(examples: Sequence[Example], source: Path) -> tuple[str, ...]:
    """The labels in their order: as numbers where all are, else as words. Raises DataError for one alone."""
    counts = Counter(one.label for one in examples if isinstance(one, TextExample | PairExample))
    if not counts:
        return ()
    names = [str(label) for label in counts]
    if len(names) == 1:
        raise DataError(
            f"all {len(examples)} examples of {source} have the label {names[0]!r}: there is nothing to tell apart"
        )
    if len(names) > _MANY_LABELS or (len(names) > 20 and len(names) > len(examples) / 2):
        raise DataError(
            f"{source} has {len(names)} different labels in {len(examples)} examples, such as {names[0]!r:.40}: is "
            "that the field of the label? Name another with --field label=NAME"
        )
    try:
        return tuple(sorted(names, key=float))
    except ValueError:
        return tuple(sorted(names))


def hold_out(examples: Sequence[Example], *, seed: int, source: Path) -> tuple[list[Example], list[Example]]:
    """(what stays, what is held out): a tenth of each label, but one example of each stays; of passages, whole ones.

    Copies of one example stay together: what was learnt by heart is no proof of having understood.

    Raises DataError for fewer than two.
    """
    generator = np.random.default_rng((seed, 0x5EED))
    groups: dict[Any, list[int]] = {}
    together = isinstance(examples[0], ReadingExample | ChoiceExample)
    for number, example in enumerate(examples):
        groups.setdefault(_group(example), []).append(number)
    held: set[int] = set()
    wanted = max(round(len(examples) * _HELD_OUT), 1)
    if together:  # questions about one passage give each other away
        keys = list(groups)
        for place in generator.permutation(len(keys))[: max(len(keys) - 1, 0)]:
            if len(held) >= wanted:
                break
            held.update(groups[keys[place]])
    else:
        copies = [_copies(examples, numbers) for numbers in groups.values()]
        parts = [[numbers[i] for i in generator.permutation(len(numbers))] for numbers in copies]
        sizes = [sum(map(len, part)) for part in parts]
        # largest remainders, so that small labels have their turn and the sum is a tenth
        shares = [min(size * _HELD_OUT, size - max(map(len, part))) for size, part in zip(sizes, parts, strict=True)]
        counts = [math.floor(share) for share in shares]
        order = sorted(range(len(parts)), key=lambda i: (counts[i] - shares[i], i))
        for i in order[: max(wanted - sum(counts), 0)]:
            counts[i] += len(parts[i]) > 1 and counts[i] + 1 < sizes[i]
        if not sum(counts) and max(map(len, parts)) > 1:
            counts[max(range(len(parts)), key=lambda i: len(parts[i]))] = 1
        held = {number for part, count in zip(parts, counts, strict=True) for number in _some(part, count)}
    if not held:
        raise DataError(
            f"{len(examples)} examples of {source} cannot be both trained on and judged by: label more, or name --dev"
        )
    return (
        [example for number, example in enumerate(examples) if number not in held],
        [example for number, example in enumerate(examples) if number in held],
    )


def _group(example: Example) -> Any:
    if isinstance(example, TextExample | PairExample):
        return example.label
    if isinstance(example, ReadingExample):
        return example.context
    return example.passage or (example.question, example.choices)


def _asked(example: Example) -> Any:
    """What of an example is put to the model."""
    if isinstance(example, TextExample):
        return example.text
    if isinstance(example, PairExample):
        return example.first, example.second
    if isinstance(example, ReadingExample):
        return example.context, example.question
    return example.passage, example.question, example.choices


def _copies(examples: Sequence[Example], numbers: Sequence[int]) -> list[list[int]]:
    """The numbers in groups of examples that ask the same."""
    groups: dict[Any, list[int]] = {}
    for number in numbers:
        groups.setdefault(_asked(examples[number]), []).append(number)
    return list(groups.values())


def _some(groups: Sequence[Sequence[int]], count: int) -> list[int]:
    """As many numbers of whole groups as are not beyond ``count``, but one group where all are; never all groups."""
    taken: list[int] = []
    for group in groups:
        if len(taken) + len(group) <= count:
            taken += group
    if count and not taken and len(groups) > 1:
        taken += min(groups, key=len)
    return taken


def _say(corpus: Corpus, train: Path, dev: Path | None) -> None:
    """What goes on all the same and ought to be known."""
    if corpus.problems:
        warnings.warn(
            f"{len(corpus.problems)} records are no examples and are left out; the first: {corpus.problems[0]}",
            DataWarning,
            stacklevel=4,
        )
    unknown = unknown_labels(corpus.dev, corpus.labels)
    if unknown:
        listed = ", ".join(f"{label!r} ({count})" for label, count in unknown.most_common(5))
        warnings.warn(
            f"{dev} has labels that {train} lacks: {listed}. Nothing can learn them; these examples stay and count as "
            "wrong",
            DataWarning,
            stacklevel=4,
        )
    _say_of_copies(corpus, train, dev)
    numbers = sorted({len(one.choices) for one in (*corpus.train, *corpus.dev) if isinstance(one, ChoiceExample)})
    if len(numbers) > 1:
        corpus.notes.append(f"questions have {numbers[0]} to {numbers[-1]} choices: each is judged among its own")


def _say_of_copies(corpus: Corpus, train: Path, dev: Path | None) -> None:
    """Examples that stand there twice, with another answer the second time, or on both sides."""
    learnt = Counter(map(_asked, corpus.train))
    if copies := len(corpus.train) - len(learnt):
        corpus.notes.append(f"{copies} of {len(corpus.train)} training examples repeat another one")
    labels: dict[Any, set[str | None]] = {}
    for one in corpus.train:
        if isinstance(one, TextExample | PairExample):
            labels.setdefault(_asked(one), set()).add(one.label)
    torn = [asked for asked, given in labels.items() if len(given) > 1]
    if torn:
        listed = ", ".join(sorted(map(str, labels[torn[0]])))
        corpus.notes.append(
            f"{len(torn)} texts have more than one label, such as {str(torn[0])!r:.60} ({listed:.60}): no model can be "
            "right about all of them"
        )
    known = sum(_asked(one) in learnt for one in corpus.dev)
    if known and dev is not None:
        corpus.notes.append(
            f"{known} of {len(corpus.dev)} examples of {dev} stand in {train}, too: figures flatter a model that "
            "knows them by heart"
        )
