"""What a question asks for, and which words of a text can be its answer.

Rules for English by the look of the words alone, as the question answering of the TREC years had them: a small model
that compares stretches of a text likes a year as the answer to anything. They only take away; what is left the model
judges.
"""

from __future__ import annotations

import re
from typing import Literal

from ironwok.text.characters import UNSPACED, has_han

Expected = Literal["number", "time", "name", "other"]

_HOW_MANY = "how (many|much|long|old|far|tall|high|large|big|fast|often|wide|deep)"
# Questions that a few words of a text answer. A reason, a summary or a yes has to be written.
_ASKS_FOR_WORDS = re.compile(rf"\b(who|whom|whose|when|where|what|which|{_HOW_MANY})\b", re.IGNORECASE)
# "what year", "which of the years", "what is the exact number"
_ASKS = r"\b(what|which)(\s+(is|was|are|were))?(\s+of)?(\s+the)?(\s+(exact|approximate|average|total))?\s+"
_NUMBER = re.compile(rf"\b{_HOW_MANY}\b|{_ASKS}(percentage|percent|proportion|fraction|amount|number)\b", re.IGNORECASE)
# "when" in the middle of a question may join two clauses
_TIME = re.compile(
    rf"^\W*((since|until|till|by|from|and) )?when\b|{_ASKS}(years?|dates?|days?|months?|century|centuries|decades?)\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"\b(who|whom|whose|where)\b", re.IGNORECASE)
_MAY_BE_A_YEAR = re.compile(r"\b(years?|dates?|time|period|age|when|how|number|numbered|called|named|version|model)\b")

_WORD = re.compile(rf"(?=[^\W_])[{UNSPACED}]|[^\W_{UNSPACED}]+")
_OFFERS = re.compile(r"\bor\b|还是|還是", re.IGNORECASE)
# Behind these something must follow.
_OPEN_ENDS = frozenset(
    ("a", "an", "the", "and", "or", "but", "as", "at", "by", "for", "from", "in", "into", "of", "on", "to", "with")
)
# articles, prepositions, auxiliaries and the like, which alone are no answer; pronouns and numbers may be
_EMPTY_WORDS = _OPEN_ENDS | frozenset(
    [
        *("is", "are", "was", "were", "be", "been", "it", "its", "this", "that", "these", "those", "there", "their"),
        *("can", "cannot", "could", "might", "must", "shall", "should", "will", "would"),
        *("do", "does", "did", "has", "have", "had", "not", "also"),
        *"的了是在和与及之也",
    ]
)
_STEM, _ENDING = 4, 3  # letters that forms of a word share at least, and by which they differ at most


def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


_COUNTS = _set_of(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds thousand thousands "
    "million millions billion billions trillion dozen dozens half third thirds quarter quarters fifth tenth once twice "
    "thrice single double triple pair couple several few many most all none no some every each more less majority "
    "minority hourly daily weekly monthly quarterly yearly annually always never century centuries decade decades year "
    "years month months week weeks day days hour hours minute minutes forever"
)
_MONTHS = _set_of(
    "january february march april may june july august september october november december jan feb mar apr jun jul aug "
    "sep sept oct nov dec"
)
_TIMES = _MONTHS | _set_of(
    "monday tuesday wednesday thursday friday saturday sunday century centuries decade decades year years month months "
    "week weeks day days daily hour hours night morning afternoon evening noon midnight dawn spring summer autumn fall "
    "winter ago after before during until till since while when now today tomorrow yesterday tonight never always "
    "early earlier late later mid end beginning war era age period time times once easter christmas weekend weekends"
)
_YEAR = re.compile(r"1\d{3}|20\d{2}")
_WRITTEN_NUMBER = re.compile(r"\d+(st|nd|rd|th|s)?")


def asks_for_words(question: str) -> bool:
    """Whether an English question looks as if a few words of a text answered it: who, when, how many, what …"""
    return not has_han(question) and _ASKS_FOR_WORDS.search(question) is not None


def expected(question: str) -> Expected:
    """What an English question asks for: a number ("how many"), a time ("when"), somebody or somewhere, or anything."""
    if _NUMBER.search(question):
        return "number"
    if _TIME.search(question):
        return "time"
    return "name" if _NAME.search(question) else "other"


def may_answer(stretch: str, question: str) -> bool:
    """Whether words of a text can be an answer: they tell something, are of the kind that the question asks for, and do
    not break off behind "of" or "the".
    """
    words = _words(stretch)
    if words and words[-1] in _OPEN_ENDS and not has_han(question):
        return False
    return tells(stretch, question) and fits(stretch, question)


def fits(stretch: str, question: str) -> bool:
    """Whether words of a text can be what the question asks for.

    A number has a digit or a word for a count in it, a time one of these or a word of the calendar; who and where are
    no bare number; nothing but a question about times or numbers is answered by a bare year. Where a question is not
    English, everything fits.
    """
    if has_han(question):
        return True
    words = [word for word in _words(stretch) if word not in _EMPTY_WORDS]
    digits = any(any(one.isdigit() for one in word) for word in words)
    asked = expected(question)
    if asked == "number":
        return digits or any(word in _COUNTS for word in words)
    if asked == "time":
        return digits or any(word in _TIMES or word in _COUNTS for word in words)
    if asked == "name" and all(_WRITTEN_NUMBER.fullmatch(word) or word in _MONTHS for word in words):
        return False
    bare_year = bool(words) and all(_YEAR.fullmatch(word) for word in words)
    return not bare_year or _MAY_BE_A_YEAR.search(question.casefold()) is not None


def tells(stretch: str, question: str) -> bool:
    """Whether a stretch says more than the question does: a word that is no stop word and not in the question.

    Inflected forms count as one word (encode, encoding, encoded). Where a question offers a choice ("Is it red or
    blue?", 还是), its own words are the answer, and every stretch may tell something.
    """
    if _OFFERS.search(question):
        return True
    said = _words(question)
    return any(word not in _EMPTY_WORDS and not any(_alike(word, other) for other in said) for word in _words(stretch))


def _words(text: str) -> list[str]:
    """Words in small letters, Chinese and kana one by one; a single small letter is none (Polish "i")."""
    return [word.casefold() for word in _WORD.findall(text) if len(word) > 1 or not ("a" <= word <= "z")]


def _alike(word: str, other: str) -> bool:
    least = max(_STEM, max(len(word), len(other)) - _ENDING)
    return word == other or (len(word) >= least and word[:least] == other[:least])
