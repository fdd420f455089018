"""A real browser: Chromium with chromedriver on the path, and selenium.

Not part of an ordinary test run: `pytest -m browser tests/browser`, after `pip install -e '.[browser]'`.
"""

from __future__ import annotations

import os
import shutil
from datetime import date
from pathlib import Path

import pytest

from ironwok.reading import render
from ironwok.results import Classification, DocumentResult, PassageResult, Report, Skip, Span

LABELS = ("茶", "棋", "雪")
EVIL = "</script><script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">"


@pytest.fixture(scope="session")
def start_browser():
    """Starts a headless Chromium of a given size; all are closed at the end."""
    from selenium import webdriver

    started = []

    def start(width: int = 1280, height: int = 900, *, dark: bool = False):
        options = webdriver.ChromeOptions()
        options.binary_location = os.environ.get("CHROMIUM", shutil.which("chromium") or "chromium")
        for argument in (
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            f"--window-size={width},{height}",
        ):
            options.add_argument(argument)
        if dark:
            options.add_argument("--blink-settings=preferredColorScheme=0")
        if width < 500:  # Chromium's own windows are never that narrow
            options.add_experimental_option(
                "mobileEmulation", {"deviceMetrics": {"width": width, "height": height, "pixelRatio": 1.0}}
            )
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
        started.append(browser)
        return browser

    yield start
    for browser in started:
        browser.quit()


@pytest.fixture(scope="session")
def browser(start_browser):
    return start_browser()


def passage(
    path: str, record: int | None, index: int, start: int, text: str, label: int, score: float
) -> PassageResult:
    order = [LABELS[label], *(other for other in LABELS if other != LABELS[label])]
    rest = 1 - score
    found = Classification(text, tuple(order), (score, rest * 0.6, rest * 0.4), abstained=score < 0.5)
    return PassageResult(
        path, record, index, Span(start, start + len(text), text), "\n\n" if index else "", classification=found
    )


def document(number: int, texts: list[str], *, title: str | None = None) -> DocumentResult:
    path = f"in/文档{number}.txt"
    inside, start = [], 0
    for index, text in enumerate(texts):
        inside.append(
            passage(path, None, index, start, text, (number + index // 4) % 3, 0.45 + 0.5 * ((index * 7) % 10) / 10)
        )
        start += len(text) + 2
    label = LABELS[number % 3]
    scores = Classification("", (label, *(other for other in LABELS if other != label)), (0.6, 0.25, 0.15))
    return DocumentResult(path, None, title, tuple(inside), classification=scores)


def make_report(documents: int, passages: int) -> Report:
    made = [
        document(
            n,
            [f"第{n}篇第{p}段：水开了，茶叶在杯里舒展。棋盘😀还摆着，外面下着雪。" for p in range(passages)],
            title=f"题目 {n}" if n % 2 else None,
        )
        for n in range(documents)
    ]
    made.append(document(documents, [EVIL, "A line of English.\nWith <b>markup</b> &amp; more."], title=EVIL))
    return Report(
        documents=tuple(made),
        skipped=(Skip("in/图.bin", f"binary {EVIL}"),),
        folder=Path("report"),
        sources=("in",),
        labels=LABELS,
        threshold=0.4,
        model="ironwok-small",
        templates=("说的是{}",),
    )


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> str:
    """Address of a page with seven documents."""
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(render(make_report(6, 9), language="en", made=date(2026, 1, 2), version="1"), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="session")
def large(tmp_path_factory) -> str:
    """Address of a page with nine thousand passages."""
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(render(make_report(300, 30), language="zh", made=date(2026, 1, 2), version="1"), encoding="utf-8")
    return path.as_uri()
