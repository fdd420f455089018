"""What a run trains on and is judged by: annotated files, what is wrong with them, and what a teacher adds."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ironwok.errors import DataError, DataWarning, InputError
from ironwok.events.annotations import AnnotatedText
from ironwok.events.classes import TaskClasses
from ironwok.events.formats import Problem, read_annotations
from ironwok.events.schema import Schema, infer_schema
from ironwok.events.schema_files import load_schema
from ironwok.files import LineLog, json_line
from ironwok.text.formats.files import unpacked_name
from ironwok.training.files import read_lines, read_records
from ironwok.training.progress import Progress

_HELD_OUT = 0.1
_CHUNK = 64  # texts that a teacher annotates between two writes


@dataclass(slots=True)
class Corpus:
    """texts: to train on. dev: to judge by. taught: what a teacher annotated. problems: of all files, by kind."""

    classes: TaskClasses
    texts: list[AnnotatedText]
    dev: list[AnnotatedText]
    taught: list[AnnotatedText] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """The same for the same texts and annotations in the same order."""
        digest = hashlib.blake2b(digest_size=16)
        for texts in (self.texts, self.dev, self.taught):
            for text in texts:
                digest.update(json.dumps(text.to_dict(), sort_keys=True, ensure_ascii=True).encode())
            digest.update(b"\0")
        return digest.hexdigest()


def read_corpus(
    task: str,
    *,
    train: Path,
    dev: Path | None,
    schema: Schema | str | Path | None,
    format: str | None,
    seed: int,
    on_problem: Callable[[Problem], None] | None = None,
) -> Corpus:
    """Read and check the files of a run.

    dev: None holds a tenth of the training texts out, drawn by ``seed``. schema: a schema, a file or a bundled name;
    None infers it from the training texts.
    What does not fit is left out and reported to ``on_problem`` one by one, and in sum as a DataWarning.
    Raises AnnotationError, SchemaError, and DataError where nothing to learn from is left.
    """
    problems: list[Problem] = []

    def note(problem: Problem) -> None:
        problems.append(problem)
        if on_problem is not None:
            on_problem(problem)

    if schema is None:
        chosen = infer_schema(read_annotations(train, format=format), name=train.name.split(".")[0])
    else:
        chosen = schema if isinstance(schema, Schema) else load_schema(schema)
    classes = TaskClasses.of(task, chosen)
    texts = list(read_annotations(train, format=format, schema=chosen, on_problem=note))
    if not any(getattr(text, task) for text in texts):
        raise DataError(
            f"{train} has {len(texts)} texts, none of them with {task} of the schema: there is nothing to learn from"
        )
    if dev is None:
        texts, held_out = _split(texts, task, seed)
    else:
        held_out = list(read_annotations(dev, format=format, schema=chosen, on_problem=note))
    if not any(getattr(text, task) for text in held_out):
        raise DataError(f"{dev or train} has no {task} to judge the model by: name another file with --dev")
    _warn_of(problems)
    return Corpus(classes, texts, held_out, problems=problems)


def _split(texts: list[AnnotatedText], task: str, seed: int) -> tuple[list[AnnotatedText], list[AnnotatedText]]:
    """A tenth of the texts held out, some with annotations among them. Raises DataError for a single text."""
    full = [i for i, text in enumerate(texts) if getattr(text, task)]
    if len(full) < 2:
        raise DataError(
            f"{len(full)} text with {task} cannot be trained on and judged by: annotate more, or name --dev"
        )
    generator = np.random.default_rng((seed, 0x5EED))
    empty = sorted(set(range(len(texts))) - set(full))
    held = {
        int(i)
        for group in (full, empty)
        if group
        for i in generator.permutation(group)[: max(round(len(group) * _HELD_OUT), int(group is full))]
    }
    return [t for i, t in enumerate(texts) if i not in held], [t for i, t in enumerate(texts) if i in held]


def _warn_of(problems: Sequence[Problem]) -> None:
    lost = [problem for problem in problems if problem.outcome == "lost"]
    if not lost:
        return
    kinds = Counter(problem.kind for problem in lost)
    listed = ", ".join(f"{count} x {kind}" for kind, count in kinds.most_common())
    warnings.warn(
        f"{len(lost)} annotations could not be used ({listed}); the first: {lost[0]}", DataWarning, stacklevel=4
    )


def taught_texts(
    teacher: str | Path,
    *,
    unlabelled: Path | None,
    classes: TaskClasses,
    out: Path,
    progress: Progress,
    device: str | None = None,
) -> list[AnnotatedText]:
    """What a teacher says of texts that nobody annotated.

    teacher: a JSONL of its outputs, in any of the formats of annotations, as `ironwok extract` writes it; or a model,
    by folder, bundled name or hub id, which then annotates ``unlabelled``: lines of text, or records with a "text".
    out: folder of the run; what a model says is kept in ``teacher.jsonl`` there, and gone on with after a kill.
    Raises DataError, InputError, and what loading a model raises.
    """
    file = Path(teacher)
    if file.is_file():
        texts = list(read_annotations(file, schema=classes.schema))
        if not any(getattr(text, classes.task) for text in texts):
            raise DataError(f"{file} holds {len(texts)} texts and none of the schema's {classes.task}")
        return texts
    if unlabelled is None:
        raise InputError(f"the teacher {teacher} is a model: name texts for it to annotate with --unlabelled FILE")
    log = LineLog(out / "teacher.jsonl")
    kept = log.load()
    log.keep(json_line(record) for record in kept)
    asked = list(dict.fromkeys(_unlabelled(unlabelled)))
    if [record.get("text") for record in kept] != asked[: len(kept)]:
        raise DataError(
            f"{log.path} holds the answers to other texts than {unlabelled}: remove it, or take another --out"
        )
    if len(kept) < len(asked):
        from ironwok.events.extractor import load_extractor

        extractor = load_extractor(teacher, schema=None, device=device)
        if extractor.classes.task != classes.task:
            raise InputError(f"the teacher {teacher} finds {extractor.classes.task}, the run is about {classes.task}")
        for start in range(len(kept), len(asked), _CHUNK):
            progress.busy("teacher", done=start, total=len(asked))
            chunk = asked[start : start + _CHUNK]
            found = extractor.extract(chunk)
            log.append(
                AnnotatedText(text, **{str(classes.task): results}).to_dict()  # pyright: ignore[reportArgumentType]
                for text, results in zip(chunk, found, strict=True)
            )
        log.close()
    return list(read_annotations(log.path, format="ironwok", schema=classes.schema))


def _unlabelled(path: Path) -> Iterator[str]:
    if unpacked_name(path).suffix.lower() in (".jsonl", ".ndjson", ".json"):
        for number, record in read_records(path):
            text = record.get("text")
            if not isinstance(text, str):
                raise DataError(f"{path}:{number}: the record has no text under the key 'text'")
            yield text
        return
    yield from (line.strip() for line in read_lines(path) if line.strip())
