"""A text and what is annotated in it: the value that every format of annotations is read into and written from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ironwok.errors import InputError
from ironwok.results import Entity, Event, Relation, Span


@dataclass(frozen=True, slots=True)
class AnnotatedText:
    """A text with its events, entities and relations; every span is checked against the text.

    id: of the record, as its file says it, else "". metadata: what else came along, such as a title.
    """

    text: str
    events: tuple[Event, ...] = ()
    entities: tuple[Entity, ...] = ()
    relations: tuple[Relation, ...] = ()
    id: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for span in self.spans():
            if self.text[span.start : span.end] != span.text:
                raise InputError(
                    f"the text has {self.text[span.start : span.end]!r} at [{span.start}, {span.end}), "
                    f"the annotation says {span.text!r}"
                )

    def spans(self) -> Iterator[Span]:
        """Every span of every annotation, repeated where it is annotated more than once."""
        for event in self.events:
            if event.trigger is not None:
                yield event.trigger
            yield from (argument.span for argument in event.arguments if argument.span is not None)
        yield from (entity.span for entity in self.entities)
        for relation in self.relations:
            yield relation.subject
            yield relation.object

    def to_dict(self) -> dict[str, Any]:
        """A line of our own JSONL. Kinds of annotation that the text lacks are left out."""
        record: dict[str, Any] = {"id": self.id} if self.id else {}
        record["text"] = self.text
        for name in ("events", "entities", "relations"):
            if found := getattr(self, name):
                record[name] = [one.to_dict() for one in found]
        if self.metadata:
            record["metadata"] = dict(self.metadata)
        return record

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> AnnotatedText:
        """The inverse of `to_dict`, strict. `ironwok.events.formats` reads with repair and reports instead."""
        return cls(
            text=record["text"],
            events=tuple(Event.from_dict(one) for one in record.get("events", ())),
            entities=tuple(Entity.from_dict(one) for one in record.get("entities", ())),
            relations=tuple(Relation.from_dict(one) for one in record.get("relations", ())),
            id=record.get("id", ""),
            metadata=record.get("metadata", {}),
        )
