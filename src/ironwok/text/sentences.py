"""Sentences of Chinese and English text, as spans of the original.

One pass over the marks that can end a sentence; each is judged by what stands around it. The time grows with the length
of the text, whatever it holds: no mark looks back further than a word, or forward further than the white space behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ironwok.results import Span
from ironwok.text.characters import UNSPACED

_BREAKS = "\r\n\v\f\x85\u2028\u2029"
# A run of marks is one end ("？！", "……"); a run of line breaks and the white space in it is one break.
_MARK = re.compile(rf"[。！？｡…⋯‼⁇⁈⁉!?]+|[;；]|[.．]+|[{_BREAKS}]\s*")
_STRONG = re.compile("[。！？｡‼⁇⁈⁉]")
_CLOSING = re.compile(r"[”’」』）】》〉〕］｝)\]}»]*")  # a sentence takes these along
_SPACE = re.compile(r"\s*")
_BLANK_LINE = re.compile(r"\n\s*?\n|\r(?!\n)\s*?\r|\u2029")
_UNSPACED = re.compile(f"[{UNSPACED}]")
_COMMAS = frozenset("，、,：:；;。")  # behind a mark: what it closes is a part of a longer sentence
_LINE_GOES_ON = frozenset("，、,—–-")
_FULL_LINE = 40  # characters; a shorter line was not wrapped, it is an item or a verse

_WORD_BEFORE = 24  # characters in which an abbreviation is looked for
_LAST_WORD = re.compile(r"(?:[A-Za-z]\.)*[A-Za-z]+\Z")
_LISTED = re.compile(
    r"[(（]?(?:\d{1,3}(?:\.\d{1,3})*|[A-Za-z]|[ivxIVX]{1,5})\Z"
)  # "1", "2.3", "a", "iv" before the stop


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


# Something must follow these.
_TITLES = _words(
    "mr mrs ms mx dr prof st sr jr rev hon gov sen rep gen lt capt sgt adm cmdr pres messrs mme mlle "
    "vs cf eg ie viz al approx ca est resp e.g i.e a.k.a c.f q.v"
)
# Some of them words of their own: abbreviations before a number only.
_BEFORE_NUMBERS = _words(
    "no nos p pp ch sec art fig figs eq eqs vol vols jan feb mar apr jun jul aug sep sept oct nov dec"
)
# These may end a sentence, and do if a word follows that seldom stands elsewhere than at a beginning.
_SOMETIMES = _words("inc ltd co corp llc plc bros etc dept univ ave blvd rd mt esq")
_STARTERS = _words(
    "the a an it he she they we you i this that these those there here in on at as if when while but and so yet or "
    "however then its his her their our my your for from by with after before since although because some many most "
    "all not what who how why where which one two"
)
_NEXT_WORD = re.compile(r"[A-Za-z]{1,12}")


def split_sentences(text: str) -> list[Span]:
    """The sentences of a text, in order, without the white space around them.

    Every character that is not white space is in exactly one sentence. Ends are 。！？；… and their ASCII forms with
    what closes behind them (quotes, brackets), and line breaks, unless the line plainly goes on in the next one: it
    ends in a comma, or it is long and the next one begins with a small letter. A full stop within a number, a name or
    an abbreviation, or behind the number of a list item, is no end.
    """
    return list(iter_sentences(text))


def iter_sentences(text: str) -> Iterator[Span]:
    """The same, one after the other."""
    start = 0
    for end in _ends(text):
        if (span := stripped(text, start, end)) is not None:
            yield span
        start = end
    if (span := stripped(text, start, len(text))) is not None:
        yield span


def stripped(text: str, start: int, end: int) -> Span | None:
    """The span without white space at its ends; None if there is nothing else."""
    piece = text[start:end]
    begin = start + len(piece) - len(piece.lstrip())
    piece = piece.strip()
    return Span(begin, begin + len(piece), piece) if piece else None


def _ends(text: str) -> Iterator[int]:
    """Positions behind the last character of each sentence but the last."""
    start = 0  # of the sentence
    line = 0  # start of the line
    counted, quotes = 0, 0  # straight double quotes seen in the sentence, to tell opening from closing ones
    position = 0
    while (mark := _MARK.search(text, position)) is not None:
        position = mark.end()
        quotes += text.count('"', counted, position)
        counted = position
        end: int | None
        if text[mark.start()] in _BREAKS:
            end = position if _line_ends(text, line, mark) else None
            line = position
        else:
            end = _behind_closers(text, position, quote_is_open=quotes % 2 == 1)
            if not _sentence_ends(text, start, mark, end):
                end = None
        if end is not None:
            yield end
            start = position = counted = end
            quotes = 0


def _behind_closers(text: str, position: int, *, quote_is_open: bool) -> int:
    """The position behind everything that closes with the sentence."""
    end = _end_of(_CLOSING, text, position)
    quote = text[end : end + 1]
    if (quote == '"' and quote_is_open) or (quote == "'" and (end + 1 == len(text) or text[end + 1].isspace())):
        end = _end_of(_CLOSING, text, end + 1)
    return end


def _end_of(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    assert match is not None, "the pattern matches the empty string"
    return match.end()


def _line_ends(text: str, line: int, mark: re.Match[str]) -> bool:
    """Whether a line break is the end of a sentence."""
    if _BLANK_LINE.search(mark.group()):
        return True
    before = text[max(mark.start() - _WORD_BEFORE, line) : mark.start()].rstrip()
    if before and before[-1] in _LINE_GOES_ON:
        return False
    return not ("a" <= text[mark.end() : mark.end() + 1] <= "z" and mark.start() - line >= _FULL_LINE)


def _sentence_ends(text: str, start: int, mark: re.Match[str], end: int) -> bool:
    """Whether the mark ends the sentence that began at ``start``; ``end`` is behind what closes with it."""
    signs, following = mark.group(), text[end : end + 1]
    if following in _COMMAS:
        return False
    if signs == "；" or _STRONG.search(signs):
        return True
    before = text[mark.start() - 1] if mark.start() > start else ""
    if signs == ";":
        return _UNSPACED.match(before) is not None
    within_word = following.isascii() and not (following.isspace() or following in "\"'([")
    if signs in (".", "．"):
        return _full_stop_ends(text, start, mark.start(), end)
    return not (following and within_word) and not _goes_on_small(text, end)  # … ... ! ?


def _goes_on_small(text: str, position: int) -> bool:
    """Whether the next word begins with a small Latin letter."""
    after = _end_of(_SPACE, text, position)
    return "a" <= text[after : after + 1] <= "z"


def _full_stop_ends(text: str, start: int, stop: int, end: int) -> bool:
    before, following = text[max(stop - _WORD_BEFORE, start) : stop], text[end : end + 1]
    chinese = bool(before) and _UNSPACED.match(before[-1]) is not None
    if following and not following.isspace():
        if before[-1:].isdigit() and following.isdigit():  # a number in full-width digits
            return False
        return chinese and _UNSPACED.match(following) is not None  # a Latin stop in Chinese text
    if chinese or not following:
        return True
    if _goes_on_small(text, end):
        return False
    if stop - start < _WORD_BEFORE and _LISTED.match(before.strip()):
        return False
    last = _LAST_WORD.search(before)
    return last is None or _word_ends(last.group(), text, end)


def _word_ends(word: str, text: str, end: int) -> bool:
    """Whether a full stop behind this word, with white space behind it, ends a sentence."""
    small = word.lower()
    if small in _TITLES or (len(word) == 1 and word != "I"):  # a single letter: somebody's initial
        return False
    after = _end_of(_SPACE, text, end)
    if small in _BEFORE_NUMBERS:
        return not text[after : after + 1].isdigit()
    if small in _SOMETIMES or "." in word:
        following = _NEXT_WORD.match(text, after)
        return following is None or following.group().lower() in _STARTERS
    return True
