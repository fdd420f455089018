"""Training the head for relations of two sentences (``ironwok.zero_shot.relations``) on labelled pairs.

Several sets share one head: those of inference teach what contradicts, those of paraphrase what means the same, and the
words look for their likes in the same way for both. The answers of a set count alike, however often each is given: the
head will judge other pairs than those, of which nobody knows how many mean the same. The table of words stays as it is.
"""

# N examples, F numbers of overlap

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ironwok.errors import DataError, RecipeError
from ironwok.text.associations import Associations, Tokenize
from ironwok.training.checkpoints import go_on_from, save_checkpoint
from ironwok.training.files import read_records
from ironwok.training.progress import Progress, Silent
from ironwok.training.ranges import check_ranges
from ironwok.zero_shot.heads import fingerprint
from ironwok.zero_shot.relations import RelationHead, Relations, overlaps, padded, units_of

_CHUNK = 2048  # texts tokenized at once
_NEAR = 100  # batches whose examples are sorted by length together
_WARMUP = 200  # steps
_LARGEST_GRADIENT = 1.0
_JUDGED = 1000  # held-out pairs of a set


@dataclass(frozen=True, slots=True)
class RelationSet:
    """One labelled set of pairs.

    answers: raw label -> answer of the relation; pairs with other labels are left out. held_out: trained on not at all.
    """

    name: str
    files: tuple[Path, ...]
    relation: str
    answers: Mapping[str, str]
    fields: tuple[str, str] = ("a", "b")
    label: str = "label"
    held_out: bool = False


@dataclass(frozen=True, slots=True)
class RelationLearning:
    """How the head learns.

    epochs: how often each pair is seen. batch: pairs of a step. rate: AdamW's, rising for 200 steps and falling to 0.
    held_out: each n-th pair of a set is kept for judging. keep_every: steps between checkpoints.
    """

    epochs: float = 4.0
    batch: int = 64
    rate: float = 1e-3
    decay: float = 1e-2
    width: int = 128
    dropout: float = 0.2
    held_out: int = 50
    keep_every: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(
            self,
            least={"batch": 1, "width": 1, "held_out": 2, "keep_every": 1, "seed": 0},
            above=("epochs", "rate"),
            not_below=("decay",),
            shares=("dropout",),
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """Held-out pairs of a set. right: share of them that was answered as labelled. majority: always the commonest."""

    name: str
    relation: str
    count: int
    right: float
    majority: float


def read_sets(
    file: Path, data: Path, *, without: Sequence[str] = ()
) -> tuple[dict[str, tuple[str, ...]], list[RelationSet]]:
    """(answers of each relation, sets) of a TOML file; its paths lie in ``data``.

    without: names of sets that are held out, too. Raises DataError for a file that cannot be read or lacks something.
    """
    try:
        about = tomllib.loads(file.read_text(encoding="utf-8"))
        relations = {name: tuple(names) for name, names in about["relations"].items()}
        sets = [_set(entry, data, relations) for entry in about["sets"]]
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{file}: cannot be read ({error})") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{file}: lacks or has a wrong {error}: it needs [relations] and [[sets]]") from error
    if not sets:
        raise DataError(f"{file}: has no [[sets]]")
    unknown = sorted(set(without) - {one.name for one in sets})
    if unknown:
        raise DataError(f"{file}: has no set {', '.join(unknown)}; there are {', '.join(one.name for one in sets)}")
    return relations, [replace(one, held_out=one.held_out or one.name in without) for one in sets]


def _set(entry: Mapping[str, Any], data: Path, relations: Mapping[str, Sequence[str]]) -> RelationSet:
    relation, answers = entry["relation"], {str(raw): str(answer) for raw, answer in entry["answers"].items()}
    unknown = sorted(set(answers.values()) - set(relations.get(relation, ())))
    if relation not in relations or unknown:
        known = "; ".join(f"{name}: {', '.join(names)}" for name, names in relations.items())
        given = ", ".join(sorted(set(answers.values())))
        raise DataError(f"set {entry['name']}: relation {relation!r} with answers {given}: there are {known}")
    if not isinstance(entry["files"], list):
        raise DataError(f"set {entry['name']}: files is {entry['files']!r}: a list is needed")
    files = tuple(data / one for one in entry["files"])
    fields = tuple(entry.get("fields", ("a", "b")))
    label, held_out = entry.get("label", "label"), bool(entry.get("held_out", False))
    if len(fields) != 2:
        raise DataError(f"set {entry['name']}: fields is {list(fields)}: two are needed, first and second sentence")
    return RelationSet(entry["name"], files, relation, answers, fields, label, held_out)  # pyright: ignore[reportArgumentType]


