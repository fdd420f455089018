"""What is done with the documents: a reader per kind of result, and the one that sorts passages into labels.

A reader implements `PassageReader`, fills fields of its own in `PassageResult`, `DocumentResult` or `Report`, and may
leave files of its own; the pipeline stays as it is. `docs/architecture.md` says what else a new kind needs.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ironwok.errors import DataWarning, InputError, LongTextWarning
from ironwok.reading.aggregate import SCORE_DIGITS, document_classification
from ironwok.results import Classification, DocumentResult, PassageResult, Report
from ironwok.zero_shot.adapting import FEW_TEXTS, named_heap
from ironwok.zero_shot.labels import parse_labels
from ironwok.zero_shot.mapping import check_threshold
from ironwok.zero_shot.pairs import fill
from ironwok.zero_shot.question import default_template
from ironwok.zero_shot.registry import scorer_names

if TYPE_CHECKING:
    from ironwok.zero_shot import ZeroShotClassifier

# below this many readings of the model a prediction of the cost would take longer than it is worth
_CHEAP = 3000
_SAMPLE = 64


class PassageReader(Protocol):
    """Finds something in passages, in documents, or in all documents together.

    kind: name of the kind of result, such as "labels" or "events".
    """

    kind: str
    portion: int  # how many passages to read at once: they are kept or lost together when a run dies

    def settings(self) -> dict[str, Any]:
        """Everything that shapes the results, as plain JSON: a resumed run must agree in it.

        Keys are shared with the other readers of the run, so that each but the first starts its keys with its kind.
        """
        ...

    def read(self, passages: Sequence[PassageResult]) -> list[PassageResult]:
        """The passages with this reader's results filled in. Depends on the passages alone."""
        ...

    def conclude(self, document: DocumentResult) -> DocumentResult:
        """The document with what its passages say together."""
        ...

    def predict_seconds(self, sample: Sequence[str], passages: int) -> float | None:
        """What reading so many passages like the sample will take; None where it is too little to find out."""
        ...

    def complete(self, report: Report) -> Report:
        """The report with what was asked of this reader, and with what only all documents together say.

        Called once, when all documents are read and before the page is written; not kept if the run dies in it.
        """
        ...

    def files(self, report: Report) -> Mapping[str, Iterable[bytes]]:
        """Files of its own to leave beside the page, by name, of those that `journal.OUTPUTS` lists."""
        ...


