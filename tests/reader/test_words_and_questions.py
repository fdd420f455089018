"""Words, terms and what a question asks for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwok.reader.questions import TYPES, understand
from ironwok.reader.words import CLASSES, placed_terms, stem, terms_of, words_of

TEXT = st.text(alphabet=st.sampled_from("渡轮七点从北港开往林岛，。（）《》abcXYZ İß109 .!\n\t·é😀"), max_size=60)


@given(TEXT)
@settings(max_examples=150)
def test_words_joined_are_the_text(text):
    words = words_of(text)
    assert "".join(word.text for word in words) == text
    assert all(text[word.start : word.end] == word.text for word in words)


@given(TEXT)
@settings(max_examples=150)
def test_terms_stand_where_they_are_said_to(text):
    placed = placed_terms(text)
    assert sorted(term for term, _ in placed) == sorted(terms_of(text))
    for term, place in placed:
        assert 0 <= place < len(text)
        if not term.isascii() and "İ" not in term:  # two characters when small
            assert text[place : place + len(term)].lower() == term


def test_terms_of_both_languages():
    assert terms_of("Ferries 渡轮开") == ["ferr", "渡", "轮", "开", "渡轮", "轮开"]
    assert stem("leaving") == stem("leaves") == "leav"


def test_classes_of_words():
    kinds = {word.text: CLASSES[word.kind] for word in words_of("他在2009年去了北京，ABC（三百）")}
    assert kinds["2009"] == kinds["三百"] == "number"
    assert (kinds["北京"], kinds["ABC"], kinds["，"], kinds["（"]) == ("place", "latin", "pause", "opening")


@pytest.mark.parametrize(
    ("text", "kind"),
    [("0571-88880000", "number"), ("400-820-8820", "number"), ("7:30", "number"), ("2024-05-06", "number"),
     ("1,200.5", "number"), ("a.b+c@x-y.com.cn", "latin"), ("10001@qq.com", "latin")],
)  # fmt: skip
def test_what_is_written_in_one_piece_is_one_word(text, kind):
    words = words_of(f"见{text}，完")
    assert [CLASSES[word.kind] for word in words if word.text == text] == [kind]
    # but a span of years is two
    assert [word.text for word in words_of("2012-2015")] == ["2012", "-", "2015"]


@pytest.mark.parametrize(
    ("question", "kind", "cue", "head"),
    [
        ("谁修了这座桥？", "who", "谁", ""),
        ("誰修了這座橋？", "who", "誰", ""),
        ("渡轮几点开？", "when", "几点", ""),
        ("灯塔有多少级台阶？", "many", "多少", "级台阶"),
        ("灯塔在哪里？", "where", "在哪里", ""),
        ("她毕业于哪个大学？", "which", "哪个", "大学"),
        ("桥为什么关闭？", "why", "为什么", ""),
        ("这条街后来改名为什么？", "what", "什么", ""),
        ("岛上的首府是？", "what", "", ""),
        ("When does the ferry leave?", "when", "When", ""),
        ("How many steps are there?", "many", "How many", ""),
        ("说说灯塔", "other", "", ""),
    ],
)
def test_what_a_question_asks_for(question, kind, cue, head):
    asked = understand(question)
    assert TYPES[asked.kind] == kind
    assert question[slice(*asked.cue)] == cue
    assert asked.head == head


def test_the_words_that_ask_are_not_searched_for():
    assert set(understand("渡轮什么时候开？").terms) == {"渡", "轮", "开", "渡轮"}
    assert set(understand("When does the ferry leave?").terms) == {"ferr", "leav"}
