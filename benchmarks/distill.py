"""Students taught on the unlabelled texts of FewCLUE beside their teacher: accuracy on dev, texts a second.

    python benchmarks/distill.py --data FOLDER [--task eprstmt tnews] [--limit 0] [--rounds 2] [--work FOLDER]

FOLDER/TASK/unlabeled.jsonl[.xz] and dev_few_all.jsonl[.xz] are the files of github.com/CLUEbenchmark/FewCLUE. No true
label is learned from. Templates and words are those of benchmarks/fewclue.py; calibration is the default of
`ironwok distill`. Speeds are measured on one thread on the same dev texts, teacher and students taking turns, best of
the rounds for each. Prints a table, then one line of JSON.

limit: texts a task that the teacher labels, 0 for all; with a larger one it is asked for the new ones alone. The others
are for the second round of the n-grams. texts: unlabelled texts a task, 0 for all. work: keep labels and students
here, and go on from there.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from _fewclue import SETTINGS, _rows, load_task
from _table import carry_out, finish, show
from ironwok.distill import distill
from ironwok.errors import DataError
from ironwok.students import load_student
from ironwok.zero_shot import ZeroShotClassifier

TASKS = ("eprstmt", "tnews")
_TIMED = 96
_ROUNDS = 3


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with a folder for each task")
    parser.add_argument("--task", nargs="+", choices=TASKS, default=list(TASKS), metavar="T")
    parser.add_argument("--model", default="ironwok-small", help="the teacher")
    parser.add_argument("--limit", type=int, default=0, help="texts a task that the teacher labels; 0 for all")
    parser.add_argument("--texts", type=int, default=0, help="unlabelled texts a task; 0 for all")
    parser.add_argument("--rounds", type=int, choices=(1, 2), default=2, help="as in `ironwok distill`")
    parser.add_argument("--dev-limit", type=int, default=0, help="rows of dev a task; 0 for all")
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16"), default="auto", help="of the encoder")
    parser.add_argument("--threshold", type=float, help="as in `ironwok distill`")
    parser.add_argument("--no-calibrate", action="store_true", help="as in `ironwok distill`")
    parser.add_argument("--work", type=Path, help="folder for labels and students (default: a temporary one)")
    return parser.parse_args()


def run(options: argparse.Namespace, work: Path) -> None:
    torch.set_num_threads(1)
    teacher = ZeroShotClassifier(options.model, dtype=options.dtype, on_self_check="skip")
    rows, notes, figures = [], [], {}
    for name in options.task:
        found = measure(name, options, work / name, teacher)
        figures[name] = found
        for who in ("teacher", "ngrams", "encoder"):
            one = found[who]
            rows.append(
                [
                    f"{name}: {who}",
                    f"{one['accuracy']:.1f}",
                    f"{100 * one['accuracy'] / found['teacher']['accuracy']:.1f}",
                    None if who == "teacher" else f"{one['agreement']:.1f}",
                    f"{one['texts_per_second']:,.0f}",
                    f"{one['speed_up']:,.1f}",
                    f"{one['size'] / 1e6:.1f}",
                ]
            )
        notes.append(
            f"{name}: {found['labelled']} texts labelled by the teacher, {found['abstained']} of them left out, "
            f"{found['others']} others; {found['why']}, rounds "
            + ", ".join(
                f"{one['number']}: {one['texts']} texts, agreement {one['agreement']}, strength {one['strength']:g}"
                f"{', kept' if one['kept'] else ''}"
                for one in found["rounds"]
            )
            + f"; dev {found['dev']} rows; labels kept: "
            + ", ".join(f"{label} {count}" for label, count in found["balance"].items())
        )
    columns = ("", "dev acc. %", "% of teacher's", "agreement %", "texts/s", "speed-up", "MB")
    show("Students beside their teacher, one thread", columns, rows, notes=notes)
    finish(figures)


def measure(name: str, options: argparse.Namespace, work: Path, teacher: ZeroShotClassifier) -> dict[str, Any]:
    settings = SETTINGS[name]
    task = load_task(options.data, name, "dev_few_all", limit=options.dev_limit)
    words = settings.get("words", {})
    labels = {label: words.get(label, label) for label in task.classes}
    dev = [row[settings["text"]] for row in task.rows]
    unlabelled = unlabelled_texts(options.data / name, settings["text"], dev, options.texts)
    calibrate = not options.no_calibrate
    asked = {"labels": labels, "template": settings["templates"], "max_tokens": settings["max_tokens"]}
    report = distill(
        unlabelled,
        out=work,
        classifier=teacher,
        model=options.model,
        dtype=options.dtype,
        threshold=options.threshold,
        limit=options.limit or None,
        rounds=options.rounds,
        calibrate=calibrate,
        progress=sys.stderr.isatty(),
        **asked,
    )

    def ask_teacher(texts: Sequence[str]) -> list[Any]:
        return teacher.classify(texts, calibrate=calibrate, **asked)

    students = {one.kind: load_student(one.folder, dtype=options.dtype) for one in report.students}
    ways: dict[str, Callable[[Sequence[str]], list[Any]]] = {"teacher": ask_teacher}
    ways |= {kind: student.classify for kind, student in students.items()}
    speeds = texts_per_second(ways, [dev[i * len(dev) // _TIMED] for i in range(min(_TIMED, len(dev)))])
    answers = {who: [result.labels[0] for result in way(dev)] for who, way in ways.items()}
    sizes = {"teacher": report.teacher_size} | {one.kind: one.size for one in report.students}
    found: dict[str, Any] = {
        who: {
            "accuracy": 100 * share(answers[who], task.truth),
            "agreement": 100 * share(answers[who], answers["teacher"]),
            "texts_per_second": speeds[who],
            "speed_up": speeds[who] / speeds["teacher"],
            "size": sizes[who],
        }
        for who in ways
    }
    return found | {
        "labelled": report.texts,
        "abstained": report.abstained,
        "others": report.others,
        "rounds": [one.to_dict() for one in report.rounds],
        "why": report.why,
        "strengths": {one.kind: one.strength for one in report.students},
        "dev": len(dev),
        "balance": dict(report.balance),
    }


def unlabelled_texts(folder: Path, field: str, dev: Sequence[str], limit: int) -> list[str]:
    """The unlabelled texts, each once, without those of dev, shuffled: the first 1,000 are among the first 2,000."""
    path = next((p for p in (folder / "unlabeled.jsonl", folder / "unlabeled.jsonl.xz") if p.is_file()), None)
    if path is None:
        raise DataError(f"{folder} has no unlabeled.jsonl or unlabeled.jsonl.xz")
    known = set(dev)
    texts = list(dict.fromkeys(row[field] for row in _rows(path) if row[field].strip() and row[field] not in known))
    random.Random(0).shuffle(texts)
    return texts[:limit] if limit > 0 else texts


def texts_per_second(ways: dict[str, Callable[[Sequence[str]], Any]], texts: Sequence[str]) -> dict[str, float]:
    """The best round of each way; within a round they take turns, so that a slow moment slows all."""
    best = dict.fromkeys(ways, 0.0)
    for way in ways.values():
        way(texts[:8])
    for _ in range(_ROUNDS):
        for who, way in ways.items():
            count, start = 0, time.perf_counter()
            while not count or time.perf_counter() - start < 0.3:
                way(texts)
                count += len(texts)
            best[who] = max(best[who], count / (time.perf_counter() - start))
    return best


def share(answers: Sequence[str], truth: Sequence[str]) -> float:
    return sum(a == b for a, b in zip(answers, truth, strict=True)) / len(truth)


if __name__ == "__main__":
    sys.exit(carry_out(run, parse()))
