"""Passages: the pieces of a document that are read one by one, as spans of the original.

A passage is a paragraph, unless that is too short to say anything alone or too long to be read at once. Headings go
with what they head.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ironwok.errors import InputError
from ironwok.results import Span
from ironwok.text.characters import cut_near
from ironwok.text.sentences import iter_sentences, stripped

DEFAULT_MAX_CHARS = 300
DEFAULT_MIN_CHARS = 30

_LINE = re.compile(r"[^\r\n\v\f\x85\u2028\u2029]+")
_BREAK = re.compile(r"\r\n|[\r\n\v\f\x85\u2028\u2029]")
_TERMINAL = frozenset('。！？!?.…；;：:，、,”』」"）)')
_SENTENCE_END = frozenset("。！？!?.…；;”』」\"'）)")
_LONGEST_HEADING = 40  # characters
_MARKED_HEADING = re.compile(
    r"#{1,6}\s"  # Markdown
    r"|第[〇零一二三四五六七八九十百千\d]{1,7}[章节節回卷部篇编編条條]"
    r"|[一二三四五六七八九十]{1,3}[、.．]|[（(][一二三四五六七八九十]{1,3}[）)]"
    r"|\d{1,2}(?:\.\d{1,2}){0,3}[、.．]?\s"
    r"|(?:Chapter|Section|Part|Appendix)\s+\w{1,8}\b"
)
# Where a sentence that is too long is cut, the best first.
_CUTS = (re.compile(r"[；;：:]"), re.compile(r"[，、,]|\s[—–-]\s|——"), re.compile(r"\s"))


@dataclass(frozen=True, slots=True)
class _Line:
    """A line without the white space around it. apart: an empty line stands above it."""

    start: int
    end: int
    apart: bool
    heading: bool
    closed: bool  # a sentence ends with it

    @property
    def length(self) -> int:
        return self.end - self.start


def split_passages(text: str, *, max_chars: int = DEFAULT_MAX_CHARS, min_chars: int | None = None) -> list[Span]:
    """The passages of a text, in order, not overlapping, without the white space around them.

    Every character that is not white space is in exactly one passage. Paragraphs are parted by empty lines, or by line
    ends behind a sentence; ones shorter than ``min_chars`` are put together with their neighbours, as far as
    ``max_chars`` allows; longer ones than that are cut into pieces of like length at the ends of sentences, clauses or
    words, in this order, and within a word only if nothing else is left.

    max_chars: the longest passage, at least 1. min_chars: at most ``max_chars``; None means 30, or a third of
    ``max_chars`` if that is less. Raises InputError.
    """
    if max_chars < 1:
        raise InputError(f"max_chars is {max_chars}: a passage has at least 1 character")
    if min_chars is None:
        min_chars = min(DEFAULT_MIN_CHARS, max_chars // 3)
    if not 0 <= min_chars <= max_chars:
        raise InputError(f"min_chars is {min_chars}: it must be between 0 and max_chars = {max_chars}")
    spans: list[Span] = []
    for start, end in _grouped(_lines(text), max_chars, min_chars):
        if end - start <= max_chars:
            spans.append(Span(start, end, text[start:end]))
        else:
            spans.extend(_pieces(text, start, end, max_chars))
    return spans


def split_paragraphs(text: str) -> list[Span]:
    """The paragraphs of a text, in order, without the white space around them, however short or long they are.

    They are parted by empty lines and by line ends behind a sentence or a heading; other line ends are taken for those
    of wrapped lines.
    """
    places: list[tuple[int, int]] = []
    before: _Line | None = None
    for line in _lines(text):
        goes_on = before is not None and not (line.apart or line.heading or before.heading or before.closed)
        places.append((places.pop()[0] if goes_on else line.start, line.end))
        before = line
    return [Span(start, end, text[start:end]) for start, end in places]


def _lines(text: str) -> Iterator[_Line]:
    """The lines that hold anything; what is a heading shows in the line after it."""
    waiting: _Line | None = None
    end = 0
    for match in _LINE.finditer(text):
        span = stripped(text, match.start(), match.end())
        if span is None:
            continue
        apart = waiting is None or len(_BREAK.findall(text, end, span.start)) > 1
        last = span.text[-1]
        short = len(span.text) <= _LONGEST_HEADING and last not in _TERMINAL
        line = _Line(span.start, span.end, apart, short, last in _SENTENCE_END)
        if waiting is not None:
            yield _settled(text, waiting, line)
        waiting, end = line, span.end
    if waiting is not None:
        yield replace(waiting, heading=False)


def _settled(text: str, line: _Line, following: _Line) -> _Line:
    """Whether a short line that ends no sentence is a heading: it is marked as one, or it stands alone above a text."""
    if not line.heading:
        return line
    marked = _MARKED_HEADING.match(text, line.start, line.end) is not None
    return replace(line, heading=marked or (line.apart and not following.heading))


@dataclass(slots=True)
class _Group:
    """Lines taken together so far. body: not only headings. last: its last line."""

    start: int
    last: _Line
    body: bool

    @property
    def end(self) -> int:
        return self.last.end


def _grouped(lines: Iterator[_Line], max_chars: int, min_chars: int) -> Iterator[tuple[int, int]]:
    """Puts lines together; a group may be longer than a passage, it is cut later."""
    done: tuple[int, int] | None = None  # held back: a short group behind it is put to it
    group: _Group | None = None
    for line in lines:
        if group is not None and not _ends_before(group, line, done, max_chars, min_chars):
            group.last = line
            group.body = group.body or not line.heading
            continue
        if group is not None:
            joined = _joined(done, group, max_chars, min_chars)
            if done is not None and joined is None:
                yield done
            done = joined or (group.start, group.end)
        group = _Group(line.start, line, not line.heading)
    if group is not None:
        joined = _joined(done, group, max_chars, min_chars)
        if done is not None and joined is None:
            yield done
        yield joined or (group.start, group.end)


def _ends_before(group: _Group, line: _Line, done: tuple[int, int] | None, max_chars: int, min_chars: int) -> bool:
    """Whether the next line begins a group of its own."""
    if group.last.heading or not group.body:
        return False
    long_enough = group.end - group.start >= min_chars
    fits = line.end - group.start <= max_chars
    if line.heading:  # a new section: what is too short goes to the one before rather than to this one
        return long_enough or not fits or _joined(done, group, max_chars, min_chars) is not None
    if line.apart or group.last.closed:
        return long_enough or not fits
    return False  # a wrapped line, an item of a list: cut later, at a better place, if need be


def _joined(done: tuple[int, int] | None, group: _Group, max_chars: int, min_chars: int) -> tuple[int, int] | None:
    """The group before and this one as one, if this one is too short to stand alone and there is room."""
    if done is None or group.end - group.start >= min_chars or group.end - done[0] > max_chars:
        return None
    return done[0], group.end


def _pieces(text: str, start: int, end: int, max_chars: int) -> Iterator[Span]:
    """Cuts a stretch into pieces of about the same length, none over ``max_chars``."""
    ends = [start + sentence.end for sentence in iter_sentences(text[start:end])]
    while end - start > max_chars:
        rest = end - start
        wanted = start + round(rest / math.ceil(rest / max_chars))
        cut = _cut(text, start, wanted, start + max_chars, ends)
        if (span := stripped(text, start, cut)) is not None:
            yield span
        start = cut
    if (span := stripped(text, start, end)) is not None:
        yield span


def _cut(text: str, start: int, wanted: int, latest: int, ends: list[int]) -> int:
    """The best place to cut near ``wanted``, not beyond ``latest``, not so early that a snippet is left."""
    earliest = start + max((latest - start) // 3, 1)
    sentence_ends = ends[bisect_left(ends, earliest) : bisect_right(ends, latest)]
    if sentence_ends:
        return min(sentence_ends, key=lambda position: abs(position - wanted))
    for pattern in _CUTS:
        found = [match.end() for match in pattern.finditer(text, earliest - 1, latest)]
        if found:
            return min(found, key=lambda position: abs(position - wanted))
    cut = cut_near(text, latest)
    return cut if cut > start else latest
