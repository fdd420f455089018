"""The page does what it shows, in a real browser."""

from __future__ import annotations

import base64
import io
import json
import time

import pytest
from pypdfium2 import PdfDocument

pytestmark = pytest.mark.browser


class Shown:
    """The page as a reader sees it."""

    def __init__(self, browser, address: str) -> None:
        self.browser = browser
        browser.get("about:blank")
        browser.get(address)

    def all(self, selector: str) -> list:
        return self.browser.find_elements("css selector", selector)

    def one(self, selector: str):
        return self.browser.find_element("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        return [element.text for element in self.all(selector)]

    def count(self) -> str:
        # in one step: between two the page may be built anew
        return self.browser.execute_script("return document.querySelector('.count').textContent")

    def press(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self.browser).send_keys(*keys).perform()

    def search(self, text: str) -> None:
        self.browser.execute_script("window.before = document.querySelector('.count')")
        self.one("[type=search]").send_keys(text)
        self.wait(lambda: not self.browser.execute_script("return window.before.isConnected"))

    def wait(self, condition) -> None:
        end = time.monotonic() + 10
        while not condition() and time.monotonic() < end:
            time.sleep(0.02)

    def focused(self) -> str:
        return self.browser.execute_script(
            "return document.activeElement.dataset.key ?? document.activeElement.className"
        )

    def data(self):
        return json.loads(self.one("#data").get_attribute("textContent"))


@pytest.fixture
def shown(browser, small):
    yield Shown(browser, small)
    errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert errors == []


def test_evil_text_is_shown_as_text(shown):
    assert shown.browser.title == "in · Ironwok"
    assert shown.all("img") == []
    assert len(shown.all("script")) == 2
    shown.all(".list button")[-1].click()
    assert shown.one(".document h2").text.startswith("</script><script>document.title='broken'")
    assert "With <b>markup</b> &amp; more." in shown.one(".document .text").text


def test_the_overview_counts(shown):
    rows = [text.split("\n") for text in shown.texts(".row")]
    data = shown.data()
    expected = {
        label: [str(n), str(d)]
        for label, n, d in zip(data["labels"], data["labelPassages"], data["labelDocuments"], strict=True)
    }
    assert {row[0]: row[1:] for row in rows if row[0] in expected} == expected
    without = sum(not p["labels"] for d in data["documents"] for p in d["passages"])
    assert rows[-1] == ["no label", str(without), "0"]


def test_labels_filter(shown):
    shown.one("[data-key=label1]").click()
    total = shown.data()["totals"]["passages"]
    chess = shown.data()["labelPassages"][1]
    assert shown.count() == f"{chess} of {total} passages"
    assert shown.one("[data-key=label1]").get_attribute("aria-pressed") == "true"
    shown.one("[data-key=viewpassages]").click()
    assert len(shown.all(".card")) == chess
    assert {text.split("\n")[0] for text in shown.texts(".card .tag")} == {"棋"}
    shown.one("[data-key=label0]").click()
    assert len(shown.all(".card")) == chess + shown.data()["labelPassages"][0]
    shown.one(".tools .quiet").click()
    assert shown.count() == f"{total} passages"


def test_the_lowest_score_filters(shown):
    from selenium.webdriver import Keys

    shown.one("[data-key=minimum]").send_keys(Keys.ARROW_RIGHT * 14)
    high = sum(p["scores"][0][1] >= 0.7 for d in shown.data()["documents"] for p in d["passages"])
    assert shown.count().startswith(f"{high} of ")
    assert shown.focused() == "minimum"


def test_search_finds_and_marks(shown):
    shown.search("第3篇第5段")
    assert shown.count().startswith("1 of ")
    assert shown.texts(".document mark") == ["第3篇第5段"]
    assert shown.one(".document h2").text == "题目 3"
    assert len(shown.all(".passage.out")) == 8
    assert shown.focused() == "search"
    shown.search("不存在")
    assert shown.one(".nothing").text == "Nothing matches these filters."


def test_an_input_method_is_waited_for(shown):
    """While characters are being chosen the page stays as it is; afterwards it searches."""
    field = shown.one("[type=search]")
    compose = """
        const [field, type, text, composing] = arguments;
        field.value = text;
        field.dispatchEvent(type === "input" ? new InputEvent("input", { bubbles: true, isComposing: composing })
                                             : new CompositionEvent(type, { bubbles: true, data: text }));
    """
    shown.browser.execute_script(compose, field, "input", "di'3", True)
    time.sleep(0.4)
    assert shown.browser.execute_script("return arguments[0].isConnected", field)
    shown.browser.execute_script(compose, field, "compositionend", "第3篇第5段", False)
    shown.wait(lambda: shown.count().startswith("1 of "))
    assert shown.count().startswith("1 of ")


def test_a_document_is_the_running_text_with_every_passage_in_place(shown):
    shown.all(".list button")[3].click()
    data = shown.data()["documents"][3]
    plain = shown.browser.execute_script(
        "const text = document.querySelector('.document .text').cloneNode(true);"
        "text.querySelectorAll('.note').forEach((note) => note.remove()); return text.textContent;"
    )
    assert plain == "".join(p["before"] + p["text"] for p in data["passages"])
    start, end = data["passages"][4]["at"]
    # the offsets count characters, JavaScript counts halves of emoji
    assert "".join([*plain][start:end]) == data["passages"][4]["text"]
    shown.all(".note")[4].click()
    assert shown.all(".note")[4].get_attribute("aria-expanded") == "true"
    assert shown.one(".detail .place").text == f"passage 5 · characters {start}–{end}"
    assert len(shown.all(".detail .scores li")) == 3
    shown.all(".note")[4].click()
    assert shown.all(".detail") == []


def test_what_carries_a_label_is_one_click_away(shown):
    shown.all(".list button")[1].click()
    first = shown.all(".carried button")[0]
    number = int(first.text.split()[1])
    first.click()
    assert shown.focused() == "note"
    assert shown.browser.execute_script("return document.activeElement.ariaLabel").startswith(f"passage {number} ")


def test_from_a_passage_to_its_place_and_back_by_the_address(shown):
    shown.one("[data-key=viewpassages]").click()
    shown.one("[data-key=order] option[value=sure]").click()
    scores = [float(text.split("\n")[1].replace("1.0", "1")) for text in shown.texts(".card .aside > .tag")]
    assert scores == sorted(scores, reverse=True)
    shown.all(".card .source")[0].click()
    assert shown.browser.current_url.partition("#")[2].startswith("d")
    place = shown.browser.current_url
    title = shown.one(".document h2").text
    again = Shown(shown.browser, place)
    assert again.one(".document h2").text == title
    assert again.focused() == "note"


def test_everything_works_from_the_keyboard(shown):
    from selenium.webdriver import Keys

    shown.press("/")
    assert shown.focused() == "search"
    shown.one("[data-key=document0]").send_keys(Keys.ARROW_DOWN)
    assert shown.focused() == "document1"
    shown.press(Keys.ENTER)
    assert shown.one(".list [aria-current]").get_attribute("data-key") == "document1"
    controls = [c for c in shown.all("button:not([aria-hidden]), input, select") if c.is_displayed()]
    assert len(controls) > 20
    assert all((control.accessible_name or "").strip() for control in controls)


def test_the_language_is_switched_in_place(shown):
    shown.one("[data-key=language]").click()
    assert shown.browser.execute_script("return document.documentElement.lang") == "zh-Hans"
    assert "个段落" in shown.count()
    assert shown.focused() == "language"
    shown.one("[data-key=language]").click()
    assert shown.count().endswith("passages")


CONTRAST = """
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
function pixel(colour) {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
}
function luminance([r, g, b]) {
  const linear = [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}
function ground(element) {
  for (; element; element = element.parentElement) {
    const colour = pixel(getComputedStyle(element).backgroundColor);
    if (colour[3] === 255) return colour;
  }
  return [255, 255, 255, 255];
}
return [...document.querySelectorAll(arguments[0])].map((element) => {
  const [a, b] = [luminance(pixel(getComputedStyle(element).color)), luminance(ground(element))].sort((x, y) => y - x);
  return [element.className + " " + element.textContent.slice(0, 12), (a + 0.05) / (b + 0.05)];
});
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_from_its_ground(shown, theme):
    """WCAG AA asks for 4.5."""
    shown.browser.execute_script(f"document.documentElement.dataset.theme = '{theme}'")
    shown.one("[data-key=label0]").click()
    selector = (
        ".tag .name, .tag .score, .quiet, .meta, .path, .number, .row .name, h1, h2, small, .passage, footer p, .count"
    )
    measured = shown.browser.execute_script(CONTRAST, selector)
    assert len(measured) > 50
    assert [(what, round(ratio, 1)) for what, ratio in measured if ratio < 4.5] == []


def test_on_paper_every_document_is_there_in_full(shown):
    printed = shown.browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    pdf = PdfDocument(io.BytesIO(base64.b64decode(printed["data"])))
    text = "".join(page.get_textpage().get_text_range() for page in pdf)
    assert len(pdf) > 1
    for n in range(6):
        assert f"第{n}篇第8段" in text
    assert "Search the text" not in text
    assert shown.all(".paper") == []


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1920])
def test_no_width_needs_sideways_scrolling(start_browser, small, width):
    shown = Shown(start_browser(width, 800), small)
    for view in ("documents", "passages"):
        shown.one(f"[data-key=view{view}]").click()
        assert shown.browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    shown.one("[data-key=viewdocuments]").click()
    shown.all(".list button")[2].click()
    assert shown.one(".document h2").is_displayed()
    assert shown.browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    if width < 900:
        assert not shown.one(".list").is_displayed()
        shown.one(".back").click()
        assert shown.one(".list").is_displayed()


def test_thousands_of_passages_are_built_as_they_are_needed(browser, large):
    shown = Shown(browser, large)
    total = shown.data()["totals"]["passages"]
    assert total > 9000
    assert len(shown.all(".list button")) < 301
    shown.one("[data-key=viewpassages]").click()
    built = len(shown.all(".card"))
    assert built < 500
    browser.execute_script("window.scrollTo(0, document.body.scrollHeight)")
    shown.wait(lambda: len(shown.all(".card")) > built)
    assert len(shown.all(".card")) > built
    shown.search("第299篇第29段")
    assert shown.count() == f"{total:,} 个段落中的 1 个"
    assert len(shown.all(".card")) == 1
