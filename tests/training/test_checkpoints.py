"""A checkpoint is whole or it is not there; figures are those of the steps that count."""

from __future__ import annotations

import errno
import json
import resource
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from ironwok.errors import CheckpointError, DamagedCheckpointError, OutputError
from ironwok.training import checkpoints
from ironwok.training.checkpoints import (
    list_checkpoints,
    read_state,
    replace_folder,
    save_checkpoint,
    write_text_atomically,
)
from ironwok.training.metrics import MetricsLog, truncate_metrics


def writer(content: str = "weights"):
    def write(folder: Path) -> None:
        (folder / "model.bin").write_text(content)

    return write


def names(folder: Path) -> list[str]:
    return [path.name for path in list_checkpoints(folder)]


def test_a_checkpoint_is_what_was_written(tmp_path):
    path = save_checkpoint(tmp_path, 12, writer(), state={"tokens": 34, "词": "字"})
    assert path.name == "step-000000012"
    assert (path / "model.bin").read_text() == "weights"
    state = read_state(path)
    assert (state["step"], state["tokens"], state["词"]) == (12, 34, "字")
    assert sorted(child.name for child in tmp_path.iterdir()) == [path.name]


def test_the_last_ones_are_kept(tmp_path):
    for step in (5, 10, 15, 20):
        save_checkpoint(tmp_path, step, writer(), state={}, keep=3)
    assert names(tmp_path) == ["step-000000010", "step-000000015", "step-000000020"]
    save_checkpoint(tmp_path, 25, writer(), state={}, keep=1)
    assert names(tmp_path) == ["step-000000025"]


def test_a_step_may_be_saved_again(tmp_path):
    for content in ("one", "two"):
        path = save_checkpoint(tmp_path, 5, writer(content), state={})
    assert (path / "model.bin").read_text() == "two"
    assert names(tmp_path) == ["step-000000005"]
    read_state(path)


def test_what_lies_behind_a_run_that_went_back_is_cleared_away(tmp_path):
    for step in (5, 10):
        save_checkpoint(tmp_path, step, writer(), state={})
    save_checkpoint(tmp_path, 7, writer(), state={})
    assert names(tmp_path) == ["step-000000005", "step-000000007"]


def test_remains_of_killed_writers_are_cleared_away_and_nothing_else(tmp_path):
    for name in (".step-000000003.building", ".step-000000002.old", "step-notes", ".other.building"):
        (tmp_path / name).mkdir()
    save_checkpoint(tmp_path, 5, writer(), state={})
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other.building", "step-000000005", "step-notes"]
    assert names(tmp_path) == ["step-000000005"]
    assert list_checkpoints(tmp_path / "nowhere") == []


class DeathError(BaseException):
    """The end of the process, as far as the code under test can tell."""


def test_a_writer_killed_anywhere_leaves_the_earlier_ones_whole(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, 1, writer("first"), state={})
    calls = 0

    def doomed(path: Path) -> None:
        nonlocal calls
        calls += 1
        if calls == dies_at:
            raise DeathError

    monkeypatch.setattr(checkpoints, "_to_disk", doomed)
    survived = False
    for dies_at in range(1, 20):
        calls = 0
        try:
            save_checkpoint(tmp_path, 2, writer(f"try {dies_at}"), state={}, keep=2)
        except DeathError:
            pass
        else:
            survived = True
        for path in list_checkpoints(tmp_path):
            read_state(path)  # whole, whenever it is there
        assert "step-000000001" in names(tmp_path)
        if survived:
            break
    assert survived
    assert dies_at > 3
    assert (tmp_path / "step-000000002" / "model.bin").read_text() == f"try {dies_at}"


def full_disk(folder: Path) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_keeps_the_earlier_ones(tmp_path):
    save_checkpoint(tmp_path, 1, writer(), state={})
    with pytest.raises(OutputError, match=r"step-000000002: cannot be written .*No space left.*earlier checkpoints"):
        save_checkpoint(tmp_path, 2, full_disk, state={})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000000001"]
    read_state(tmp_path / "step-000000001")


