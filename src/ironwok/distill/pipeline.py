"""Unlabelled texts in, students out."""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ironwok.distill.fitting import require_scikit_learn
from ironwok.distill.labelling import label_texts
from ironwok.distill.lesson import Lesson
from ironwok.distill.report import DistillReport, RoundReport, StudentReport, Why
from ironwok.distill.speed import bytes_of, one_thread, texts_per_second
from ironwok.errors import DataError, InputError, LabelError, LongTextWarning
from ironwok.files import replace_file
from ironwok.students.loading import adapted_classifier
from ironwok.students.student import Student
from ironwok.zero_shot.adapting import named_heap
from ironwok.zero_shot.labels import LabelSet, parse_labels
from ironwok.zero_shot.mapping import check_threshold
from ironwok.zero_shot.pairs import EmbeddingScorer, check_texts
from ironwok.zero_shot.question import default_template
from ironwok.zero_shot.registry import DEFAULT_MODEL

Kind = Literal["ngrams", "encoder"]
KINDS: tuple[Kind, ...] = get_args(Kind)
REPORT = "report.json"

_ROUNDS = 2
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
    limit: int | None = None,
    rounds: int = _ROUNDS,
    seed: int = 0,
    model: str = DEFAULT_MODEL,
    scorer: str = "nsp",
    batch_size: int = 64,
    device: str | None = None,
    dtype: str | None = None,
    max_tokens: int | None = None,
    classifier: Any = None,
    adapt: bool = False,
    fresh: bool = False,
    progress: bool = False,
    on_begin: Callable[[], None] = lambda: None,
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
    limit: the teacher labels only so many of the texts, each once, drawn by the seed and the text alone: a larger limit
    labels more of them. None for all. Of the others the student of n-grams learns what the student with the encoder
    says of them, if that makes it agree with the teacher more often (the second round); rounds: 1 for never.
    model, scorer, batch_size, device, dtype: of the teacher, as in `ZeroShotClassifier`; classifier: one that is
    loaded already, of which ``model`` is the name.
    adapt: let the teacher's labels adapt to all of the texts first, see `ZeroShotClassifier.adapted`; with more texts
    everything is then labelled anew.
    fresh: label everything anew, also what an earlier run in this folder labelled.
    on_begin: told when all that was asked for is in order and the labelling begins.

    The encoder's vectors of the texts are kept in the folder as well (``.vectors.*``), so that a run that was killed in
    the second round goes on there; they may be deleted.

    Raises InputError, LabelError, DataError, MissingExtraError, OutputError, and what loading a model raises. Warns
    with DataWarning where a label got no text.
    """
    listed = check_texts(texts)
    if not listed:
        raise DataError("there are no texts to label: give a file of lines, or records with a field for text")
    chosen = tuple(dict.fromkeys(students))
    if not chosen or set(chosen) - set(KINDS):
        raise InputError(f"students are {list(students)!r}; give one or more of {', '.join(KINDS)}")
    if truth is not None and len(truth) != len(listed):
        raise InputError(
            f"there are {len(listed)} texts and {len(truth)} true labels: give one a text, None if unknown"
        )
    if not 0 < held_out < 1:
        raise InputError(f"held_out is {held_out}; it is a share above 0 and below 1, such as 0.1")
    if limit is not None and limit < 1:
        raise InputError(f"limit is {limit}; the teacher labels 1 text or more: leave it out for all")
    if rounds not in range(1, _ROUNDS + 1):
        raise InputError(
            f"rounds is {rounds}; give 1 for what the teacher says alone, or {_ROUNDS} for what the student with the "
            "encoder says of the other texts, too"
        )
    label_set = parse_labels(labels, separator=label_separator, at_least=0)
    if len(label_set.names) < 2:
        named = f"is 1 label, {label_set.names[0]!r}" if label_set.names else "is no label"
        raise LabelError(f"there {named}: give two or more, of which a student chooses one for a text")
    require_scikit_learn()
    bound = check_threshold(threshold)
    bound = min(0.6, 3 / len(label_set.names)) if bound is None else bound
    templates = default_template(label_set.names) if template is None else template
    folder = Path(out)
    teacher = classifier or _load(model, scorer, batch_size, device, dtype)
    settings = _settings(label_set, templates, calibrate, model, scorer, dtype, max_tokens)
    settings["adapt"] = named_heap(listed) if adapt else None
    if adapt:
        teacher = adapted_classifier(teacher, listed, labels=label_set)
    options = {"labels": label_set, "template": templates, "calibrate": calibrate, "max_tokens": max_tokens}
    asked, others = (list(range(len(listed))), []) if limit is None else drawn(listed, limit, seed)
    rest = [listed[number] for number in others]
    on_begin()
    labelled = label_texts(
        teacher,
        [listed[number] for number in asked],
        folder=folder,
        options=options,
        settings=settings,
        among=rest,
        fresh=fresh,
        progress=progress,
    )
    true = None if truth is None else [truth[number] for number in asked]
    lesson = Lesson(labelled, label_set.names, bound, held_out)
    lesson.check()
    about = settings | {"threshold": bound, "limit": limit, "seed": None if limit is None else seed}
    held = [lesson.texts[number] for number in np.flatnonzero(lesson.held).tolist()]
    timed = (held or lesson.texts)[:_TIMED]
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", LongTextWarning)  # said when they were labelled
        teacher_speed = texts_per_second(lambda few: teacher.classify(few, **options), timed, clock=clock)
    school = _School(lesson, teacher, model, dtype, about, folder, fresh, progress)
    why = _why_not("ngrams" in chosen, rounds, rest, teacher)
    taught, tried = school.teach(chosen, rest if why is None else [])
    reports = []
    for place, kind in enumerate(chosen):
        student, strength = taught[kind]
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
                accuracy=_accuracy(answers, true, lesson.held),
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
        texts=len(labelled),
        abstained=int((~lesson.kept).sum()),
        held_out=len(held),
        balance=lesson.balance(),
        teacher_accuracy=_accuracy(lesson.best[lesson.held], true, lesson.held),
        teacher_texts_per_second=teacher_speed,
        teacher_size=bytes_of(model),
        others=len(rest),
        rounds=tried,
        why=why or _why(tried),
        set_aside=int((lesson.kept & lesson.aside).sum()),
        students=tuple(reports),
        adapted=adapt,
    )
    replace_file(folder / REPORT, json.dumps(report.to_dict(), ensure_ascii=False, indent=2).encode() + b"\n")
    return report


def drawn(texts: Sequence[str], limit: int, seed: int) -> tuple[list[int], list[int]]:
    """Numbers of the texts that are drawn, and of the others; of copies only the first is among either.

    The order hangs on the seed and the text, so that other texts beside it change nothing for a text, and a larger
    limit draws the same ones and more. It has nothing to do with the one by which texts are held out.
    """
    first: dict[str, int] = {}
    for number, text in enumerate(texts):
        first.setdefault(text, number)

    def place(text: str) -> bytes:
        return hashlib.blake2b(f"{seed}\n{text}".encode("utf-8", "surrogatepass"), digest_size=8).digest()

    order = [first[text] for text in sorted(first, key=lambda text: (place(text), text))]
    return order[:limit], order[limit:]


def _why_not(asked_for: bool, rounds: int, rest: Sequence[str], teacher: Any) -> Why | None:
    """Why there is no second round; None where there may be one."""
    if not asked_for or rounds < _ROUNDS:
        return "not asked for"
    if not rest:
        return "no other texts"
    return None if isinstance(teacher.scorer, EmbeddingScorer) else "no vectors"


def _why(tried: Sequence[RoundReport]) -> Why:
    if len(tried) < _ROUNDS:
        return "too few set aside"
    return "agrees more" if tried[1].kept else "agrees no more"


@dataclass(frozen=True, slots=True)
class _School:
    """Where the students are taught: the lesson, and what is needed for vectors of texts."""

    lesson: Lesson
    teacher: Any
    model: str
    dtype: str | None
    about: dict[str, Any]
    folder: Path
    fresh: bool
    progress: bool

    def teach(
        self, kinds: Sequence[Kind], rest: Sequence[str]
    ) -> tuple[dict[Kind, tuple[Student, float]], tuple[RoundReport, ...]]:
        """Students by their kind, each with its strength; the rounds of that of n-grams, one where rest is empty."""
        from ironwok.distill.teaching import Rest, encoder_student, ngram_student, teach_heads

        taught: dict[Kind, tuple[Student, float]] = {}
        heads = vectors = others = None
        if "encoder" in kinds or rest:
            vectors, of_rest = self._vectors(rest)
            heads = teach_heads(self.lesson, vectors)
            others = Rest(rest, of_rest) if rest else None
        if "encoder" in kinds:
            assert heads is not None
            student = encoder_student(
                self.lesson, heads, embedder=self.teacher.scorer, model=self.model, about=self.about
            )
            taught["encoder"] = student, heads.choice.strength
        if "ngrams" not in kinds:
            return taught, ()
        result = ngram_student(self.lesson, about=self.about, heads=heads, vectors=vectors, rest=others)
        taught["ngrams"] = result.student, result.strength
        return taught, result.rounds

    def _vectors(self, rest: Sequence[str]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Of the learned texts, and of the rest."""
        from ironwok.distill.vectors import text_vectors
        from ironwok.students.encoder import weights_hash

        embedder = self.teacher.scorer
        if not isinstance(embedder, EmbeddingScorer):
            raise InputError("the teacher's scorer gives no vectors of texts: ask for the student 'ngrams' alone")
        distinct = list(dict.fromkeys(self.lesson.texts))
        places = {text: place for place, text in enumerate(distinct)}
        vectors = text_vectors(
            embedder,
            [*distinct, *rest],
            folder=self.folder,
            settings={"model": self.model, "model_sha256": weights_hash(self.model), "dtype": self.dtype},
            fresh=self.fresh,
            progress=self.progress,
        )
        learned = [places[self.lesson.texts[number]] for number in self.lesson.learned]
        return vectors[learned], vectors[len(distinct) :]


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
