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
class Entity:
    """A named entity: a span and its type."""

    type: str
    span: Span
    score: float = 1.0

    def __post_init__(self) -> None:
        _check_named("entity type", self.type)
        _check_score("entity", self.type, self.score)

    def to_dict(self) -> dict[str, Any]:
        return {"type": self.type} | self.span.to_dict() | {"score": self.score}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Entity:
        """The inverse of `to_dict`. Raises KeyError, TypeError or InputError for a record that is none."""
        return cls(record["type"], _span_of(record), record.get("score", 1.0))


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation from a subject to an object."""

    predicate: str
    subject: Span
    object: Span
    score: float = 1.0

    def __post_init__(self) -> None:
        _check_named("predicate", self.predicate)
        _check_score("relation", self.predicate, self.score)

    def to_dict(self) -> dict[str, Any]:
        ends = {"subject": self.subject.to_dict(), "object": self.object.to_dict()}
        return {"predicate": self.predicate} | ends | {"score": self.score}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Relation:
        """The inverse of `to_dict`. Raises as `Entity.from_dict` does."""
        subject, object_ = Span(**record["subject"]), Span(**record["object"])
        return cls(record["predicate"], subject, object_, record.get("score", 1.0))


@dataclass(frozen=True, slots=True)
class Argument:
    """What fills a role of an event.

    span: where it stands; for an enumerated role the trigger that it was read from, None where the event has none.
    value: of an enumerated role, one of the values that the schema lists; else None.
    """

    role: str
    span: Span | None
    score: float = 1.0
    value: str | None = None

    def __post_init__(self) -> None:
        _check_named("role", self.role)
        _check_score("argument", self.role, self.score)
        if self.span is None and self.value is None:
            raise InputError(f"an argument of role {self.role!r} has neither a span nor a value")

    @property
    def text(self) -> str:
        """The value of an enumerated role, else the words of the span."""
        if self.value is not None:
            return self.value
        assert self.span is not None
        return self.span.text

    def to_dict(self) -> dict[str, Any]:
        record: dict[str, Any] = {"role": self.role}
        if self.value is not None:
            record["value"] = self.value
        return record | (self.span.to_dict() if self.span else {}) | {"score": self.score}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Argument:
        """The inverse of `to_dict`. Raises as `Entity.from_dict` does."""
        span = _span_of(record) if "start" in record else None
        return cls(record["role"], span, record.get("score", 1.0), record.get("value"))


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its type, its trigger where it has one, and the arguments that belong together.

    score: of the event as a whole; trigger_score: of the trigger alone.
    unlinked: pairs of members that belong to the event although the model did not link them (tolerant decoding only),
    as indices into ``arguments``, -1 for the trigger, the smaller first. Without such pairs the event is a clique.
    """

    type: str
    arguments: tuple[Argument, ...] = ()
    trigger: Span | None = None
    score: float = 1.0
    trigger_score: float = 1.0
    unlinked: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        _check_named("event type", self.type)
        _check_score("event", self.type, self.score)
        _check_score("trigger of event", self.type, self.trigger_score)
        lowest = 0 if self.trigger is None else -1
        for first, second in self.unlinked:
            if not lowest <= first < second < len(self.arguments):
                raise InputError(
                    f"event {self.type!r}: unlinked pair ({first}, {second}) is not two members in order, from "
                    f"{lowest} to {len(self.arguments) - 1}"
                )

    @property
    def spans(self) -> tuple[Span, ...]:
        """Trigger and arguments that stand in the text, in the order of the text, each place once."""
        found = {argument.span for argument in self.arguments} | {self.trigger}
        return tuple(sorted((span for span in found if span is not None), key=lambda span: (span.start, span.end)))

    def moved(self, by: int) -> Event:
        """The same event with all offsets shifted, as from a passage to its document."""
        arguments = tuple(
            replace(argument, span=argument.span and _moved(argument.span, by)) for argument in self.arguments
        )
        return replace(self, arguments=arguments, trigger=self.trigger and _moved(self.trigger, by))

    def to_dict(self) -> dict[str, Any]:
        record: dict[str, Any] = {"type": self.type, "score": self.score}
        if self.trigger is not None:
            record["trigger"] = self.trigger.to_dict() | {"score": self.trigger_score}
        record["arguments"] = [argument.to_dict() for argument in self.arguments]
        if self.unlinked:
            record["unlinked"] = [list(pair) for pair in self.unlinked]
        return record

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Event:
        """The inverse of `to_dict`. Raises as `Entity.from_dict` does."""
        trigger = record.get("trigger")
        return cls(
            type=record["type"],
            arguments=tuple(Argument.from_dict(argument) for argument in record.get("arguments", ())),
            trigger=_span_of(trigger) if trigger else None,
            score=record.get("score", 1.0),
            trigger_score=trigger.get("score", 1.0) if trigger else 1.0,
            unlinked=tuple((first, second) for first, second in record.get("unlinked", ())),
        )


