"""What is looked for: event types with their roles, entity types, relation predicates.

A schema comes from a file (`load_schema`) or from annotated texts (`infer_schema`). Two schemas are the same when they
name the same things, in whatever order and with whatever descriptions: that is what `Schema.fingerprint` says, and
what a model compares before it is used with a schema that is not its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ironwok.errors import SchemaChangedError, SchemaError
from ironwok.events.annotations import AnnotatedText

# hexadecimal digits of a fingerprint: enough to tell any two schemas apart, short enough to read aloud
_FINGERPRINT_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Role:
    """A role of an event type.

    values: of an enumerated role, whose argument is one of these words instead of a piece of the text; else empty.
    description: for people; the report shows it.
    """

    name: str
    values: tuple[str, ...] = ()
    description: str = ""

    def __post_init__(self) -> None:
        _check_names("role", [self.name])
        _check_names(f"value of role {self.name!r}", self.values)


@dataclass(frozen=True, slots=True)
class EventType:
    """trigger: events of this type have a word that triggers them; without it they are their arguments alone."""

    name: str
    roles: tuple[Role, ...] = ()
    trigger: bool = True
    description: str = ""

    def __post_init__(self) -> None:
        _check_names("event type", [self.name])
        _check_names(f"role of event type {self.name!r}", [role.name for role in self.roles])
        if not self.roles and not self.trigger:
            raise SchemaError(
                f"event type {self.name!r} has neither a trigger nor a role: nothing could be found of it"
            )

    def role(self, name: str) -> Role:
        """The role of that name. Raises SchemaError."""
        for role in self.roles:
            if role.name == name:
                return role
        raise SchemaError(
            f"event type {self.name!r} has no role {name!r}: it has {_listed(r.name for r in self.roles)}"
        )


@dataclass(frozen=True, slots=True)
class EntityType:
    """A type of named entity."""

    name: str
    description: str = ""

    def __post_init__(self) -> None:
        _check_names("entity type", [self.name])


@dataclass(frozen=True, slots=True)
class RelationType:
    """A predicate between two spans. subject, object: entity types of its ends where they are known, for people."""

    predicate: str
    subject: str = ""
    object: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        _check_names("predicate", [self.predicate])


class SpanClass(NamedTuple):
    """A class of spans that a model tells apart: the trigger of a type (role None), a role, or a value of a role."""

    type: str
    role: str | None
    value: str | None


@dataclass(frozen=True, slots=True)
class Schema:
    """What is looked for, each kind of thing without duplicates; the order is for people only."""

    events: tuple[EventType, ...] = ()
    entities: tuple[EntityType, ...] = ()
    relations: tuple[RelationType, ...] = ()
    name: str = ""

    def __post_init__(self) -> None:
        if not (self.events or self.entities or self.relations):
            raise SchemaError("a schema names at least one event type, entity type or predicate")
        _check_names("event type", [event.name for event in self.events])
        _check_names("entity type", [entity.name for entity in self.entities])
        _check_names("predicate", [relation.predicate for relation in self.relations])

    def event(self, name: str) -> EventType:
        """The event type of that name. Raises SchemaError."""
        for event in self.events:
            if event.name == name:
                return event
        raise SchemaError(
            f"the schema has no event type {name!r}: it has {_listed(event.name for event in self.events)}"
        )

    def span_classes(self) -> tuple[SpanClass, ...]:
        """Every class of spans of the event types, in an order that does not depend on the order of the schema."""
        classes = []
        for event in sorted(self.events, key=lambda event: event.name):
            if event.trigger:
                classes.append(SpanClass(event.name, None, None))
            for role in sorted(event.roles, key=lambda role: role.name):
                values: tuple[str | None, ...] = tuple(sorted(role.values)) or (None,)
                classes += [SpanClass(event.name, role.name, value) for value in values]
        return tuple(classes)

    @property
    def fingerprint(self) -> str:
        """The same for two schemas that name the same things."""
        content = json.dumps(sorted(self._facts()), ensure_ascii=False)
        return hashlib.sha256(content.encode("utf-8", "backslashreplace")).hexdigest()[:_FINGERPRINT_DIGITS]

    def difference(self, other: Schema) -> tuple[str, ...]:
        """What ``other`` has and this one lacks ("+ …"), and the other way round ("- …"); empty when they agree."""
        mine, theirs = set(self._facts()), set(other._facts())
        gone = [f"- {' / '.join(fact)}" for fact in sorted(mine - theirs)]
        come = [f"+ {' / '.join(fact)}" for fact in sorted(theirs - mine)]
        return tuple(gone + come)

    def check_same(self, other: Schema, *, here: str, there: str) -> None:
        """Raise SchemaChangedError unless both name the same things.

        here, there: what each of them belongs to, for the message, such as "the model in out/" and "schema.toml".
        """
        if self.fingerprint == other.fingerprint:
            return
        changes = self.difference(other)
        shown = "; ".join(changes[:8]) + (f"; and {len(changes) - 8} more" if len(changes) > 8 else "")
        raise SchemaChangedError(
            f"{there} ({other.fingerprint}) is not the schema of {here} ({self.fingerprint}): {shown}. "
            "Use the schema that it was made with, or train anew"
        )

    def _facts(self) -> Iterator[tuple[str, ...]]:
        """All that is named, without order and descriptions."""
        for event in self.events:
            yield "event", event.name, "with trigger" if event.trigger else "without trigger"
            for role in event.roles:
                yield "event", event.name, "role", role.name
                yield from (("event", event.name, "role", role.name, "value", value) for value in role.values)
        yield from (("entity", entity.name) for entity in self.entities)
        yield from (("relation", relation.predicate) for relation in self.relations)


def infer_schema(texts: Iterable[AnnotatedText], *, name: str = "") -> Schema:
    """The smallest schema that all of these annotations fit; everything sorted by name.

    An event type has a trigger when any of its events has one. Raises SchemaError where nothing is annotated.
    """
    roles: dict[str, dict[str, set[str]]] = {}
    triggered: set[str] = set()
    entities: set[str] = set()
    predicates: set[str] = set()
    for text in texts:
        for event in text.events:
            found = roles.setdefault(event.type, {})
            if event.trigger is not None:
                triggered.add(event.type)
            for argument in event.arguments:
                values = found.setdefault(argument.role, set())
                if argument.value is not None:
                    values.add(argument.value)
        entities.update(entity.type for entity in text.entities)
        predicates.update(relation.predicate for relation in text.relations)
    if not (roles or entities or predicates):
        raise SchemaError("no schema can be inferred: none of the texts has an event, an entity or a relation")
    return Schema(
        events=tuple(
            EventType(
                name=event,
                roles=tuple(Role(role, tuple(sorted(values))) for role, values in sorted(found.items())),
                # a bare event, with neither trigger nor argument, still has to be found by something
                trigger=event in triggered or not found,
            )
            for event, found in sorted(roles.items())
        ),
        entities=tuple(EntityType(entity) for entity in sorted(entities)),
        relations=tuple(RelationType(predicate) for predicate in sorted(predicates)),
        name=name,
    )


def _check_names(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise SchemaError(f"{what} {name!r} is blank")
        if name in seen:
            raise SchemaError(f"{what} {name!r} is there twice")
        seen.add(name)


def _listed(names: Iterable[str], limit: int = 12) -> str:
    names = list(names)
    shown = ", ".join(names[:limit]) or "none"
    return shown + (f" and {len(names) - limit} more" if len(names) > limit else "")
