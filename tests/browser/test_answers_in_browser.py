"""Answers on the page, in a real browser: colours, sources, doubts, the way to the document."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ironwok.reading import render
from ironwok.results import Answer, AnswerToken, DocumentResult, PassageResult, Report, Source, Span

pytestmark = pytest.mark.browser

FERRY = "The ferry to Lindholm leaves at seven. It does not sail on Sundays."
BREAD = "Bread rises twice 😀. <img src=x onerror=\"document.title='broken'\">"


def document(path: str, texts: list[str]) -> DocumentResult:
    passages, start = [], 0
    for number, text in enumerate(texts):
        before = "\n\n" if number else ""
        start += len(before)
        passages.append(PassageResult(path, None, number, Span(start, start + len(text), text), before))
        start += len(text)
    return DocumentResult(path, None, None, tuple(passages))


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    bread = document("in/bread.txt", ["Flour and water.", BREAD])
    place = bread.passages[1].span.start
    said = "At seven, twice 😀."
    answers = (
        Answer(
            "When, <b>exactly</b>?",
            said,
            (AnswerToken(0, 9, 0), AnswerToken(9, len(said), 1)),
            (
                Source(0, Span(0, len(FERRY), FERRY), 20.0, 0.9, 0.5, "in/ferry.md", None, Span(32, 37, "seven")),
                Source(1, Span(place, place + len(BREAD), BREAD), 3.0, 0.1, 0.5, "in/bread.txt"),
            ),
            parts=3,
            doubts=("tie", "jumping"),
        ),
        Answer("Nothing?", "", (), (Source(0, Span(0, len(FERRY), FERRY), 0.5, 0.5, 0.0, "in/ferry.md"),), parts=3),
    )
    report = Report(
        documents=(document("in/ferry.md", [FERRY]), bread),
        skipped=(),
        folder=Path("report"),
        sources=("in",),
        answers=answers,
        answer_model="smollm2",
    )
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(render(report, language="en", made=date(2026, 1, 2), version="1"), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def page(browser, address):
    browser.get("about:blank")
    browser.get(address)
    return browser


def texts(page, selector: str) -> list[str]:
    return [element.text for element in page.find_elements("css selector", selector)]


def hue(page, element) -> str:
    # a custom property is not among those that the driver reads
    value = page.execute_script("return getComputedStyle(arguments[0]).getPropertyValue('--hue').trim()", element)
    assert value
    return value


def test_every_word_has_the_colour_of_its_source(page):
    assert texts(page, ".answer h3") == ["When, <b>exactly</b>?", "Nothing?"]
    assert texts(page, ".answer .said") == ["At seven, twice 😀.", "(no answer)"]
    words = page.find_elements("css selector", ".answer .drawn")
    sources = page.find_elements("css selector", ".answer:first-of-type .sources li")
    assert [word.text for word in words] == ["At seven,", "twice 😀."]
    colours = [word.value_of_css_property("box-shadow") for word in words]
    assert colours[0] != colours[1]
    for word, source in zip(words, sources, strict=True):
        # the same hue in the words, in the strip and at the source
        assert hue(page, word) == hue(page, source)
    strip = page.find_elements("css selector", ".answer .origin > i")
    assert len(strip) == 2
    assert all(piece.size["width"] > 20 for piece in strip)


def test_the_words_of_the_answer_are_marked_in_the_source(page):
    assert texts(page, ".answer blockquote mark") == ["seven"]
    assert texts(page, ".answer blockquote")[1] == BREAD
    assert page.title != "broken"
    assert page.get_log("browser") == []


def test_doubts_are_said_in_both_languages(page):
    (doubt,) = texts(page, ".answer .doubt")
    assert doubt == (
        "The sources do not settle this: several texts fit the question equally well; "
        "the answer keeps changing its source."
    )
    page.find_element("css selector", "[data-key=language]").click()
    (doubt,) = texts(page, ".answer .doubt")
    assert doubt == "来源不足以确定答案：有几段文字与问题同样相符；答案的来源不断变换。"


def test_a_source_leads_to_its_passage(page):
    page.find_elements("css selector", ".answer .sources button")[1].click()
    assert texts(page, "article.document h2") == ["bread.txt"]
    assert page.execute_script("return location.hash") == "#d2p2"


def test_without_labels_and_events_there_is_no_overview_of_them(page):
    assert page.find_elements("css selector", ".overview") == []
    assert len(page.find_elements("css selector", ".list li")) == 2
