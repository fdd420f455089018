"""The encoder of these tests, and a run of every task that others look at."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def one_thread():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def small_encoder(tmp_path_factory) -> Path:
    from tuning_samples import save_encoder

    return save_encoder(tmp_path_factory.mktemp("small-encoder"))


@pytest.fixture(scope="session")
def tuned_runs(small_encoder, tmp_path_factory):
    """Folder of the finished run of a task, and its result, by name; trained when first asked for."""
    import torch
    from tuning_samples import records, train_tiny, write

    done = {}

    def run(task: str):
        if task not in done:
            before = torch.get_num_threads()
            torch.set_num_threads(1)
            folder = tmp_path_factory.mktemp(task)
            dev = write(folder / "dev.jsonl", records(task, 40, seed=1))
            done[task] = folder / "run", train_tiny(folder, task, small_encoder, count=160, dev=dev, min_steps=120)
            torch.set_num_threads(before)
        return done[task]

    return run
