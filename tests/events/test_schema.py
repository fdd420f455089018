"""Schemas: from files of every kind, from data, and what tells two apart."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwok.errors import InputError, SchemaChangedError, SchemaError
from ironwok.events import (
    AnnotatedText,
    EntityType,
    EventType,
    RelationType,
    Role,
    Schema,
    infer_schema,
    load_schema,
    save_schema,
)
from ironwok.events.schema import SpanClass
from ironwok.events.schema_files import bundled_schemas, schema_from_dict, schema_to_dict
from ironwok.results import Argument, Entity, Event, Relation, Span

LISTING = EventType("上市", (Role("公司"), Role("环节", ("筹备", "正式"))))


def write(tmp_path, name: str, text: str):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_our_toml(tmp_path):
    path = write(
        tmp_path,
        "s.toml",
        """
        name = "mine"
        [[event]]
        type = "上市"
        description = "goes public"
        roles = ["公司", { name = "环节", values = ["筹备", "正式"] }]
        [[event]]
        type = "停牌"
        trigger = false
        roles = ["证券"]
        [[entity]]
        type = "公司"
        [[relation]]
        predicate = "任职于"
        subject = "人物"
        object = "公司"
        """,
    )
    assert load_schema(path) == Schema(
        events=(
            EventType("上市", LISTING.roles, description="goes public"),
            EventType("停牌", (Role("证券"),), trigger=False),
        ),
        entities=(EntityType("公司"),),
        relations=(RelationType("任职于", "人物", "公司"),),
        name="mine",
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[[event]]\ntype = "A"\nrole = ["x"]', "event.0.role: Extra inputs"),
        ('[[events]]\ntype = "A"', "events: Extra inputs"),
        ('[[event]]\nroles = ["x"]', "event.0.type: Field required"),
        ('[[event]]\ntype = "A"\nroles = [{ name = "x", value = ["y"] }]', "Extra inputs"),
        ('[[event]]\ntype = "A"\nroles = ["x", "x"]', "role of event type 'A' 'x' is there twice"),
        ('[[event]]\ntype = "A"\n[[event]]\ntype = "A"', "event type 'A' is there twice"),
        ('[[event]]\ntype = "A"\ntrigger = false', "neither a trigger nor a role"),
        ('[[event]]\ntype = "A"\nroles = [" "]', "is blank"),
        ('name = "empty"', "at least one event type"),
        ("[[event]", "is no TOML"),
    ],
)
def test_a_mistake_in_our_toml_is_named_with_its_file(tmp_path, content, said):
    path = write(tmp_path, "s.toml", content)
    with pytest.raises(SchemaError) as error:
        load_schema(path)
    assert said in str(error.value)
    assert str(path) in str(error.value)


DUEE = [
    {
        "event_type": "财经/交易-上市",
        "role_list": [{"role": "时间"}, {"role": "公司"}],
        "id": "1",
        "class": "财经/交易",
    },
    {"event_type": "公司上市", "role_list": [{"role": "环节", "enum_items": ["筹备上市", "正式上市"]}]},
]


@pytest.mark.parametrize("as_lines", [True, False])
def test_schema_files_of_duee(tmp_path, as_lines):
    lines = "\n".join(json.dumps(one, ensure_ascii=False) for one in DUEE)
    path = write(tmp_path, "s.json", lines if as_lines else json.dumps(DUEE))
    schema = load_schema(path)
    assert [event.name for event in schema.events] == ["财经/交易-上市", "公司上市"]
    assert schema.event("公司上市").role("环节").values == ("筹备上市", "正式上市")
    assert all(event.trigger for event in schema.events)


def test_one_line_of_duee_is_a_schema(tmp_path):
    schema = load_schema(write(tmp_path, "s.jsonl", json.dumps(DUEE[0])))
    assert [event.name for event in schema.events] == ["财经/交易-上市"]


def test_predicates_of_duie(tmp_path):
    lines = [
        {"predicate": "作者", "subject_type": "图书", "object_type": {"@value": "人物"}},
        {"predicate": "作者", "subject_type": "文章", "object_type": {"@value": "人物"}},
    ]
    schema = load_schema(write(tmp_path, "s.jsonl", "\n".join(map(json.dumps, lines))))
    assert schema.relations == (RelationType("作者", "图书", "人物"),)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("s.json", "{", "is no JSON"),
        ("s.jsonl", '{"event_type": "A", "role_list": []}\n{"event', "line 2 is no JSON"),
        ("s.jsonl", '{"event_type": "A", "role_list": []}\n{"event_type": "B"}', "line 2 is no schema: role_list"),
        ("s.json", '[{"event_type": "A", "role_list": []}, {"x": 1}]', "entry 2: neither an event type"),
        ("s.json", '{"text": "a text"}', "text: Extra inputs"),
    ],
)
def test_a_file_that_is_no_schema(tmp_path, name, content, said):
    with pytest.raises(SchemaError, match=said):
        load_schema(write(tmp_path, name, content))


def test_a_file_that_is_not_there_says_which_schemas_are():
    with pytest.raises(SchemaError, match=r"nowhere\.toml cannot be read.*finance"):
        load_schema("nowhere.toml")


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "s.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SchemaError, match="not UTF-8"):
        load_schema(tmp_path / "s.toml")


def test_the_bundled_schema_has_ten_types_in_two_languages():
    assert "finance" in bundled_schemas()
    schema = load_schema("finance")
    assert len(schema.events) == 10
    assert all(event.trigger for event in schema.events)
    for event in schema.events:
        assert all(" | " in role.description for role in event.roles), event.name


names = st.text(min_size=1, max_size=6).filter(lambda name: name.strip() == name and "\ud800" not in name)


@st.composite
def schemas(draw):
    types = draw(st.lists(names, unique=True, max_size=3))
    events = tuple(
        EventType(
            type,
            tuple(
                Role(role, tuple(draw(st.lists(names, unique=True, max_size=2))), draw(st.text(max_size=5)))
                for role in draw(st.lists(names, unique=True, min_size=1, max_size=3))
            ),
            draw(st.booleans()),
        )
        for type in types
    )
    entities = tuple(EntityType(name) for name in draw(st.lists(names, unique=True, min_size=not types, max_size=2)))
    relations = tuple(RelationType(name, draw(st.text(max_size=3))) for name in draw(st.lists(names, unique=True)))
    return Schema(events, entities, relations, draw(st.text(max_size=5)))


@given(schemas())
def test_a_schema_comes_back_from_its_files(tmp_path_factory, schema):
    assert schema_from_dict(json.loads(json.dumps(schema_to_dict(schema)))) == schema
    folder = tmp_path_factory.mktemp("s")
    for name in ("s.toml", "s.json"):
        save_schema(schema, folder / name)
        assert load_schema(folder / name) == schema
        assert load_schema(folder / name).fingerprint == schema.fingerprint


def test_another_suffix_is_not_written(tmp_path):
    with pytest.raises(SchemaError, match=r"\.toml or \.json"):
        save_schema(Schema((LISTING,)), tmp_path / "s.yaml")


def test_order_and_descriptions_do_not_tell_schemas_apart():
    one = Schema((EventType("A", (Role("x"), Role("y", ("1", "2")))), EventType("B")))
    other = Schema((EventType("B"), EventType("A", (Role("y", ("2", "1"), "why"), Role("x")), description="what")))
    assert one.fingerprint == other.fingerprint
    assert one.difference(other) == ()
    assert one.span_classes() == other.span_classes()


def test_span_classes_are_triggers_roles_and_values():
    schema = Schema((EventType("停牌", (Role("证券"),), trigger=False), LISTING))
    assert schema.span_classes() == (
        SpanClass("上市", None, None),
        SpanClass("上市", "公司", None),
        SpanClass("上市", "环节", "正式"),
        SpanClass("上市", "环节", "筹备"),
        SpanClass("停牌", "证券", None),
    )


def test_the_difference_says_what_went_and_what_came():
    before = Schema((LISTING,), (EntityType("公司"),))
    after = Schema((EventType("上市", (Role("企业"), Role("环节", ("筹备", "终止")))),))
    assert before.difference(after) == (
        "- entity / 公司",
        "- event / 上市 / role / 公司",
        "- event / 上市 / role / 环节 / value / 正式",
        "+ event / 上市 / role / 企业",
        "+ event / 上市 / role / 环节 / value / 终止",
    )
    with pytest.raises(SchemaChangedError) as error:
        before.check_same(after, here="the model in out/", there="s.toml")
    assert "s.toml" in str(error.value)
    assert "the model in out/" in str(error.value)
    assert "+ event / 上市 / role / 企业" in str(error.value)
    before.check_same(Schema((LISTING,), (EntityType("公司", "other words"),)), here="a", there="b")


def test_a_name_that_is_not_there_is_answered_with_those_that_are():
    schema = Schema((LISTING,))
    with pytest.raises(SchemaError, match="no event type '退市': it has 上市"):
        schema.event("退市")
    with pytest.raises(SchemaError, match="no role '时间': it has 公司, 环节"):
        schema.event("上市").role("时间")


def test_a_schema_from_annotations():
    text = "甲公司正式上市，乙任董事。"
    event = Event(
        "上市",
        (Argument("公司", Span(0, 3, "甲公司")), Argument("环节", Span(5, 7, "上市"), value="正式")),
        Span(5, 7, "上市"),
    )
    bare = Event("停牌", (Argument("证券", Span(0, 3, "甲公司")),))
    annotated = AnnotatedText(
        text,
        events=(event, bare),
        entities=(Entity("人物", Span(8, 9, "乙")),),
        relations=(Relation("任职于", Span(8, 9, "乙"), Span(0, 3, "甲公司")),),
    )
    assert infer_schema([annotated, AnnotatedText("没有")]) == Schema(
        events=(
            EventType("上市", (Role("公司"), Role("环节", ("正式",)))),
            EventType("停牌", (Role("证券"),), trigger=False),
        ),
        entities=(EntityType("人物"),),
        relations=(RelationType("任职于"),),
    )
    with pytest.raises(SchemaError, match="none of the texts"):
        infer_schema([AnnotatedText("没有")])


def test_an_annotation_that_does_not_agree_with_its_text_is_refused():
    with pytest.raises(InputError, match="the text has '乙' at"):
        AnnotatedText("甲乙", entities=(Entity("人物", Span(1, 2, "丙")),))
