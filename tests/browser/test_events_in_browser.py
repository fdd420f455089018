"""Events on the page, in a real browser: spans, cards, graphs, tables, and what can be taken away."""

from __future__ import annotations

import csv
import io
import time
from datetime import date
from pathlib import Path

import pytest

from ironwok.reading import render
from ironwok.results import (
    Argument,
    Classification,
    DocumentResult,
    Entity,
    Event,
    EventsAsked,
    PassageResult,
    Report,
    Span,
)

pytestmark = pytest.mark.browser

TEXT = "😀云岭矿业把三成股权质押给江南银行，云岭矿业又为海湾信托担保。"
ASKED = EventsAsked(
    "finance",
    (("质押", ("sub", "share", "obj", "阶段")), ("担保", ("sub", "obj"))),
    {"质押": "质押股份 | a pledge", "质押/sub": "质押方 | pledgor", "担保/sub": "担保方 | guarantor"},
)


def at(words: str, after: int = 0) -> Span:
    start = TEXT.index(words, after)
    return Span(start, start + len(words), words)


PLEDGE = Event(
    "质押",
    (
        Argument("sub", at("云岭矿业"), 0.9),
        Argument("share", at("三成"), 0.8),
        Argument("obj", at("江南银行"), 0.7),
        Argument("阶段", at("质押"), 0.6, "首次"),
    ),
    at("质押"),
    0.85,
    0.95,
    ((-1, 1), (0, 2)),
)
# 云岭矿业 is an argument of both; 江南银行 has two roles in one event
GUARANTEE = Event("担保", (Argument("sub", at("云岭矿业")), Argument("obj", at("海湾信托"))), at("担保"), score=0.45)
EVIL = "</script><img src=x>"


def passage(number: int, text: str, events: tuple[Event, ...], label: str | None) -> PassageResult:
    found = None if label is None else Classification(text, (label, "其他"), (0.75, 0.25))
    return PassageResult(f"in/{number}.txt", None, 0, Span(0, len(text), text), classification=found, events=events)


