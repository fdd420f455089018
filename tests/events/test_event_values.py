"""Events, entities and relations as values: what they refuse, and that they come back from JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwok.errors import InputError
from ironwok.events import AnnotatedText
from ironwok.results import Argument, Entity, Event, Relation, Span

TEXT = "云岭矿业把三成股权质押给江南银行📌。"
spans = st.tuples(st.integers(0, len(TEXT) - 1), st.integers(1, 6)).map(
    lambda place: Span(place[0], min(sum(place), len(TEXT)), TEXT[place[0] : sum(place)])
)
scores = st.floats(0, 1)
names = st.sampled_from(("质押", "sub", "公司"))


@st.composite
def events(draw):
    trigger = draw(st.none() | spans)
    places = st.builds(Argument, names, spans, scores)
    values = st.builds(Argument, names, st.just(trigger), scores, st.just("正式"))
    arguments = draw(st.lists(places | values, max_size=4))
    lowest = 0 if trigger is None else -1
    pairs = [(a, b) for a in range(lowest, len(arguments)) for b in range(a + 1, len(arguments))]
    unlinked = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    trigger_score = 1.0 if trigger is None else draw(scores)
    return Event(draw(names), tuple(arguments), trigger, draw(scores), trigger_score, tuple(unlinked))


@given(st.lists(events(), max_size=3), st.lists(st.builds(Entity, names, spans, scores), max_size=2))
def test_an_annotated_text_comes_back_from_json(found, entities):
    relations = tuple(Relation("持有", one.span, one.span, one.score) for one in entities)
    text = AnnotatedText(TEXT, tuple(found), tuple(entities), relations, "7", {"title": "题"})
    assert AnnotatedText.from_dict(json.loads(json.dumps(text.to_dict(), ensure_ascii=False))) == text


@given(events(), st.integers(0, 50))
def test_moving_there_and_back_changes_nothing(event, by):
    moved = event.moved(by)
    assert moved.moved(-by) == event
    assert [span.start - by for span in moved.spans] == [span.start for span in event.spans]


def test_the_spans_of_an_event_are_its_places_in_order():
    event = Event(
        "质押",
        (Argument("obj", Span(12, 16, "江南银行")), Argument("sub", Span(0, 4, "云岭矿业"))),
        Span(9, 11, "质押"),
    )
    assert [span.text for span in event.spans] == ["云岭矿业", "质押", "江南银行"]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Argument("role", None),
        lambda: Argument(" ", Span(0, 1, "甲")),
        lambda: Argument("role", Span(0, 1, "甲"), score=1.5),
        lambda: Argument("role", Span(0, 1, "甲"), score=float("nan")),
        lambda: Entity("", Span(0, 1, "甲")),
        lambda: Relation("", Span(0, 1, "甲"), Span(0, 1, "甲")),
        lambda: Event("", ()),
        lambda: Event("A", (), score=-0.1),
        lambda: Event("A", (Argument("x", Span(0, 1, "甲")),), unlinked=((-1, 0),)),
        lambda: Event("A", (Argument("x", Span(0, 1, "甲")),), Span(1, 2, "乙"), unlinked=((0, 0),)),
        lambda: Event("A", (Argument("x", Span(0, 1, "甲")),), Span(1, 2, "乙"), unlinked=((-1, 1),)),
    ],
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(InputError):
        wrong()


def test_an_argument_reads_as_its_value_or_its_words():
    assert Argument("环节", Span(0, 2, "上市"), value="正式").text == "正式"
    assert Argument("公司", Span(0, 2, "甲司")).text == "甲司"