@pytest.fixture
def small_files():
    """No file may grow beyond 20,000 bytes: a full disk, as far as writers can tell."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_safetensors_on_a_full_disk_is_the_same_error(tmp_path, small_files):
    with pytest.raises(OutputError, match=r"cannot be written .*File too large"):
        save_checkpoint(
            tmp_path, 2, lambda folder: save_file({"a": torch.zeros(50_000)}, folder / "model.safetensors"), state={}
        )
    assert list(tmp_path.iterdir()) == []


def test_folders_are_replaced_at_once(tmp_path):
    replace_folder(tmp_path / "model", writer("old"))
    with pytest.raises(OutputError):
        replace_folder(tmp_path / "model", full_disk)
    assert (tmp_path / "model" / "model.bin").read_text() == "old"
    replace_folder(tmp_path / "model", writer("new"))
    assert (tmp_path / "model" / "model.bin").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("state.json", b""),
        ("state.json", b"{"),
        ("state.json", b"[]"),
        ("state.json", b'{"step": "five"}'),
        ("state.json", b"\xff\xfe\x00"),
        ("model.bin", b"weightz"),
        ("model.bin", b""),
        ("model.bin", None),
    ],
)
def test_damage_is_found(tmp_path, file, damage):
    path = save_checkpoint(tmp_path, 5, writer(), state={})
    if damage is None:
        (path / file).unlink()
    else:
        (path / file).write_bytes(damage)
    with pytest.raises(DamagedCheckpointError, match=f"step-000000005: {file}"):
        read_state(path)
    assert issubclass(DamagedCheckpointError, CheckpointError)


def test_a_state_of_before_there_were_digests_is_taken_as_it_is(tmp_path):
    path = save_checkpoint(tmp_path, 5, writer(), state={"tokens": 7})
    (path / "state.json").write_text('{"step": 5, "tokens": 7}')
    assert read_state(path) == {"step": 5, "tokens": 7}


def test_text_is_replaced_at_once(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    write_text_atomically(path, "old")
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "_to_disk", full_disk)
        with pytest.raises(OutputError, match=r"a\.txt: cannot be written"):
            write_text_atomically(path, "new")
    assert path.read_text() == "old"
    write_text_atomically(path, "new")
    assert path.read_text() == "new"


# -- metrics --


def test_figures_are_lines_and_a_board(tmp_path):
    with MetricsLog(tmp_path, first_step=1) as log:
        log.write(1, {"loss": 1.23456789, "tokens": 7})
        # at once, not when it is closed
        assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"step": 1, "loss": 1.234568, "tokens": 7}
        log.sync()
        log.write(2, {"loss": 1.0})
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_figures_on_a_full_disk_are_an_error(tmp_path):
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with (
        pytest.raises(OutputError, match=r"metrics\.jsonl: cannot be written .*No space left.*--resume"),
        MetricsLog(tmp_path, first_step=1) as log,
    ):
        log.write(1, {"loss": 1.0})


def test_figures_that_cannot_be_kept_are_an_error_at_once(tmp_path):
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(OutputError, match="metrics cannot be written"):
        MetricsLog(tmp_path, first_step=1)


@settings(max_examples=30)
@given(steps=st.lists(st.integers(0, 30), max_size=12), last=st.integers(0, 30), torn=st.integers(0, 40))
def test_what_a_killed_run_wrote_too_much_is_dropped(tmp_path_factory, steps, last, torn):
    path = tmp_path_factory.mktemp("run") / "metrics.jsonl"
    lines = [json.dumps({"step": step, "词": "损失"}, ensure_ascii=False) for step in steps]
    tail = json.dumps({"step": 0, "词": "损失"}, ensure_ascii=False).encode()
    tail = tail[: min(torn, len(tail) - 1)]  # may end within a character
    path.write_bytes("".join(line + "\n" for line in lines).encode() + tail)
    truncate_metrics(path, last_step=last)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [s for s in steps if s <= last]
    truncate_metrics(path.with_name("none.jsonl"), last_step=last)
    assert not path.with_name("none.jsonl").exists()
