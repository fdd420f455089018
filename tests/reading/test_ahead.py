from __future__ import annotations

import itertools

import pytest

from ironwok.reading import Planned, read
from ironwok.reading.ahead import CutDocument, ReadAhead
from ironwok.results import Skip, Span
from ironwok.text.documents import Document

SIZES = {"a": 90, "b": 300, "c": 600, "d": 0}


@pytest.fixture
def files(tmp_path):
    """Files of known sizes: one passage of ten Chinese characters in every thirty bytes; `d` is nothing but a skip."""
    paths = {}
    for name, size in SIZES.items():
        (tmp_path / name).write_bytes(b"x" * size)
        paths[str(tmp_path / name)] = name
    opened = []

    def open_file(path):
        opened.append(paths[path])
        if paths[path] == "d":
            yield Skip(path, "empty")
        for number in range(SIZES[paths[path]] // 30):
            text = "茶" * 10
            yield CutDocument(Document(path, text, record=number), (Span(0, 10, text),))

    return list(paths), open_file, opened


def ticking(seconds: float):
    """A clock that goes on by so much whenever somebody looks."""
    return itertools.count(0, seconds).__next__


def test_with_time_enough_everything_is_counted(files):
    paths, open_file, _ = files
    ahead = ReadAhead(paths, open_file, clock=ticking(0.01))
    ahead.look(100)
    assert ahead.passages() == (33, True)
    assert len(ahead.sample()) == 33


@pytest.mark.parametrize("ticks", [1, 3, 5, 12])
def test_with_less_time_the_rest_is_carried_over(files, ticks):
    paths, open_file, opened = files
    ahead = ReadAhead(paths, open_file, clock=ticking(1))
    ahead.look(ticks)
    passages, exact = ahead.passages()
    assert not exact
    assert passages == pytest.approx(33, abs=1)
    assert len(ahead.sample()) == ticks + 1  # the one during which time was up
    assert opened == (["a"] if ticks < 3 else ["a", "b"])


def test_nothing_is_read_twice_and_nothing_is_lost(files):
    paths, open_file, opened = files
    ahead = ReadAhead(paths, open_file, clock=ticking(1))
    ahead.look(5)
    records = [item.document.record for item in ahead.items(paths[1])]
    assert records == list(range(10))
    assert [type(item) for item in ahead.items(paths[3])] == [Skip]
    assert [item.document.record for item in ahead.items(paths[0])] == [0, 1, 2]
    assert len(list(ahead.items(paths[2]))) == 20
    assert sorted(opened) == ["a", "b", "c", "d"]
    assert ahead.passages() == (33, True)


def test_before_anything_is_seen_nothing_is_promised(files):
    paths, open_file, _ = files
    assert ReadAhead(paths, open_file).passages() == (0, False)


def test_a_long_run_says_what_it_will_cost(classifier, tmp_path):
    (tmp_path / "in").mkdir()
    text = "\n\n".join(
        f"第{n}局棋下到了深夜，窗外的雪一直没有停，屋里的茶却还是热的，两个人都不说话。" for n in range(1200)
    )
    (tmp_path / "in" / "long.txt").write_text(text, encoding="utf-8")
    for labels, known in ((["茶", "棋", "雪"], True), (["茶", "棋"], False)):
        events = []
        read(tmp_path / "in", labels=labels, out=tmp_path / str(known), classifier=classifier, on_event=events.append)
        assert isinstance(events[0], Planned)
        assert events[0].passages == 1200
        assert (events[0].seconds is not None) is known
    assert events[0].exact


def test_reading_is_imported_without_torch():
    import subprocess
    import sys

    code = "import sys, ironwok.reading.pipeline; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
