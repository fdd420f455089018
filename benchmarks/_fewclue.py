"""The nine tasks of FewCLUE: reading their files, asking a scorer, counting right answers."""

from __future__ import annotations

import json
import lzma
import tomllib
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from ironwok.errors import DataError, LongTextWarning
from ironwok.results import Span
from ironwok.zero_shot import Scorer, ZeroShotClassifier
from ironwok.zero_shot.pairs import Pair, WindowingScorer
from ironwok.zero_shot.shortlist import pieces_of
from ironwok.zero_shot.tasks import (
    Cloze,
    Reference,
    adapted_to_blanks,
    classify_pairs,
    fill_blanks,
    judge_keywords,
    judge_references,
)
from ironwok.zero_shot.tasks.ranking import clause_around

SETTINGS = tomllib.loads((Path(__file__).parent / "fewclue.toml").read_text(encoding="utf-8"))
TASKS = tuple(SETTINGS)

# Accuracy in percent on test_public, as published: NSP-BERT repository (samples-contrast tasks: ocnli, bustm, csl,
# cluewsc), FewCLUE paper (PET, GPT, human), UniMC paper. The average is the one printed there.
PUBLISHED = {
    "NSP-BERT 102M": (55.96, 86.9, 47.6, 51.0, 41.6, 37.4, 63.4, 64.4, 52.0, 59.4),
    "PET zero-shot": (45.10, 85.2, 12.6, 26.1, 26.6, 40.3, 50.6, 52.2, 57.6, 54.7),
    "GPT zero-shot": (43.40, 57.5, 26.2, 37.0, 19.0, 34.4, 50.0, 50.1, 65.6, 50.3),
    "UniMC 110M": (55.7, 86.2, 31.3, 46.6, 26.5, 66.9, 73.3, 50.1, 66.7, 53.7),
    "human": (82.5, 90.0, 68.0, 71.0, 66.0, 90.3, 88.0, 84.0, 87.1, 98.0),
}


