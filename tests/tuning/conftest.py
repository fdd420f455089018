"""The encoder of these tests, and a run of every task that others look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from single_thread import on_one_thread


@pytest.fixture(autouse=True)
def one_thread():
    with on_one_thread():
        yield


@pytest.fixture(scope="session")
def small_encoder(tmp_path_factory) -> Path:
    from tuning_samples import save_encoder

    return save_encoder(tmp_path_factory.mktemp("small-encoder"))


@pytest.fixture(scope="session")
def tuned_runs(small_encoder, tmp_path_factory):
    """Folder of the finished run of a task, and its result, by name; trained when first asked for."""
    from tuning_samples import records, train_tiny, write

    done = {}

    def run(task: str):
        if task not in done:
            folder = tmp_path_factory.mktemp(task)
            dev = write(folder / "dev.jsonl", records(task, 40, seed=1))
            with on_one_thread():
                result = train_tiny(folder, task, small_encoder, count=160, dev=dev, min_steps=120)
            done[task] = folder / "run", result
        return done[task]

    return run
