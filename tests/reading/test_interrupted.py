"""Wherever a run dies, the next one ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ironwok import files
from ironwok.errors import OutputError
from ironwok.reading import read

LABELS = ["茶", "棋", "雪"]
SLOW = Path(__file__).parent / "slow_reading.py"


def contents(folder: Path) -> dict[str, bytes]:
    names = ("results.jsonl", "documents.jsonl", "skipped.jsonl", "files.jsonl", "index.html")
    return {name: (folder / name).read_bytes() for name in names}


class DeathError(BaseException):
    """The end of the process, as far as the code under test can tell."""


class Fate:
    """Lets the n-th write to the disk happen in part, and then nothing any more."""

    def __init__(self, monkeypatch, at: int) -> None:
        self.left = at
        self.write = os.write
        monkeypatch.setattr(files.LineLog, "append", self._append(files.LineLog.append))
        replace_file = files.replace_file
        for module in ("ironwok.files", "ironwok.reading.journal", "ironwok.reading.pipeline"):
            monkeypatch.setattr(f"{module}.replace_file", self._replace(replace_file))

    def _append(self, append):
        def doomed(log, records):
            records = list(records)
            if not records:
                return
            self.left -= 1
            if self.left < 0:
                data = b"".join(files.json_line(record) for record in records)
                with log.path.open("ab") as file:
                    file.write(data[: len(data) * 2 // 3])
                raise DeathError
            append(log, records)

        return doomed

    def _replace(self, replace):
        def doomed(path, data):
            self.left -= 1
            if self.left < 0:
                path.with_name(f".{path.name}.new").write_bytes(b"half")
                raise DeathError
            replace(path, data)

        return doomed


def test_death_at_every_single_write(folder, classifier, tmp_path):
    read(folder, labels=LABELS, out=tmp_path / "whole", classifier=classifier)
    whole = contents(tmp_path / "whole")
    deaths = 0
    for at in range(1000):
        out = tmp_path / f"out{at}"
        with pytest.MonkeyPatch.context() as patch:
            fate = Fate(patch, at)
            try:
                read(folder, labels=LABELS, out=out, classifier=classifier)
            except DeathError:
                deaths += 1
        if fate.left >= 0:
            break
        read(folder, labels=LABELS, out=out, classifier=classifier)
        assert contents(out) == whole, f"died at write {at}"
        assert json.loads((out / "run.json").read_bytes())["state"] == "complete"
    assert deaths == at > 15


def test_death_again_and_again(folder, classifier, tmp_path):
    read(folder, labels=LABELS, out=tmp_path / "whole", classifier=classifier)
    out = tmp_path / "out"
    for step in range(200):
        with pytest.MonkeyPatch.context() as patch:
            Fate(patch, 8 + step % 9)
            try:
                read(folder, labels=LABELS, out=out, classifier=classifier)
                break
            except DeathError:
                continue
    assert step > 1
    assert contents(out) == contents(tmp_path / "whole")


def start(folder: Path, out: Path, **options) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, SLOW, folder, out], stderr=subprocess.PIPE, text=True, **options)


def test_sigkill(folder, tmp_path):
    """A real process, killed for real, five times on its way."""
    game = "\n\n".join(f"第{n}局棋下到了深夜，窗外的雪一直没有停，两个人都不说话。" for n in range(2500))
    (folder / "bb_game.txt").write_text(game, encoding="utf-8")
    whole = start(folder, tmp_path / "whole")
    _, errors = whole.communicate()
    assert whole.returncode == 0, errors
    out, chance, kept = tmp_path / "out", random.Random(7), []
    for _ in range(5):
        process = start(folder, out)
        kept.append(process.stderr.readline())
        for _ in range(chance.randint(2, 3)):
            assert process.stderr.readline().endswith("passages done\n")
        time.sleep(chance.random() * 0.1)  # now it is in the middle of anything
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    last = start(folder, out)
    _, errors = last.communicate()
    assert last.returncode == 0, errors
    counts = [int(line.removesuffix(" passages kept\n")) for line in kept]
    assert counts == sorted(set(counts)), "every run went on where the one before had been killed"
    assert contents(out) == contents(tmp_path / "whole")


def limit_files(size: int):
    def apply() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return apply


def test_a_full_disk(folder, tmp_path):
    """No file may grow beyond a limit, which the kernel enforces as it does with a full disk."""
    whole = start(folder, tmp_path / "whole")
    whole.communicate()
    assert whole.returncode == 0
    out = tmp_path / "out"
    process = start(folder, out, preexec_fn=limit_files(30_000))
    _, errors = process.communicate()
    assert process.returncode == 1
    message = errors.strip().splitlines()[-1]
    assert "results.jsonl cannot be written" in message
    # the texts are done, the table does not fit
    kept = re.search(rf"; (\d+) passages of 2 finished documents are kept in {re.escape(str(out))}:", message)
    assert kept
    again = start(folder, out)
    _, errors = again.communicate()
    assert again.returncode == 0
    assert f"{kept[1]} passages kept" in errors
    assert contents(out) == contents(tmp_path / "whole")


def test_a_folder_that_cannot_be_made(folder, classifier, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        read(folder, labels=LABELS, out=tmp_path / "file" / "out", classifier=classifier)


def test_lost_lines_in_the_middle_are_read_again(folder, classifier, tmp_path):
    """After a power cut a later file may have reached the disk and an earlier one not."""
    out = tmp_path / "out"
    report = read(folder, labels=LABELS, out=out, classifier=classifier)
    whole = contents(out)
    results = out / "results.jsonl"
    results.write_bytes(b"".join(results.read_bytes().splitlines(keepends=True)[:-3]))
    assert read(folder, labels=LABELS, out=out, classifier=classifier) == report
    assert contents(out) == whole
