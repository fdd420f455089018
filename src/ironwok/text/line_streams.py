"""Lines of text out of bytes that come piece by piece, such as standard input, each as soon as it is whole."""

from __future__ import annotations

import codecs
import re

from ironwok.errors import EncodingError, InputError
from ironwok.text.encodings import BYTE_ORDER_MARKS, Decoded, decode, detect, is_wide, known_codec

_LINE_END = re.compile(rb"\r\n|\r|\n")
_LINE_END_OF_TEXT = re.compile("\r\n|\r|\n")
_ENOUGH = 1 << 12  # bytes of lines in another encoding than UTF-8, by which that encoding is settled
_LONGEST_LINE = 1 << 28  # bytes


class LineDecoder:
    """Turns blocks of bytes into lines of text.

    A byte order mark counts for the whole stream. Without one UTF-8 is expected; the first lines that are not UTF-8
    decide which encoding it is instead, and that holds for the lines after them, too: a short line of GB18030 may be
    valid UTF-8 by accident. A line that does not fit is judged by itself.

    name: what to call the stream in errors. encoding: trusted, no detection.
    """

    def __init__(self, *, name: str, encoding: str | None = None) -> None:
        self._name = name
        self._named = encoding
        self._codec = known_codec(encoding) if encoding is not None else None
        if encoding is not None and self._codec is None:
            raise InputError(f"Python knows no encoding called {encoding!r}; try 'utf-8', 'gb18030', 'big5', 'utf-16'")
        self._is_fixed = encoding is not None
        self._is_open = False
        self._wide: codecs.IncrementalDecoder | None = None  # for encodings in which a line feed is not one byte
        self._start = b""
        self._pieces: list[bytes] = []  # of the line that is not whole yet
        self._size = 0
        self._text = ""  # the same, for wide encodings
        self._after_return = False
        self._number = 0
        self._sample = bytearray()
        self._in_utf8 = self._in_another = 0

    def feed(self, block: bytes) -> list[tuple[int, Decoded | EncodingError]]:
        """The lines that are whole now, numbered from 1, without their ends; one that is no text as its error.

        Raises EncodingError for a stream that is no text at all, or with a line that would not fit into memory.
        """
        if not self._is_open:
            self._start += block
            if len(self._start) < 4 and any(mark.startswith(self._start) for mark, _ in BYTE_ORDER_MARKS):
                return []  # it may become a byte order mark
            block = self._open()
        return self._wide_lines(self._wide.decode(block)) if self._wide is not None else self._lines(block)

    def close(self) -> list[tuple[int, Decoded | EncodingError]]:
        """The last line, where no line end follows it."""
        found: list[tuple[int, Decoded | EncodingError]] = []
        if not self._is_open and self._start:
            rest = self._open()
            found = self._wide_lines(self._wide.decode(rest)) if self._wide is not None else self._lines(rest)
        if self._wide is not None:
            self._text += self._wide.decode(b"", final=True)
            return found + (self._wide_lines("\n") if self._text else [])
        return found + (self._lines(b"\n") if self._pieces else [])

    def _open(self) -> bytes:
        """Look for a byte order mark; what follows it."""
        self._is_open = True
        start = self._start
        for mark, codec in BYTE_ORDER_MARKS:
            if start.startswith(mark) and (self._codec in (None, codec) or self._codec in ("utf-16", "utf-32")):
                self._codec, self._is_fixed = codec, True
                start = start[len(mark) :]
                break
        else:
            if self._codec is None and b"\x00" in start and (codec := self._judge_zeros(start)) is not None:
                self._codec, self._is_fixed = codec, True
        if self._codec is not None and is_wide(self._codec):
            self._wide = codecs.getincrementaldecoder(self._codec)("replace")
        return start

    def _judge_zeros(self, start: bytes) -> str | None:
        """UTF-16 without a mark, or None for a few stray zero bytes."""
        try:
            codec = detect(start[: len(start) // 2 * 2], name=self._name)
        except EncodingError:
            if start.count(0) * 10 > len(start):
                raise
            return None
        return codec if is_wide(codec) else None

    def _wide_lines(self, text: str) -> list[tuple[int, Decoded | EncodingError]]:
        if self._after_return and text:
            text, self._after_return = text.removeprefix("\n"), False
        *lines, self._text = _LINE_END_OF_TEXT.split(self._text + text)
        self._after_return = text.endswith("\r")
        self._check_size(4 * len(self._text))
        assert self._codec is not None
        return [(self._next(), Decoded(line, self._codec, line.count("\ufffd"))) for line in lines]

    def _lines(self, block: bytes) -> list[tuple[int, Decoded | EncodingError]]:
        if self._after_return and block:
            block, self._after_return = block.removeprefix(b"\n"), False
        *ended, rest = _LINE_END.split(block)
        if ended:
            ended[0] = b"".join([*self._pieces, ended[0]])
            self._pieces, self._size = [], 0
            self._after_return = block.endswith(b"\r")
        if rest:
            self._pieces.append(rest)
            self._size += len(rest)
            self._check_size(self._size)
        if not self._is_fixed:
            self._learn(ended)
        return [(number := self._next(), self._decode(line, number)) for line in ended]

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _check_size(self, size: int) -> None:
        if size > _LONGEST_LINE:
            raise EncodingError(
                f"{self._name}: line {self._number + 1} is longer than {_LONGEST_LINE:,} bytes: split it into lines"
            )

    def _learn(self, lines: list[bytes]) -> None:
        """Which encoding the stream is in, by the lines seen so far."""
        fresh = False
        for line in lines:
            if line.isascii():
                continue
            text = _as_utf8(line)
            if text is None:
                self._in_another += 1
                if len(self._sample) < _ENOUGH:
                    self._sample += line[:_ENOUGH] + b"\n"
                    fresh = True
            elif _is_beyond_accident(text):
                self._in_utf8 += 1
        if fresh:
            try:
                self._codec = detect(bytes(self._sample), name=self._name)
            except EncodingError:
                return  # each line is told of by itself

    def _decode(self, line: bytes, number: int) -> Decoded | EncodingError:
        name = f"{self._name}, line {number}"
        try:
            if self._named is not None:
                return decode(line, name=name, encoding=self._named)
            codec = self._codec_of(line)
            if codec is not None and b"\x00" not in line:
                try:
                    return Decoded(line.decode(codec), codec)
                except UnicodeDecodeError:
                    pass  # another encoding than the rest, or damaged: judged by itself
            return decode(line, name=name)
        except EncodingError as error:
            return error

    def _codec_of(self, line: bytes) -> str | None:
        """The encoding that a line is in, from what is known of the stream; None where it must speak for itself."""
        if line.isascii():
            return "utf-8"
        if self._is_fixed:
            return self._codec
        text = _as_utf8(line)
        if text is None:
            return self._codec
        if _is_beyond_accident(text) or self._in_utf8 > self._in_another:
            return "utf-8"
        return self._codec if self._in_another else None


def _as_utf8(line: bytes) -> str | None:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _is_beyond_accident(text: str) -> bool:
    """Whether valid UTF-8 holds characters of three bytes: then it can hardly be anything else."""
    return max(text) > "\u07ff"
