"""Annotated texts in every format: there and back, and what becomes of annotations that do not hold."""

from __future__ import annotations

import json
import lzma
from collections import Counter

import pytest

from ironwok.errors import AnnotationError
from ironwok.events import AnnotatedText, EventType, Role, Schema, read_annotations, write_annotations
from ironwok.events.formats import FORMATS, OUTCOMES, detect_format
from ironwok.results import Argument, Entity, Event, Relation, Span

TEXT = "📌云岭矿业把三成股权质押给江南银行，又把两成股权质押给海湾信托。"
SCHEMA = Schema((EventType("质押", (Role("sub"), Role("obj"), Role("阶段", ("首次", "再次")))),))


def at(words: str, start: int = 0, text: str = TEXT) -> Span:
    begin = text.index(words, start)
    return Span(begin, begin + len(words), words)


EVENTS = (
    Event("质押", (Argument("sub", at("云岭矿业")), Argument("obj", at("江南银行"))), at("质押")),
    Event("质押", (Argument("sub", at("云岭矿业")), Argument("obj", at("海湾信托"))), at("质押", 14)),
)
TEXTS = [AnnotatedText(TEXT, EVENTS, id="a", metadata={"title": "题"}), AnnotatedText("没有事件的一句话。", id="b")]


class Problems(list):
    def kinds(self) -> Counter:
        return Counter(problem.kind for problem in self)


@pytest.fixture
def problems() -> Problems:
    return Problems()


