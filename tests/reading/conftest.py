"""Documents, and a classifier whose answers one can see at a glance: a label scores by its characters in the text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ironwok.zero_shot import ZeroShotClassifier
from ironwok.zero_shot.pairs import Pair

LABELS = ("茶", "棋", "雪")


class CountingScorer:
    """Scores a pair by how often the label stands in the text. ``asked`` counts the pairs."""

    def __init__(self) -> None:
        self.asked = 0

    def score(self, pairs: Sequence[Pair]) -> np.ndarray:
        self.asked += len(pairs)
        return np.array([float(pair.text.count(pair.prompt.label)) for pair in pairs])


@pytest.fixture
def scorer() -> CountingScorer:
    return CountingScorer()


@pytest.fixture
def classifier(scorer) -> ZeroShotClassifier:
    return ZeroShotClassifier(scorer=scorer)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Five files: three texts in different encodings, a table with a bad row, and one that is no text."""
    root = tmp_path / "文件"
    (root / "more").mkdir(parents=True)
    tea = "\n\n".join(f"第{n}泡，水刚开，茶叶在杯里慢慢舒展，茶香满屋。" for n in range(100))
    (root / "a_tea.txt").write_text(tea, encoding="utf-8")
    (root / "b_chess.txt").write_bytes("他摆好棋盘，等着对手来下棋。\r\n\r\n窗外在下雪。".encode("gb18030"))
    rows = [
        json.dumps({"title": f"第{n}条", "text": f"今天又下雪了，雪很大。{'茶' * (n % 3)}😀", "stars": n})
        for n in range(90)
    ]
    rows[40] = '{"text": "没有写完'
    (root / "c_snow.jsonl").write_text("\n".join(rows), encoding="utf-8")
    (root / "d_picture.txt").write_bytes(bytes(range(256)) * 8)
    (root / "more" / "e_mixed.md").write_text("# 雪夜\n\n雪夜煮茶。\n\n雪停了，棋也下完了。\n", encoding="utf-8")
    return root


def read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture
def lines():
    return read_lines
