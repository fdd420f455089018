"""Results as HTML, with a pencil: what is coloured, in which order, and that no text becomes markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwok.results import Answer, AnswerToken, Argument, Classification, Entity, Event, Relation, Source, Span
from ironwok.serving.page import markup
from ironwok.serving.page.words import WORDS, both, word

EVIL = "<img src=x onerror=\"alert('x')\">&amp;"
TEXT = "云岭矿业把三成股权质押给江南银行。"


def at(words: str, text: str = TEXT) -> Span:
    start = text.index(words)
    return Span(start, start + len(words), words)


class Page(HTMLParser):
    """Elements as (tag, attributes, text of their own and of what is inside), and the tags that there are."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], str]] = []
        self.tags: set[str] = set()
        self._open: list[list] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self._open.append([tag, dict(attrs), ""])

    def handle_data(self, data):
        for one in self._open:
            one[2] += data

    def handle_endtag(self, tag):
        found = self._open.pop()
        assert found[0] == tag
        self.elements.append(tuple(found))

    def of(self, kind: str) -> list[tuple[str, dict[str, str | None], str]]:
        return [one for one in self.elements if kind in (one[1].get("class") or "").split()]


def hue(element) -> str:
    return re.search(r"--hue:\d+", element[1]["style"])[0]


def test_every_word_is_there_in_both_languages():
    for name, (english, chinese) in WORDS.items():
        assert english.strip()
        assert chinese.strip()
        assert english.count("{}") == chinese.count("{}")
        assert (word(name, "en"), word(name, "zh")) == (english, chinese)
    assert both("source", "<1>") == '<span lang="en">Text &lt;1&gt;</span><span lang="zh-CN">文本 &lt;1&gt;</span>'


def test_bars_keep_the_colour_of_their_label():
    results = [
        Classification("甲", ("体育", "财经"), (0.8, 0.2)),
        Classification(EVIL, ("财经", "体育"), (0.55, 0.45), abstained=True, evidence=Span(0, 2, "<i")),
    ]
    page = Page(markup.classifications(results, ["体育", "财经"], threshold=0.6))
    rows = [one for one in page.elements if one[0] == "li"]
    assert [row[2] for row in rows] == ["体育80 %", "财经20 %", "财经55 %", "体育45 %"]
    assert hue(rows[0]) == hue(rows[3]) != hue(rows[1]) == hue(rows[2])
    assert [row[1]["class"] for row in rows] == ["chosen", "", "", ""]
    assert "--share:0.8000" in rows[0][1]["style"]
    assert page.of("text")[1][2] == EVIL
    assert "img" not in page.tags
    assert [one[2] for one in page.of("note")] == [WORDS["no_label"][0] + WORDS["no_label"][1], "decided by依据: <i"]


def test_several_labels_may_hold():
    result = Classification("甲", ("a", "b", "c"), (0.9, 0.5, 0.1))
    rows = [one for one in Page(markup.classifications([result], "abc", several=True)).elements if one[0] == "li"]
    assert [row[1]["class"] for row in rows] == ["chosen", "chosen", ""]
    rows = [
        one
        for one in Page(markup.classifications([result], "abc", several=True, threshold=0.7)).elements
        if one[0] == "li"
    ]
    assert [row[1]["class"] for row in rows] == ["chosen", "", ""]


PLEDGE = Event(
    "质押",
    (
        Argument("sub", at("云岭矿业")),
        Argument("share", at("三成股权")),
        Argument("part", at("三成")),
        Argument("阶段", at("质押"), value="首次"),
    ),
    at("质押"),
    0.85,
)


def test_spans_have_the_colours_of_their_roles():
    page = Page(markup.extraction(TEXT, [PLEDGE]))
    (running,) = page.of("running")
    assert running[2] == TEXT
    legend = {one[2]: hue(one) for one in page.elements if one[0] == "li" and "trigger" not in one[1]["class"]}
    assert list(legend) == ["sub", "part", "share"]
    assert len(set(legend.values())) == 3
    marks = [one for one in page.elements if one[0] == "span" and one[1].get("title")]
    assert [(one[2], one[1]["title"]) for one in marks] == [
        ("云岭矿业", "sub"),
        ("三成", "part · share"),  # the shorter one gives the ground, the longer one a line
        ("股权", "share"),
        ("质押", "trigger"),
    ]
    assert hue(marks[1]) == legend["part"]
    (line,) = [one for one in page.elements if one[0] == "i"]
    assert hue(line) == legend["share"]
    rows = [one[2] for one in page.elements if one[0] in ("dt", "dd")]
    assert rows == ["trigger触发词", "质押", "sub", "云岭矿业", "share", "三成股权", "part", "三成", "阶段", "首次"]
    assert "Events: 1" in next(one[2] for one in page.elements if one[0] == "h3")


