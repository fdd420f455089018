"""Which words of a sentence answer: all stretches that could, in numbers."""

# N words, C candidates, F features

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ironwok.reader.library import Sentence
from ironwok.reader.questions import TYPES, Question
from ironwok.reader.words import CLASS, CLASSES, Word, is_numeral, words_of

LONGEST = 40  # characters of a candidate
_MOST_WORDS = 20
_NEAR = 6.0  # characters over which nearness to the question's words falls to a third
_BEFORE = (
    "是",
    "为",
    "為",
    "在",
    "于",
    "於",
    "由",
    "被",
    "到",
    "叫",
    "称",
    "稱",
    "即",
    "有",
    "从",
    "從",
    "以",
    "了",
    "的",
    "和",
)
_PLACE_ENDS = frozenset("省市县縣区區国國州洲岛島山河湖海路街镇鎮村乡鄉城港站府郡湾灣")
_BODY_ENDS = frozenset("司学學院会會部队隊校厂廠局社团團党黨军軍系所行馆館")
_TIME_MARKS = frozenset("年月日时時点點纪紀代晚晨")
_MARKS = ("stop", "pause", "space", "closing", "opening")
_NUMBERS = (
    "length",
    "log length",
    "one word",
    "many words",
    "matched inside",
    "matched left",
    "matched right",
    "aligned left",
    "aligned right",
    "head",
    "known",
    "numeral",
    "time mark",
    "latin",
    "quoted",
    "pause",
    "list",
    "person",
    "place",
    "body",
    "verb",
    "number",
    "time",
    "particle",
    "new",
    "clause",
    "begins",
    "ends",
    "place end",
    "body end",
    "sentence length",
    "fits",
    "fits not",
)
_SIDES = len(CLASSES)
WIDTH = len(_NUMBERS) + 4 * _SIDES + len(_BEFORE) + len(TYPES)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Stretches of a sentence. starts, ends: characters of the sentence, half-open [C]. features: float32 [C, F]."""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    features: NDArray[np.float32]


def candidates_in(question: Question, sentence: Sentence, *, background: Callable[[str], float]) -> Candidates:
    """All stretches of whole words that begin and end with a word, not longer than `LONGEST`, brackets in pairs."""
    # "2009 年" is "2009年": some put spaces between Chinese and the rest
    words = [word for word in sentence.words if CLASSES[word.kind] != "space"]
    first, last = _pairs(words)
    starts = np.array([word.start for word in words], dtype=np.int64)
    ends = np.array([word.end for word in words], dtype=np.int64)
    kinds = np.array([CLASS["edge"], *(word.kind for word in words), CLASS["edge"]], dtype=np.int64)
    if not len(first):
        return Candidates(first, last, np.zeros((0, WIDTH), np.float32))
    text, asked = sentence.span.text, question.text.lower()
    lowered = [word.text.lower() for word in words]
    content = np.array([not _is_mark(word) for word in words])
    said = {word.text.lower() for word in words_of(question.text)}
    known = np.array([word in (said if word.isascii() else asked) for word in lowered]) & content
    mass = np.array([sum(map(background, word)) if one else 0.0 for word, one in zip(lowered, known, strict=True)])
    whole = max(float(mass.sum()), 1e-6)
    chars = (ends - starts) * content
    length = (ends[last] - starts[first]).astype(float)

    def inside(values: NDArray) -> NDArray[np.float64]:
        running = np.concatenate([[0.0], np.cumsum(values.astype(float))])
        return running[last + 1] - running[first]

    def holds(name: str) -> NDArray[np.float64]:
        return (inside(kinds[1:-1] == CLASS[name]) > 0).astype(float)

    def each(test: Callable[[str], bool]) -> NDArray[np.float64]:
        return (inside(np.array([test(word) for word in lowered])) > 0).astype(float)

    middle = (starts + ends) / 2
    near = np.exp(-np.abs(middle[:, None] - starts[None, :]) / _NEAR) * mass[:, None]
    left = np.array([near[:place, place].sum() for place in range(len(words))])
    near = np.exp(-np.abs(middle[:, None] - ends[None, :]) / _NEAR) * mass[:, None]
    right = np.array([near[place + 1 :, place].sum() for place in range(len(words))])
    before, behind = question.text[: question.cue[0]].lower(), question.text[question.cue[1] :].lower()
    plain = text.lower()
    aligned_left = np.array([_same_end(plain[: one.start].rstrip(), before.rstrip()) for one in words])
    aligned_right = np.array([_same_start(plain[one.end :].lstrip(), behind.lstrip()) for one in words])
    head = np.array([_head_ends(plain[: one.end], behind) for one in words])
    previous, following = kinds[first], kinds[last + 2]
    closed = (CLASS["edge"], CLASS["pause"], CLASS["stop"])
    numeral = each(lambda word: any(map(is_numeral, word)))
    marked = each(lambda word: bool(_TIME_MARKS & set(word)))
    place_end = np.array([word[-1] in _PLACE_ENDS for word in lowered])[last].astype(float)
    named = np.maximum(holds("person"), np.maximum(holds("latin"), holds("body")))
    # what is asked for; nothing can be said of the other types
    fits = {
        "who": named,
        "when": np.maximum(holds("time"), np.maximum(numeral, marked)),
        # a year is no number of things, unless years are asked for
        "many": numeral * (1 - each(lambda word: bool(_TIME_MARKS & set(word) - set(asked)))),
        "where": np.maximum(np.maximum(holds("place"), holds("body")), np.maximum(place_end, holds("locality"))),
    }.get(TYPES[question.kind])
    numbers = np.stack(
        [
            length / 10,
            np.log1p(length) / 3,
            (first == last).astype(float),
            (last - first >= 6).astype(float),
            inside(mass) / whole,
            left[first] / whole,
            right[last] / whole,
            aligned_left[first] / 4,
            aligned_right[last] / 4,
            head[last] / 3,
            inside(chars * known) / np.maximum(inside(chars), 1),
            numeral,
            marked,
            holds("latin"),
            ((previous == CLASS["opening"]) & (following == CLASS["closing"])).astype(float),
            holds("pause"),
            each(lambda word: word == "、"),
            *(holds(name) for name in ("person", "place", "body", "verb", "number", "time", "particle")),
            (inside(known) == 0).astype(float),
            (np.isin(previous, closed) & np.isin(following, closed)).astype(float),
            (first == 0).astype(float),
            (last == len(words) - 1).astype(float),
            place_end,
            np.array([word[-1] in _BODY_ENDS for word in lowered])[last].astype(float),
            np.full(len(first), np.log1p(len(text)) / 4),
            np.zeros(len(first)) if fits is None else fits,
            np.zeros(len(first)) if fits is None else 1 - fits,
        ],
        axis=1,
    )
    sides = np.eye(_SIDES)
    cues = np.array([[float(word == one) for one in _BEFORE] for word in ("", *lowered)])
    features = np.concatenate(
        [
            numbers,
            sides[previous],
            sides[kinds[first + 1]],
            sides[kinds[last + 1]],
            sides[following],
            cues[first],
            np.broadcast_to(np.eye(len(TYPES))[question.kind], (len(first), len(TYPES))),
        ],
        axis=1,
    )
    return Candidates(starts[first], ends[last], features.astype(np.float32))


def _is_mark(word: Word) -> bool:
    return CLASSES[word.kind] in _MARKS


def _pairs(words: list[Word]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last words of all candidates, inclusive, [C] each."""
    first, last = [], []
    for begin, word in enumerate(words):
        if _is_mark(word) and CLASSES[word.kind] != "opening":
            continue
        if CLASSES[word.kind] == "particle":
            continue
        depth = 0
        for end in range(begin, min(begin + _MOST_WORDS, len(words))):
            one = words[end]
            kind = CLASSES[one.kind]
            depth += (kind == "opening") - (kind == "closing")
            if one.end - word.start > LONGEST or depth < 0 or kind == "stop":
                break
            if depth == 0 and (not _is_mark(one) or (kind == "closing" and end > begin)):
                first.append(begin)
                last.append(end)
    return np.array(first, dtype=np.int64), np.array(last, dtype=np.int64)


def _same_end(first: str, second: str) -> int:
    """How many characters both end with, at most 4."""
    count = 0
    while count < min(4, len(first), len(second)) and first[-1 - count] == second[-1 - count]:
        count += 1
    return count


def _same_start(first: str, second: str) -> int:
    count = 0
    while count < min(4, len(first), len(second)) and first[count] == second[count]:
        count += 1
    return count


def _head_ends(text: str, behind: str) -> int:
    """How many characters behind the words that ask the text ends with, at most 3 ("哪个大学…": "…清华大学")."""
    return next((count for count in (3, 2, 1) if len(behind) >= count and text.endswith(behind[:count])), 0)
