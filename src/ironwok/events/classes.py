"""What the numbers of a model mean: its classes of spans and of links, for each task.

events      spans: trigger, roles and values of roles of every type    links: one class, "the same event"
entities    spans: the entity types                                    links: none
relations   spans: subject, object                                     links: the predicates, from subject to object
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from ironwok.errors import CheckpointError, InputError, SchemaError
from ironwok.events.schema import Schema, SpanClass
from ironwok.events.schema_files import schema_from_dict, schema_to_dict

Task = Literal["events", "entities", "relations"]
TASKS: tuple[Task, ...] = get_args(Task)

SUBJECT, OBJECT = 0, 1
_ENDS = (SpanClass("subject", None, None), SpanClass("object", None, None))


@dataclass(frozen=True, slots=True)
class TaskClasses:
    """The classes of one task of one schema. Make them with `TaskClasses.of`.

    spans: what the classes of spans are. links: what the classes of links are; "" for the one class of events.
    anchored: numbers of span classes that stand at the first token, as they have no place in the text: values of
        roles of event types without trigger.
    """

    task: Task
    schema: Schema
    spans: tuple[SpanClass, ...]
    links: tuple[str, ...]
    anchored: frozenset[int] = frozenset()

    @classmethod
    def of(cls, task: str, schema: Schema) -> TaskClasses:
        """Raises InputError for an unknown task, SchemaError where the schema has nothing for it."""
        if task not in TASKS:
            raise InputError(f"task {task!r} is none of {', '.join(TASKS)}")
        if not getattr(schema, task):
            has = ", ".join(name for name in TASKS if getattr(schema, name))
            raise SchemaError(f"the schema has no {task}, only {has}: nothing could be trained or found")
        if task == "entities":
            types = sorted(entity.name for entity in schema.entities)
            return cls("entities", schema, tuple(SpanClass(name, None, None) for name in types), ())
        if task == "relations":
            return cls("relations", schema, _ENDS, tuple(sorted(one.predicate for one in schema.relations)))
        triggered = {event.name for event in schema.events if event.trigger}
        spans = schema.span_classes()
        anchored = frozenset(i for i, c in enumerate(spans) if c.value is not None and c.type not in triggered)
        return cls("events", schema, spans, ("",), anchored)

    @property
    def numbers(self) -> dict[SpanClass, int]:
        """The number of each class of spans."""
        return {span_class: number for number, span_class in enumerate(self.spans)}

    def config(self) -> dict[str, Any]:
        """The values of a `GPLinkerConfig` that follow from the classes."""
        return {
            "task": self.task,
            "schema": schema_to_dict(self.schema),
            "span_classes": len(self.spans),
            "link_classes": len(self.links),
            "anchor": bool(self.anchored),
        }

    @classmethod
    def from_config(cls, config: Any, *, place: str) -> TaskClasses:
        """The classes of a saved model. place: its folder or name, for messages. Raises CheckpointError."""
        try:
            classes = cls.of(cast(str, config.task), schema_from_dict(config.schema or {}, place=place))
        except SchemaError as error:
            raise CheckpointError(f"the config.json of {place} holds no usable schema: {error}") from error
        mine = (len(classes.spans), len(classes.links), bool(classes.anchored))
        if mine != (config.span_classes, config.link_classes, config.anchor):
            raise CheckpointError(
                f"the schema in the config.json of {place} has {mine[0]} classes of spans and {mine[1]} of links, its "
                f"weights have {config.span_classes} and {config.link_classes}: it was changed after training"
            )
        return classes
