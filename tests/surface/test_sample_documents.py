"""The sample documents: varied, readable, and what examples/README.md says of them."""

from __future__ import annotations

import re
from pathlib import Path

from ironwok.text.documents import Document, read_documents

SAMPLES = Path(__file__).resolve().parents[2] / "examples" / "documents"


def samples() -> list[Document]:
    skipped = []
    documents = list(read_documents([SAMPLES], on_skip=skipped.append))
    assert skipped == []
    return documents


def test_they_are_many_and_in_both_languages():
    chinese = [one for one in samples() if re.search(r"[\u4e00-\u9fff]{4}", one.text)]
    english = [one for one in samples() if one.text.isascii() or "english" in one.path]
    assert len({one.path for one in chinese}) >= 16
    assert len({one.path for one in english}) >= 4


def test_they_come_in_six_formats():
    suffixes = {path.suffix for path in SAMPLES.rglob("*") if path.is_file()}
    assert suffixes == {".txt", ".md", ".html", ".docx", ".csv", ".jsonl"}


def test_one_is_encoded_as_chinese_files_often_are():
    (pledge,) = (one for one in samples() if one.path.endswith("share_pledge.txt"))
    assert "槐安机电股份有限公司董事会" in pledge.text
    assert (SAMPLES / "announcements" / "share_pledge.txt").read_bytes().decode("gb18030") == pledge.text


def test_the_web_page_gives_its_article_without_menus():
    (metro,) = (one for one in samples() if one.path.endswith("metro.html"))
    assert "全自动驾驶" in metro.text
    assert "联系我们" not in metro.text
    assert "dataLayer" not in metro.text


def test_a_table_and_lines_give_a_document_each():
    counts = {name: sum(one.path.endswith(name) for one in samples()) for name in ("orders.csv", "messages.jsonl")}
    assert counts == {"orders.csv": 10, "messages.jsonl": 5}
