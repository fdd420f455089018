"""Unlabelled texts in, students out."""

from __future__ import annotations

import json
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ironwok.distill.fitting import Linear, fit_best, fit_linear, standardised
from ironwok.distill.labelling import Labelled, label_texts
from ironwok.distill.report import DistillReport, StudentReport
from ironwok.distill.speed import bytes_of, one_thread, texts_per_second
from ironwok.errors import DataError, DataWarning, InputError, LongTextWarning
from ironwok.files import replace_file
from ironwok.students.student import Student
from ironwok.zero_shot.labels import LabelSet, parse_labels
from ironwok.zero_shot.mapping import check_threshold
from ironwok.zero_shot.pairs import check_texts
from ironwok.zero_shot.question import default_template
from ironwok.zero_shot.registry import DEFAULT_MODEL

Kind = Literal["ngrams", "encoder"]
KINDS: tuple[Kind, ...] = get_args(Kind)
REPORT = "report.json"

_NGRAM_STRENGTHS = (1.0, 3.0, 10.0, 30.0)
_ENCODER_STRENGTHS = (0.001, 0.01, 0.1)
_LONGEST, _BITS = 4, 18
# from so many texts on, an n-gram that only one of them has is left out
_MANY = 2000
# texts on which speed is measured
_TIMED = 128


