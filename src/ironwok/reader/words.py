"""Words and terms of Chinese and English text: what a question and a text can have in common."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from operator import add
from typing import Any

from ironwok.text.characters import has_han

# Classes of words, from the part-of-speech tags of jieba (those of ICTCLAS) and from the look of marks.
CLASSES = (
    "edge",  # beyond the sentence
    "person",
    "place",
    "body",  # organisations
    "proper",
    "noun",
    "time",
    "number",
    "measure",
    "verb",
    "adjective",
    "adverb",
    "preposition",
    "conjunction",
    "particle",
    "pronoun",
    "locality",
    "latin",
    "opening",
    "closing",
    "pause",
    "stop",
    "space",
    "other",
)
CLASS = {name: number for number, name in enumerate(CLASSES)}
_TAGS = {
    "nr": "person",
    "ns": "place",
    "nt": "body",
    "nz": "proper",
    "t": "time",
    "m": "number",
    "q": "measure",
    "f": "locality",
    "s": "locality",
}
_FIRST = {
    "n": "noun",
    "v": "verb",
    "a": "adjective",
    "d": "adverb",
    "p": "preposition",
    "c": "conjunction",
    "u": "particle",
    "r": "pronoun",
    "i": "noun",
    "l": "noun",
    "j": "noun",
    "b": "adjective",
    "z": "adjective",
}
_OPENING, _CLOSING = frozenset("“‘《〈「『（([【〔"), frozenset("”’》〉」』）)]】〕")
_PAUSES, _STOPS = frozenset("，,、：:—–-"), frozenset("。！？!?；;…")
_PIECE = re.compile(
    r"[A-Za-z0-9.+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"  # an address of electronic mail
    r"|(?:0\d{2,3}|[48]00|1\d{2})(?:-\d{3,8})+"  # a number of a telephone
    r"|\d{1,2}:\d{2}(?::\d{2})?(?!\d)|\d{4}-\d{2}-\d{2}(?!\d)"  # a time, a day
    r"|[A-Za-z]+(?:['’][A-Za-z]+)?|\d+(?:[.,]\d+)*|\s+|[^\w\s]|[^\W\d_A-Za-z]+|_"
)
_TERM = re.compile(r"[a-z]+|[0-9]+(?:\.[0-9]+)?|[^\W0-9a-z_]+", re.UNICODE)
_HAN_NUMERALS = frozenset("〇零一二三四五六七八九十百千万亿两兩萬億")


@dataclass(frozen=True, slots=True)
class Word:
    """A word or mark of a text, white space too. start, end: half-open; kind: number in `CLASSES`."""

    text: str
    start: int
    end: int
    kind: int


def words_of(text: str) -> list[Word]:
    """The words of a text, in order; their texts joined are the text again."""
    found: list[Word] = []
    for piece in _PIECE.finditer(text):
        start, body = piece.start(), piece.group()
        if "@" in body[1:] or (body[0].isascii() and body[0].isalpha()):
            found.append(Word(body, start, piece.end(), CLASS["latin"]))
        elif body[0].isdigit():
            found.append(Word(body, start, piece.end(), CLASS["number"]))
        elif not has_han(body):
            found.append(Word(body, start, piece.end(), _kind_of_mark(body)))
        else:
            for word, tag in _segmenter().tag(body):
                found.append(Word(word, start, start + len(word), _kind(word, tag)))
                start += len(word)
    return found


@cache
def _segmenter() -> Any:
    import rjieba

    return rjieba


def _kind(word: str, tag: str) -> int:
    if all(one in _HAN_NUMERALS for one in word):
        return CLASS["number"]
    return CLASS[_TAGS.get(tag[:2], _TAGS.get(tag[:1], _FIRST.get(tag[:1], "other")))]


def _kind_of_mark(mark: str) -> int:
    first = mark[0]
    for name, marks in (("opening", _OPENING), ("closing", _CLOSING), ("pause", _PAUSES), ("stop", _STOPS)):
        if first in marks:
            return CLASS[name]
    return CLASS["space" if first.isspace() else "other"]


def is_numeral(character: str) -> bool:
    return character.isdigit() or character in _HAN_NUMERALS


def terms_of(text: str) -> list[str]:
    """What a text is found by: Latin words and numbers, single Chinese characters and their neighbouring pairs."""
    found: list[str] = []
    for match in _TERM.finditer(_lowered(text)):
        run = match.group()
        if run[0].isascii():
            found.append(stem(run))
        else:
            found += run
            found += map(add, run, run[1:])
    return found


def placed_terms(text: str) -> list[tuple[str, int]]:
    """The same, each with its position in the text."""
    found: list[tuple[str, int]] = []
    for match in _TERM.finditer(_lowered(text)):
        run, start = match.group(), match.start()
        if run[0].isascii():
            found.append((stem(run), start))
        else:
            found += zip(run, range(start, match.end()), strict=True)
            found += zip(map(add, run, run[1:]), range(start, match.end()), strict=False)
    return found


def _lowered(text: str) -> str:
    """In small letters, and as long as before: İ and its like become two."""
    lowered = text.lower()
    return (
        lowered if len(lowered) == len(text) else "".join(low if len(low := one.lower()) == 1 else one for one in text)
    )


def stem(word: str) -> str:
    """An English word without the commonest endings: enough to bring leaves and leaving together."""
    for ending in ("ing", "ies", "ied", "es", "ed", "e", "s", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word
