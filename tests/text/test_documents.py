from __future__ import annotations

import bz2
import gzip
import lzma
import os
import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ironwok.errors import (
    EncodingError,
    InputError,
    NoDocumentsError,
    UnreadableDocumentError,
    UnsupportedFormatError,
)
from ironwok.text.documents import Document, ReadOptions, Skip, find_files, read_documents, read_file, readable_suffixes
from ironwok.text.formats import READERS

ReadOne = Callable[..., Document]
SkipOf = Callable[..., Skip]


def forbidden(skip: Skip) -> None:
    raise AssertionError(f"nothing was to be skipped here: {skip.reason}")


def test_plain_text_is_the_decoded_file_character_by_character(read_one: ReadOne) -> None:
    text = "\u3000\u3000第一段。\r\n\r\n第二段😀 \t\r\n"
    for codec in ("utf-8", "utf-8-sig", "gb18030", "utf-16"):
        document = read_one("a.txt", text.encode(codec))
        assert document.text == text
        assert (document.title, document.record, document.line) == (None, None, None)


def test_a_given_encoding_overrules_detection(read_one: ReadOne, skip_of: SkipOf) -> None:
    assert read_one("a.txt", "你好".encode("gb18030"), encoding="gbk").encoding == "gb18030"
    assert isinstance(skip_of("b.txt", "你好".encode("gb18030"), encoding="utf-8").error, EncodingError)
    with pytest.raises(InputError, match="no encoding called 'utf-9'"):
        ReadOptions(encoding="utf-9")


@pytest.mark.parametrize("data", [b"", b" \r\n\t", "\ufeff".encode(), "\u3000\n".encode()])
def test_empty_files_are_skipped(data: bytes, skip_of: SkipOf) -> None:
    skip = skip_of("a.txt", data)
    assert isinstance(skip.error, UnreadableDocumentError)
    assert skip.reason.endswith("a.txt: empty")


