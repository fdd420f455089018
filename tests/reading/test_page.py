"""The page: what is in it, and that no text of a document gets out of its data block."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwok.reading import html, render
from ironwok.results import Classification, DocumentResult, PassageResult, Report, Skip, Span

EVIL = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]></style><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }} {% raw %}",
    "a\u2028b\u2029c\x00d\ud800e",
    "&lt;b&gt; \\u003c \\",
    "http://example.com/?a=1&b=2",
]
MADE = date(2026, 1, 2)


class Page(HTMLParser):
    """Elements with their attributes, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in self.raw:
            self.inside = tag
            self.raw[tag].append("")

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside:
            self.raw[self.inside][-1] += data

    @property
    def data(self):
        return json.loads(self.raw["script"][0])


def passage(
    document: str, text: str, *, record: int | None = None, index: int = 0, start: int = 0, label: str = "茶"
) -> PassageResult:
    other = {"茶": "棋", "棋": "茶"}[label]
    found = Classification(text, (label, other), (0.75, 0.25))
    return PassageResult(document, record, index, Span(start, start + len(text), text), classification=found)


def document(path: str, *texts: str, record: int | None = None, title: str | None = None) -> DocumentResult:
    inside = tuple(passage(path, text, record=record, index=n) for n, text in enumerate(texts))
    return DocumentResult(path, record, title, inside, classification=Classification("", ("茶", "棋"), (0.75, 0.25)))


def report(*documents: DocumentResult, **changes) -> Report:
    values = {
        "documents": documents,
        "skipped": (),
        "labels": ("茶", "棋"),
        "multi_label": False,
        "threshold": None,
        "model": "ironwok-small",
        "templates": ("说的是{}",),
        "folder": Path("report"),
        "sources": ("in",),
    }
    return Report(**(values | changes))


def page_of(made: Report, **options) -> Page:
    return Page(render(made, **({"language": "zh", "made": MADE, "version": "1.2.3"} | options)))


def test_the_data_is_the_report():
    two = document("in/b.csv", "下雪。", "下棋。", record=4, title="第五条")
    data = page_of(report(document("in/a.txt", "喝茶。"), two, skipped=(Skip("in/c.bin", "no text", line=3),))).data
    assert (data["labels"], data["labelPassages"], data["labelDocuments"]) == (["茶", "棋"], [3, 0], [2, 0])
    assert data["without"] == {"passages": 0, "documents": 0}
    assert data["totals"] == {
        "documents": 2, "passages": 3, "characters": 9, "events": 0, "shownDocuments": 2, "shownPassages": 3,
    }  # fmt: skip
    assert data["events"] is None
    assert (data["title"], data["made"], data["version"], data["template"]) == ("in", "2026-01-02", "1.2.3", "说的是{}")
    first, second = data["documents"]
    assert (first["name"], first["path"], first["title"]) == ("a.txt", "in/a.txt", None)
    assert (second["name"], second["record"], second["title"]) == ("b.csv", 4, "第五条")
    assert second["passages"][1] == {
        "before": "", "text": "下棋。", "at": [0, 3], "page": None, "labels": [0], "scores": [[0, 0.75], [1, 0.25]],
        "events": [], "marks": [],
    }  # fmt: skip
    assert data["skipped"] == [{"document": "in/c.bin", "record": None, "line": 3, "reason": "no text"}]


@pytest.mark.parametrize("evil", EVIL)
def test_evil_text_stays_data(evil):
    made = report(
        document(f"in/{evil[:20].replace('/', '_')}", evil, title=evil),
        labels=("茶", "棋"), model=evil, templates=(evil,), sources=(evil,), skipped=(Skip(evil, evil),),
    )  # fmt: skip
    page = page_of(made)
    plain = page_of(report(document("in/a.txt", "喝茶。")))
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in plain.elements]
    assert page.raw["script"][1] == plain.raw["script"][1]
    assert page.data["documents"][0]["passages"][0]["text"] == evil
    assert page.data["skipped"][0]["reason"] == evil


def test_evil_labels_stay_text():
    label = "<img src=x onerror=alert(1)>"
    found = Classification("x", (label,), (1.0,))
    one = PassageResult("a.txt", None, 0, Span(0, 1, "x"), classification=found)
    made = report(DocumentResult("a.txt", None, None, (one,), classification=found), labels=(label,), multi_label=True)
    text = render(made, language="en", made=MADE, version="1")
    assert "<img" not in text
    assert Page(text).data["labels"] == [label]