class TokenOverlap:
    """The baseline without a model: the share of the prompt's marked characters and character pairs in the text."""

    def score(self, pairs: Sequence[Pair]) -> np.ndarray:
        scores = np.zeros(len(pairs))
        for number, pair in enumerate(pairs):
            pieces, text = pieces_of(pair.prompt.label), pair.text.lower()
            scores[number] = sum(piece in text for piece in pieces) / max(len(pieces), 1)
        return scores


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line changes in the settings of a task; None leaves them.

    adapt: folder whose files ``adapt_to`` (names of splits, those that a task has) labels and idioms adapt to.
    """

    protocol: str | None = None
    position: str | None = None
    calibrate: bool = False
    shortlist: int | None = None
    max_tokens: int | None = None
    adapt: Path | None = None
    adapt_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """Answers of one task. protocol: as used. notes: what the run said about itself."""

    task: str
    protocol: str
    right: int
    count: int
    classes: int
    majority: float
    answers: tuple[str, ...]
    seconds: float
    notes: tuple[str, ...]

    @property
    def accuracy(self) -> float:
        return 100 * self.right / self.count


@dataclass(frozen=True, slots=True)
class Task:
    """Rows of one split with the classes of the task.

    classes: for classification the labels found in any file of the task (their names are the task's definition; which
    text has which is read from the split alone), else those of the settings.
    """

    name: str
    rows: tuple[dict[str, Any], ...]
    classes: tuple[str, ...]

    @property
    def truth(self) -> tuple[str, ...]:
        return tuple(str(row[SETTINGS[self.name]["label"]]) for row in self.rows)


def _file(folder: Path, split: str) -> Path | None:
    """The file of a split, packed or not; None if there is none."""
    named = (folder / f"{split}.jsonl", folder / f"{split}.jsonl.xz")
    return next((file for file in named if file.is_file()), None)


def load_task(folder: Path, name: str, split: str, *, limit: int = 0) -> Task:
    """Read ``folder/name/split.jsonl`` or ``.jsonl.xz``; with a limit that many rows, evenly spaced, 0 for all."""
    here = folder / name
    path = _file(here, split)
    if path is None:
        there = sorted(p.name for p in here.glob("*.jsonl*")) if here.is_dir() else []
        raise DataError(
            f"{here} has no {split}.jsonl or {split}.jsonl.xz; it has {', '.join(there) or 'no such files'}"
        )
    key = SETTINGS[name]["label"]
    rows = _rows(path)
    unlabelled = sum(key not in row for row in rows)
    if not rows or unlabelled:
        raise DataError(f"{path}: {unlabelled} of {len(rows)} rows have no {key!r}; this split cannot be measured")
    if 0 < limit < len(rows):
        rows = [rows[i * len(rows) // limit] for i in range(limit)]
    if SETTINGS[name]["kind"] == "classification":
        found = {str(row[key]) for file in sorted(here.glob("*.jsonl*")) for row in _rows(file) if key in row}
        classes = tuple(sorted(found))
    elif SETTINGS[name]["kind"] == "cloze":
        classes = tuple(str(i) for i in range(max(len(row[SETTINGS[name]["candidates"]]) for row in rows)))
    else:
        classes = tuple(SETTINGS[name]["labels"])
    return Task(name, tuple(rows), classes)


def _rows(path: Path) -> list[dict[str, Any]]:
    """Rows of JSON, split at line feeds alone: texts hold other characters that count as line ends elsewhere."""
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rt", encoding="utf-8", newline="\n") as file:
        rows = []
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise DataError(f"{path}:{number} is no JSON ({error.msg})") from error
        return rows


def evaluate(task: Task, scorer: Scorer, options: Options, *, progress: bool = False) -> Outcome:
    """Answer all rows of a task and count."""
    settings = SETTINGS[task.name]
    protocol = _protocol(settings, scorer, options)
    start = perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", LongTextWarning)
        answers = _ANSWER[settings["kind"]](task, settings, scorer, protocol, options, progress)
    seconds = perf_counter() - start
    truth = task.truth
    notes = tuple(dict.fromkeys(f"{task.name}: {w.message}" for w in caught if w.category is LongTextWarning))
    return Outcome(
        task.name,
        protocol,
        sum(a == b for a, b in zip(answers, truth, strict=True)),
        len(truth),
        len(task.classes),
        100 * Counter(truth).most_common(1)[0][1] / len(truth),
        tuple(answers),
        seconds,
        notes,
    )


def _protocol(settings: dict[str, Any], scorer: Scorer, options: Options) -> str:
    """As asked for; else the task's own protocol where the scorer takes a whole sentence as the prompt, by the head for
    the task's relation where there is one ("head-sc"). A blank is always cc.
    """
    if settings["kind"] == "cloze":
        return "cc"
    if options.protocol in (None, "head") and "relation" in settings and getattr(scorer, "relations", None) is not None:
        return options.protocol or f"head-{settings['protocol']}"
    if options.protocol not in (None, "head"):
        return options.protocol
    return settings["protocol"] if getattr(scorer, "reads_sentences", True) else "cc"


def _classification(task: Task, settings: dict, scorer: Scorer, protocol: str, options: Options, progress: bool):
    words = settings.get("words", {})
    unknown = sorted(set(words) - set(task.classes))
    if words and len(unknown) == len(words):
        raise DataError(f"{task.name}: none of the labels {', '.join(task.classes)} has words in fewclue.toml")
    names = {name: words.get(name, name) for name in task.classes}
    classifier = ZeroShotClassifier(scorer=scorer)
    if heap := _heap(task, settings, options):
        classifier = classifier.adapted([row[settings["text"]] for row in heap], labels=names)
    shortlist = options.shortlist if protocol == "cc" and (options.shortlist or 0) < len(task.classes) else None
    results = classifier.classify(
        [row[settings["text"]] for row in task.rows],
        labels=names,
        template=settings["templates"],
        position=options.position or settings["position"],
        protocol=protocol,
        calibrate=options.calibrate,
        shortlist=shortlist,
        overflow="truncate",
        max_tokens=_at_most(scorer, options.max_tokens or settings["max_tokens"]),
        progress=progress,
    )
    return [result.labels[0] for result in results]


def _heap(task: Task, settings: dict, options: Options) -> list[dict[str, Any]]:
    """Rows, read without their labels, that labels adapt to; none where nothing was asked."""
    if options.adapt is None:
        return []
    found = [_file(options.adapt / task.name, split) for split in options.adapt_to]
    files = [file for file in found if file is not None]
    if not files:
        raise DataError(f"{options.adapt / task.name} has none of {', '.join(options.adapt_to)} (.jsonl, .jsonl.xz)")
    rows = [row for file in files for row in _rows(file)]
    return [row for row in rows if row[settings["text"]].strip()]


def _at_most(scorer: Scorer, tokens: int) -> int | None:
    """The longest pair that is read; None where the scorer does not count tokens."""
    return min(tokens, scorer.max_tokens) if isinstance(scorer, WindowingScorer) else None


def _pairs(task: Task, settings: dict, scorer: Scorer, protocol: str, options: Options, progress: bool):
    del progress
    pairs = [(row[settings["first"]], row[settings["second"]]) for row in task.rows]
    if protocol.startswith("head"):
        named = settings["relation"]  # the head's answer -> label of the data
        prior = [1.0] * len(named) if protocol == "head-sc" else None
        results = classify_pairs(scorer, pairs, labels=list(named), protocol="head", prior=prior)
        return [named[result.label] for result in results]
    return _related(pairs, settings, scorer, protocol, options, symmetric=settings.get("symmetric", False))


def _related(
    pairs: Sequence[tuple[str, str]],
    settings: dict,
    scorer: Scorer,
    protocol: str,
    options: Options,
    *,
    symmetric: bool = False,
):
    results = classify_pairs(
        scorer,
        pairs,
        labels=settings["labels"]
        if protocol == "sc"
        else {name: settings["words"][name] for name in settings["labels"]},
        protocol=protocol,  # pyright: ignore[reportArgumentType]
        template=settings["template"],
        position=options.position or settings["position"],
        symmetric=symmetric,
    )
    return [result.label for result in results]


def _keywords(task: Task, settings: dict, scorer: Scorer, protocol: str, options: Options, progress: bool):
    del progress
    texts = [row[settings["text"]] for row in task.rows]
    keywords = [row[settings["keywords"]] for row in task.rows]
    if protocol == "cc":
        joined = ["、".join(own) for own in keywords]
        return _related(list(zip(texts, joined, strict=True)), settings, scorer, protocol, options)
    results = judge_keywords(
        scorer,
        texts,
        keywords,
        template=settings["keyword_template"],
        together=settings.get("together", "all"),
        position=options.position or settings["position"],
    )
    return _named(results, settings)


def _cloze(task: Task, settings: dict, scorer: Scorer, protocol: str, options: Options, progress: bool):
    del protocol, progress
    items = _blanks(task.rows, settings)
    heap = [row for row in _heap(task, settings, options) if row[settings["text"]].count(settings["blank"]) == 1]
    if heap:
        scorer = adapted_to_blanks(scorer, _blanks(heap, settings))
    rankings = fill_blanks(scorer, items, position=options.position or settings["position"])
    return [str(item.candidates.index(r.best.name)) for item, r in zip(items, rankings, strict=True)]


def _blanks(rows: Sequence[dict[str, Any]], settings: dict) -> list[Cloze]:
    blank = settings["blank"]
    return [Cloze(row[settings["text"]], tuple(row[settings["candidates"]]), blank=blank) for row in rows]


def _coreference(task: Task, settings: dict, scorer: Scorer, protocol: str, options: Options, progress: bool):
    del progress
    items = [_reference(row, settings) for row in task.rows]
    if protocol == "cc":
        pairs = []
        for item in items:
            clause = clause_around(item.text, item.pronoun, most=40)
            before = item.text[clause.start : item.pronoun.start]
            pairs.append((item.text, before + item.noun.text + item.text[item.pronoun.end : clause.end]))
        return _related(pairs, settings, scorer, protocol, options)
    results = judge_references(
        scorer, items, style=settings["style"], position=options.position or settings["position"]
    )
    return _named(results, settings)


def _reference(row: dict[str, Any], settings: dict) -> Reference:
    text, target = row[settings["text"]], row["target"]
    spans = [
        Span(start, start + len(words), words)
        for start, words in ((target[f"span{i}_index"], target[f"span{i}_text"]) for i in (1, 2))
    ]
    return Reference(text, noun=spans[0], pronoun=spans[1])


def _named(results: Sequence[Any], settings: dict) -> list[str]:
    """The data's names of true and false."""
    true, false = settings["labels"]
    return [true if result.labels[0] == "true" else false for result in results]


_ANSWER = {
    "classification": _classification,
    "pairs": _pairs,
    "keywords": _keywords,
    "cloze": _cloze,
    "coreference": _coreference,
}
