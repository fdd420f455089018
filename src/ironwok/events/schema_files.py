"""Schema files: our own TOML and JSON, and the schema files of DuEE, DuEE-fin, FewFC and DuIE."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ironwok.errors import SchemaError
from ironwok.events.schema import EntityType, EventType, RelationType, Role, Schema
from ironwok.files import replace_file


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class _RoleEntry(_Section):
    name: str
    values: list[str] = []
    description: str = ""


class _EventEntry(_Section):
    type: str
    trigger: bool = True
    roles: list[str | _RoleEntry] = []
    description: str = ""


class _EntityEntry(_Section):
    type: str
    description: str = ""


class _RelationEntry(_Section):
    predicate: str
    subject: str = ""
    object: str = ""
    description: str = ""


class _SchemaFile(_Section):
    """``[[event]]``, ``[[entity]]`` and ``[[relation]]`` tables; every key is checked."""

    name: str = ""
    event: list[_EventEntry] = []
    entity: list[_EntityEntry] = []
    relation: list[_RelationEntry] = []


class _DueeRole(BaseModel):
    # the published files carry ids and more; only what is read here is checked
    role: str
    enum_items: list[str] = []


class _DueeEvent(BaseModel):
    event_type: str
    role_list: list[_DueeRole]


class _DuieRelation(BaseModel):
    predicate: str
    subject_type: str = ""
    object_type: str | dict[str, str] = Field(default="")


def load_schema(source: str | os.PathLike[str]) -> Schema:
    """A schema from a file: our TOML or JSON, a list or lines of DuEE event types, or lines of DuIE predicates.

    source: also the name of a bundled schema, such as ``finance``.
    Raises SchemaError, which names the file and the entry, for a file that cannot be read or is no schema.
    """
    text, place = _content(source)
    try:
        if place.endswith(".toml"):
            return _from_own(tomllib.loads(text), place)
        return _from_json(_json_values(text, place), place)
    except tomllib.TOMLDecodeError as error:
        raise SchemaError(f"{place} is no TOML: {error}") from error


def schema_to_dict(schema: Schema) -> dict[str, Any]:
    """Plain JSON values, as in our JSON and TOML files; `schema_from_dict` is the inverse."""
    events = []
    for event in schema.events:
        roles = [
            {"name": role.name} | _given(values=list(role.values), description=role.description)
            if role.values or role.description
            else role.name
            for role in event.roles
        ]
        events.append(
            {"type": event.name, "trigger": event.trigger, "roles": roles} | _given(description=event.description)
        )
    entities = [{"type": entity.name} | _given(description=entity.description) for entity in schema.entities]
    relations = [
        {"predicate": one.predicate} | _given(subject=one.subject, object=one.object, description=one.description)
        for one in schema.relations
    ]
    return _given(name=schema.name, event=events, entity=entities, relation=relations)


def schema_from_dict(record: Mapping[str, Any], *, place: str = "schema") -> Schema:
    """The inverse of `schema_to_dict`. place: where it comes from, for messages. Raises SchemaError."""
    return _from_own(record, place)


def save_schema(schema: Schema, path: str | os.PathLike[str]) -> None:
    """Write our TOML (for people) or JSON (for the folder of a model), as the suffix says, in one piece.

    Raises SchemaError for another suffix, OutputError where the file cannot be written.
    """
    path = Path(path)
    record = schema_to_dict(schema)
    if path.suffix == ".toml":
        text = _toml(record)
    elif path.suffix == ".json":
        text = json.dumps(record, ensure_ascii=False, indent=1) + "\n"
    else:
        raise SchemaError(f"{path}: a schema is written as .toml or .json, not {path.suffix!r}")
    replace_file(path, text.encode("utf-8"))


def bundled_schemas() -> tuple[str, ...]:
    """Names of the schemas inside the package."""
    folder = files("ironwok.events") / "schemas"
    return tuple(sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".toml")))


def _content(source: str | os.PathLike[str]) -> tuple[str, str]:
    """Text of the file and how to name it in messages."""
    name = os.fspath(source)
    if name in bundled_schemas():
        return (files("ironwok.events") / "schemas" / f"{name}.toml").read_text(encoding="utf-8"), f"{name}.toml"
    try:
        return Path(name).read_text(encoding="utf-8-sig"), name
    except UnicodeDecodeError as error:
        raise SchemaError(f"{name} is not UTF-8: {error}") from error
    except OSError as error:
        known = ", ".join(bundled_schemas())
        raise SchemaError(
            f"{name} cannot be read as a schema: {error.strerror or error} (bundled schemas: {known})"
        ) from error


def _json_values(text: str, place: str) -> list[tuple[str, Any]]:
    """The values of a JSON file or of a file with a value a line, each with the place to name in messages."""
    try:
        value = json.loads(text)
    except ValueError as error:
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        if len(lines) < 2:
            raise SchemaError(f"{place} is no JSON: {error}") from error
        return [(f"{place}, line {number}", _json_line(line, place, number)) for number, line in lines]
    if isinstance(value, list):
        return [(f"{place}, entry {number}", entry) for number, entry in enumerate(value, 1)]
    return [(place, value)]


def _json_line(line: str, place: str, number: int) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise SchemaError(f"{place}, line {number} is no JSON: {error}") from error


def _from_json(values: Sequence[tuple[str, Any]], place: str) -> Schema:
    if len(values) == 1 and isinstance(values[0][1], dict) and not {"event_type", "predicate"} & set(values[0][1]):
        return _from_own(values[0][1], place)
    events: list[EventType] = []
    relations: dict[str, RelationType] = {}
    for where, value in values:
        if isinstance(value, dict) and "event_type" in value:
            entry = _checked(_DueeEvent, value, where)
            roles = tuple(Role(role.role, tuple(role.enum_items)) for role in entry.role_list)
            events.append(EventType(entry.event_type, roles))
        elif isinstance(value, dict) and "predicate" in value:
            relation = _checked(_DuieRelation, value, where)
            kind = relation.object_type
            main = kind if isinstance(kind, str) else kind.get("@value", "")
            # DuIE lists a predicate once for each pair of types
            relations.setdefault(relation.predicate, RelationType(relation.predicate, relation.subject_type, main))
        else:
            raise SchemaError(f"{where}: neither an event type (event_type, role_list) nor a predicate")
    return _named(place, events=tuple(events), relations=tuple(relations.values()))


def _from_own(record: Mapping[str, Any], place: str) -> Schema:
    content = _checked(_SchemaFile, record, place)
    try:
        events = tuple(
            EventType(
                name=entry.type,
                roles=tuple(
                    Role(role) if isinstance(role, str) else Role(role.name, tuple(role.values), role.description)
                    for role in entry.roles
                ),
                trigger=entry.trigger,
                description=entry.description,
            )
            for entry in content.event
        )
        entities = tuple(EntityType(entry.type, entry.description) for entry in content.entity)
        relations = tuple(
            RelationType(entry.predicate, entry.subject, entry.object, entry.description) for entry in content.relation
        )
    except SchemaError as error:
        raise SchemaError(f"{place}: {error}") from error
    return _named(place, events=events, entities=entities, relations=relations, name=content.name)


def _named(place: str, **parts: Any) -> Schema:
    try:
        return Schema(**parts)
    except SchemaError as error:
        raise SchemaError(f"{place}: {error}") from error


def _checked(model: type[Any], value: Any, place: str) -> Any:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors()[:5])
        raise SchemaError(f"{place} is no schema: {problems}") from error


def _given(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value}


def _toml(record: Mapping[str, Any]) -> str:
    """TOML of plain values: JSON strings, arrays and booleans are TOML, only tables need another form."""
    lines = [f"name = {_toml_value(record['name'])}"] if "name" in record else []
    for kind in ("event", "entity", "relation"):
        for entry in record.get(kind, ()):
            lines += ["", f"[[{kind}]]"]
            lines += [f"{key} = {_toml_value(value)}" for key, value in entry.items()]
    return "\n".join(lines).lstrip("\n") + "\n"


def _toml_value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml_value(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    # TOML forbids the one control character that JSON leaves as it is
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
