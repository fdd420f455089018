"""The page of `ironwok serve` in a real browser: its buttons, both languages, a phone, and that it asks nobody else."""

from __future__ import annotations

import json
import re
import threading
import time
from urllib.parse import urlsplit

import numpy as np
import pytest

from ironwok.results import Answer, AnswerToken, Argument, Event, Source, Span
from ironwok.serving import Limits, Services, create_app
from ironwok.zero_shot import ZeroShotClassifier

# of Gradio itself, with the pandas of these days
pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio.*")]

PLEDGE = "云岭矿业把三成股权质押给江南银行。<b>"
FERRY = "The ferry leaves at seven."
BREAD = "Bread rises twice. <img src=x onerror=\"document.title='broken'\">"


class LetterScorer:
    """Ten times the share of the label's characters that the text has."""

    def score(self, pairs):
        return np.array([10 * len(set(p.prompt.label) & set(p.text)) / len(set(p.prompt.label)) for p in pairs])


class PledgeExtractor:
    """Knows one sentence."""

    task = "events"

    def extract(self, texts):
        return [self._found(text) for text in texts]

    def _found(self, text):
        def at(words):
            return Span(text.index(words), text.index(words) + len(words), words)

        if "质押" not in text:
            return ()
        arguments = (Argument("质押方", at("云岭矿业")), Argument("股权", at("三成股权")), Argument("比例", at("三成")))
        return (Event("质押", arguments, at("质押"), 0.9),)


class TwoSources:
    """Says a word of every context. Waits for ``go`` after the first."""

    def __init__(self):
        self.go = threading.Event()
        self.go.set()
        self.left = threading.Event()

    def ask(self, question, contexts, *, settings, on_text, on_read):
        tokens, said, sources = [], "", []
        for number, context in enumerate(contexts):
            word = context.text.split()[-1 if number == 0 else 0] + " "
            try:
                on_text(word)
                while not self.go.wait(0.1):
                    on_text("")
            except BaseException:
                self.left.set()
                raise
            tokens.append(AnswerToken(len(said), len(said) + len(word), number))
            said += word
            start = context.text.index(word.strip())
            mark = Span(start, start + len(word.strip()), word.strip())
            whole = Span(0, len(context.text), context.text)
            sources.append(Source(number, whole, 1.0, 0.5, 1 / len(contexts), evidence=mark))
        return Answer(question, said, tuple(tokens), tuple(sources), len(contexts), doubts=("jumping",))


@pytest.fixture(scope="module")
def answerer():
    return TwoSources()