def test_binary_files_are_skipped(skip_of: SkipOf) -> None:
    assert "binary data" in skip_of("a.txt", os.urandom(64) + b"\x00" * 64).reason


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zst", zstandard.ZstdCompressor().compress),
    ],
)
def test_packed_files(suffix: str, pack: Callable[[bytes], bytes], read_one: ReadOne, skip_of: SkipOf) -> None:
    text = "压缩过的文字。\n" * 50_000
    packed = pack(text.encode("gb18030"))
    assert read_one("a.txt" + suffix, packed).text == text
    assert read_one("two.txt" + suffix, packed + packed).text == text * 2
    for damaged in (packed[: len(packed) // 2], packed[:-1], b"junk" + packed):
        skip = skip_of("b.txt" + suffix, damaged)
        assert isinstance(skip.error, UnreadableDocumentError), damaged[:4]


def test_files_over_the_limit_are_skipped_packed_or_not(skip_of: SkipOf) -> None:
    assert "max_bytes = 1,000" in skip_of("a.txt", "字" * 1000, max_bytes=1000).reason
    assert "max_bytes = 1,000" in skip_of("a.txt.gz", gzip.compress(b"a" * 100_000), max_bytes=1000).reason
    with pytest.raises(InputError, match="max_bytes is 0"):
        ReadOptions(max_bytes=0)


def test_suffixes_of_any_case_and_unknown_ones(read_one: ReadOne, skip_of: SkipOf) -> None:
    assert read_one("A.TXT", "文").text == "文"
    assert read_one("b.Md", "文").text == "文"
    for name in ("a.xyz", "noname", "a.gz"):
        skip = skip_of(name, "文")
        assert isinstance(skip.error, UnsupportedFormatError)
        assert ".docx" in skip.reason
    assert set(readable_suffixes()) == set(READERS) >= {".txt", ".md", ".html", ".pdf", ".docx", ".csv", ".jsonl"}


def test_unreadable_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text("文", encoding="utf-8")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    (skip,) = read_file(tmp_path / "a.txt")
    assert isinstance(skip, Skip)
    assert isinstance(skip.error, UnreadableDocumentError)
    assert "no permission" in skip.reason


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in {
        "b.txt": "乙",
        "a.md": "# 甲\n\n文",
        "c.png": "x",
        ".hidden.txt": "no",
        "sub/d.txt": "丁",
        "sub/deeper/e.txt": "戊",
        ".git/f.txt": "no",
        "空 名/g.txt": "己",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def names(documents: list[Document], root: Path) -> list[str]:
    return [Path(document.path).relative_to(root).as_posix() for document in documents]


def test_folders_are_read_to_the_bottom_in_order_without_hidden_files(tree: Path) -> None:
    skips: list[Skip] = []
    documents = list(read_documents(tree, on_skip=skips.append))
    assert names(documents, tree) == ["a.md", "b.txt", "sub/d.txt", "sub/deeper/e.txt", "空 名/g.txt"]
    assert [type(skip.error) for skip in skips] == [UnsupportedFormatError]
    assert list(read_documents(str(tree), on_skip=skips.append)) == documents


def test_what_is_reached_twice_is_read_once(tree: Path) -> None:
    (tree / "link.txt").symlink_to(tree / "b.txt")
    paths = [tree / "b.txt", tree / "sub", tree, str(tree / "sub" / ".." / "b.txt"), tree / "*.txt"]
    documents = list(read_documents(paths, on_skip=lambda skip: None))
    assert names(documents, tree) == ["b.txt", "sub/d.txt", "sub/deeper/e.txt", "a.md", "空 名/g.txt"]


def test_globs(tree: Path) -> None:
    documents = list(read_documents(f"{tree}/**/*.txt", on_skip=forbidden))
    assert names(documents, tree) == ["b.txt", "sub/d.txt", "sub/deeper/e.txt", "空 名/g.txt"]
    with pytest.raises(NoDocumentsError, match=r"\*\.docx: nothing matches"):
        read_documents(f"{tree}/*.docx", on_skip=forbidden)
    (tree / "[1].txt").write_text("方括号", encoding="utf-8")
    assert [document.text for document in read_documents(tree / "[1].txt", on_skip=forbidden)] == ["方括号"]


def test_hidden_files_are_read_when_named(tree: Path) -> None:
    (document,) = read_documents(tree / ".hidden.txt", on_skip=forbidden)
    assert document.text == "no"


def test_circles_of_links_end(tree: Path) -> None:
    (tree / "sub" / "up").symlink_to(tree)
    (tree / "sub" / "self").symlink_to("self")
    (tree / "dangling.txt").symlink_to(tree / "nowhere.txt")
    skips: list[Skip] = []
    documents = list(read_documents(tree, on_skip=skips.append))
    assert names(documents, tree) == ["a.md", "b.txt", "sub/d.txt", "sub/deeper/e.txt", "空 名/g.txt"]
    assert {Path(skip.path).name for skip in skips} == {"c.png", "self", "dangling.txt"}


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "a.txt").write_text("文", encoding="utf-8")
    skips: list[Skip] = []
    assert len(list(read_documents(tmp_path, on_skip=skips.append))) == 1
    assert [skip.reason.endswith("pipe.txt: not a regular file") for skip in skips] == [True]


def test_what_was_named_and_is_missing_stops_at_the_call(tree: Path) -> None:
    with pytest.raises(UnreadableDocumentError, match=r"missing\.txt: does not exist"):
        read_documents([tree / "b.txt", tree / "missing.txt"], on_skip=forbidden)
    with pytest.raises(InputError, match="no paths"):
        read_documents([], on_skip=forbidden)
    with pytest.raises(InputError, match="a path is empty"):
        read_documents([""], on_skip=forbidden)


def test_a_folder_without_documents_stops_at_the_call(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoDocumentsError, match="no files at all"):
        read_documents(tmp_path / "empty", on_skip=forbidden)
    (tmp_path / "empty" / "a.png").write_bytes(b"x")
    (tmp_path / "empty" / "b.png").write_bytes(b"x")
    with pytest.raises(NoDocumentsError, match=r"2 × \.png.*readable are \.txt"):
        read_documents(tmp_path / "empty", on_skip=forbidden)
    with pytest.raises(NoDocumentsError):
        find_files(tmp_path / "empty")


def test_if_everything_was_skipped_the_end_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4 broken")
    (tmp_path / "b.txt").write_bytes(b"")
    skips: list[Skip] = []
    with pytest.raises(NoDocumentsError, match=r"2 skipped, the last one: .*b\.txt: empty"):
        list(read_documents(tmp_path, on_skip=skips.append))
    assert len(skips) == 2


def test_what_the_caller_raises_on_a_skip_reaches_the_caller(tree: Path) -> None:
    def strict(skip: Skip) -> None:
        raise skip.error

    with pytest.raises(UnsupportedFormatError):
        list(read_documents(tree, on_skip=strict))

    def full(skip: Skip) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        list(read_documents(tree, on_skip=full))


def test_find_files_names_what_would_be_opened(tree: Path) -> None:
    found = [path.relative_to(tree).as_posix() for path in find_files(tree)]
    assert found == ["a.md", "b.txt", "c.png", "sub/d.txt", "sub/deeper/e.txt", "空 名/g.txt"]


def test_documents_are_not_kept(tmp_path: Path) -> None:
    for i in range(40):
        (tmp_path / f"{i:02}.txt").write_text("字" * 300_000, encoding="utf-8")
    tracemalloc.start()
    try:
        for document in read_documents(tmp_path, on_skip=forbidden):
            assert len(document.text) == 300_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * 900_000  # a few copies of one of them, far from forty


def test_records_stream(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "' + "字" * 1000 + '"}\n', encoding="utf-8")
    path.write_text(path.read_text(encoding="utf-8") * 3000, encoding="utf-8")
    tracemalloc.start()
    try:
        assert sum(isinstance(item, Document) for item in read_file(path)) == 3000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < path.stat().st_size / 4


def test_documents_and_skips_are_values(read: Callable[..., tuple[list[Document], list[Skip]]]) -> None:
    documents, skips = read("a.jsonl", '{"text": "文", "n": 1}\nbroken\n')
    assert pickle.loads(pickle.dumps(documents)) == documents
    assert hash(documents[0]) == hash(pickle.loads(pickle.dumps(documents[0])))
    assert documents[0].name.endswith("a.jsonl#0")
    assert pickle.loads(pickle.dumps(skips[0])).reason == skips[0].reason
    with pytest.raises(AttributeError):
        documents[0].text = "other"  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("suffix", sorted(READERS))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_file_gives_documents_or_skips(suffix: str, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data)
    for item in read_file(path):
        if isinstance(item, Document):
            assert item.text.strip()
            item.text.encode("utf-8")  # no lone surrogates
        else:
            assert str(path) in item.reason
