"""The values that cross every border of the package: frozen, comparable, plain.

Offsets are half-open character positions in the text that the user gave, never in a normalised copy.
Scores are probabilities in [0, 1] unless a field says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ironwok.errors import InputError


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of the user's text: ``original[start:end] == text``."""

    start: int
    end: int
    text: str

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise InputError(f"span [{self.start}, {self.end}) is not a range: 0 <= start <= end is required")
        if len(self.text) != self.end - self.start:
            length = self.end - self.start
            raise InputError(f"span [{self.start}, {self.end}) is {length} characters long, its text {len(self.text)}")

    def to_dict(self) -> dict[str, Any]:
        return {"start": self.start, "end": self.end, "text": self.text}


@dataclass(frozen=True, slots=True)
class Classification:
    """Labels of one text, best first.

    scores: one per label; they sum to 1 unless the labels were judged independently (multi-label).
    abstained: the best score stayed under the asked-for threshold; ``label`` is then None.
    evidence: where the text was longer than the model takes, the window that decided, else None.
    """

    text: str
    labels: tuple[str, ...]
    scores: tuple[float, ...]
    abstained: bool = False
    evidence: Span | None = None

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.scores):
            raise InputError(f"{len(self.labels)} labels have {len(self.scores)} scores")
        if not all(math.isfinite(score) for score in self.scores):
            raise InputError(f"scores are not finite: {self.scores}")
        if any(a < b for a, b in zip(self.scores, self.scores[1:], strict=False)):
            raise InputError("scores are not sorted, best first")

    @property
    def label(self) -> str | None:
        return None if self.abstained or not self.labels else self.labels[0]

    @property
    def score(self) -> float:
        return self.scores[0] if self.scores else 0.0

    def to_dict(self) -> dict[str, Any]:
        record: dict[str, Any] = {"label": self.label, "labels": list(self.labels), "scores": list(self.scores)}
        if self.evidence is not None:
            record["evidence"] = self.evidence.to_dict()
        return record


@dataclass(frozen=True, slots=True)
class PassageResult:
    """One passage of a document and what the readers found in it.

    document: path of the file as the user knows it; record: number of the record inside it, from 0, else None.
    index: number of the passage in its document, from 0. page: of a PDF, on which it starts, from 1, else None.
    span: the passage; offsets in the document's text.
    before: the text between the previous passage, or the start of the document, and this one (mostly line breaks), so
    that the passages of a document joined with what stands before them are the document again.
    classification: labels of the passage; its ``evidence`` counts from the start of the passage. None where no labels
    were asked for.
    """

    document: str
    record: int | None
    index: int
    span: Span
    before: str = ""
    page: int | None = None
    classification: Classification | None = None

    def to_dict(self) -> dict[str, Any]:
        """As written to ``results.jsonl``; all offsets there, the evidence's too, are in the document's text."""
        record: dict[str, Any] = {"document": self.document, "record": self.record, "passage": self.index}
        record |= self.span.to_dict()
        if self.before:
            record["before"] = self.before
        if self.page is not None:
            record["page"] = self.page
        if self.classification is not None:
            record |= self.classification.to_dict()
            if (evidence := self.classification.evidence) is not None:
                record["evidence"] = _moved(evidence, self.span.start).to_dict()
        return record

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> PassageResult:
        """The inverse of `to_dict`. Raises KeyError, TypeError or InputError for a record that is none."""
        span = Span(record["start"], record["end"], record["text"])
        classification = None
        if "labels" in record:
            evidence = record.get("evidence")
            classification = Classification(
                text=span.text,
                labels=tuple(record["labels"]),
                scores=tuple(record["scores"]),
                abstained=record["label"] is None,
                evidence=_moved(Span(**evidence), -span.start) if evidence else None,
            )
        return cls(
            document=record["document"],
            record=record["record"],
            index=record["passage"],
            span=span,
            before=record.get("before", ""),
            page=record.get("page"),
            classification=classification,
        )


@dataclass(frozen=True, slots=True)
class DocumentResult:
    """One document: a file, or one record of a file of records.

    record: its number, from 0; line: the line of the file at which it starts, from 1; both None for a whole file.
    replaced: broken bytes that stand in its text as U+FFFD. metadata: what came along, such as other columns of a row.
    classification: the document's own labels, drawn together from its passages
    (`ironwok.reading.aggregate.document_classification` says how); None where no labels were asked for.
    """

    document: str
    record: int | None
    title: str | None
    passages: tuple[PassageResult, ...]
    line: int | None = None
    replaced: int = 0
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    classification: Classification | None = None

    @property
    def text(self) -> str:
        """The document's text up to the end of its last passage."""
        return "".join(piece for passage in self.passages for piece in (passage.before, passage.span.text))

    def to_dict(self) -> dict[str, Any]:
        """As written to ``documents.jsonl``: without the passages, which ``results.jsonl`` holds."""
        record: dict[str, Any] = {"document": self.document, "record": self.record}
        if self.line is not None:
            record["line"] = self.line
        record["title"] = self.title
        record["passages"] = len(self.passages)
        record["characters"] = self.passages[-1].span.end if self.passages else 0
        if self.replaced:
            record["replaced"] = self.replaced
        if self.classification is not None:
            record |= self.classification.to_dict()
        if self.metadata:
            record["metadata"] = dict(self.metadata)
        return record

    @classmethod
    def from_dict(cls, record: Mapping[str, Any], passages: Iterable[PassageResult]) -> DocumentResult:
        """The inverse of `to_dict`, given the passages again. Raises as `PassageResult.from_dict` does."""
        document = cls(
            document=record["document"],
            record=record["record"],
            title=record["title"],
            passages=tuple(passages),
            line=record.get("line"),
            replaced=record.get("replaced", 0),
            metadata=record.get("metadata", {}),
        )
        if "labels" not in record:
            return document
        labels, scores = tuple(record["labels"]), tuple(record["scores"])
        return replace(document, classification=Classification(document.text, labels, scores, record["label"] is None))


@dataclass(frozen=True, slots=True)
class Skip:
    """A file, or a part of it, that was not read.

    record, line: the part, counted as in DocumentResult; both None for the whole file.
    """

    document: str
    reason: str
    record: int | None = None
    line: int | None = None

    def to_dict(self) -> dict[str, Any]:
        return {"document": self.document, "record": self.record, "line": self.line, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that one reading found.

    labels: the candidate labels in the order in which they were given.
    folder: where the files of the report lie.
    sources: the files and folders that were asked for, as they were given.
    """

    documents: tuple[DocumentResult, ...]
    skipped: tuple[Skip, ...]
    labels: tuple[str, ...]
    multi_label: bool
    threshold: float | None
    model: str
    templates: tuple[str, ...]
    folder: Path
    sources: tuple[str, ...] = ()

    @property
    def passages(self) -> Iterator[PassageResult]:
        for document in self.documents:
            yield from document.passages

    @property
    def page(self) -> Path:
        """The HTML page."""
        return self.folder / "index.html"

    def labels_of(self, classification: Classification | None) -> tuple[str, ...]:
        """The labels that hold: the best one, or with multi-label all that reach the threshold (0.5 unless set)."""
        if classification is None or classification.abstained:
            return ()
        if not self.multi_label:
            return classification.labels[:1]
        bound = 0.5 if self.threshold is None else self.threshold
        pairs = zip(classification.labels, classification.scores, strict=True)
        return tuple(label for label, score in pairs if score >= bound)


def _moved(span: Span, by: int) -> Span:
    return Span(span.start + by, span.end + by, span.text)