def test_entities_relations_and_nothing():
    page = Page(markup.extraction(TEXT, [Entity("公司", at("云岭矿业")), Entity("公司", at("江南银行"))]))
    assert [one[2] for one in page.elements if one[1].get("title") == "公司"] == ["云岭矿业", "江南银行"]
    page = Page(markup.extraction(TEXT, [Relation("质押给", at("云岭矿业"), at("江南银行"))]))
    assert [one[2] for one in page.elements if one[0] == "dd"] == ["云岭矿业 → 江南银行"]
    page = Page(markup.extraction(EVIL, []))
    assert page.of("running")[0][2] == EVIL
    assert "img" not in page.tags
    assert page.of("legend") == []


letters = st.text("ab<&雪😀", min_size=1, max_size=12)


@given(letters.flatmap(lambda text: st.tuples(
    st.just(text),
    st.lists(st.tuples(st.integers(0, len(text) - 1), st.integers(1, 5), st.sampled_from("xyz<")), max_size=6),
)))  # fmt: skip
def test_however_spans_lie_the_text_stays(drawn):
    text, places = drawn
    found = []
    for start, length, type in places:
        end = min(start + length, len(text))
        found.append(Entity(type, Span(start, end, text[start:end])))
    page = Page(markup.extraction(text, found))
    (running,) = page.of("running")
    assert running[2] == text
    coloured = "".join(one[2] for one in page.elements if one[0] == "span" and one[1].get("title"))
    inside = {place for one in found for place in range(one.span.start, one.span.end)}
    assert coloured == "".join(letter for place, letter in enumerate(text) if place in inside)


def source(context: int, text: str, share: float, evidence: str | None = None) -> Source:
    mark = None if evidence is None else at(evidence, text)
    return Source(context, Span(0, len(text), text), 1.0, 0.5, share, evidence=mark)


def test_words_and_strip_show_which_text_each_token_came_from():
    said = "At seven, twice <b>."
    answer = Answer(
        "?",
        said,
        (AnswerToken(0, 3, 1), AnswerToken(3, 9, 1), AnswerToken(9, 9, 0), AnswerToken(9, len(said), 0)),
        (
            source(2, "Bread rises twice.", 0.5),
            source(0, "It leaves at seven.", 0.5, "seven"),
            source(1, "Nothing.", 0.0),
        ),
        3,
        doubts=("tie",),
        finished=False,
    )
    page = Page(markup.answered(answer))
    assert page.of("said")[0][2] == said
    words = page.of("drawn")
    assert [(one[2], one[1]["title"]) for one in words] == [("At seven,", "[1]"), (" twice <b>.", "[3]")]
    strip = [one for one in page.elements if one[0] == "i"]
    listed = [one for one in page.elements if one[0] == "li"]
    assert len(listed) == 2  # no word came from the third
    assert hue(words[0]) == hue(strip[0]) == hue(listed[1])
    assert hue(words[1]) == hue(strip[1]) == hue(listed[0])
    assert [re.search(r"--length:(\d+)", one[1]["style"])[1] for one in strip] == ["9", "11"]
    assert [one[2] for one in page.elements if one[0] == "mark"] == ["seven"]
    assert page.of("strip")[0][1]["aria-label"] == "[3] 50 %, [1] 50 %"
    assert [WORDS["tie"][0] in one[2] or WORDS["broken_off"][0] in one[2] for one in page.of("doubt")] == [True, True]


def test_an_answer_without_words_still_shows_what_was_read():
    page = Page(markup.answered(Answer("?", "", (), (source(0, EVIL, 0.0),), 1)))
    assert WORDS["no_answer"][0] in page.of("said")[0][2]
    assert [one[2] for one in page.elements if one[0] == "blockquote"] == [EVIL]
    assert "img" not in page.tags


@pytest.mark.parametrize(
    ("code", "told"), [("queue_full", "try again"), ("timeout", "too long"), ("invalid_request", EVIL)]
)
def test_what_is_refused_is_told(code, told):
    (refused,) = Page(markup.refused(code, EVIL)).of("refused")
    assert told in refused[2]
    assert refused[1]["role"] == "alert"
