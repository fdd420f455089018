"""The benchmark of fine-tuning runs on files of our own, keeps passages apart, and draws in one order."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import pytest
from tuning_samples import records, write

from ironwok.errors import DataError

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def tuning(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import tuning as benchmark

    yield benchmark
    for name in ("tuning", "_table"):
        sys.modules.pop(name, None)


@pytest.fixture
def data(tmp_path):
    single, reading = tmp_path / "labelled" / "single", tmp_path / "labelled" / "reading"
    single.mkdir(parents=True)
    reading.mkdir()
    write(single / "chip_ctc_train.jsonl", records("classify", 40))
    write(reading / "cmrc2018_dev_part.jsonl", [one for one in records("reading", 20) for _ in range(2)])
    return tmp_path


def test_both_models_make_the_same_steps(tuning, data, small_encoder, tmp_path, capsys):
    options = argparse.Namespace(
        data=data,
        task=["chip_ctc"],
        model=str(small_encoder),
        limit=20,
        dev_limit=0,
        seed=0,
        set=["epochs=1", "max_tokens=32"],
        work=tmp_path / "work",
    )
    tuning.run(options, options.work)
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])["chip_ctc"]
    assert (figures["train"], figures["dev"], figures["steps"]) == (20, 8, 2)
    for which in ("random", "trained"):
        value = figures[which]
        assert value * 8 == pytest.approx(round(value * 8))
        assert figures[f"{which}_error"] == pytest.approx((value * (1 - value) / 8) ** 0.5)
    results = [
        json.loads((options.work / "chip_ctc" / name / "result.json").read_text()) for name in ("random", "trained")
    ]
    assert [result["step"] for result in results] == [2, 2]


def test_splits(tuning, data):
    task = tuning.TASKS["cmrc"]
    train, dev = tuning.split(task, data, limit=0, dev_limit=0, seed=0)
    assert len(train) + len(dev) == 40
    assert not {one["context"] for one in train} & {one["context"] for one in dev}
    fewer, same = tuning.split(task, data, limit=10, dev_limit=0, seed=0)
    assert (fewer, same) == (train[:10], dev)
    with pytest.raises(DataError, match="is not there"):
        tuning.split(tuning.TASKS["afqmc"], data, limit=0, dev_limit=0, seed=0)
