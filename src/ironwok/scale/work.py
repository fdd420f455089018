"""What is done with rows: a small description that travels, and the pipeline that a worker makes of it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from ironwok.errors import InputError, IronwokWarning
from ironwok.scale.plan import Part
from ironwok.scale.rows import Row, rows_of
from ironwok.scale.storage import Storage


class Pipeline(Protocol):
    """What a worker holds: a model, ready to answer."""

    def answer(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """What is found in each row, as plain JSON. Depends on the rows alone."""
        ...


class Work(Protocol):
    """What to do, without the model: frozen, and small enough to be sent around.

    documents: whether files are read as whole documents, not by lines and rows.
    """

    documents: ClassVar[bool]

    def settings(self) -> dict[str, Any]:
        """All that shapes the results, as plain JSON: a resumed job must agree in it."""
        ...

    def load(self) -> Pipeline:
        """Load the model; in the process of the worker."""
        ...

    def rows(self, part: Part, storage: Storage) -> Any:
        """The rows of a part, and what of it cannot be read: `Row` and `BadRow`."""
        ...

    def columns(self) -> list[tuple[str, Any]]:
        """Names and Arrow types of what `Pipeline.answer` gives; a column of strings takes other values as JSON."""
        ...


@dataclass(frozen=True)
class ClassifyTexts:
    """Labels for texts, as `ironwok classify` gives them.

    question: keyword arguments of `ZeroShotClassifier.classify_iter`, labels among them. model, scorer, batch_size,
    device, dtype: as in `ironwok.students.load_classifier`.
    """

    documents: ClassVar[bool] = False

    model: str
    question: dict[str, Any]
    scorer: str = "nsp"
    batch_size: int = 64
    device: str | None = None
    dtype: str | None = None

    def settings(self) -> dict[str, Any]:
        return {
            "work": "classify",
            **{name: value for name, value in self.question.items() if name != "progress"},
            "model": self.model,
            "model_version": model_version(self.model),
            "scorer": self.scorer,
            "dtype": self.dtype,
        }

    def load(self) -> Pipeline:
        from ironwok.students import load_classifier

        classifier = load_classifier(
            absolute(self.model),
            scorer=self.scorer,
            batch_size=self.batch_size,
            device=self.device,
            dtype=self.dtype,
        )
        return _Classifying(classifier, self.question)

    def rows(self, part: Part, storage: Storage) -> Any:
        return rows_of(part, storage)

    def columns(self) -> list[tuple[str, Any]]:
        import pyarrow as pa

        return [
            ("label", pa.string()),
            ("labels", pa.list_(pa.string())),
            ("scores", pa.list_(pa.float64())),
            ("evidence", _span()),
        ]


class _Classifying:
    def __init__(self, classifier: Any, question: dict[str, Any]) -> None:
        self._classifier, self._question = classifier, question

    def answer(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        with warnings.catch_warnings():
            # the evidence of a result says that its text was long
            warnings.simplefilter("ignore", IronwokWarning)
            results = self._classifier.classify([row.text for row in rows], **self._question)
        return [result.to_dict() for result in results]


@dataclass(frozen=True)
class ExtractTexts:
    """Events, entities or relations of texts, as `ironwok extract` gives them.

    model, schema, options, across, batch_size, device, dtype: as in `ironwok.events.extractor.load_extractor`.
    """

    documents: ClassVar[bool] = False

    model: str
    schema: Any = None
    options: Any = None
    across: str = "places"
    batch_size: int = 32
    device: str | None = None
    dtype: str | None = None
    task: str = field(default="events")

    def settings(self) -> dict[str, Any]:
        from dataclasses import asdict

        from ironwok.events.schema_files import schema_to_dict

        return {
            "work": "extract",
            "model": self.model,
            "model_version": model_version(self.model),
            "schema": None if self.schema is None else schema_to_dict(self.schema),
            "options": None if self.options is None else asdict(self.options),
            "across": self.across,
            "dtype": self.dtype,
        }

    def load(self) -> Pipeline:
        from ironwok.events.extractor import load_extractor

        extractor = load_extractor(
            absolute(self.model),
            schema=self.schema,
            options=self.options,
            across=self.across,
            batch_size=self.batch_size,
            device=self.device,
            dtype=self.dtype,
        )
        if extractor.task != self.task:
            raise InputError(f"{self.model} finds {extractor.task}, the job was described for {self.task}")
        return _Extracting(extractor)

    def rows(self, part: Part, storage: Storage) -> Any:
        return rows_of(part, storage)

    def columns(self) -> list[tuple[str, Any]]:
        import pyarrow as pa

        number, text, score = ("start", pa.int64()), ("text", pa.string()), ("score", pa.float64())
        place = [number, ("end", pa.int64()), text]
        if self.task == "entities":
            return [("entities", pa.list_(pa.struct([("type", pa.string()), *place, score])))]
        if self.task == "relations":
            ends = [("subject", _span()), ("object", _span())]
            return [("relations", pa.list_(pa.struct([("predicate", pa.string()), *ends, score])))]
        argument = pa.struct([("role", pa.string()), ("value", pa.string()), *place, score])
        event = [
            ("type", pa.string()),
            score,
            ("trigger", pa.struct([*place, score])),
            ("arguments", pa.list_(argument)),
            ("unlinked", pa.list_(pa.list_(pa.int64()))),
        ]
        return [("events", pa.list_(pa.struct(event)))]


class _Extracting:
    def __init__(self, extractor: Any) -> None:
        self._extractor = extractor

    def answer(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", IronwokWarning)
            found = self._extractor.extract([row.text for row in rows])
        return [{self._extractor.task: [one.to_dict() for one in results]} for results in found]


def task_of(model: str) -> str:
    """What an extraction model finds: "events", "entities" or "relations". Raises ModelNotFoundError."""
    from ironwok.events.classes import TaskClasses
    from ironwok.events.loading import read_extraction_config

    return TaskClasses.from_config(read_extraction_config(model), place=model).task


def absolute(model: str) -> str:
    """The folder of a model as other processes find it; other names as they are."""
    folder = Path(model).expanduser()
    return str(folder.absolute()) if folder.is_dir() else model


def model_version(model: str) -> str | None:
    """Hash of the files of a bundled model or a folder; None for a name of the hub."""
    from ironwok.reading.readers import folder_hash

    folder = Path(model).expanduser()
    if not folder.is_dir():
        from ironwok.models.bundled import resolve_model  # brings torch along

        folder = Path(resolve_model(model))
    return folder_hash(folder) if folder.is_dir() else None


def plain(value: Any) -> Any:
    """What JSON makes of a value, to be compared with what was written."""
    return json.loads(json.dumps(value, default=str))


def _span() -> Any:
    import pyarrow as pa

    return pa.struct([("start", pa.int64()), ("end", pa.int64()), ("text", pa.string())])