@given(st.text(max_size=60))
@settings(max_examples=200)
def test_any_text_comes_through_a_script_element(text):
    block = html.json_for_script({"text": text})
    assert not set("<>&\u2028\u2029") & set(block)
    assert json.loads(block) == {"text": text}
    block.encode("utf-8")


def test_nothing_is_fetched_from_anywhere():
    page = page_of(report(document("in/a.txt", "喝茶。")))
    for _, attributes in page.elements:
        assert not {"src", "href", "action", "srcset", "poster", "data"} & set(attributes)
        assert not any(name.startswith("on") for name in attributes)
    for source in (*page.raw["style"], page.raw["script"][1]):
        assert not re.search(
            r"https?:|//\w+\.|url\(|@import|fetch\(|XMLHttpRequest|WebSocket|import\(|sendBeacon|Worker", source
        )
    policy = next(attributes["content"] for tag, attributes in page.elements if attributes.get("http-equiv"))
    digest = base64.b64encode(hashlib.sha256(page.raw["script"][1].encode()).digest()).decode()
    assert policy.split("; ") == [
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        f"script-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_the_script_makes_elements_and_text_only():
    """Whoever builds markup out of strings lets documents in."""
    script = page_of(report()).raw["script"][1]
    for way_in in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "DOMParser",
    ):
        assert way_in not in script


def test_both_languages_have_every_word():
    words = (Path(html.__file__).parent / "page" / "words.js").read_text(encoding="utf-8")
    english, chinese = words.split("\n  zh: {")
    keys = re.compile(r"^    (\w+):", flags=re.MULTILINE)
    assert keys.findall(english) == keys.findall(chinese)
    used = set()
    for name in html.SCRIPTS[1:]:
        used |= set(
            re.findall(r"W\(\)\.(\w+)", (Path(html.__file__).parent / "page" / name).read_text(encoding="utf-8"))
        )
    assert used <= set(keys.findall(english))


@pytest.mark.parametrize(("language", "code"), [("en", "en"), ("zh", "zh-Hans")])
def test_the_page_opens_in_the_language_of_the_run(language, code):
    page = page_of(report(document("in/a.txt", "喝茶。")), language=language)
    assert page.elements[0] == ("html", {"lang": code})
    assert page.data["language"] == language


def test_without_scripts_the_overview_is_there():
    text = render(report(document("in/a.txt", "喝茶。", "再喝。")), language="en", made=MADE, version="1")
    inside = text.partition("<noscript>")[2].partition("</noscript>")[0]
    assert re.findall(r"<td>(.*?)</td>", inside) == ["茶", "2", "1", "棋", "0", "0"]


def test_a_very_long_report_shows_its_beginning_and_counts_everything():
    documents = [document(f"in/{n}.txt", "一", "二", "三") for n in range(5)]
    data = page_of(report(*documents), max_passages=7).data
    assert [d["name"] for d in data["documents"]] == ["0.txt", "1.txt"]
    assert (data["totals"]["passages"], data["totals"]["shownPassages"], data["labelPassages"]) == (15, 6, [15, 0])


def test_scores_of_very_many_labels_are_cut_to_the_best():
    labels = tuple(f"标签{n}" for n in range(50))
    found = Classification("x", labels, tuple(1 / (n + 2) for n in range(50)))
    one = PassageResult("a.txt", None, 0, Span(0, 1, "x"), classification=found)
    data = page_of(report(DocumentResult("a.txt", None, None, (one,), classification=found), labels=labels)).data
    assert [label for label, _ in data["documents"][0]["passages"][0]["scores"]] == list(range(html.MAX_SCORES))


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["in/a.txt"], ["a.txt"]),
        (["in/a.txt", "in/b/c.txt"], ["a.txt", "b/c.txt"]),
        (["a.txt", "b.txt"], ["a.txt", "b.txt"]),
        (["/x/a.txt", "/y/b.txt"], ["x/a.txt", "y/b.txt"]),
        (["/x/a.txt", "b.txt"], ["/x/a.txt", "b.txt"]),
        ([], []),
    ],
)
def test_names_leave_out_what_all_paths_share(paths, names):
    assert list(html.display_names(paths).values()) == names
