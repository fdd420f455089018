from __future__ import annotations

import json

import pytest

from ironwok.errors import OutputError, UnreadableDocumentError
from ironwok.files import LineLog, json_line, replace_file
from ironwok.reading.files import FileIdentity


def test_a_line_of_json_takes_any_text():
    for text in ["茶", "😀", "\ud800", "a\u2028b\nc", '"\\']:
        line = json_line({"text": text})
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        assert json.loads(line.decode("utf-8")) == {"text": text}


def test_a_log_forgets_a_line_that_was_cut(tmp_path):
    log = LineLog(tmp_path / "a.jsonl")
    assert log.load() == []
    log.append([{"n": 1}, {"n": 2}])
    log.append([])
    log.close()
    with log.path.open("ab") as file:
        file.write(b'{"n": 3, "te')
    assert log.load() == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize("line", [b"{]", b"7", b"\xff\xfe"])
def test_a_damaged_line_is_named(tmp_path, line):
    log = LineLog(tmp_path / "a.jsonl")
    log.path.write_bytes(b'{"n": 1}\n' + line + b'\n{"n": 2}\n')
    with pytest.raises(OutputError, match=r"a\.jsonl, line 2 is damaged.*--fresh"):
        log.load()


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "run.json"
    replace_file(path, b"old")

    def content():
        yield b"ne"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_file(path, content())
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"], "half of a file takes room on a full disk"
    replace_file(path, [b"ne", b"w"])
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]


def test_trouble_with_the_disk_names_the_file(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="folder cannot be written"):
        replace_file(tmp_path / "folder", b"x")
    with pytest.raises(OutputError, match=r"a\.jsonl cannot be written: No such file"):
        LineLog(tmp_path / "absent" / "a.jsonl").append([{}])


def test_a_file_is_known_again(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("茶")
    identity = FileIdentity.of(path)
    assert FileIdentity.from_dict(json.loads(json.dumps(identity.to_dict()))) == identity
    assert identity.still_holds(path)
    import os

    os.utime(path, ns=(1, 1))  # touched, not changed
    assert identity.still_holds(path)
    path.write_text("棋")  # as long as before
    assert not identity.still_holds(path)
    path.unlink()
    assert not identity.still_holds(path)
    with pytest.raises(UnreadableDocumentError, match=r"a\.txt"):
        FileIdentity.of(path)
