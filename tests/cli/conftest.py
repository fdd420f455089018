from __future__ import annotations

import pytest

from ironwok.cli import language


@pytest.fixture(autouse=True)
def english(monkeypatch):
    """The language in force is global to the process: every test starts, and leaves, in English."""
    monkeypatch.setattr(language, "_current", "en")
    for variable in ("LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    monkeypatch.setenv("COLUMNS", "100")
