"""The tools that learn beside a table of words: what they say before they learn."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import pytest

from ironwok.models import resolve_model

TOOLS = Path(__file__).resolve().parents[2] / "tools"
LEARNING = {
    "learn_associations": ["--store", "STORE"],
    "learn_blanks": ["--store", "STORE"],
    "learn_relations": ["--sets", str(TOOLS / "relations.toml"), "--data", "DATA"],
}


@pytest.fixture
def tool(monkeypatch, capsys):
    """Runs a tool as a command; returns what it ended with, and what it printed."""
    monkeypatch.syspath_prepend(str(TOOLS))

    def call(name: str, *arguments: str) -> tuple[object, str]:
        monkeypatch.setattr("sys.argv", [f"{name}.py", *arguments])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(TOOLS / f"{name}.py"), run_name="__main__")
        said = capsys.readouterr()
        return ended.value.code, said.out + said.err

    return call


@pytest.fixture
def tableless(tmp_path) -> Path:
    """A model with a tokenizer and no table."""
    folder = tmp_path / "model"
    folder.mkdir()
    for file in Path(resolve_model("ironwok-small")).glob("*.json"):
        shutil.copy(file, folder)
    return folder


@pytest.mark.parametrize(
    ("name", "option"),
    [("learn_associations", "--leave-out"), ("learn_blanks", "--width-own"), ("learn_relations", "--epochs")],
)
def test_each_number_is_an_option(tool, name, option):
    code, said = tool(name, "--help")
    assert code == 0
    assert option in said


@pytest.mark.parametrize("name", [*LEARNING, "fit_blanks"])
def test_a_model_without_a_table_is_told_in_one_line(tool, tableless, tmp_path, name):
    given = [*LEARNING[name], "--work", str(tmp_path / "work")] if name in LEARNING else ["--blanks", "FILE"]
    code, said = tool(name, "--model", str(tableless), *given)
    assert code == 2
    assert "has no table: tools/count_associations.py counts one" in said.splitlines()[-1]
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("name", LEARNING)
def test_a_number_out_of_range_is_told_with_its_bound(tool, tmp_path, name):
    code, said = tool(name, "--model", "ironwok-small", *LEARNING[name], "--work", str(tmp_path), "--keep-every", "0")
    assert code == 2
    assert said.splitlines()[-1].endswith("error: keep_every is 0: it is at least 1")
