"""A student with weights drawn at random: which label wins means nothing, that it is the same one everywhere does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ironwok.students.hashing import HashedNgrams
from ironwok.students.ngrams import NgramStudent

LABELS = ["财经", "体育", "天气"]
SENTENCES = [
    "央行宣布下调利率，银行股上涨。",
    "主队在加时赛中连进两球，挺进决赛。",
    "明天北方有雨，气温下降。",
    "券商公布去年的利润。",
    "教练谈到球队的伤病。",
    "The bank cut its rates.",
]


@pytest.fixture(scope="session")
def student(tmp_path_factory) -> Path:
    features = HashedNgrams.learn(SENTENCES, longest=3, bits=12, fewest=1)
    draw = np.random.default_rng(3)
    weights = draw.normal(size=(len(features.buckets), len(LABELS))).astype(np.float32)
    folder = tmp_path_factory.mktemp("student")
    NgramStudent(LABELS, features=features, weights=weights, bias=np.zeros(3, np.float32)).save(folder)
    return folder


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    return SENTENCES