@pytest.fixture
def read(tmp_path, problems):
    """Reads records as a file of a format; the problems go into ``problems``."""

    def read_records(*records, format: str | None = None, schema: Schema | None = None, name: str = "in.jsonl"):
        lines = [one if isinstance(one, str) else json.dumps(one) for one in records]
        (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
        return list(read_annotations(tmp_path / name, format=format, schema=schema, on_problem=problems.append))

    return read_records


@pytest.mark.parametrize("format", FORMATS)
def test_there_and_back(tmp_path, format, problems):
    path = tmp_path / ("out.json" if FORMATS[format].array else "out.jsonl")
    assert write_annotations(TEXTS, path, format=format, on_problem=problems.append) == 2
    assert problems == []
    assert detect_format(path) is FORMATS[format]
    back = list(read_annotations(path, on_problem=problems.append))
    expected = Counter({"no annotations": 1})
    if format == "duee-fin":  # without offsets, words that stand twice are placed near the rest of their event
        expected["place chosen"] = 2
    assert problems.kinds() == expected
    assert [one.text for one in back] == [one.text for one in TEXTS]
    assert [one.id for one in back] == ["a", "b"]
    assert back[0].metadata["title"] == "题"
    assert back == TEXTS


@pytest.mark.parametrize("format", ["ironwok", "doccano", "label-studio"])
def test_entities_relations_values_and_bare_events_there_and_back(tmp_path, format, problems):
    text = AnnotatedText(
        TEXT,
        events=(
            Event("质押", (Argument("阶段", at("质押"), value="首次"), Argument("sub", at("云岭矿业"))), at("质押")),
            Event("停牌", (Argument("证券", at("股权")), Argument("原因", at("三成")))),
            Event("halt", (Argument("what", at("两成")),), at("又")),
        ),
        entities=(Entity("机构", at("江南银行")), Entity("机构", at("云岭矿业"))),
        relations=(Relation("质押给", at("云岭矿业"), at("江南银行")),),
        id="1",
    )
    path = tmp_path / ("out.json" if FORMATS[format].array else "out.jsonl")
    write_annotations([text], path, format=format, on_problem=problems.append)
    (back,) = read_annotations(path, format=format, on_problem=problems.append)
    assert problems == []
    assert back.events == text.events
    assert set(back.entities) == set(text.entities)
    assert back.relations == text.relations


def test_duee_says_what_it_has_no_place_for(tmp_path, problems):
    text = AnnotatedText(TEXT, entities=(Entity("机构", at("江南银行")),), id="x")
    write_annotations([text], tmp_path / "out.jsonl", format="duee", on_problem=problems.append)
    (problem,) = problems
    assert (problem.kind, problem.outcome, problem.id) == ("no place in the format", "lost", "x")
    assert "1 entities" in problem.message


def duee(*arguments: tuple[str, str, int | None], trigger: tuple[str, int | None] | None = ("质押", 10), text=TEXT):
    entry = {"event_type": "质押", "arguments": []}
    if trigger:
        entry |= {"trigger": trigger[0], "trigger_start_index": trigger[1]}
    for role, words, start in arguments:
        entry["arguments"].append({"role": role, "argument": words, "argument_start_index": start})
    return {"text": text, "id": "r", "event_list": [entry]}


def test_a_wrong_offset_of_words_that_stand_once_is_repaired(read, problems):
    (text,) = read(duee(("obj", "江南银行", 3)))
    assert text.events[0].arguments == (Argument("obj", at("江南银行")),)
    (problem,) = problems
    assert (problem.kind, problem.outcome, problem.line, problem.id) == ("offset repaired", "repaired", 1, "r")
    assert str(at("江南银行").start) in problem.message


def test_a_wrong_offset_of_words_that_stand_twice_is_reported_by_file_and_line(read, problems, tmp_path):
    (_, text) = read(duee(), duee(("share", "股权", 2)), format="duee")
    assert text.events[0].arguments == ()
    (problem,) = problems
    assert (problem.kind, problem.outcome, problem.line) == ("ambiguous place", "lost", 2)
    assert problem.file == str(tmp_path / "in.jsonl")
    assert "8, 22" in problem.message
    assert str(tmp_path / "in.jsonl") in str(problem)
    assert "line 2" in str(problem)


@pytest.mark.parametrize("unit", ["utf-16-le", "utf-8"])
def test_offsets_in_other_units_are_recognised(read, problems, unit):
    """The second 股权 stands at character 22; the emoji before it counts 2 in UTF-16, and 4 bytes in UTF-8."""
    width = {"utf-16-le": 2, "utf-8": 1}[unit]
    start = len(TEXT[:22].encode(unit)) // width
    (text,) = read(duee(("share", "股权", start)))
    assert text.events[0].arguments == (Argument("share", at("股权", 20)),)
    assert problems.kinds() == {"offset repaired": 1}


def test_words_that_do_not_stand_in_the_text_are_left_out(read, problems):
    (text,) = read(duee(("sub", "云岭矿业", 1), ("obj", "长江银行", 12)))
    assert [one.role for one in text.events[0].arguments] == ["sub"]
    assert problems.kinds() == {"not in the text": 1}
    assert "质押 / obj" in problems[0].message


def test_a_trigger_that_does_not_stand_in_the_text_leaves_the_arguments(read, problems):
    (text,) = read(duee(("sub", "云岭矿业", 1), trigger=("抵押", 10)))
    assert text.events[0].trigger is None
    assert text.events[0].arguments == (Argument("sub", at("云岭矿业")),)
    assert problems.kinds() == {"not in the text": 1}


def test_an_event_of_which_nothing_holds_is_left_out(read, problems):
    (text,) = read(duee(("sub", "长江", 1), trigger=None))
    assert text.events == ()
    assert problems.kinds() == {"not in the text": 1, "empty event": 1}


def test_space_around_the_words_does_not_matter(read, problems):
    (text,) = read(duee(("obj", " 江南银行 ", 12)))
    assert text.events[0].arguments == (Argument("obj", at("江南银行")),)
    assert problems == []


def test_without_offsets_the_place_nearest_to_the_rest_of_the_event_is_chosen(read, problems):
    """海湾信托 stands once, at 26; of the two 股权 (8, 22) and 质押 (10, 24) the later ones are nearer."""
    (text,) = read(duee(("obj", "海湾信托", None), ("share", "股权", -1), trigger=("质押", None)))
    event = text.events[0]
    assert (event.trigger.start, event.arguments[1].span.start) == (24, 22)
    assert problems.kinds() == {"place chosen": 2}


def test_unknown_types_roles_and_values(read, problems):
    other = duee() | {"event_list": [{"event_type": "收购", "arguments": []}]}
    first = duee(("sub", "云岭矿业", 1), ("share", "股权", 8), ("阶段", "最后", None), ("阶段", "首次", None))
    texts = read(first, other, schema=SCHEMA)
    assert [one.role for one in texts[0].events[0].arguments] == ["sub", "阶段"]
    assert texts[0].events[0].arguments[1] == Argument("阶段", at("质押"), value="首次")
    assert texts[1].events == ()
    assert problems.kinds() == {"unknown role": 1, "unknown value": 1, "unknown type": 1}
    assert "share" in next(one.message for one in problems if one.kind == "unknown role")


def test_without_a_schema_every_name_is_taken(read, problems):
    (text,) = read(duee(("什么都行", "江南银行", at("江南银行").start)))
    assert text.events[0].arguments[0].role == "什么都行"
    assert problems == []


def test_a_schema_without_entities_says_nothing_about_them(read, problems):
    record = {"text": TEXT, "entities": [{"type": "机构", "text": "江南银行"}]}
    (text,) = read(record, schema=SCHEMA)
    assert text.entities == (Entity("机构", at("江南银行")),)
    assert problems == []


def test_a_missing_trigger_is_noted_where_the_schema_wants_one(read, problems):
    (text,) = read(duee(("sub", "云岭矿业", 1), trigger=None), schema=SCHEMA)
    assert text.events[0].trigger is None
    assert problems.kinds() == {"no trigger": 1}


def test_overlapping_triggers_are_noted_and_the_same_trigger_twice_is_not(read, problems):
    record = duee()
    same = {"event_type": "转让", "trigger": "质押", "trigger_start_index": 10, "arguments": []}
    longer = {"event_type": "转让", "trigger": "股权质押", "trigger_start_index": 8, "arguments": []}
    read(record | {"event_list": [record["event_list"][0], same]}, format="duee")
    assert problems == []
    (text,) = read(record | {"event_list": [record["event_list"][0], longer]}, format="duee")
    assert len(text.events) == 2
    assert problems.kinds() == {"overlapping triggers": 1}


def test_the_same_thing_twice_is_kept_once(read, problems):
    record = duee(("sub", "云岭矿业", 1), ("sub", "云岭矿业", 1))
    (text,) = read(record | {"event_list": record["event_list"] * 2})
    assert len(text.events) == 1
    assert len(text.events[0].arguments) == 1
    assert problems.kinds() == {"duplicate": 3}


def test_an_empty_event_list_is_a_text_without_events(read, problems):
    (text,) = read({"text": TEXT, "event_list": []}, format="duee")
    assert text == AnnotatedText(TEXT)
    assert problems.kinds() == {"no annotations": 1}


@pytest.mark.parametrize(
    "broken",
    [
        "{",
        "[1, 2]",
        '"text"',
        '{"event_list": []}',
        '{"text": "", "event_list": []}',
        '{"text": 3, "event_list": []}',
        '{"text": "x", "event_list": {}}',
    ],
)
def test_a_broken_record_is_reported_and_the_rest_goes_on(read, problems, broken):
    texts = read(duee(), broken, duee(), format="duee")
    assert len(texts) == 2
    (problem,) = problems
    assert (problem.kind, problem.line) == ("bad record", 2)


@pytest.mark.parametrize(
    "entry",
    [
        7,
        {},
        {"event_type": " "},
        {"event_type": "质押", "trigger": "质押", "trigger_start_index": "10"},
        {"event_type": "质押", "trigger": "质押", "trigger_start_index": True},
        {"event_type": "质押", "arguments": 5},
    ],
)
def test_a_broken_event_is_reported_and_its_neighbours_stay(read, problems, entry):
    record = duee()
    (text,) = read(record | {"event_list": [entry, *record["event_list"]]}, format="duee")
    assert len(text.events) == 1
    assert problems.kinds() == {"bad annotation": 1}
    assert "event 1" in problems[0].message


def test_our_lines_may_be_written_by_hand(read, problems):
    record = {
        "text": TEXT,
        "events": [{"type": "质押", "trigger": "又", "arguments": [{"role": "obj", "text": "海湾信托"}]}],
        "relations": [{"predicate": "质押给", "subject": "云岭矿业", "object": {"text": "海湾信托"}}],
    }
    (text,) = read(record)
    assert text.events == (Event("质押", (Argument("obj", at("海湾信托")),), at("又")),)
    assert text.relations == (Relation("质押给", at("云岭矿业"), at("海湾信托")),)
    assert problems == []


def test_scores_are_checked(read, problems):
    record = {
        "text": TEXT,
        "entities": [
            {"type": "机构", "text": "江南银行", "score": 2},
            {"type": "机构", "text": "海湾信托", "score": 0.5},
        ],
    }
    (text,) = read(record)
    assert text.entities == (Entity("机构", at("海湾信托"), 0.5),)
    assert problems.kinds() == {"bad annotation": 1}


def test_doccano_sequence_labels(read, problems):
    start = at("江南银行").start
    (text,) = read(
        {"id": 3, "text": TEXT, "label": [[start, start + 4, "机构"], [5, 3, "机构"], [0, 999, "机构"], "x"]}
    )
    assert text.entities == (Entity("机构", at("江南银行")),)
    assert text.id == "3"
    assert problems.kinds() == {"not in the text": 2, "bad annotation": 1}


def test_doccano_triggers_by_the_bare_name_of_a_type(read, problems):
    trigger, obj = at("质押"), at("江南银行")
    record = {
        "text": TEXT,
        "entities": [
            {"id": 10, "label": "质押", "start_offset": trigger.start, "end_offset": trigger.end},
            {"id": 11, "label": "机构", "start_offset": obj.start, "end_offset": obj.end},
        ],
        "relations": [
            {"id": 1, "from_id": 10, "to_id": 11, "type": "obj"},
            {"id": 2, "from_id": 10, "to_id": 99, "type": "obj"},
        ],
    }
    (with_schema,) = read(record, format="doccano", schema=SCHEMA)
    assert with_schema.events == (Event("质押", (Argument("obj", obj),), trigger),)
    assert with_schema.entities == (Entity("机构", obj),)  # labelled as an entity, not as the role
    assert problems.kinds() == {"bad annotation": 1}
    (without,) = read(record, format="doccano")
    assert without.events == ()
    assert without.relations == (Relation("obj", trigger, obj),)


def test_doccano_spans_with_one_id(read, problems):
    start = at("江南银行").start
    one = {"id": 1, "label": "机构", "start_offset": start, "end_offset": start + 4}
    (text,) = read({"text": TEXT, "entities": [one, one | {"label": "银行"}]})
    assert [entity.type for entity in text.entities] == ["机构", "银行"]
    assert problems.kinds() == {"bad annotation": 1}


def label_studio(result: list, **task) -> dict:
    return {"id": 5, "data": {"text": TEXT}, "annotations": [{"result": result}]} | task


def span_of(id: str, span: Span, *labels: str, shift: int = 0) -> dict:
    value = {"start": span.start + shift, "end": span.end + shift, "text": span.text, "labels": list(labels)}
    return {"id": id, "type": "labels", "from_name": "label", "to_name": "text", "value": value}


def test_label_studio_with_offsets_of_an_old_export(read, problems):
    """Old versions count UTF-16 units: everything behind the emoji is one further on."""
    first, second = at("质押", 14), at("股权", 20)
    result = [span_of("a", first, "质押触发词", shift=1), span_of("b", second, "share", shift=1)]
    result.append({"type": "relation", "from_id": "b", "to_id": "a", "direction": "left", "labels": ["share"]})
    (text,) = read(json.dumps([label_studio(result)]), name="in.json")
    assert text.events == (Event("质押", (Argument("share", second),), first),)
    assert problems.kinds() == {"offset repaired": 2}


def test_label_studio_annotators_and_predictions(read, problems):
    entity = [span_of("a", at("江南银行"), "机构")]
    cancelled = label_studio([], annotations=[{"was_cancelled": True, "result": []}, {"result": entity}])
    two = label_studio([], annotations=[{"result": entity}, {"result": []}])
    predicted = label_studio([], annotations=[], predictions=[{"result": entity}])
    texts = read(json.dumps([cancelled, two, predicted]), name="in.json")
    assert [len(text.entities) for text in texts] == [1, 1, 1]
    assert problems.kinds() == {"other annotators": 1}


def test_label_studio_spans_need_one_label(read, problems):
    result = [
        span_of("a", at("江南银行")),
        span_of("b", at("江南银行"), "机构", "银行"),
        span_of("c", at("云岭矿业"), "机构"),
        span_of("d", at("云岭矿业"), " "),
    ]
    (text,) = read(json.dumps([label_studio(result)]), name="in.json")
    assert text.entities == (Entity("机构", at("云岭矿业")),)
    assert problems.kinds() == {"bad annotation": 3}


def test_labels_of_tools_without_a_name_in_them_are_entities(read, problems):
    start = at("江南银行").start
    labels = [[start, start + 4, "触发词"], [start, start + 4, " trigger"], [start, start + 4, "阶段="]]
    (text,) = read({"text": TEXT, "label": labels})
    assert [entity.type for entity in text.entities] == ["触发词", " trigger", "阶段="]
    assert text.events == ()


def test_packed_files_and_halves_of_surrogate_pairs(tmp_path, problems):
    line = '{"text": "\\ud83d甲公司", "entities": [{"type": "机构", "text": "甲公司"}]}\n'
    with lzma.open(tmp_path / "in.jsonl.xz", "wt", encoding="utf-8") as file:
        file.write(line)
    (text,) = read_annotations(tmp_path / "in.jsonl.xz", on_problem=problems.append)
    assert text.text == "\ufffd甲公司"
    assert text.entities == (Entity("机构", Span(1, 4, "甲公司")),)


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "holds no record"), ('{"a": 1}', "keys a cannot be told"), (None, "does not exist")],
)
def test_a_file_whose_format_cannot_be_told(tmp_path, content, said):
    path = tmp_path / "in.jsonl"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(AnnotationError, match=said):
        list(read_annotations(path))


def test_an_unknown_format_is_answered_with_those_there_are(tmp_path):
    with pytest.raises(AnnotationError, match=r"'brat'.*ironwok, duee, duee-fin, doccano, label-studio"):
        list(read_annotations(tmp_path / "x", format="brat"))


def test_a_failed_conversion_leaves_the_old_file(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text("old", encoding="utf-8")

    def texts():
        yield TEXTS[0]
        raise RuntimeError("the reader dies")

    with pytest.raises(RuntimeError):
        write_annotations(texts(), path, format="ironwok")
    assert path.read_text(encoding="utf-8") == "old"


def test_a_text_of_100000_characters_is_quick_enough_to_search(read, problems):
    text = "甲公司" * 33_333 + "乙"
    record = {
        "text": text,
        "event_list": [{"event_type": "质押", "arguments": [{"role": "sub", "argument": "甲公司"}]}],
    }
    (found,) = read(record, format="duee-fin")
    assert found.events[0].arguments[0].span == Span(0, 3, "甲公司")
    assert problems.kinds() == {"place chosen": 1}


def test_every_kind_of_problem_has_an_outcome():
    assert set(OUTCOMES.values()) == {"lost", "repaired", "noted"}