def distill(
    texts: Iterable[str],
    *,
    labels: Any,
    out: str | Path,
    students: Sequence[Kind] = KINDS,
    truth: Sequence[str | None] | None = None,
    template: str | Sequence[str] | None = None,
    calibrate: bool | Sequence[str] = True,
    threshold: float | None = None,
    label_separator: str | None = None,
    held_out: float = 0.1,
    model: str = DEFAULT_MODEL,
    scorer: str = "nsp",
    batch_size: int = 64,
    device: str | None = None,
    dtype: str | None = None,
    max_tokens: int | None = None,
    classifier: Any = None,
    fresh: bool = False,
    progress: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> DistillReport:
    """Label texts with the zero-shot model, and teach students what it says.

    labels, template, calibrate, label_separator, max_tokens: as in `ZeroShotClassifier.classify`; one set for all.
    out: folder for the labels (``labelled.jsonl``), the students and ``report.json``. The first of ``students`` lies in
    the folder itself, every other in a folder of its kind's name inside; each is a model for `ironwok.read`,
    `ironwok classify --model` and `ironwok.students.load_student`.
    students: "ngrams" (no torch when it answers), "encoder" (the model's encoder, read once a text).
    truth: true labels where they are known, else None; they are never learned from, only reported on.
    threshold: what the teacher says with a lower score is not learned; None for 3 / labels, at most 0.6.
    held_out: share of the texts that no student learns from. Which ones hangs on the text alone, so that copies of a
    text stay together.
    model, scorer, batch_size, device, dtype: of the teacher, as in `ZeroShotClassifier`; classifier: one that is
    loaded already, of which ``model`` is the name.
    fresh: label everything anew, also what an earlier run in this folder labelled.

    Raises InputError, LabelError, DataError, MissingExtraError, OutputError, and what loading a model raises. Warns
    with DataWarning where a label got no text.
    """
    listed = check_texts(texts)
    chosen = tuple(dict.fromkeys(students))
    if not chosen or set(chosen) - set(KINDS):
        raise InputError(f"students are {list(students)!r}; give one or more of {', '.join(KINDS)}")
    if truth is not None and len(truth) != len(listed):
        raise InputError(
            f"there are {len(listed)} texts and {len(truth)} true labels: give one a text, None if unknown"
        )
    if not 0 < held_out < 1:
        raise InputError(f"held_out is {held_out}; it is a share between 0 and 1")
    label_set = parse_labels(labels, separator=label_separator)
    bound = check_threshold(threshold)
    bound = min(0.6, 3 / len(label_set.names)) if bound is None else bound
    templates = default_template(label_set.names) if template is None else template
    folder = Path(out)
    teacher = classifier or _load(model, scorer, batch_size, device, dtype)
    settings = _settings(label_set, templates, calibrate, model, scorer, dtype, max_tokens)
    options = {"labels": label_set, "template": templates, "calibrate": calibrate, "max_tokens": max_tokens}
    labelled = label_texts(
        teacher, listed, folder=folder, options=options, settings=settings, fresh=fresh, progress=progress
    )
    lesson = _Lesson(labelled, label_set.names, bound, held_out)
    lesson.check()
    about = settings | {"threshold": bound}
    held = [listed[number] for number in np.flatnonzero(lesson.held).tolist()]
    timed = (held or listed)[:_TIMED]
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", LongTextWarning)  # said when they were labelled
        teacher_speed = texts_per_second(lambda few: teacher.classify(few, **options), timed, clock=clock)
    reports = []
    for place, kind in enumerate(chosen):
        student, strength = (
            _teach_ngrams(lesson, about)
            if kind == "ngrams"
            else _teach_encoder(lesson, about, teacher, model, progress)
        )
        where = folder if place == 0 else folder / kind
        student.save(where)  # pyright: ignore[reportAttributeAccessIssue]
        answers = student.predict(held) if held else np.array([])
        with one_thread():
            speed = texts_per_second(student.classify, timed, clock=clock)
        reports.append(
            StudentReport(
                kind=kind,
                folder=str(where),
                agreement=_share(answers == lesson.best[lesson.held], lesson.kept[lesson.held]),
                accuracy=_accuracy(answers, truth, lesson.held),
                texts_per_second=speed,
                speed_up=speed / teacher_speed,
                size=bytes_of(where) + (bytes_of(model) if kind == "encoder" else 0),
                strength=strength,
            )
        )
    report = DistillReport(
        labels=label_set.names,
        teacher=model,
        threshold=bound,
        texts=len(listed),
        abstained=int((~lesson.kept).sum()),
        held_out=len(held),
        balance=lesson.balance(),
        teacher_accuracy=_accuracy(lesson.best[lesson.held], truth, lesson.held),
        teacher_texts_per_second=teacher_speed,
        teacher_size=bytes_of(model),
        students=tuple(reports),
    )
    replace_file(folder / REPORT, json.dumps(report.to_dict(), ensure_ascii=False, indent=2).encode() + b"\n")
    return report


class _Lesson:
    """What the teacher said, and which of it is learned from.

    best: its labels. sure: its scores. kept: where it did not abstain; held: what is kept for the report; aside: what
    strengths are chosen on. All [texts].
    """

    def __init__(
        self, labelled: Sequence[Labelled], labels: tuple[str, ...], threshold: float, held_out: float
    ) -> None:
        self.texts = [one.text for one in labelled]
        self.labels = labels
        self.best = np.array([one.label for one in labelled])
        self.sure = np.array([one.score for one in labelled])
        self.kept = self.sure >= threshold
        places = np.array([zlib.crc32(text.encode("utf-8", "surrogatepass")) for text in self.texts]) / 2**32
        self.held = places < held_out
        self.aside = (places >= held_out) & (places < held_out + 0.1 * (1 - held_out))
        self.threshold = threshold

    def balance(self) -> dict[str, int]:
        counts = Counter(self.best[self.kept].tolist())
        return {label: counts[label] for label in self.labels}

    def check(self) -> None:
        empty = [label for label, count in self.balance().items() if not count]
        if not self.texts:
            raise DataError("there are no texts to label")
        if len(self.labels) - len(empty) < 2:
            raise DataError(
                f"of {len(self.texts)} texts {int(self.kept.sum())} reach the threshold of {self.threshold:.2f}, and "
                f"with {len(self.labels) - len(empty)} of {len(self.labels)} labels: give more texts, other words for "
                "the labels, or a lower threshold"
            )
        if empty:
            warnings.warn(
                f"no text was labelled {', '.join(empty[:5])}{' …' if len(empty) > 5 else ''}: the students will never "
                "say so",
                DataWarning,
                stacklevel=3,
            )

    @property
    def learned(self) -> NDArray[np.int64]:
        """Numbers of the texts that are learned from."""
        return np.flatnonzero(self.kept & ~self.held)

    def teach(self, features: Any, strengths: Sequence[float]) -> Linear:
        """features: of the learned texts."""
        numbers = self.learned
        targets, weights = self.best[numbers], self.sure[numbers]

        def fit(rows: NDArray[np.bool_], strength: float) -> Linear:
            return fit_linear(
                features[rows],
                targets[rows].tolist(),
                labels=self.labels,
                weights=weights[rows],
                strength=strength,
            )

        def agreement(linear: Linear, rows: NDArray[np.bool_]) -> float:
            columns = linear.scores(features[rows]).argmax(axis=1)
            return float(np.mean(np.array(self.labels)[columns] == targets[rows]))

        return fit_best(fit, agreement, aside=self.aside[numbers], strengths=strengths)


def _teach_ngrams(lesson: _Lesson, about: dict[str, Any]) -> tuple[Student, float]:
    from ironwok.students.hashing import HashedNgrams
    from ironwok.students.ngrams import NgramStudent

    texts = [lesson.texts[number] for number in lesson.learned]
    features = HashedNgrams.learn(texts, longest=_LONGEST, bits=_BITS, fewest=2 if len(texts) >= _MANY else 1)
    linear = lesson.teach(features.transform(texts), _NGRAM_STRENGTHS)
    weights, bias = linear.weights.astype(np.float32), linear.bias.astype(np.float32)
    return NgramStudent(lesson.labels, features=features, weights=weights, bias=bias, teacher=about), linear.strength


def _teach_encoder(
    lesson: _Lesson, about: dict[str, Any], teacher: Any, model: str, progress: bool
) -> tuple[Student, float]:
    from ironwok.progress import progress_bar
    from ironwok.students.encoder import EncoderStudent
    from ironwok.zero_shot.pairs import EmbeddingScorer

    embedder = teacher.scorer
    if not isinstance(embedder, EmbeddingScorer):
        raise InputError("the teacher's scorer gives no vectors of texts: ask for the student 'ngrams' alone")
    texts = [lesson.texts[number] for number in lesson.learned]
    blocks = []
    with progress_bar("encode", total=len(texts), shown=progress) as advance:
        for start in range(0, len(texts), 512):
            blocks.append(embedder.embed(texts[start : start + 512]))
            advance(len(blocks[-1]))
    if not blocks:
        raise DataError("all texts that the teacher is sure of are held out: give more texts")
    vectors, mean, deviation = standardised(np.concatenate(blocks))
    linear = lesson.teach(vectors, _ENCODER_STRENGTHS)
    weights = linear.weights / deviation[:, None]
    bias = linear.bias - mean @ weights
    student = EncoderStudent(
        lesson.labels,
        embedder=embedder,
        model=model,
        weights=weights.astype(np.float32),
        bias=bias.astype(np.float32),
        teacher=about,
    )
    return student, linear.strength


def _load(model: str, scorer: str, batch_size: int, device: str | None, dtype: str | None) -> Any:
    from ironwok.zero_shot import ZeroShotClassifier

    return ZeroShotClassifier(model, scorer=scorer, batch_size=batch_size, device=device, dtype=dtype)


def _settings(
    labels: LabelSet,
    templates: str | Sequence[str],
    calibrate: bool | Sequence[str],
    model: str,
    scorer: str,
    dtype: str | None,
    max_tokens: int | None,
) -> dict[str, Any]:
    from ironwok.students.encoder import weights_hash

    return {
        "labels": list(labels.names),
        "words": list(labels.words),
        "templates": [templates] if isinstance(templates, str) else list(templates),
        "calibrate": calibrate if isinstance(calibrate, bool) else list(calibrate),
        "model": model,
        "model_sha256": weights_hash(model),
        "scorer": scorer,
        "dtype": dtype,
        "max_tokens": max_tokens,
    }


def _share(right: NDArray[np.bool_], among: NDArray[np.bool_]) -> float | None:
    return float(right[among].mean()) if among.any() else None


def _accuracy(answers: NDArray[np.str_], truth: Sequence[str | None] | None, held: NDArray[np.bool_]) -> float | None:
    if truth is None:
        return None
    true = [truth[number] for number in np.flatnonzero(held).tolist()]
    known = np.array([label is not None for label in true], dtype=bool)
    right = np.array([answer == label for answer, label in zip(answers, true, strict=True)], dtype=bool)
    return _share(right, known)
