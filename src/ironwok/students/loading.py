"""One door for classifiers: a student where the folder holds one, else the zero-shot classifier."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ironwok.errors import CheckpointError
from ironwok.students.files import DESCRIPTION, read_description

if TYPE_CHECKING:
    from ironwok.students.student import Student
    from ironwok.zero_shot import ZeroShotClassifier


def is_student(model: str | os.PathLike[str]) -> bool:
    """Whether this is the folder of a student."""
    return (Path(model).expanduser() / DESCRIPTION).is_file()


def load_student(
    folder: str | os.PathLike[str], *, batch_size: int = 64, device: str | None = None, dtype: str | None = None
) -> Student:
    """Load a student of either kind; the options are for the one with an encoder. Raises CheckpointError."""
    path = Path(folder).expanduser()
    kind = read_description(path).get("kind")
    if kind == "ngrams":
        from ironwok.students.ngrams import NgramStudent

        return NgramStudent.load(path)
    if kind == "encoder":
        from ironwok.students.encoder import EncoderStudent

        return EncoderStudent.load(path, batch_size=batch_size, device=device, dtype=dtype)
    raise CheckpointError(f"{path / DESCRIPTION} is of a student of kind {kind!r}; known are 'ngrams' and 'encoder'")


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
    from ironwok.zero_shot import ZeroShotClassifier

    return ZeroShotClassifier(model, scorer=scorer, batch_size=batch_size, device=device, dtype=dtype)
