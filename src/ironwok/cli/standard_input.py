"""Standard input line by line, with word of whether the next line is there already."""

from __future__ import annotations

import os
import select
import sys
from collections import deque
from collections.abc import Callable, Iterator
from typing import BinaryIO

from ironwok.cli.lines import Line, said_of
from ironwok.errors import EncodingError, UnreadableDocumentError
from ironwok.text.encodings import Decoded
from ironwok.text.line_streams import LineDecoder

_BLOCK = 1 << 16


class StandardInput(Iterator[Line]):
    """The lines of standard input that are not blank, as they come.

    `pauses` lets whoever collects lines answer what has been collected before the next line is waited for.

    on_skip: told of lines that are no text; on_note: of lines with broken bytes in them.
    Raises UnreadableDocumentError and EncodingError while it is read.
    """

    def __init__(self, *, encoding: str | None, on_skip: Callable[[str], None], on_note: Callable[[str], None]) -> None:
        if sys.stdin is None:
            raise UnreadableDocumentError("standard input is closed: name a file, or send texts to it")
        self._file: BinaryIO = sys.stdin.buffer
        self._on_skip, self._on_note = on_skip, on_note
        self._decoder = LineDecoder(name="standard input", encoding=encoding)
        self._waiting: deque[Line] = deque()
        self._ended = False

    def __next__(self) -> Line:
        while not self._waiting:
            if self._ended:
                raise StopIteration
            self._read()
        return self._waiting.popleft()

    def pauses(self) -> bool:
        """Whether the next line is not there yet: to take it would mean to wait."""
        while not self._waiting and not self._ended:
            if not self._has_more():
                return True
            self._read()
        return False

    def _read(self) -> None:
        try:
            block = self._next_block()
        except OSError as error:
            raise UnreadableDocumentError(f"standard input cannot be read ({error.strerror or error})") from error
        self._ended = not block
        for number, decoded in self._decoder.feed(block) if block else self._decoder.close():
            self._take(number, decoded)

    def _take(self, number: int, decoded: Decoded | EncodingError) -> None:
        if isinstance(decoded, EncodingError):
            self._on_skip(str(decoded))
            return
        if decoded.replaced:
            self._on_note(said_of("standard input", number, decoded.replaced))
        if text := decoded.text.strip():
            self._waiting.append(Line(number, text))

    def _next_block(self) -> bytes:
        descriptor = self._descriptor()
        # not through the buffer: what lies in there, `select` does not see
        return self._file.read(_BLOCK) if descriptor is None else os.read(descriptor, _BLOCK)

    def _has_more(self) -> bool:
        descriptor = self._descriptor()
        if descriptor is None:
            return True
        try:
            return bool(select.select([descriptor], [], [], 0)[0])
        except OSError:  # Windows asks sockets only: every block counts as all there is for now
            return False

    def _descriptor(self) -> int | None:
        """None for a stream in memory, which never lets anyone wait."""
        try:
            return self._file.fileno()
        except OSError:
            return None
