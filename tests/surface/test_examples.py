"""The example programs run as they stand, offline, on the weights in the package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(name: str, folder: Path) -> list[str]:
    """Run an example in an empty folder; the lines that it prints."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name)],
        cwd=folder,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_every_example_is_run_here_and_listed_in_the_readme():
    programs = {path.name for path in EXAMPLES.glob("*.py")}
    assert programs == {"annotated_texts.py", "classify_texts.py", "read_folder.py", "use_with_transformers.py"}
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in listed for name in programs)


def test_classify_texts(tmp_path):
    lines = run("classify_texts.py", tmp_path)
    rows = [line.split("\t") for line in lines[:-1]]
    assert [len(row) for row in rows] == [3] * 6
    assert {row[0] for row in rows[:4]} <= {"体育", "财经", "科技", "天气"}
    assert {row[0] for row in rows[4:]} <= {"好评", "差评"}
    assert all(0 <= float(row[1]) <= 1 for row in rows)
    assert lines[-1] in ("体育", "财经")


def test_read_folder(tmp_path):
    lines = run("read_folder.py", tmp_path)
    assert (tmp_path / "report" / "index.html").is_file()
    assert "report/index.html" in lines[-1]


def test_use_with_transformers(tmp_path):
    cosines, hidden, loss = run("use_with_transformers.py", tmp_path)
    assert cosines.endswith("]")
    assert "['1.00'," in cosines
    assert hidden.startswith("北[MASK]: ['")
    assert loss.startswith("loss before training: ")


def test_annotated_texts(tmp_path):
    texts, problem, schema, scores = run("annotated_texts.py", tmp_path)
    assert texts == "11 texts, 15 events"
    assert problem == "annotated.jsonl, line 11: no annotations"
    assert schema.startswith("10 event types, ")
    assert scores.endswith("whole events: F1 0.00")
    assert (tmp_path / "label_studio.json").is_file()
