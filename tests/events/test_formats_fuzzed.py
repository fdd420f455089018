"""Whatever JSON a file holds, reading it ends in texts and problems, and every span that is kept fits its text."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ironwok.errors import AnnotationError
from ironwok.events import EventType, Role, Schema, read_annotations
from ironwok.events.formats import FORMATS, OUTCOMES

SCHEMA = Schema(
    (EventType("质押", (Role("sub"), Role("阶段", ("首次",)))), EventType("停牌", (Role("obj"),), trigger=False))
)
KEYS = (
    "text", "id", "data", "event_list", "events", "entities", "relations", "label", "labels", "annotations", "result",
    "predictions", "event_type", "type", "trigger", "trigger_start_index", "arguments", "argument", "role", "value",
    "argument_start_index", "start", "end", "start_offset", "end_offset", "from_id", "to_id", "direction", "score",
    "predicate", "subject", "object", "metadata", "was_cancelled",
)  # fmt: skip
WORDS = (
    "质押",
    "质押触发词",
    "停牌无触发词",
    "sub",
    "阶段=首次",
    "阶段",
    "首次",
    "obj",
    "labels",
    "relation",
    "left",
    "甲😀乙甲",
    "甲",
    " ",
    "",
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 9),
    st.just(10**25),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(max_size=3),
)
values = st.recursive(
    scalars,
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inside, max_size=6),
    max_leaves=25,
)


def mentions(start: str, end: str):
    return {start: st.integers(-1, 6), end: st.integers(-1, 6)}


# records of the right shape, with anything in them
events = st.fixed_dictionaries(
    {
        "event_type": st.sampled_from(WORDS),
        "type": st.sampled_from(WORDS),
        "trigger": st.sampled_from(WORDS) | values,
        "trigger_start_index": st.integers(-1, 6),
        "arguments": st.lists(
            st.fixed_dictionaries(
                {
                    "role": st.sampled_from(WORDS),
                    "argument": st.sampled_from(WORDS),
                    "text": st.sampled_from(WORDS),
                    "argument_start_index": st.integers(-1, 6),
                },
                optional={**mentions("start", "end"), "value": scalars, "score": scalars},
            ),
            max_size=3,
        ),
    }
)
spans = st.fixed_dictionaries(
    {
        "id": st.integers(0, 3),
        "label": st.sampled_from(WORDS),
        "type": st.sampled_from(WORDS),
        "value": st.fixed_dictionaries(
            {**mentions("start", "end"), "labels": st.lists(st.sampled_from(WORDS), max_size=2)},
            optional={"text": st.sampled_from(WORDS)},
        ),
        **mentions("start_offset", "end_offset"),
        "from_id": st.integers(0, 3),
        "to_id": st.integers(0, 3),
        "labels": st.lists(st.sampled_from(WORDS), max_size=2),
    },
)
records = values | st.fixed_dictionaries(
    {
        "text": st.sampled_from(("甲😀乙甲质押乙首次", "甲")),
        "data": st.just({"text": "甲😀乙甲质押乙首次"}),
        "event_list": st.lists(events, max_size=3),
        "events": st.lists(events, max_size=3),
        "entities": st.lists(spans, max_size=4),
        "relations": st.lists(spans, max_size=4),
        "annotations": st.lists(st.fixed_dictionaries({"result": st.lists(spans, max_size=5)}), max_size=2),
    }
)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("schema", [None, SCHEMA], ids=["any", "schema"])
@given(data=st.lists(records, min_size=1, max_size=3))
@settings(max_examples=25, suppress_health_check=list(HealthCheck), deadline=None)
def test_reading_anything_ends_in_texts_and_problems(tmp_path, format, schema, data):
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in data), encoding="utf-8")
    problems = []
    texts = list(read_annotations(path, format=format, schema=schema, on_problem=problems.append))
    assert len(texts) + sum(problem.kind == "bad record" for problem in problems) == len(data)
    for text in texts:
        assert all(text.text[span.start : span.end] == span.text for span in text.spans())
        for event in text.events:
            assert event.trigger is not None or event.arguments
            if schema is not None:
                kind = schema.event(event.type)
                for argument in event.arguments:
                    assert (argument.value is not None) == bool(kind.role(argument.role).values)
    for problem in problems:
        assert problem.kind in OUTCOMES
        assert 1 <= problem.line <= len(data)
        assert problem.message


@given(data=st.lists(records, max_size=2))
@settings(max_examples=25, suppress_health_check=list(HealthCheck), deadline=None)
def test_telling_the_format_ends_in_a_format_or_an_error_of_ours(tmp_path, data):
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in data), encoding="utf-8")
    with contextlib.suppress(AnnotationError):
        list(read_annotations(path))
