"""The Python in the documentation runs as it stands, block after block, on the weights in the package."""

from __future__ import annotations

import re
import shutil
import warnings
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    path for path in [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))] if "```python" in path.read_text()
]
BLOCK = re.compile(r"^```python\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


def test_the_pages_that_show_python_are_found():
    assert {"README.md", "README.zh-CN.md", "index.md", "classify.md", "read.md"} <= {page.name for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    from ironwok import ZeroShotClassifier

    shutil.copytree(ROOT / "examples" / "documents" / "notes", tmp_path / "notes")
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    assert blocks
    # what a page may take for granted
    names = {"classifier": ZeroShotClassifier(), "texts": ["主队挺进决赛。", "央行降准。"], "labels": ["体育", "财经"]}
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # a page may show what warns, such as long texts
        for number, block in enumerate(blocks, start=1):
            exec(compile(block, f"{page.name}, block {number}", "exec"), names)
