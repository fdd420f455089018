"""The extractive reader on cases of long-context question answering, beside BM25 alone."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median
from time import perf_counter, process_time
from typing import Any

from _long_context import Case, f1, is_right
from _table import finish, show
from ironwok.nbce.contexts import Context
from ironwok.nbce.rivals import best_by_bm25
from ironwok.reader import ExtractiveReader
from ironwok.reader.library import Library
from ironwok.results import Answer, Span
from ironwok.text.sentences import split_sentences

METHODS = {
    "extractive": "the reader of the package",
    "bm25": "the context, and in it the sentence, of the greatest BM25; its answer is the sentence",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What one method found. context: its number. sentence: where the answer is. words: the likeliest answer."""

    context: int
    sentence: Span
    words: str
    seconds: float
    cpu_seconds: float
    answer: Answer | None = None


def read_case(method: str, reader: ExtractiveReader, question: str, contexts: Sequence[str]) -> Reading:
    start, cpu = perf_counter(), process_time()
    if method == "bm25":
        context = best_by_bm25(question, contexts)
        sentences = split_sentences(contexts[context])
        sentence = sentences[best_by_bm25(question, [one.text for one in sentences])]
        return Reading(context, sentence, sentence.text, perf_counter() - start, process_time() - cpu)
    answer = reader.ask(question, contexts)
    seconds, cpu_seconds = perf_counter() - start, process_time() - cpu
    best = reader.find(question, Library([Context(text) for text in contexts]))[0]
    return Reading(answer.sources[0].context, best.sentence.span, best.span.text, seconds, cpu_seconds, answer)


def run(options: argparse.Namespace, cases: Sequence[Case]) -> None:
    reader = ExtractiveReader()
    read_case("extractive", reader, cases[0].question, cases[0].contexts)  # the dictionary is read with the first one
    figures: dict[str, Any] = {"cases": len(cases), "methods": {}}
    rows = []
    for method, what in METHODS.items():
        found = [(case, read_case(method, reader, case.question, case.contexts)) for case in cases]
        figure = {
            "right_source": 100 * mean(one.context == case.gold for case, one in found),
            # the words of the answer stand in the sentence, and that in the right context
            "answer_sentence": 100
            * mean(one.context == case.gold and is_right(one.sentence.text, case.answers) for case, one in found),
            "f1": 100 * mean(f1(one.words, case.answers) for case, one in found),
            "seconds": median(one.seconds for _, one in found),
            "cpu_seconds": median(one.cpu_seconds for _, one in found),
        }
        if method == "extractive":
            figures |= settled(reader, found)
        figures["methods"][method] = {name: round(value, 3) for name, value in figure.items()}
        rows.append([method, *(f"{figure[name]:.1f}" for name in ("right_source", "answer_sentence", "f1"))])
        rows[-1] += [f"{figure['seconds']:.3f}", f"{figure['cpu_seconds']:.3f}", what]
    show(
        f"{len(cases)} cases of {options.cases.name}, without a language model",
        ["", "right source", "answer sentence", "F1 of the words", "s a case", "CPU s", ""],
        rows,
        notes=[f"{key}: {value}" for key, value in figures.items() if key not in ("cases", "methods")],
    )
    finish(figures)


def settled(reader: ExtractiveReader, found: Sequence[tuple[Case, Reading]]) -> dict[str, Any]:
    """Whether doubts tell the questions that the texts do not answer, and what words that are sure are worth."""
    without = []
    for case, _ in found:
        others = [text for number, text in enumerate(case.contexts) if number != case.gold]
        without.append(reader.ask(case.question, others))
    answers = [(case, one.answer) for case, one in found if one.answer is not None]
    words = [(case, one) for case, one in found if one.answer is not None and one.answer.text != one.sentence.text]
    sure = [case for case, answer in answers if answer.settled]
    right = [is_right(answer.text, case.answers) for case, answer in answers if answer.settled]
    return {
        "doubted_with_the_answer": round(1 - len(sure) / len(answers), 3),
        "doubted_without_it": round(mean(not one.settled for one in without), 3),
        "settled_answers_that_hold_an_accepted_one": round(mean(right), 3) if right else None,
        "answered_in_words": round(len(words) / len(answers), 3),
        "f1_of_these_words": round(mean(f1(one.words, case.answers) for case, one in words), 3) if words else None,
    }