def learn_relations(
    relations: Mapping[str, Sequence[str]],
    sets: Sequence[RelationSet],
    table: Associations,
    tokenize: Tokenize,
    learning: RelationLearning | None = None,
    *,
    work: Path,
    progress: Progress | None = None,
) -> tuple[Relations, list[Judged]]:
    """A trained head, and how it does on the pairs that were kept.

    work: folder of checkpoints; a run that was stopped goes on from the last one, and ends as it would have ended.
    Deterministic on one machine, given the seed. Raises DataError for broken or empty sets, RecipeError where the
    gradient is no number any more, CheckpointError for a ``work`` that holds another run or nothing whole.
    """
    learning, progress = learning or RelationLearning(), progress or Silent()
    examples = _read(relations, sets, learning, table, tokenize, progress)
    run = _Run(relations, examples, table, learning, work)
    run.step = go_on_from(work, run.identity, run.read)
    run.train(progress)
    found = Relations(run.head.eval(), table, tokenize)
    return found, [_judge(found, one, pairs) for one, pairs in examples.kept if pairs]


@dataclass(frozen=True, slots=True)
class _Examples:
    """Pairs to train on, and those kept.

    Units of both sentences, overlap float32 [N, F], relation and answer int64 [N], weight float32 [N], 1 on average.
    """

    firsts: list[np.ndarray]
    seconds: list[np.ndarray]
    overlap: np.ndarray
    relations: np.ndarray
    answers: np.ndarray
    weights: np.ndarray
    kept: list[tuple[RelationSet, list[tuple[str, str, int]]]]
    digest: str


def _read(
    relations: Mapping[str, Sequence[str]],
    sets: Sequence[RelationSet],
    learning: RelationLearning,
    table: Associations,
    tokenize: Tokenize,
    progress: Progress,
) -> _Examples:
    names = list(relations)
    pairs: list[tuple[str, str]] = []
    labels: list[tuple[int, int]] = []
    weights: list[np.ndarray] = []
    kept = []
    digest = blake2b(digest_size=16)
    for done, one in enumerate(sets):
        progress.busy("examples", done=done, total=len(sets), note=one.name)
        mine = list(_pairs(one, list(relations[one.relation])))
        if not mine:
            raise DataError(f"set {one.name} has no pair labelled {', '.join(one.answers)}")
        for pair in mine:
            digest.update(repr(pair).encode())
        kept.append((one, mine[:: 1 if one.held_out else learning.held_out][:_JUDGED]))
        if not one.held_out:
            used = [pair for number, pair in enumerate(mine) if number % learning.held_out]
            pairs += [(first, second) for first, second, _ in used]
            labels += [(names.index(one.relation), answer) for *_, answer in used]
            weights.append(_balanced(np.array([answer for *_, answer in used], dtype=np.int64)))
    if not pairs:
        raise DataError("there is no pair to train on: each set is held out or too small")
    firsts, seconds = [], []
    for start in range(0, len(pairs), _CHUNK):
        progress.busy("examples", done=start, total=len(pairs))
        part = pairs[start : start + _CHUNK]
        firsts += units_of(table, tokenize, [first for first, _ in part])
        seconds += units_of(table, tokenize, [second for _, second in part])
    numbers = np.array(labels, dtype=np.int64)
    return _Examples(
        firsts,
        seconds,
        overlap=overlaps(pairs),
        relations=numbers[:, 0],
        answers=numbers[:, 1],
        weights=np.concatenate(weights),
        kept=kept,
        digest=digest.hexdigest(),
    )


def _balanced(answers_N: np.ndarray) -> np.ndarray:
    counts = np.bincount(answers_N)
    return (len(answers_N) / np.count_nonzero(counts) / counts[answers_N]).astype(np.float32)


def _pairs(one: RelationSet, names: list[str]) -> Iterator[tuple[str, str, int]]:
    for path in one.files:
        for number, record in read_records(path):
            try:
                first, second = (str(record[name]) for name in one.fields)
                raw = str(record[one.label])
            except (KeyError, TypeError) as error:
                raise DataError(f"{path}:{number}: set {one.name}: missing or wrong field ({error})") from error
            if raw in one.answers and first.strip() and second.strip():
                yield first, second, names.index(one.answers[raw])