def write(folder: Path, *, labelled: bool) -> str:
    evil = Event("质押", (Argument("sub", Span(0, len(EVIL), EVIL)),), score=0.99)
    inside = [(TEXT, (PLEDGE, GUARANTEE)), (EVIL, (evil,)), ("没有事件的一段。", ())]
    documents = tuple(
        DocumentResult(
            f"in/{n}.txt", None, None, (one := passage(n, text, events, "金融" if labelled else None),),
            classification=one.classification,
        )
        for n, (text, events) in enumerate(inside)
    )  # fmt: skip
    report = Report(
        documents, (), folder, ("in",), labels=("金融", "其他") if labelled else (), model="m" * labelled, events=ASKED
    )
    path = folder / "index.html"
    path.write_text(render(report, language="en", made=date(2026, 1, 2), version="1"), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    return write(tmp_path_factory.mktemp("events"), labelled=False)


@pytest.fixture
def open_page(browser):
    def open_address(address: str):
        browser.get("about:blank")
        browser.get(address)
        return browser

    yield open_address
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def texts(browser, selector: str) -> list[str]:
    return [element.text for element in browser.find_elements("css selector", selector)]


def test_the_text_is_whole_and_its_spans_are_marked(open_page, page):
    browser = open_page(page)
    passage_text = browser.execute_script(
        "const p = document.querySelector('.document .passage').cloneNode(true);"
        "p.querySelector('.events').remove(); return p.textContent"
    )
    assert passage_text == TEXT
    assert texts(browser, ".document .passage .span") == [
        "云岭矿业", "三成", "质押", "江南银行", "海湾信托", "担保",
    ]  # fmt: skip
    # the trigger carries the enumerated value, too: a line of its colour under it
    assert len(browser.find_elements("css selector", ".document .passage .span.trigger i.role")) == 1


def test_a_card_has_the_graph_and_the_arguments(open_page, page):
    browser = open_page(page)
    first, second = browser.find_elements("css selector", ".document .event")
    assert first.find_element("css selector", "h3").text.split("\n") == ["质押", ".85", "a pledge · 2 links missing"]
    # five members: ten pairs, of which two are not linked
    assert len(first.find_elements("css selector", ".graph circle")) == 5
    assert len(first.find_elements("css selector", ".graph .link")) == 8
    assert len(first.find_elements("css selector", ".graph .unlinked")) == 2
    assert [one.text for one in first.find_elements("css selector", "dt")] == [
        "trigger",
        "pledgor",
        "share",
        "obj",
        "阶段",
    ]
    assert [one.text for one in first.find_elements("css selector", "dd .words")] == [
        "质押", "云岭矿业", "三成", "江南银行", "首次",
    ]  # fmt: skip
    assert [one.text for one in second.find_elements("css selector", "dt")] == ["trigger", "guarantor", "obj"]


def test_pointing_at_a_card_lights_up_its_spans(open_page, page):
    from selenium.webdriver import ActionChains

    browser = open_page(page)
    second = browser.find_elements("css selector", ".document .event")[1]
    ActionChains(browser).move_to_element(second).perform()
    assert texts(browser, ".span.lit") == ["云岭矿业", "海湾信托", "担保"]
    ActionChains(browser).move_to_element(browser.find_element("css selector", "h1")).perform()
    assert texts(browser, ".span.lit") == []


def test_types_filter_documents_spans_and_cards(open_page, page):
    browser = open_page(page)
    assert [row.split("\n") for row in texts(browser, ".types .row")] == [["质押", "2", "2"], ["担保", "1", "1"]]
    browser.find_element("css selector", "[data-key=type1]").click()
    assert texts(browser, ".list .title") == ["0.txt"]
    assert texts(browser, ".document .passage .span") == ["云岭矿业", "海湾信托", "担保"]
    assert len(browser.find_elements("css selector", ".document .event")) == 1


def test_doubtful_events_can_be_hidden(open_page, page):
    from selenium.webdriver import Keys

    browser = open_page(page)
    browser.find_element("css selector", "[data-key=minimum]").send_keys(Keys.ARROW_RIGHT * 10)
    assert texts(browser, ".document .event h3 .name") == ["质押"]
    browser.find_element("css selector", "[data-key=viewevents]").click()
    assert texts(browser, ".count") == ["2 events"]


def test_a_table_for_every_type_and_its_csv(open_page, page):
    browser = open_page(page)
    browser.find_element("css selector", "[data-key=viewevents]").click()
    first, second = browser.find_elements("css selector", ".table")
    assert [one.text for one in first.find_elements("css selector", "th")] == [
        "trigger", "pledgor", "share", "obj", "阶段", "Document", "Score",
    ]  # fmt: skip
    rows = [
        [cell.text for cell in row.find_elements("css selector", "td")]
        for row in first.find_elements("css selector", "tbody tr")
    ]
    assert rows == [
        ["质押", "云岭矿业", "三成", "江南银行", "首次", "0.txt", ".85"],
        ["", EVIL, "", "", "", "1.txt", ".99"],
    ]
    # what the button saves
    text = browser.execute_script("return csvOf(1, DATA.documents[0].passages[0].events.slice(1), TYPES[1].roles)")
    (row,) = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    assert (row["type"], row["trigger"], row["sub"], row["obj"]) == ("担保", "担保", "云岭矿业", "海湾信托")
    second.find_element("css selector", ".source").click()
    assert browser.find_element("css selector", ".document h2").text == "0.txt"


def test_the_page_speaks_both_languages_about_roles(open_page, page):
    browser = open_page(page)
    browser.find_element("css selector", "[data-key=language]").click()
    assert texts(browser, ".document .event:first-child dt")[:2] == ["触发词", "质押方"]


def test_an_event_that_reaches_into_the_passage_before(open_page, tmp_path):
    from selenium.webdriver import ActionChains

    cut = TEXT.index("，") + 1
    halves = (Span(0, cut, TEXT[:cut]), Span(cut, len(TEXT), TEXT[cut:]))
    trigger = at("担保")
    event = Event("担保", (Argument("sub", at("云岭矿业")), Argument("obj", at("海湾信托"))), trigger)
    passages = tuple(
        PassageResult("in/0.txt", None, n, span, events=(event,) if n else ()) for n, span in enumerate(halves)
    )
    report = Report((DocumentResult("in/0.txt", None, None, passages),), (), tmp_path, ("in",), events=ASKED)
    path = tmp_path / "index.html"
    path.write_text(render(report, language="en", made=date(2026, 1, 2), version="1"), encoding="utf-8")
    browser = open_page(path.as_uri())
    first, second = browser.find_elements("css selector", ".document .passage")
    assert [one.text for one in first.find_elements("css selector", ".span")] == ["云岭矿业"]
    assert [one.text for one in second.find_elements("css selector", ".span")] == ["海湾信托", "担保"]
    card = second.find_element("css selector", ".event")
    assert [one.text for one in card.find_elements("css selector", ".words")] == ["担保", "云岭矿业", "海湾信托"]
    ActionChains(browser).move_to_element(card).perform()
    assert texts(browser, ".span.lit") == ["云岭矿业", "海湾信托", "担保"]


def test_evil_text_in_an_event_stays_text(open_page, page):
    browser = open_page(page)
    browser.find_elements("css selector", ".list button")[1].click()
    assert texts(browser, ".document .passage .span") == [EVIL]
    assert browser.find_elements("css selector", "img") == []


def test_labels_and_events_stand_side_by_side(open_page, tmp_path):
    browser = open_page(write(tmp_path, labelled=True))
    assert len(browser.find_elements("css selector", ".overview .labels")) == 2
    assert texts(browser, ".document .note .name") == ["金融"]
    assert len(browser.find_elements("css selector", ".document .event")) == 2
    browser.find_element("css selector", "[data-key=type1]").click()
    assert texts(browser, ".list .title") == ["0.txt"]


@pytest.mark.parametrize("width", [390, 800, 1280])
def test_no_width_needs_sideways_scrolling(start_browser, page, width):
    browser = start_browser(width, 900)
    browser.get(page)
    if width < 800:
        browser.find_element("css selector", ".list button").click()
    for view in ("documents", "passages", "events"):
        browser.find_element("css selector", f"[data-key=view{view}]").click()
        time.sleep(0.05)
        wide, inside = browser.execute_script(
            "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert wide <= inside, view


def test_entities_are_spans_of_their_type_and_tables(open_page, tmp_path):
    asked = EventsAsked(
        "entities", (("公司", ("公司",)), ("金额", ("金额",))), {"公司/公司": "公司名 | a firm"}, task="entities"
    )
    entities = (
        Entity("公司", at("云岭矿业"), 0.9),
        Entity("公司", at("海湾信托"), 0.8),
        Entity("金额", at("三成"), 0.7),
    )
    one = PassageResult("in/0.txt", None, 0, Span(0, len(TEXT), TEXT), entities=entities)
    report = Report((DocumentResult("in/0.txt", None, None, (one,)),), (), tmp_path, ("in",), events=asked)
    path = tmp_path / "index.html"
    path.write_text(render(report, language="en", made=date(2026, 1, 2), version="1"), encoding="utf-8")
    browser = open_page(path.as_uri())
    assert texts(browser, ".document .passage .span") == ["云岭矿业", "三成", "海湾信托"]
    assert browser.find_elements("css selector", ".document .event") == []
    assert "3 entities" in browser.find_element("css selector", ".top .meta").text
    assert browser.find_element("css selector", ".document .passage .span").get_attribute("title") == "a firm · 公司"
    browser.find_element("css selector", "[data-key=viewevents]").click()
    assert texts(browser, ".table tbody .words") == ["云岭矿业", "海湾信托", "三成"]
    assert "TRIGGER" not in browser.find_element("css selector", ".table").text.upper()
