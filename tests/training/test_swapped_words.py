"""Copies of annotated texts with other words in the same roles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwok.events.annotations import AnnotatedText
from ironwok.results import Argument, Entity, Event, Relation, Span
from ironwok.training.extraction.swapping import pools_of, swapped, swapped_copies


def span(text: str, words: str, after: int = 0) -> Span:
    start = text.index(words, after)
    return Span(start, start + len(words), words)


def pledge(text: str, who: str, what: str) -> AnnotatedText:
    arguments = (Argument("sub", span(text, who)), Argument("collateral", span(text, what)))
    return AnnotatedText(text, events=(Event("质押", arguments, trigger=span(text, "质押")),))


ONE = pledge("松涛资本公告,松涛资本质押了2亿股。", "松涛资本", "2亿股")
OTHER = pledge("周五青禾农业把全部厂房质押。", "青禾农业", "全部厂房")


def test_words_of_the_same_role_change_places_wherever_they_stand():
    pools = pools_of([OTHER])
    copy = swapped(ONE, pools, np.random.default_rng(0), share=1.0)
    assert copy.text == "青禾农业公告,青禾农业质押了全部厂房。"
    (event,) = copy.events
    assert event.trigger is not None
    assert event.trigger.start == copy.text.index("质押")
    assert [(one.role, one.text) for one in event.arguments] == [("sub", "青禾农业"), ("collateral", "全部厂房")]


def test_nested_words_triggers_values_and_single_characters_stay():
    text = "北京松涛资本质押股"
    arguments = (
        Argument("sub", span(text, "北京松涛资本")),
        Argument("place", span(text, "北京")),
        Argument("collateral", span(text, "股")),
        Argument("stage", span(text, "质押"), value="开始"),
    )
    kept = AnnotatedText(text, events=(Event("质押", arguments, trigger=span(text, "质押")),))
    pools = {"role sub": ["青禾"], "role place": ["上海"], "role collateral": ["房"], "role stage": ["减持"]}
    assert swapped(kept, pools, np.random.default_rng(0), share=1.0) == kept


def test_words_within_other_annotated_words_stay():
    text = "松涛资本与松涛资本管理签约"
    arguments = (Argument("sub", span(text, "松涛资本")), Argument("obj", span(text, "松涛资本管理")))
    both = AnnotatedText(text, events=(Event("签署合同", arguments),))
    copy = swapped(both, {"role sub": ["青禾"], "role obj": ["松涛资本管理"]}, np.random.default_rng(0), share=1.0)
    assert copy.text == "青禾与松涛资本管理签约"


def test_entities_and_relations_come_along():
    text = "林岚任职于松涛资本"
    one = AnnotatedText(
        text,
        entities=(Entity("name", span(text, "林岚")),),
        relations=(Relation("任职于", span(text, "林岚"), span(text, "松涛资本")),),
    )
    pools = {"entity name": ["欧阳青"], "subject 任职于": ["欧阳青"], "object 任职于": ["青禾"]}
    copy = swapped(one, pools, np.random.default_rng(0), share=1.0)
    assert copy.text == "欧阳青任职于青禾"
    assert copy.entities[0].span == copy.relations[0].subject == Span(0, 3, "欧阳青")


@given(st.text(alphabet="甲乙丙", min_size=1, max_size=12), st.data())
def test_every_copy_agrees_with_its_text(text: str, data: st.DataObject):
    places = st.tuples(st.integers(0, len(text) - 1), st.integers(1, 4))
    spans = [
        Span(start, min(start + length, len(text)), text[start : start + length])
        for start, length in data.draw(st.lists(places, min_size=1, max_size=4))
    ]
    arguments = tuple(Argument("role", one) for one in spans)
    annotated = AnnotatedText(text, events=(Event("type", arguments),))
    pools = {"role role": ["", "丁", "戊己庚辛"]}
    copy = swapped(annotated, pools, np.random.default_rng(1), share=1.0)  # AnnotatedText checks every span
    assert len(copy.events[0].arguments) == len(arguments)


def test_copies_are_the_same_for_the_same_seed():
    texts = [ONE, OTHER]
    assert swapped_copies(texts, 2, seed=3) == swapped_copies(texts, 2, seed=3)
    assert len(swapped_copies(texts, 2, seed=3)) == 4
    assert swapped_copies(texts, 0, seed=3) == []


@pytest.mark.parametrize("copies", [1, 3])
def test_copies_hold_other_words(copies: int):
    texts = [ONE, OTHER] * 5
    assert any(copy.text not in (ONE.text, OTHER.text) for copy in swapped_copies(texts, copies, seed=0))