class _Run:
    """The head on its way, and the checkpoints of it."""

    def __init__(
        self,
        relations: Mapping[str, Sequence[str]],
        examples: _Examples,
        table: Associations,
        learning: RelationLearning,
        work: Path,
    ) -> None:
        self.examples, self.table, self.learning, self.work = examples, table, learning, work
        self.names = list(relations)
        self.step, self.total = 0, max(int(learning.epochs * len(examples.answers) / learning.batch), 1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(learning.seed)
            self.head = RelationHead(
                relations, inputs=table.vectors.shape[1], width=learning.width, dropout=learning.dropout
            )
        self.optimizer = torch.optim.AdamW(
            self.head.parameters(), lr=learning.rate, weight_decay=learning.decay, fused=True
        )
        sizes = [[len(first), len(second)] for first, second in zip(examples.firsts, examples.seconds, strict=True)]
        self.lengths, self.sizes = np.max(sizes, axis=1), np.sum(sizes, axis=1)
        self.identity = {
            "examples": examples.digest,
            "table": fingerprint(table),
            "relations": {name: list(names) for name, names in relations.items()},
            "learning": {name: value for name, value in asdict(learning).items() if name != "keep_every"},
        }

    def train(self, progress: Progress) -> None:
        learning, seen, began = self.learning, 0, perf_counter()
        epoch, batches = -1, []
        self.head.train()
        while self.step < self.total:
            count = -(-len(self.examples.answers) // learning.batch)
            if self.step // count != epoch:
                epoch = self.step // count
                batches = self._batches(epoch)
            chosen = batches[self.step % count]
            self.step += 1
            share = min(self.step / _WARMUP, 1) * max(1 - self.step / self.total, 0)
            self.optimizer.param_groups[0]["lr"] = learning.rate * share
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed((learning.seed << 32) + self.step)
                loss = self._loss(chosen)
                loss.backward()
            norm = float(torch.nn.utils.clip_grad_norm_(self.head.parameters(), _LARGEST_GRADIENT))
            if not math.isfinite(norm):
                raise RecipeError(
                    f"step {self.step}: the gradient is not finite, the step was not made: a lower rate than "
                    f"{learning.rate} is needed"
                )
            self.optimizer.step()
            self.optimizer.zero_grad()
            seen += int(self.sizes[chosen].sum())
            rate = seen / max(perf_counter() - began, 1e-9)
            metrics = {"loss": float(loss.detach())}
            progress.stepped(self.step, total=self.total, tokens_per_second=rate, metrics=metrics)
            if self.step % learning.keep_every == 0 and self.step < self.total:
                progress.busy("checkpoint", done=0, total=0)
                save_checkpoint(self.work, self.step, self._write, state={"run": self.identity}, keep=1)

    def _batches(self, epoch: int) -> list[np.ndarray]:
        """The examples of an epoch, those of a batch of like length: a function of seed and epoch alone."""
        generator = np.random.default_rng((self.learning.seed, epoch))
        batch = self.learning.batch
        order = generator.permutation(len(self.examples.answers))
        found = []
        for start in range(0, len(order), batch * _NEAR):
            near = order[start : start + batch * _NEAR]
            near = near[np.argsort(self.lengths[near], kind="stable")]
            found += [near[at : at + batch] for at in range(0, len(near), batch)]
        return [found[number] for number in generator.permutation(len(found))]

    def _loss(self, chosen: np.ndarray) -> torch.Tensor:
        examples = self.examples
        first = padded(self.table, [examples.firsts[number] for number in chosen])
        second = padded(self.table, [examples.seconds[number] for number in chosen])
        logits = self.head(first, second, torch.from_numpy(examples.overlap[chosen]))
        summed = []
        for number, name in enumerate(self.names):
            own = np.flatnonzero(examples.relations[chosen] == number)
            answers = torch.from_numpy(examples.answers[chosen][own])
            losses = functional.cross_entropy(logits[name][own], answers, reduction="none")
            summed.append((losses * torch.from_numpy(examples.weights[chosen][own])).sum())
        return torch.stack(summed).sum() / len(chosen)

    def _write(self, folder: Path) -> None:
        torch.save({"head": self.head.state_dict(), "optimizer": self.optimizer.state_dict()}, folder / "relations.pt")

    def read(self, checkpoint: Path) -> None:
        kept: dict[str, Any] = torch.load(checkpoint / "relations.pt", weights_only=True)
        self.head.load_state_dict(kept["head"])
        self.optimizer.load_state_dict(kept["optimizer"])


def _judge(relations: Relations, one: RelationSet, pairs: Sequence[tuple[str, str, int]]) -> Judged:
    answers = np.array([answer for *_, answer in pairs])
    found = relations.judge([pair[:2] for pair in pairs], one.relation).argmax(axis=1)
    majority = float(np.bincount(answers).max() / len(answers))
    return Judged(one.name, one.relation, len(pairs), float(np.mean(found == answers)), majority)
