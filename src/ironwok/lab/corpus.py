"""The text and the labelled tasks of a run as tokens: generated stories, or text of one's own."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor

from ironwok.errors import CheckpointError, DataError
from ironwok.files import replace_file
from ironwok.lab import stories
from ironwok.lab.models import PAD, SEPARATOR, SPECIAL, UNKNOWN
from ironwok.lab.recipe import DataRecipe, TransferRecipe

if TYPE_CHECKING:
    from ironwok.text.documents import Skip

# one block of dev text is taken out of the stream for every so many tokens
_BLOCK_ROWS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Texts padded to the longest, int64 [N, L], and their labels, int64 [N]."""

    tokens: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class LabelledTask:
    """classes: names of the labels; majority: the share of the most frequent one in the test split."""

    classes: tuple[str, ...]
    train: Split
    dev: Split
    test: Split

    @property
    def majority(self) -> float:
        counts = torch.bincount(self.test.labels, minlength=len(self.classes))
        return float(counts.max() / counts.sum())


@dataclass(frozen=True, slots=True, eq=False)
class LabData:
    """Everything that a run reads. train, dev: int64 streams of tokens. vocabulary: special tokens first."""

    vocabulary: tuple[str, ...]
    train: Tensor
    dev: Tensor
    tasks: Mapping[str, LabelledTask]

    def save(self, folder: Path) -> None:
        """Write ``data.safetensors`` and ``vocabulary.json``, each at once."""
        tensors = {"train": self.train, "dev": self.dev}
        for name, task in self.tasks.items():
            for split in ("train", "dev", "test"):
                part: Split = getattr(task, split)
                tensors[f"task.{name}.{split}.tokens"] = part.tokens.contiguous()
                tensors[f"task.{name}.{split}.labels"] = part.labels
        names = {"vocabulary": self.vocabulary, "tasks": {name: task.classes for name, task in self.tasks.items()}}
        replace_file(folder / "vocabulary.json", json.dumps(names, ensure_ascii=False).encode())
        replace_file(folder / "data.safetensors", save(tensors))


def load_data(folder: Path) -> LabData | None:
    """What `LabData.save` wrote; None where it has not. Raises CheckpointError for damaged files."""
    if not (folder / "data.safetensors").exists():
        return None
    try:
        tensors = load((folder / "data.safetensors").read_bytes())
        names = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
        tasks = {
            name: LabelledTask(
                tuple(classes),
                *(
                    Split(tensors[f"task.{name}.{split}.tokens"], tensors[f"task.{name}.{split}.labels"])
                    for split in ("train", "dev", "test")
                ),
            )
            for name, classes in names["tasks"].items()
        }
        return LabData(tuple(names["vocabulary"]), tensors["train"], tensors["dev"], tasks)
    except Exception as error:
        if isinstance(error, OSError | ValueError | KeyError | RuntimeError) or "Safetensor" in type(error).__name__:
            raise CheckpointError(
                f"{folder}: the stored data cannot be read ({error}); start in another folder"
            ) from error
        raise


def prepare_data(
    recipe: DataRecipe,
    *,
    transfer: TransferRecipe | None = None,
    texts: Sequence[Path] = (),
    tasks: Mapping[str, Path] | None = None,
    on_skip: Callable[[Skip], None] | None = None,
) -> LabData:
    """Read or generate everything.

    texts: files and folders of running text instead of stories. tasks: name -> .jsonl, .csv or .tsv file with the
    fields "text" and "label", instead of the generated tasks. on_skip: told of every file and record that could not be
    read.
    Raises DataError where there is too little.
    """
    if tasks and not texts:
        raise DataError("labelled tasks of your own need text of your own to pretrain on: pass --data with --task")
    if texts and transfer and not tasks:
        raise DataError("with --data, name a labelled file for each task: --task NAME=FILE.jsonl, two or more")
    if texts:
        told = on_skip or _ignore
        labelled = {name: _own_examples(path, recipe, told) for name, path in (tasks or {}).items()}
        train, dev = _own_stream(texts, recipe, told)
    else:
        labelled = {} if transfer is None else {name: _generated(name, transfer, recipe) for name in transfer.tasks}
        train, dev = _story_stream(recipe)
    vocabulary = _vocabulary(train, recipe.vocabulary, extra=[] if texts else _story_words())
    index = {unit: number for number, unit in enumerate(vocabulary)}
    longest = 3 * recipe.length
    return LabData(
        vocabulary,
        _encode(train, index),
        _encode(dev, index),
        {name: _task(name, made, index, transfer, longest) for name, made in labelled.items() if transfer},
    )


def _story_stream(recipe: DataRecipe) -> tuple[list[str], list[str]]:
    def stream(seed: int, tokens: int) -> list[str]:
        return list(
            islice(chain.from_iterable([*story, SPECIAL[SEPARATOR]] for story in stories.stories(seed)), tokens)
        )

    return stream(2 * recipe.seed, recipe.tokens), stream(2 * recipe.seed + 1, recipe.dev_tokens)


