"""The commands that the front page promises are there, and do what it shows."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", "-C", str(ROOT), *arguments], capture_output=True, text=True, encoding="utf-8")


def test_help_lists_every_target():
    listed = set(re.findall(r"^ +make (\w+)", make("help").stdout, flags=re.MULTILINE))
    assert {"demo", "test", "lint", "docs", "bench", "wheel", "clean"} <= listed
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert phony
    assert listed == set(phony[1].split())


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_the_demo_is_the_command_that_the_front_page_shows(page):
    planned = make("--dry-run", "demo")
    assert planned.returncode == 0, planned.stderr
    (run,) = re.findall(r"ironwok (read .*)$", planned.stdout, flags=re.MULTILINE)
    shown = re.findall(r"^ironwok (read examples/.*)$", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert shown == [run.replace('"', "")]


def test_a_python_that_is_too_old_or_missing_is_named():
    done = make("setup", "PYTHON=python0.1", "VENV=build/none")
    assert done.returncode == 2
    assert "python0.1 is missing or older than Python 3.11" in done.stderr
