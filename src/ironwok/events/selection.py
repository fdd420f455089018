"""A schema asked of a model that was trained on more: what of its results is wanted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ironwok.errors import SchemaChangedError
from ironwok.events.classes import TaskClasses
from ironwok.events.locating import Result
from ironwok.events.schema import Schema, SpanClass
from ironwok.results import Entity, Event, Relation

_SHOWN = 8
_FACTS = {"events": "event", "entities": "entity", "relations": "relation"}


@dataclass(frozen=True, slots=True)
class Selection:
    """Types, roles and values, or predicates, that are wanted. Make it with `Selection.of`."""

    schema: Schema
    spans: frozenset[SpanClass]
    types: frozenset[str]

    @classmethod
    def of(cls, schema: Schema, classes: TaskClasses, *, name: str) -> Selection:
        """name: of the model, for messages. Raises SchemaChangedError for anything that it was not trained on."""
        if not getattr(schema, classes.task):
            raise SchemaChangedError(f"the schema names no {classes.task}, and {name} finds nothing else")
        fact = f"+ {_FACTS[classes.task]} "
        unknown = [change for change in classes.schema.difference(schema) if change.startswith(fact)]
        if unknown:
            shown = "; ".join(unknown[:_SHOWN]) + (f"; and {len(unknown) - _SHOWN} more" * (len(unknown) > _SHOWN))
            raise SchemaChangedError(
                f"{name} was not trained on everything in the schema: {shown}. Leave that out, or train a model with "
                f"this schema (ironwok train {classes.task} --schema …)"
            )
        wanted = TaskClasses.of(classes.task, schema)
        types = wanted.links if classes.task == "relations" else (span_class.type for span_class in wanted.spans)
        return cls(schema, frozenset(wanted.spans), frozenset(types))

    def of_results(self, results: Iterable[Result]) -> Iterator[Result]:
        """The wanted ones, events without the roles that nobody asked for."""
        for result in results:
            if isinstance(result, Relation):
                if result.predicate in self.types:
                    yield result
            elif result.type in self.types:
                yield result if isinstance(result, Entity) else self._cut(result)

    def _cut(self, event: Event) -> Event:
        kept = [
            index
            for index, argument in enumerate(event.arguments)
            if SpanClass(event.type, argument.role, argument.value) in self.spans
        ]
        place = {-1: -1} | {index: new for new, index in enumerate(kept)}
        return replace(
            event,
            arguments=tuple(event.arguments[index] for index in kept),
            unlinked=tuple((place[a], place[b]) for a, b in event.unlinked if a in place and b in place),
        )