@pytest.fixture(scope="module")
def address(answerer):
    from ironwok.serving.run import Runner, configuration

    services = Services(
        ZeroShotClassifier(scorer=LetterScorer()), "letters", PledgeExtractor(), "pledges", answerer, "two-sources"
    )
    limits = Limits()
    server = Runner(
        configuration(create_app(services, page=True), host="127.0.0.1", port=0, limits=limits, log_level="critical")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    server.should_exit = True
    thread.join(30)
    assert not thread.is_alive(), "open pages keep the server up"


@pytest.fixture(scope="module")
def desktop(start_browser):
    return start_browser(1280, 900)


@pytest.fixture
def page(desktop, address):
    return opened(desktop, address)


def opened(browser, address: str):
    browser.execute_cdp_cmd("Network.enable", {})
    browser.get(address)
    shown(browser, "#do-classify")
    # the words of the language have come from the server
    until(lambda: browser.find_element("css selector", "html").get_attribute("lang") in ("en", "zh-CN"))
    return browser


def until(true, *, seconds: float = 60):
    end = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return value


def shown(browser, selector: str):
    """The elements, as soon as one can be seen."""
    return until(lambda: [one for one in browser.find_elements("css selector", selector) if one.is_displayed()])


def texts(browser, selector: str) -> list[str]:
    return [one.text for one in browser.find_elements("css selector", selector)]


def fill(browser, place: str, text: str) -> None:
    (box,) = browser.find_elements("css selector", f"{place} textarea, {place} input")
    box.clear()
    box.send_keys(text)


def choose(browser, task: str) -> None:
    shown(browser, f"button[role=tab][id^=tab-{task}], #tab-{task}-button")[0].click()


def hue(element) -> str:
    return re.search(r"--hue:\s*\d+", element.get_attribute("style"))[0]


def test_bars_of_labels(page):
    fill(page, "#texts", "主队赢了体育比赛\n财政部发债<b>")
    fill(page, "#labels", "体育，财经")
    page.find_element("css selector", "#do-classify").click()
    shown(page, "#classified .card")
    assert texts(page, "#classified .card .text") == ["主队赢了体育比赛", "财政部发债<b>"]
    rows = page.find_elements("css selector", "#classified .scores li")
    assert [row.find_element("css selector", ".name").text for row in rows] == ["体育", "财经", "财经", "体育"]
    assert hue(rows[0]) == hue(rows[3]) != hue(rows[1])
    # a bar is as long as its score
    drawn = page.execute_script(
        "return [...document.querySelectorAll('#classified .bar')].map((bar) => getComputedStyle(bar).backgroundSize)"
    )
    assert float(drawn[0].split("%")[0]) > 90 > 10 > float(drawn[1].split("%")[0])
    (chosen, _) = page.find_elements("css selector", "#classified .chosen")
    assert chosen.find_element("css selector", ".bar").size["width"] > 100


def test_spans_in_the_colours_of_their_roles(page):
    choose(page, "extract")
    fill(page, "#text", PLEDGE)
    page.find_element("css selector", "#do-extract").click()
    shown(page, "#extracted .running")
    assert page.find_element("css selector", "#extracted .running").get_property("textContent") == PLEDGE
    assert texts(page, "#extracted .legend li") == ["质押方", "比例", "股权", "trigger"]
    marks = page.find_elements("css selector", "#extracted .running span.mark")
    assert [mark.text for mark in marks] == ["云岭矿业", "三成", "股权", "质押"]
    grounds = [mark.value_of_css_property("background-color") for mark in marks]
    assert len(set(grounds[:3])) == 3
    legend = page.find_elements("css selector", "#extracted .legend li")
    assert [hue(one) for one in legend[:3]] == [hue(one) for one in marks[:3]]
    assert "".join(texts(page, "#extracted dd")) == "质押云岭矿业三成股权三成"


def test_words_strip_and_sources_of_an_answer(page):
    choose(page, "answer")
    fill(page, "#contexts", f"{FERRY}\n\n{BREAD}")
    fill(page, "#question", "When?")
    page.find_element("css selector", "#do-answer").click()
    shown(page, "#answered .sources")
    words = page.find_elements("css selector", "#answered .drawn")
    strip = page.find_elements("css selector", "#answered .strip i")
    sources = page.find_elements("css selector", "#answered .sources li")
    assert [word.text.strip() for word in words] == ["seven.", "Bread"]
    assert [hue(word) for word in words] == [hue(one) for one in strip] == [hue(one) for one in sources]
    assert all(piece.size["width"] > 20 for piece in strip)
    assert texts(page, "#answered blockquote") == [FERRY, BREAD]
    assert texts(page, "#answered mark") == ["seven.", "Bread"]
    assert "keeps changing its source" in texts(page, "#answered .doubt")[0]
    assert page.title != "broken"


def test_an_answer_grows_and_can_be_stopped(page, answerer):
    choose(page, "answer")
    fill(page, "#contexts", FERRY)
    fill(page, "#question", "When?")
    answerer.go.clear()
    answerer.left.clear()
    page.find_element("css selector", "#do-answer").click()
    until(lambda: texts(page, "#answered .writing") == ["seven."])
    page.find_element("css selector", "#stop").click()
    assert answerer.left.wait(30)
    answerer.go.set()
    page.find_element("css selector", "#do-answer").click()
    shown(page, "#answered .sources")


def test_what_is_refused_is_said(page):
    page.find_element("css selector", "#do-classify").click()
    assert "at least one text" in shown(page, "#classified .refused")[0].text


def test_samples_fill_in_what_is_asked(page):
    shown(page, ".samples button")[0].click()
    until(
        lambda: page.find_element("css selector", "#labels textarea").get_property("value") == "体育，财经，科技，健康"
    )
    page.find_element("css selector", "#do-classify").click()
    until(lambda: len(page.find_elements("css selector", "#classified .card")) == 4)


def test_the_language_changes_everything_and_is_remembered(page, address):
    def words():
        return texts(page, "button[role=tab]"), page.find_element("css selector", "#do-classify").text

    assert texts(page, "#top h1") == ["Read text that nobody has labelled"]
    fill(page, "#texts", "主队")
    shown(page, "#language label")[1].click()
    until(lambda: texts(page, "#top h1") == ["读懂没有标注的文字"])
    until(lambda: words()[1] == "分类")
    assert {"分类", "抽取", "问答"} <= set(words()[0])
    assert "文本，每行一条" in texts(page, "#texts")[0]
    # what was typed is still there
    assert page.find_element("css selector", "#texts textarea").get_property("value") == "主队"
    opened(page, address)
    until(lambda: words()[1] == "分类")
    shown(page, "#language label")[0].click()
    until(lambda: words()[1] == "Classify")


def test_no_request_leaves_for_another_machine(page, address):
    """All that the browser asked for in this whole module."""
    host = urlsplit(address).netloc
    asked = []
    for entry in page.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.append(message["params"]["request"]["url"])
    assert any("/web/gradio_api/queue/join" in url for url in asked)
    assert [url for url in asked if urlsplit(url).scheme not in ("data", "blob") and urlsplit(url).netloc != host] == []
    # nor did the policy have to hold any back, and nothing was missing
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.parametrize("dark", [False, True])
def test_on_a_phone_nothing_sticks_out(start_browser, address, dark):
    phone = opened(start_browser(390, 800, dark=dark), address)
    fill(phone, "#texts", "主队赢了体育比赛" * 8)
    fill(phone, "#labels", "体育，财经，一个名字特别特别长的标签一个名字特别特别长的标签")
    phone.find_element("css selector", "#do-classify").click()
    shown(phone, "#classified .card")
    choose(phone, "extract")
    fill(phone, "#text", PLEDGE)
    phone.find_element("css selector", "#do-extract").click()
    shown(phone, "#extracted .running")
    wide = phone.execute_script(
        "return [document.documentElement.scrollWidth, ...[...document.querySelectorAll('.iw, .iw *, .asked *')]"
        ".filter((one) => one.offsetParent).map((one) => one.getBoundingClientRect().right)]"
    )
    assert max(wide) <= 390
    ground = phone.execute_script("return getComputedStyle(document.body).backgroundColor")
    light = sum(map(float, ground.split("(")[1].rstrip(")").split(",")[:3])) / 3 > 128
    assert light is not dark
