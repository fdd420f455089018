"""One door for classifiers: a student where the folder holds one, else the zero-shot classifier."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ironwok.errors import CheckpointError, InputError
from ironwok.students.files import DESCRIPTION, read_description

if TYPE_CHECKING:
    from ironwok.students.student import Student
    from ironwok.zero_shot import ZeroShotClassifier


def is_student(model: str | os.PathLike[str]) -> bool:
    """Whether this is the folder of a student, distilled or fine-tuned, or of the run that made one."""
    return student_folder(model) is not None


def student_folder(model: str | os.PathLike[str]) -> Path | None:
    """The folder that describes a student: this one, or "model" in it where it is of a run; else None."""
    path = Path(model).expanduser()
    return next((one for one in (path, path / "model") if (one / DESCRIPTION).is_file()), None)


def known_labels(model: str | os.PathLike[str]) -> list[str] | None:
    """The labels that a student was taught, None where this is no student. Raises CheckpointError."""
    path = student_folder(model)
    if path is None:
        return None
    description = read_description(path)
    _refuse_other_tasks(path, description)
    return description.get("labels", [])


def _refuse_other_tasks(path: Path, description: dict[str, Any]) -> None:
    if (task := description.get("task", "classify")) != "classify":
        raise CheckpointError(
            f"{path} was trained for {task!r} and gives no labels to single texts: use `ironwok predict`, or "
            "ironwok.students.load_tuned"
        )


def refuse_extractor(model: str | os.PathLike[str]) -> None:
    """Raises CheckpointError for a model that finds events, entities or relations and knows nothing else."""
    from ironwok.models import is_extractor

    if is_extractor(model):
        raise CheckpointError(
            f"{model} finds what is in a text and gives texts no labels: `ironwok extract --schema {model}` and "
            f"`ironwok read --schema {model}` use it"
        )


def load_student(
    folder: str | os.PathLike[str], *, batch_size: int = 64, device: str | None = None, dtype: str | None = None
) -> Student:
    """Load a student of any kind; the options are for those with an encoder. Raises CheckpointError."""
    path = student_folder(folder) or Path(folder).expanduser()
    description = read_description(path)
    kind = description.get("kind")
    if kind == "ngrams":
        from ironwok.students.ngrams import NgramStudent

        return NgramStudent.load(path)
    if kind == "encoder":
        from ironwok.students.encoder import EncoderStudent

        return EncoderStudent.load(path, batch_size=batch_size, device=device, dtype=dtype)
    if kind == "tuned":
        from ironwok.students.tuned.models import TunedClassifier, load_tuned

        _refuse_other_tasks(path, description)
        tuned = load_tuned(path, batch_size=batch_size, device=device, dtype=dtype)
        assert isinstance(tuned, TunedClassifier)
        return tuned
    raise CheckpointError(
        f"{path / DESCRIPTION} is of a student of kind {kind!r}; known are 'ngrams', 'encoder' and 'tuned'"
    )


def load_classifier(
    model: str,
    *,
    scorer: str = "nsp",
    batch_size: int = 64,
    device: str | None = None,
    dtype: str | None = None,
) -> ZeroShotClassifier | Any:
    """A classifier by its name: the student in a folder, else `ZeroShotClassifier` with these options."""
    if is_student(model):
        return load_student(model, batch_size=batch_size, device=device, dtype=dtype)
    refuse_extractor(model)
    from ironwok.zero_shot import ZeroShotClassifier

    return ZeroShotClassifier(model, scorer=scorer, batch_size=batch_size, device=device, dtype=dtype)


def adapted_classifier(
    classifier: Any, texts: Iterable[str], *, labels: Any, label_separator: str | None = None
) -> ZeroShotClassifier:
    """`ZeroShotClassifier.adapted` of what `load_classifier` gave. Raises InputError for a student, too."""
    from ironwok.zero_shot import ZeroShotClassifier

    if not isinstance(classifier, ZeroShotClassifier):
        raise InputError(
            "labels adapt to texts where a model reads them as words; a distilled or trained model has learnt its own: "
            "leave adapting (--adapt) out, or name another model"
        )
    return classifier.adapted(texts, labels=labels, label_separator=label_separator)
