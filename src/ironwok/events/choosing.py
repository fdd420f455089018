"""What ``--schema`` may mean: a model that knows its schema, or a schema that a model has to be found for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ironwok.errors import InputError, ModelNotFoundError, SchemaChangedError
from ironwok.events.classes import TASKS, TaskClasses
from ironwok.events.schema import Schema
from ironwok.events.schema_files import bundled_schemas, load_schema

_SCHEMA_FILES = (".toml", ".json", ".jsonl")


@dataclass(frozen=True, slots=True)
class Choice:
    """model: a bundled name, folder or hub id. schema: what to find of all that it knows; None for all of it."""

    model: str
    schema: Schema | None = None


def choose_model(asked: str | os.PathLike[str], *, model: str | os.PathLike[str] | None = None) -> Choice:
    """The model for a schema, and what it is asked for.

    asked: a bundled model ("finance"), the folder of a model or of a training run, a hub id; or a schema file.
    model: the one to use with a schema file; None takes a bundled model that knows everything in it.
    Raises ModelNotFoundError where there is none, SchemaChangedError where ``model`` does not know it all, SchemaError
    for a schema file that cannot be read.
    """
    name = os.fspath(asked)
    if not _is_schema(name):
        if model is not None and os.fspath(model) != name:
            raise InputError(f"{name!r} is a model with its own schema: leave the other model ({model}) out")
        return Choice(name)
    schema = load_schema(name)
    if model is not None:
        return Choice(os.fspath(model), schema)
    for bundled in extraction_models():
        if _knows(bundled, schema):
            return Choice(bundled, schema)
    listed = ", ".join(extraction_models()) or "none"
    raise ModelNotFoundError(
        f"no bundled model ({listed}) was trained on all that {name} names: train one "
        f"(ironwok train events --schema {name} …), or name a model of your own with --model"
    )


def extraction_models() -> tuple[str, ...]:
    """Names of the models inside the package that find events, entities or relations."""
    from ironwok.errors import CheckpointError
    from ironwok.events.loading import read_extraction_config
    from ironwok.models import bundled_names

    names = []
    for name in bundled_names():
        try:
            read_extraction_config(name)
        except CheckpointError:  # an encoder
            continue
        names.append(name)
    return tuple(names)


def _is_schema(name: str) -> bool:
    if Path(name).suffix.lower() in _SCHEMA_FILES and not Path(name).is_dir():
        return True
    from ironwok.models import bundled_names

    return name in bundled_schemas() and name not in bundled_names() and not Path(name).is_dir()


def _knows(model: str, schema: Schema) -> bool:
    from ironwok.events.loading import read_extraction_config
    from ironwok.events.selection import Selection

    classes = TaskClasses.from_config(read_extraction_config(model), place=model)
    others = [task for task in TASKS if task != classes.task and getattr(schema, task)]
    if others:
        return False
    try:
        Selection.of(schema, classes, name=model)
    except SchemaChangedError:
        return False
    return True
