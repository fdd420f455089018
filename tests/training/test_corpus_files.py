"""Corpus files of every kind and packing, in every state."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from pathlib import Path

import pytest
import zstandard

from ironwok.errors import DataError
from ironwok.training.files import Source, read_lines, read_records, read_source

TEXT = "第一篇\n水开了，茶香满屋。\n\n\n  第二篇只有一段。  \n"
DOCUMENTS = [["第一篇", "水开了，茶香满屋。"], ["第二篇只有一段。"]]
PACKERS = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lambda data: lzma.compress(data, preset=0),
    ".zst": zstandard.ZstdCompressor().compress,
}


def documents_of(path: Path, *fields: str) -> list[list[str]]:
    return list(read_source(Source("one", (path,), fields or ("text",))))


@pytest.mark.parametrize("suffix", PACKERS)
def test_text_is_read_from_every_packing(tmp_path, suffix):
    path = tmp_path / f"a.txt{suffix}"
    path.write_bytes(PACKERS[suffix](TEXT.encode()))
    assert documents_of(path) == DOCUMENTS


@pytest.mark.parametrize("suffix", PACKERS)
def test_records_are_read_from_every_packing(tmp_path, suffix):
    lines = [json.dumps({"text": "一段\n\n二段", "other": 3}, ensure_ascii=False), "", '{"text": "又一篇"}']
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(PACKERS[suffix]("\n".join(lines).encode()))
    assert documents_of(path) == [["一段", "二段"], ["又一篇"]]


def test_every_named_field_is_a_document(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"question": "问", "answer": "答", "id": "7"}\n{"answer": "只有答"}\n', encoding="utf-8")
    assert documents_of(path, "question", "answer") == [["问"], ["答"], ["只有答"]]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030", "utf-16"])
def test_the_encoding_is_told_from_the_file(tmp_path, encoding):
    path = tmp_path / "a.txt"
    text = TEXT + "\n" + "这家店的茶很好喝，我们还会再来的。\n" * 20
    path.write_bytes(text.encode(encoding))
    assert documents_of(path)[:2] == DOCUMENTS


def test_a_damaged_character_does_not_end_a_corpus(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(TEXT.encode() * 50 + "茶".encode()[:2] + "。\n".encode() + TEXT.encode())
    assert sum("�" in paragraph for document in documents_of(path) for paragraph in document) == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"text": "没有写完', "not a JSON object"),
        ('["一", "二"]', "list"),
        ("[" * 100_000, "not a JSON object"),
        ('{"title": "没有正文"}', "none of the fields text"),
        ('{"text": 5}', "none of the fields text"),
    ],
)
def test_a_broken_record_is_named_by_file_and_line(tmp_path, line, said):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "好的"}\n\n' + line + "\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        documents_of(path)
    assert f"{path}:3: " in str(caught.value)
    assert said in str(caught.value)


def test_records_carry_their_line_numbers(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n\n{"a": 2}\n', encoding="utf-8")
    assert list(read_records(path)) == [(1, {"a": 1}), (3, {"a": 2})]


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
def test_a_truncated_file_is_an_error_not_a_shorter_corpus(tmp_path, suffix):
    path = tmp_path / f"a.txt{suffix}"
    text = "".join(f"第{n * n}天，水开了{n}次。\n\n" for n in range(5_000))
    path.write_bytes(PACKERS[suffix](text.encode())[:-40])
    with pytest.raises(DataError, match="damaged"):
        documents_of(path)


def test_several_frames_of_zstandard_are_all_read(tmp_path):
    path = tmp_path / "a.txt.zst"
    packer = zstandard.ZstdCompressor()
    path.write_bytes(packer.compress("一。\n".encode()) + packer.compress("\n二。\n".encode()))
    assert documents_of(path) == [["一。"], ["二。"]]


def test_what_is_no_text_is_refused(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(bytes(range(256)) * 40)
    with pytest.raises(DataError, match="binary"):
        documents_of(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.txt"):
        documents_of(tmp_path / "nowhere.txt")
    with pytest.raises(DataError, match=r"source one: .*nowhere\.txt"):
        Source("one", (tmp_path / "nowhere.txt",)).sizes()


@pytest.mark.parametrize("suffix", PACKERS)
def test_the_bytes_told_of_add_up_to_the_file(tmp_path, suffix):
    path = tmp_path / f"a.txt{suffix}"
    path.write_bytes(PACKERS[suffix]("".join(f"第{n * n}天，水开了{n}次。\n" for n in range(20_000)).encode()))
    told: list[int] = []
    assert sum(1 for _ in read_lines(path, on_bytes=told.append)) == 20_000
    assert sum(told) == path.stat().st_size
    assert all(count >= 0 for count in told)
    assert len(told) > 1
