from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwok.errors import EncodingError, InputError
from ironwok.text.line_streams import LineDecoder

CHINESE = ["央行宣布降准", "主队三比一获胜", "谢谢", "好", "ok", "", "今天天气不错"]


def lines_of(*blocks: bytes, encoding: str | None = None) -> list[str]:
    decoder = LineDecoder(name="the stream", encoding=encoding)
    found = [line for block in blocks for line in decoder.feed(block)] + decoder.close()
    assert [number for number, _ in found] == list(range(1, len(found) + 1))
    texts = []
    for _, decoded in found:
        assert not isinstance(decoded, EncodingError), decoded
        texts.append(decoded.text)
    return texts


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "gb18030", "big5", "utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_short_lines_in_any_encoding_whatever_the_blocks(codec: str, size: int) -> None:
    traditional = ["今天天氣很好，我們去公園", "謝謝", "好", "ok 1"]
    texts = traditional if codec == "big5" else [*CHINESE, "ok 2"]
    data = "\n".join(texts).encode(codec)
    blocks = [data[start : start + size] for start in range(0, len(data), size)]
    if codec == "utf-16-le" and size < 1000:
        blocks = [data[:20], *(data[start : start + size] for start in range(20, len(data), size))]
    assert lines_of(*blocks) == texts


def test_a_line_that_is_utf_8_by_accident_is_read_like_the_others() -> None:
    blocks = [f"{text}\n".encode("gb18030") for text in ("央行宣布降准", "主队三比一获胜", "谢谢", "茅")]
    assert lines_of(*blocks)[2:] == ["谢谢", "茅"]
    # within one block the later lines speak for the earlier ones
    assert lines_of(b"".join(reversed(blocks))) == ["茅", "谢谢", "主队三比一获胜", "央行宣布降准"]
    assert lines_of("Привет\nмир\n".encode()) == ["Привет", "мир"]


def test_lines_in_two_encodings() -> None:
    data = "今天天气不错\n".encode() + "央行宣布降准\n".encode("gb18030") + "主队获胜\n".encode()
    assert lines_of(data) == ["今天天气不错", "央行宣布降准", "主队获胜"]
    assert lines_of("\ufeff今天\n".encode(), "央行宣布降准\n".encode("gb18030")) == ["今天", "央行宣布降准"]


def test_all_three_line_ends_even_between_blocks() -> None:
    assert lines_of("甲\r".encode(), "\n乙\r丙\n".encode(), "\r\n丁".encode()) == ["甲", "乙", "丙", "", "丁"]
    assert lines_of("\ufeff甲\r\n乙\r丙".encode("utf-16-le")) == ["甲", "乙", "丙"]


def test_lines_come_as_soon_as_they_are_whole() -> None:
    decoder = LineDecoder(name="the stream")
    assert [decoded.text for _, decoded in decoder.feed("甲\n乙".encode())] == ["甲"]  # pyright: ignore[reportAttributeAccessIssue]
    assert decoder.feed("乙".encode()) == []
    assert [number for number, _ in decoder.feed(b"\n")] == [2]
    assert decoder.close() == []


def test_a_named_encoding_is_kept_to_and_damage_is_counted() -> None:
    assert lines_of("谢谢\n".encode("gb18030"), encoding="gbk") == ["谢谢"]
    assert lines_of("\ufeff谢谢\n".encode("utf-16-be"), encoding="utf-16") == ["谢谢"]
    decoder = LineDecoder(name="the stream", encoding="utf-8")
    ((_, damaged), (number, other)) = decoder.feed(
        "今天天\xff气不错\n".encode().replace(b"\xc3\xbf", b"\xff") + "央行宣布降准，利率下调\n".encode("gb18030")
    )
    assert (damaged.text, damaged.replaced) == ("今天天\ufffd气不错", 1)  # pyright: ignore[reportAttributeAccessIssue]
    assert number == 2
    assert isinstance(other, EncodingError)
    assert "the stream, line 2: not utf-8" in str(other)
    with pytest.raises(InputError, match="no encoding called 'utf-9'"):
        LineDecoder(name="x", encoding="utf-9")


def test_what_is_no_text() -> None:
    with pytest.raises(EncodingError, match="the stream: binary data"):
        lines_of(b"\x00\x01\x02\x03" * 100)


@settings(deadline=None)  # the first guess loads a library
@given(st.lists(st.binary(max_size=40), max_size=6))
def test_any_bytes_give_lines_or_errors(blocks: list[bytes]) -> None:
    decoder = LineDecoder(name="the stream")
    try:
        found = [line for block in blocks for line in decoder.feed(block)] + decoder.close()
    except EncodingError:
        return
    assert [number for number, _ in found] == list(range(1, len(found) + 1))
