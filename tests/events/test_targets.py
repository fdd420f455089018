"""Annotations to cells, and cells back to annotations."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from extraction_samples import ENTITIES, EVENTS, RELATIONS, SCHEMA, marked, save_encoder
from ironwok.errors import CheckpointError, InputError, SchemaError
from ironwok.events.annotations import AnnotatedText
from ironwok.events.classes import TaskClasses
from ironwok.events.decoding import DecodingOptions
from ironwok.events.locating import WindowScores, read_window, results_of
from ironwok.events.schema import EntityType, EventType, Role, Schema, SpanClass
from ironwok.events.targets import Cell, Misfits, Targets, targets_of
from ironwok.results import Argument, Entity, Event, Span
from ironwok.text.tokenizer import load_tokenizer
from ironwok.text.windows import Window, windows_for

OFFSET = 1


def characters(text: str) -> Window:
    """A window with a token for every character."""
    offsets = tuple((i, i + 1) for i in range(len(text)))
    return Window(Span(0, len(text), text), 0, len(text) - 1, tuple(range(len(text))), offsets)


def cells_as_scores(targets: Targets, classes: TaskClasses, length: int) -> WindowScores:
    """The scores of a model that is sure of exactly these cells."""

    def table(cells: frozenset[Cell], count: int) -> np.ndarray:
        scores = np.full((count, length, length), -8.0, dtype=np.float32)
        for kind, first, second in cells:
            scores[kind, first, second] = 8.0
        return scores

    links = len(classes.links)
    return WindowScores(
        table(targets.spans, len(classes.spans)),
        table(targets.heads, links) if links else None,
        table(targets.tails, links) if links else None,
    )


def decoded(scores: WindowScores, window: Window, text: str, classes: TaskClasses):
    options = DecodingOptions()
    reading = read_window(scores, classes, offset=OFFSET, options=options)
    return results_of(reading, window, text, classes, offset=OFFSET, options=options)


def without_scores(results) -> set:
    plain = set()
    for result in results:
        record = result.to_dict()
        if isinstance(result, Event):
            arguments = frozenset((a.role, a.span, a.value) for a in result.arguments)
            plain.add((result.type, result.trigger, arguments))
        else:
            plain.add(tuple(sorted((k, str(v)) for k, v in record.items() if k != "score")))
    return plain


@pytest.mark.parametrize(
    ("task", "text"),
    [("events", t) for t in EVENTS] + [("entities", t) for t in ENTITIES] + [("relations", t) for t in RELATIONS],
)
def test_what_is_encoded_is_decoded_again(task: str, text: AnnotatedText) -> None:
    classes = TaskClasses.of(task, SCHEMA)
    window = characters(text.text)
    misfits = Misfits()
    targets = targets_of(text, window, classes, offset=OFFSET, misfits=misfits)
    scores = cells_as_scores(targets, classes, len(text.text) + 2)
    found, cuts = decoded(scores, window, text.text, classes)
    assert without_scores(found) == without_scores(getattr(text, task))
    assert (misfits.split, misfits.lost, misfits.alone, cuts.nodes, cuts.cliques) == (0, 0, 0, 0, 0)


def test_cells_by_hand() -> None:
    text, spans = marked("[a:甲]买[b:乙丙]")
    event = Event("收购", (Argument("买方", spans["a"]), Argument("标的", spans["b"])), Span(1, 2, "买"))
    schema = Schema(events=(EventType("收购", (Role("买方"), Role("标的"))),))
    classes = TaskClasses.of("events", schema)
    assert classes.spans == (
        SpanClass("收购", None, None),
        SpanClass("收购", "买方", None),
        SpanClass("收购", "标的", None),
    )
    targets = targets_of(AnnotatedText(text, (event,)), characters(text), classes, offset=1)
    # [CLS] 甲 买 乙 丙 [SEP]
    assert targets.spans == {Cell(0, 2, 2), Cell(1, 1, 1), Cell(2, 3, 4)}
    assert targets.heads == {Cell(0, 1, 2), Cell(0, 2, 3), Cell(0, 1, 3)}
    assert targets.tails == {Cell(0, 1, 2), Cell(0, 2, 4), Cell(0, 1, 4)}
    assert targets.array("spans").tolist() == [[0, 2, 2], [1, 1, 1], [2, 3, 4]]


def test_a_value_without_a_trigger_stands_at_the_first_token() -> None:
    classes = TaskClasses.of("events", SCHEMA)
    part = classes.numbers[SpanClass("停电", "程度", "部分")]
    assert part in classes.anchored
    assert classes.numbers[SpanClass("收购", "阶段", "完成")] not in classes.anchored
    targets = targets_of(EVENTS[2], characters(EVENTS[2].text), classes, offset=1)
    assert Cell(part, 0, 0) in targets.spans


def test_an_event_cut_by_a_window_keeps_what_lies_inside() -> None:
    text = EVENTS[1]
    whole = characters(text.text)
    half = Window(Span(0, 11, text.text[:11]), 0, 10, whole.token_ids[:11], whole.offsets[:11])
    classes = TaskClasses.of("events", SCHEMA)
    targets = targets_of(text, half, classes, offset=0)
    found = {classes.spans[cell.kind][1:] for cell in targets.spans}
    # the buyer also stands in the second purchase and, as the one who is sued, in the third event
    assert found == {(None, None), ("买方", None), ("标的", None), ("阶段", "完成"), ("被告", None)}


def test_counts_what_the_tokens_cannot_express() -> None:
    text = "abc  def"
    window = Window(Span(0, 8, text), 0, 1, (1, 2), ((0, 3), (5, 8)))
    entities = (Entity("公司", Span(0, 2, "ab")), Entity("公司", Span(3, 5, "  ")), Entity("时间", Span(5, 8, "def")))
    misfits = Misfits()
    annotated = AnnotatedText(text, entities=entities)
    targets = targets_of(annotated, window, TaskClasses.of("entities", SCHEMA), offset=0, misfits=misfits)
    assert (misfits.split, misfits.lost) == (1, 1)
    assert targets.spans == {Cell(0, 0, 0), Cell(1, 1, 1)}


def test_an_event_with_nothing_to_find_it_by_is_counted() -> None:
    misfits = Misfits()
    empty = AnnotatedText("一句话", (Event("起诉"),))
    targets = targets_of(empty, characters("一句话"), TaskClasses.of("events", SCHEMA), offset=1, misfits=misfits)
    assert misfits.alone == 1
    assert targets == Targets()


def test_a_span_from_the_first_token_into_the_text_is_none() -> None:
    classes = TaskClasses.of("events", SCHEMA)
    scores = cells_as_scores(Targets(), classes, 5)
    scores.spans[classes.numbers[SpanClass("停电", "程度", "部分")], 0, 2] = 8.0
    scores.spans[classes.numbers[SpanClass("停电", "地点", None)], 0, 0] = 8.0
    found, _ = decoded(scores, characters("南桥镇"), "南桥镇", classes)
    assert found == ()


def test_offsets_of_windows_are_those_of_the_text(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(save_encoder(tmp_path / "encoder"))
    filler = "今天的天气很好，我们在河边散步。"
    text, spans = marked(filler * 4 + "[a:云岭矿业]昨天[t:买下][b:江南茶厂]。" + filler)
    event = Event("收购", (Argument("买方", spans["a"]), Argument("标的", spans["b"])), spans["t"])
    annotated = AnnotatedText(text, (event,))
    classes = TaskClasses.of("events", SCHEMA)
    found = set()
    for window in windows_for(text, tokenizer, max_tokens=30, overlap=8):
        targets = targets_of(annotated, window, classes, offset=1)
        scores = cells_as_scores(targets, classes, len(window.token_ids) + 2)
        results, _ = decoded(scores, window, text, classes)
        found |= without_scores(results)
    assert without_scores((event,)) <= found


# -- classes


def test_classes_do_not_depend_on_the_order_of_the_schema() -> None:
    turned = Schema(events=tuple(reversed(SCHEMA.events)), entities=tuple(reversed(SCHEMA.entities)))
    assert TaskClasses.of("events", turned).spans == TaskClasses.of("events", SCHEMA).spans
    assert TaskClasses.of("entities", turned).spans == TaskClasses.of("entities", SCHEMA).spans


def test_a_schema_without_the_task_is_refused() -> None:
    with pytest.raises(SchemaError, match="no events, only entities"):
        TaskClasses.of("events", Schema(entities=(EntityType("公司"),)))
    with pytest.raises(InputError, match="'event' is none of"):
        TaskClasses.of("event", SCHEMA)


def test_a_schema_that_was_changed_in_the_saved_configuration_is_noticed() -> None:
    class Config:
        task = "events"

    config = Config()
    for name, value in TaskClasses.of("events", SCHEMA).config().items():
        setattr(config, name, value)
    assert TaskClasses.from_config(config, place="out").schema.fingerprint == SCHEMA.fingerprint
    config.schema["event"][0]["roles"].append("新角色")
    with pytest.raises(CheckpointError, match="it was changed after training"):
        TaskClasses.from_config(config, place="out")
    config.schema = {}
    with pytest.raises(CheckpointError, match="no usable schema"):
        TaskClasses.from_config(config, place="out")


def test_decoding_needs_no_model() -> None:
    import subprocess

    code = "import sys, ironwok.events.decoding, ironwok.events.merging; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