@dataclass(frozen=True, slots=True)
class Source:
    """A stretch of text that was read for an answer.

    context: number of its text in the list that was asked, from 0; document, record: where that is from, as in
    DocumentResult, else None. span: the stretch; offsets in that text.
    lift: how many nats likelier the question is behind it than alone. posterior: how probable it is, by its lift, that
    this stretch is the one that the question is about; all that were read sum to 1. share: of the answer's tokens,
    those drawn from it, in [0, 1].
    evidence: where the answer stands in it word for word, else None.
    """

    context: int
    span: Span
    lift: float
    posterior: float
    share: float
    document: str | None = None
    record: int | None = None
    evidence: Span | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.lift):
            raise InputError(f"the lift of a source is not finite: {self.lift}")
        _check_score("posterior of source", str(self.context), self.posterior)
        _check_score("share of source", str(self.context), self.share)

    def to_dict(self) -> dict[str, Any]:
        record: dict[str, Any] = {"context": self.context, "document": self.document, "record": self.record}
        record |= self.span.to_dict()
        record |= {"lift": self.lift, "posterior": self.posterior, "share": self.share}
        if self.evidence is not None:
            record["evidence"] = self.evidence.to_dict()
        return record

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Source:
        """The inverse of `to_dict`. Raises KeyError, TypeError or InputError for a record that is none."""
        evidence = record.get("evidence")
        return cls(
            context=record["context"],
            span=_span_of(record),
            lift=record["lift"],
            posterior=record["posterior"],
            share=record["share"],
            document=record["document"],
            record=record["record"],
            evidence=_span_of(evidence) if evidence else None,
        )