class LabelReader:
    """Sorts passages into labels.

    labels, label_separator, template, multi_label, threshold, calibrate: as in `ZeroShotClassifier.classify`, one set
    of labels for all. model, scorer, device, dtype, batch_size: as in `ZeroShotClassifier`, which is loaded when the
    first passage comes.
    A ``model`` that is the folder of a student (`ironwok.students`) answers in its place.
    classifier: one that is loaded already; ``model`` then only names it.
    """

    kind = "labels"

    def __init__(
        self,
        *,
        labels: Any,
        label_separator: str | None = None,
        template: str | Sequence[str] | None = None,
        multi_label: bool = False,
        threshold: float | None = None,
        calibrate: bool | None = None,
        model: str,
        scorer: str = "nsp",
        device: str | None = None,
        dtype: str | None = None,
        batch_size: int = 64,
        classifier: ZeroShotClassifier | None = None,
    ) -> None:
        self.label_set = parse_labels(labels, separator=label_separator, at_least=1 if multi_label else 2)
        chosen = default_template(self.label_set.names) if template is None else template
        self.templates = (chosen,) if isinstance(chosen, str) else tuple(chosen)
        for one in self.templates:
            fill(one, ())
        # a portion takes a second or two on a CPU, whatever the number of labels
        self.portion = max(8, min(64, 2048 // (len(self.label_set.names) * len(self.templates))))
        self.multi_label = multi_label
        self.threshold = check_threshold(threshold)
        self.calibrate = calibrate
        self.model = model
        self.scorer = scorer
        self.device = device
        self.dtype = dtype
        self.batch_size = batch_size
        if classifier is None and scorer not in scorer_names():
            raise InputError(f"there is no scorer {scorer!r}; there are {', '.join(scorer_names())}")
        self._classifier = classifier
        self._is_given = classifier is not None
        self._heap: tuple[str, ...] = ()
        self._is_adapted = False

    @property
    def labels(self) -> tuple[str, ...]:
        return self.label_set.names

    def settings(self) -> dict[str, Any]:
        return {
            "labels": list(self.label_set.names),
            "words": list(self.label_set.words),
            "templates": list(self.templates),
            "multi_label": self.multi_label,
            "threshold": self.threshold,
            "calibrate": self.calibrate,
            "model": self.model,
            "model_version": None if self._is_given else self._model_version(),
            "scorer": self.scorer,
            "dtype": self.dtype,
            **({"adapt": named_heap(self._heap)} if self._heap else {}),
        }

    def read(self, passages: Sequence[PassageResult]) -> list[PassageResult]:
        texts = [passage.span.text for passage in passages]
        with warnings.catch_warnings():
            # said once for the whole run by the pipeline, from the evidence of the results
            warnings.simplefilter("ignore", LongTextWarning)
            results = self.classifier().classify(
                texts,
                labels=self.label_set,
                template=self.templates,
                multi_label=self.multi_label,
                threshold=self.threshold,
                calibrate=self.calibrate,
            )
        return [
            replace(passage, classification=_rounded(result)) for passage, result in zip(passages, results, strict=True)
        ]

    def conclude(self, document: DocumentResult) -> DocumentResult:
        together = document_classification(document.passages, multi_label=self.multi_label, threshold=self.threshold)
        return replace(document, classification=together)

    def complete(self, report: Report) -> Report:
        return replace(
            report,
            labels=self.labels,
            multi_label=self.multi_label,
            threshold=self.threshold,
            model=self.model,
            templates=self.templates,
            adapted=len(self._heap),
        )

    def files(self, report: Report) -> Mapping[str, Iterable[bytes]]:
        return {}

    def predict_seconds(self, sample: Sequence[str], passages: int) -> float | None:
        if not sample or passages * len(self.label_set.names) * len(self.templates) < _CHEAP:
            return None
        step = max(1, len(sample) // _SAMPLE)
        chosen = list(sample[::step])[:_SAMPLE]
        cost = self.classifier().estimate_cost(chosen, labels=self.label_set, template=self.templates)
        return cost.seconds * passages / len(chosen)

    def classifier(self) -> ZeroShotClassifier:
        if self._classifier is None:
            from ironwok.students import load_classifier

            self._classifier = load_classifier(
                self.model, scorer=self.scorer, device=self.device, dtype=self.dtype, batch_size=self.batch_size
            )
        if self._heap and not self._is_adapted:
            from ironwok.students.loading import adapted_classifier

            self._classifier = adapted_classifier(self._classifier, self._heap, labels=self.label_set)
            self._is_adapted = True
        return self._classifier

    def adapt_to(self, texts: Sequence[str]) -> None:
        """Let the labels adapt to texts before the first passage is read, see `ZeroShotClassifier.adapted`."""
        self._heap = tuple(texts)
        if len(self._heap) < FEW_TEXTS:
            message = f"labels adapt to {len(self._heap)} passages; some hundreds are needed to gain by it"
            warnings.warn(message, DataWarning, stacklevel=2)

    def _model_version(self) -> str | None:
        """What tells this model from a later one of the same name: hash of a folder, commit of a hub id."""
        from ironwok.models.bundled import resolve_model

        folder = resolve_model(self.model)
        if Path(folder).is_dir():
            return folder_hash(Path(folder))
        if (commit := hub_commit(folder)) is None:
            self.classifier()  # downloads it
            commit = hub_commit(folder)
        return commit


def _rounded(result: Classification) -> Classification:
    """As it will be read back from ``results.jsonl``, so that a resumed run computes with the same numbers."""
    return replace(result, scores=tuple(round(score, SCORE_DIGITS) for score in result.scores))


def folder_hash(folder: Path) -> str:
    """SHA-256, hexadecimal, of the files of a model, without what is written for people (.md)."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix != ".md":
            with path.open("rb") as file:
                digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def hub_commit(name: str) -> str | None:
    """Commit of a model of the hub that lies in the cache, else None."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(name, "config.json")
    # .../snapshots/COMMIT/config.json
    return Path(config).parent.name if isinstance(config, str) else None