def _story_words() -> list[str]:
    """Every word that a task may hold, whether or not it is frequent."""
    return [*stories.PEOPLE, *stories.PLACES, *stories.THINGS, "?", "or", "first"]


def _ignore(_: Skip) -> None:
    """The default of ``on_skip``: nobody listens."""


def _own_stream(
    texts: Sequence[Path], recipe: DataRecipe, on_skip: Callable[[Skip], None]
) -> tuple[list[str], list[str]]:
    from ironwok.text.documents import read_documents

    def units() -> Iterator[str]:
        for document in read_documents(texts, on_skip=on_skip):
            yield from split_units(document.text, recipe.unit)
            yield SPECIAL[SEPARATOR]

    wanted = recipe.tokens + recipe.dev_tokens
    stream = list(islice(units(), wanted))
    block = _BLOCK_ROWS * recipe.length
    if len(stream) < 20 * block:
        raise DataError(
            f"{', '.join(map(str, texts))}: {len(stream)} {recipe.unit} of text, the lab wants {20 * block} at least "
            "(20 blocks, one of them for evaluation); name more text, or shorten data.length in the recipe"
        )
    train: list[str] = []
    dev: list[str] = []
    every = max(len(stream) // recipe.dev_tokens, 4)
    for number, begin in enumerate(range(0, len(stream), block)):
        (dev if number % every == every - 1 else train).extend(stream[begin : begin + block])
    return train, dev


def split_units(text: str, unit: str) -> list[str]:
    """The text as "characters" (line breaks and blanks as one blank each run) or as "words" and single signs."""
    if unit == "characters":
        return list(re.sub(r"\s+", " ", text).strip())
    return re.findall(r"\w+|[^\w\s]", text.lower())


def _vocabulary(stream: Iterable[str], size: int, *, extra: Sequence[str]) -> tuple[str, ...]:
    counts = Counter(stream)
    for special in SPECIAL:
        counts.pop(special, None)
    # by frequency, then by the sign itself, so that ties fall the same way everywhere
    ranked = sorted(counts, key=lambda unit: (-counts[unit], unit))
    kept = list(dict.fromkeys([*extra, *ranked]))[: size - len(SPECIAL)]
    return (*SPECIAL, *kept)


def _encode(units: Iterable[str], index: Mapping[str, int]) -> Tensor:
    return torch.tensor([index.get(unit, UNKNOWN) for unit in units], dtype=torch.int64)


def _generated(name: str, transfer: TransferRecipe, recipe: DataRecipe) -> list[tuple[list[str], str]]:
    if name not in stories.TASKS:
        raise DataError(f"there is no generated task {name!r}; there are {', '.join(stories.TASKS)}")
    count = transfer.examples + 2 * transfer.test_examples
    return [(one.words, one.label) for one in stories.examples(name, count=count, seed=recipe.seed)]


def _own_examples(path: Path, recipe: DataRecipe, on_skip: Callable[[Skip], None]) -> list[tuple[list[str], str]]:
    from ironwok.text.documents import ReadOptions, Skip, read_file

    made = []
    for item in read_file(path, options=ReadOptions(text_field="text")):
        if isinstance(item, Skip):
            on_skip(item)
            continue
        label = item.metadata.get("label")
        if label is not None:
            made.append((split_units(item.text, recipe.unit), str(label)))
    if not made:
        raise DataError(f"{path}: no record has the fields 'text' and 'label'")
    return made


def _task(
    name: str,
    made: list[tuple[list[str], str]],
    index: Mapping[str, int],
    transfer: TransferRecipe,
    longest: int,
) -> LabelledTask:
    wanted = transfer.examples + 2 * transfer.test_examples
    order = np.random.default_rng(0).permutation(len(made))[:wanted]
    if len(order) < 60:
        raise DataError(f"task {name!r} has {len(order)} labelled texts, 60 are needed at least")
    classes = tuple(sorted({made[i][1] for i in order}))
    if len(classes) < 2:
        raise DataError(f"task {name!r} knows the label {' '.join(classes)!r} alone, two are needed at least")
    # the same shares for a file that is smaller than what the recipe asks for
    train = round(len(order) * transfer.examples / wanted)
    test = (len(order) - train) // 2
    # both ends of a text that is too long: questions stand at its end, topics at its beginning
    rows = [_encode(_shortened(made[i][0], longest), index) for i in order]
    tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)
    labels = torch.tensor([classes.index(made[i][1]) for i in order])

    def split(begin: int, end: int) -> Split:
        return Split(tokens[begin:end].clone(), labels[begin:end].clone())

    return LabelledTask(classes, split(0, train), split(train, train + test), split(train + test, len(order)))


def _shortened(units: list[str], longest: int) -> list[str]:
    if len(units) <= longest:
        return units
    return units[: longest // 2] + units[-(longest - longest // 2) :]
