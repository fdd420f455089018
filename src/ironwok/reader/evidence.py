"""What speaks for a sentence as the place of an answer, in numbers."""

# S sentences, F features

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ironwok.reader.library import Library, Sentence
from ironwok.reader.questions import TYPES, Question
from ironwok.reader.words import CLASS, is_numeral
from ironwok.results import Span

ROUTED = 12  # passages that are looked into, the best by BM25
FEATURES = (
    "characters",
    "pairs",
    "words",
    "characters here",
    "pairs here",
    "numbers and latin",
    "numbers and latin lacking",
    "pairs before",
    "pairs behind",
    "gained around",
    "passage characters",
    "passage pairs",
    "bm25",
    "bm25 first",
    "context bm25",
    "longest common",
    "length",
    "short",
    "first",
    "fits",
    "fits not",
    "asks",
    "novel",
)
_PERSON, _PLACE, _BODY = CLASS["person"], CLASS["place"], CLASS["body"]
_MARK = r"[问答問qa][:：]"
_MARKED = re.compile(rf"\s*{_MARK}\s*", re.IGNORECASE)
_NUMBERED = re.compile(rf"^\s*(?:[（(]?(?:[0-9]{{1,2}}|[一二三四五六七八九十]{{1,3}})[.、）):：．]|{_MARK})\s*")
_SIGNS = re.compile(r"\W+")
_MORE, _AGAIN = 3, 0.8  # characters more than a question, and the share of it in one piece, by which it is said again
_TIMES = frozenset("年月日时時点點世紀纪代")


def candidates(library: Library, question: Question) -> tuple[list[tuple[int, Sentence]], NDArray[np.float64]]:
    """The sentences of the passages that BM25 ranks first, with their passages' numbers, and BM25 of all passages."""
    scores = library.scores(question.terms)
    ranked = sorted(range(len(scores)), key=lambda number: (-scores[number], number))[:ROUTED]
    return [(number, one) for number in sorted(ranked) for one in library.passages[number].sentences], scores


def unmarked(sentence: Sentence) -> Sentence:
    """Without the 答： or A: in front, which belongs to the list and not to the answer."""
    span = sentence.span
    found = _MARKED.match(span.text)
    if found is None or not span.text[found.end() :].strip():
        return sentence
    return Sentence(Span(span.start + found.end(), span.end, span.text[found.end() :]))


def restates(sentence: str, question: str) -> bool:
    """Whether a sentence is the question again, give or take a number in front and a few words."""
    said, asked = (_SIGNS.sub("", _NUMBERED.sub("", text.lower())) for text in (sentence, question))
    if said and said in asked:
        return True  # a heading such as "电话": whatever it is, it says nothing new
    return bool(asked) and len(said) <= len(asked) + _MORE and _longest_common(asked, said) >= _AGAIN * len(asked)


def sentence_features(
    library: Library,
    question: Question,
    found: Sequence[tuple[int, Sentence]],
    scores: NDArray[np.float64],
    *,
    background: Callable[[str], float],
) -> NDArray[np.float64]:
    """[S, F]. background: how telling a term is in the language at large, nats."""
    top = max(float(scores.max(initial=0.0)), 1e-9)
    order = np.argsort(np.argsort(-scores, kind="stable"), kind="stable")
    by_context: dict[int, float] = {}
    for passage, score in zip(library.passages, scores, strict=True):
        by_context[passage.context] = max(by_context.get(passage.context, 0.0), float(score))
    singles = [term for term in question.terms if len(term) == 1 and not term.isascii()]
    pairs = [term for term in question.terms if len(term) == 2 and not term.isascii()]
    exact = [term for term in question.terms if term.isascii()]
    if not singles:  # English: its words say what characters and pairs say in Chinese
        singles, pairs, exact = exact, exact, [term for term in exact if term[0].isdigit()]
    weighed = {term: background(term) for term in question.terms}
    local = {term: library.rarity(term) * background(term) for term in question.terms}
    rows = []
    for place, (number, sentence) in enumerate(found):
        passage = library.passages[number]
        terms = sentence.terms
        before = found[place - 1][1].terms if place and found[place - 1][0] == number else frozenset()
        behind = found[place + 1][1].terms if place + 1 < len(found) and found[place + 1][0] == number else frozenset()
        own = _share(pairs or exact, terms, weighed)
        fits = _fits(question, sentence)
        rows.append(
            [
                _share(singles, terms, weighed),
                own,
                _words_share(question.words, sentence.span.text, weighed),
                _share(singles, terms, local),
                _share(pairs, terms, local),
                _share(exact, terms, local),
                float(bool(exact)) * (1 - _share(exact, terms, local)),
                _share(pairs or exact, before, weighed),
                _share(pairs or exact, behind, weighed),
                _share(pairs or exact, terms | before | behind, weighed) - own,
                _share(singles, passage.terms, weighed),
                _share(pairs or exact, passage.terms, weighed),
                float(scores[number]) / top,
                1 / (1 + float(order[number])),
                by_context[passage.context] / top,
                _longest_common(question.text, sentence.span.text) / max(len(question.text), 1),
                np.log1p(len(sentence.span.text)) / 4,
                float(len(sentence.span.text) < 8),
                float(sentence is passage.sentences[0]),
                float(fits is True),
                float(fits is False),
                float(sentence.span.text[-1] in "?？"),
                min(sum(1 for one in terms if len(one) == 1 and one not in weighed) / 30, 1.0),
            ]
        )
    return np.array(rows, dtype=np.float64).reshape(-1, len(FEATURES))


def _share(terms: Sequence[str], within: frozenset[str], weights: dict[str, float]) -> float:
    """Weight of the terms that stand within, of the weight of all; 0 where there are none."""
    whole = sum(weights[term] for term in terms)
    return sum(weights[term] for term in terms if term in within) / whole if whole else 0.0


def _words_share(words: Sequence[str], text: str, weights: dict[str, float]) -> float:
    lowered = text.lower()
    weight = {word: sum(weights.get(one, 4.0) for one in word) if not word.isascii() else 8.0 for word in words}
    whole = sum(weight.values())
    return sum(value for word, value in weight.items() if word in lowered) / whole if whole else 0.0


def _longest_common(first: str, second: str) -> int:
    """Length of the longest stretch that stands in both."""
    best = 0
    for start in range(len(first)):
        while start + best < len(first) and first[start : start + best + 1] in second:
            best += 1
    return best


def _fits(question: Question, sentence: Sentence) -> bool | None:
    """Whether the sentence holds what is asked for beside what the question says itself; None where nothing tells."""
    kind = TYPES[question.kind]
    if kind not in ("who", "when", "where", "many"):
        return None
    asked, text = question.text.lower(), sentence.span.text
    for word in sentence.words:
        if word.text.lower() in asked:
            continue
        number = any(map(is_numeral, word.text))
        dated = word.kind == CLASS["time"] or (number and bool(_TIMES & set(text[word.end - 1 : word.end + 2])))
        named = word.kind in (_PERSON, _BODY) or (word.kind == CLASS["latin"] and word.text[0].isupper())
        if {"many": number, "when": dated, "who": named, "where": word.kind in (_PLACE, _BODY)}[kind]:
            return True
    return False
