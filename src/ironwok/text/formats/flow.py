"""Puts the pieces of a laid-out document into one plain text.

The same layout for every format: blocks (paragraphs, tables, lists) are parted by an empty line; a heading stands on a
line of its own directly above the text that it heads; list items and table rows are lines, table cells are parted by
tabs.
"""

from __future__ import annotations

import re

from ironwok.text.characters import is_unspaced

_SPACES = re.compile(r"[ \t\r\n\f]+")

LINE, BLOCK = 1, 2


class Flow:
    """Collects text; white space between pieces follows from the breaks asked for, never doubled."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._break = 0
        self._space = ""  # white space seen in running text, not written yet
        self._last = ""  # the last character written
        self._below_heading = False
        self._cells = 0

    def text(self) -> str:
        return "".join(self._parts)

    def break_(self, strength: int) -> None:
        """End the line (LINE) or the block (BLOCK); inside a table cell both are a space."""
        if self._cells:
            self._space = self._space or " "
        else:
            self._break = max(self._break, strength)

    def end_heading(self) -> None:
        """What comes next is headed by what was just written: no empty line between them."""
        self.break_(LINE)
        self._below_heading = self._last != ""

    def begin_cell(self, *, first: bool) -> None:
        """Cells of a table within a cell are parted by spaces."""
        if self._cells:
            self._space = self._space or " "
        elif not first:
            self._write("\t")
        self._cells += 1

    def end_cell(self) -> None:
        self._cells -= 1
        self._space = ""

    def running(self, text: str) -> None:
        """Add running text whose white space means nothing but "a gap".

        A line break in the source between two Chinese characters is no gap at all.
        """
        words = _SPACES.split(text)
        gaps = _SPACES.findall(text)
        for i, word in enumerate(words):
            if i:
                self._space += gaps[i - 1]
            if word:
                self._gap(word[0])
                self._write(word)

    def verbatim(self, text: str) -> None:
        """Add text whose white space counts, as in a listing; inside a table cell it is running text all the same."""
        if self._cells:
            self.running(text.replace("\n", " "))
        elif text:
            self._gap(text[0])
            self._write(text)

    def end_verbatim(self) -> None:
        """A listing ends: its last line end becomes the break that follows."""
        while self._parts and not (body := self._parts[-1].rstrip("\r\n")):
            self._parts.pop()
        if self._parts:
            self._parts[-1] = body
            self._last = body[-1]

    def _gap(self, following: str) -> None:
        if self._space and not self._break and self._last not in ("", "\t", "\n"):
            wrapped = "\n" in self._space or "\r" in self._space
            if not (wrapped and is_unspaced(self._last) and is_unspaced(following)):
                self._parts.append(" ")
        self._space = ""

    def _write(self, text: str) -> None:
        if self._break and self._parts:
            self._parts.append("\n" if self._below_heading or self._break == LINE else "\n\n")
        self._parts.append(text)
        self._last = text[-1]
        self._break, self._space = 0, ""
        self._below_heading = False