@dataclass(frozen=True, slots=True)
class AnswerToken:
    """A token of an answer: ``answer.text[start:end]``, empty where it only begins a character.

    source: number in ``Answer.sources`` of the stretch it was drawn from.
    """

    start: int
    end: int
    source: int


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a question about texts.

    sources: the stretches that were followed to the end, most of the answer first. tokens: in order; their texts joined
    are the answer's. parts: how many stretches were read in all.
    doubts: why the sources do not settle the answer, as codes; empty where they do. "unrelated": no text makes the
    question likelier; "tie": several explain it equally well; "jumping": the answer keeps changing its source.
    finished: the answer ended by itself; else it ran out of room.
    model: that answered, "" where that was not said: a causal language model, or "extractive" for the reader that marks
    words of the sources. score: how probable that reader holds its answer, in [0, 1]; None from a language model.
    """

    question: str
    text: str
    tokens: tuple[AnswerToken, ...]
    sources: tuple[Source, ...]
    parts: int
    doubts: tuple[str, ...] = ()
    finished: bool = True
    model: str = ""
    score: float | None = None

    def __post_init__(self) -> None:
        if self.score is not None:
            _check_score("answer", self.text, self.score)
        place = 0
        for token in self.tokens:
            if not place == token.start <= token.end <= len(self.text):
                raise InputError(f"token [{token.start}, {token.end}) does not follow on {place} in {len(self.text)}")
            if not 0 <= token.source < len(self.sources):
                raise InputError(f"a token is of source {token.source}, there are {len(self.sources)}")
            place = token.end

    @property
    def settled(self) -> bool:
        """Whether the sources settle the answer, as far as can be told."""
        return not self.doubts

    def to_dict(self) -> dict[str, Any]:
        told: dict[str, Any] = {"model": self.model} if self.model else {}
        if self.score is not None:
            told["score"] = self.score
        return {
            "question": self.question,
            "answer": self.text,
            **told,
            "settled": self.settled,
            "doubts": list(self.doubts),
            "finished": self.finished,
            "parts": self.parts,
            "tokens": [[token.start, token.end, token.source] for token in self.tokens],
            "sources": [source.to_dict() for source in self.sources],
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Answer:
        """The inverse of `to_dict`. Raises KeyError, TypeError or InputError for a record that is none."""
        return cls(
            question=record["question"],
            text=record["answer"],
            tokens=tuple(AnswerToken(*token) for token in record["tokens"]),
            sources=tuple(Source.from_dict(source) for source in record["sources"]),
            parts=record["parts"],
            doubts=tuple(record["doubts"]),
            finished=record["finished"],
            model=record.get("model", ""),
            score=record.get("score"),
        )


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
    events: those that begin here, with the trigger, else with the first argument; other arguments may stand in the
    passages around this one. Offsets in the document's text. None where no events were asked for, () where none begins.
    entities: likewise, those that begin here.
    """

    document: str
    record: int | None
    index: int
    span: Span
    before: str = ""
    page: int | None = None
    classification: Classification | None = None
    events: tuple[Event, ...] | None = None
    entities: tuple[Entity, ...] | None = None

    @property
    def found(self) -> tuple[Event | Entity, ...]:
        """Events and entities."""
        return (*(self.events or ()), *(self.entities or ()))

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
        if self.events is not None:
            record["events"] = [event.to_dict() for event in self.events]
        if self.entities is not None:
            record["entities"] = [entity.to_dict() for entity in self.entities]
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
        events, entities = record.get("events"), record.get("entities")
        return cls(
            document=record["document"],
            record=record["record"],
            index=record["passage"],
            span=span,
            before=record.get("before", ""),
            page=record.get("page"),
            classification=classification,
            events=None if events is None else tuple(Event.from_dict(event) for event in events),
            entities=None if entities is None else tuple(Entity.from_dict(entity) for entity in entities),
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

    @property
    def events(self) -> tuple[Event, ...]:
        """The events of all passages, in their order; offsets in the document's text."""
        return tuple(event for passage in self.passages for event in passage.events or ())

    @property
    def entities(self) -> tuple[Entity, ...]:
        """Likewise the entities."""
        return tuple(entity for passage in self.passages for entity in passage.entities or ())

    @property
    def found(self) -> tuple[Event | Entity, ...]:
        """Events and entities of all passages."""
        return tuple(one for passage in self.passages for one in passage.found)

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
        if any(passage.events is not None for passage in self.passages):
            record["events"] = len(self.events)
        if any(passage.entities is not None for passage in self.passages):
            record["entities"] = len(self.entities)
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
class EventsAsked:
    """What a reading looked for in the way of events, or of entities.

    model: that found them. types: event types, each with its roles, in the order of the schema; an entity type has one
    role, of its own name. descriptions: for people, of types by name and of roles by "type/role"; not all have one.
    task: "events" or "entities".
    """

    model: str
    types: tuple[tuple[str, tuple[str, ...]], ...]
    descriptions: Mapping[str, str] = field(default_factory=dict, hash=False)
    task: str = "events"


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that one reading found.

    folder: where the files of the report lie.
    sources: the files and folders that were asked for, as they were given.
    labels: the candidate labels in the order in which they were given; empty where none were. multi_label, threshold,
    model, templates: how the passages were sorted into them; without labels, model is "". adapted: to how many texts
    the labels adapted first, 0 for labels as they are.
    events: what events or entities were looked for; None where none were.
    answers: to the questions that were asked, in their order; the ``context`` of a source is the number of its document
    in ``documents``. answer_model: that gave them, "" where nothing was asked.
    """

    documents: tuple[DocumentResult, ...]
    skipped: tuple[Skip, ...]
    folder: Path
    sources: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    multi_label: bool = False
    threshold: float | None = None
    model: str = ""
    templates: tuple[str, ...] = ()
    adapted: int = 0
    events: EventsAsked | None = None
    answers: tuple[Answer, ...] = ()
    answer_model: str = ""

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


def _span_of(record: Mapping[str, Any]) -> Span:
    return Span(record["start"], record["end"], record["text"])


def _check_named(what: str, name: str) -> None:
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"{what} {name!r} is blank")


def _check_score(what: str, name: str, score: float) -> None:
    if not 0.0 <= score <= 1.0:  # false for NaN too
        raise InputError(f"{what} {name!r} has score {score}, which is not in [0, 1]")
