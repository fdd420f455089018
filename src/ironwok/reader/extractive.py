"""Answers marked in the texts: a passage, its sentence, and the words that answer, each with a score."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import exp

import numpy as np

from ironwok.nbce.contexts import Context, as_contexts, check_questions
from ironwok.reader.evidence import FEATURES, candidates, restates, sentence_features, unmarked
from ironwok.reader.library import Library, Sentence
from ironwok.reader.questions import Question, understand
from ironwok.reader.spans import candidates_in
from ironwok.reader.weights import Weights, load_weights, probabilities
from ironwok.results import Answer, AnswerToken, Source, Span
from ironwok.text.characters import has_han

NAME = "extractive"
_SOURCES = 3


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where the reader is sure, and where doubt begins.

    span: a stretch of words is given as the answer from this probability on, else the whole sentence. answered: under
    this probability that the texts hold an answer, they do not settle it. tie: nor do they where the second sentence
    has more than this share of the best one's probability.
    """

    span: float
    answered: float
    tie: float


_PASSAGE_PAIRS, _PASSAGE_CHARACTERS = FEATURES.index("passage pairs"), FEATURES.index("passage characters")
_STRANGE = -2.0  # the highest log-odds that such a passage answers

# measured, see docs/ask.md
DEFAULT_BOUNDS = Bounds(span=0.3, answered=0.5, tie=0.6)


@dataclass(frozen=True, slots=True)
class Found:
    """A sentence that may answer, with its best words.

    passage: its number. posterior: among all sentences looked at. lift: log-odds that it answers at all.
    span: characters of the context's text. span_posterior: among the stretches of the sentence.
    """

    passage: int
    sentence: Sentence
    posterior: float
    lift: float
    span: Span
    span_posterior: float

    @property
    def answered(self) -> float:
        return 1 / (1 + exp(-max(min(self.lift, 50.0), -50.0)))


class ExtractiveReader:
    """Answers from many contexts by marking the words that answer, without a language model.

    bounds: where an answer is a stretch of words, and where it counts as unsettled.
    marker: takes a question and a sentence, gives the words that answer and how likely they do, instead of the weights
    in the package: `AnswerMarker.mark` of a model of `ironwok train reading`.
    """

    name = NAME

    def __init__(
        self,
        *,
        bounds: Bounds = DEFAULT_BOUNDS,
        weights: Weights | None = None,
        marker: Callable[[str, str], tuple[Span, float]] | None = None,
    ) -> None:
        self.bounds, self.marker = bounds, marker
        self.weights = load_weights() if weights is None else weights

    def ask(self, question: str, contexts: Iterable[str | Context]) -> Answer:
        """Answer one question. Errors are those of `ask_many`."""
        (answer,) = self.ask_many([question], contexts)
        return answer

    def ask_many(
        self,
        questions: Sequence[str],
        contexts: Iterable[str | Context],
        *,
        on_question: Callable[[int], None] = lambda number: None,
        on_text: Callable[[str], None] = lambda piece: None,
        on_read: Callable[[int, int], None] = lambda done, total: None,
    ) -> Iterator[Answer]:
        """Answer several questions about the same texts; one answer each, in order, as they come.

        Arguments as in `ironwok.nbce.Answerer.ask_many`; contexts are counted by on_read. The answer is the words that
        answer where the reader is sure of them, else the sentence that holds them; the first source is the passage,
        with the answer as its evidence. The lift of a source is the log-odds that it answers the question.

        Raises InputError where there is no context, no question, or none with text.
        """
        given = as_contexts(contexts)
        check_questions(questions)
        return self._answers(questions, given, on_question, on_text, on_read)

    def _answers(
        self,
        questions: Sequence[str],
        given: Sequence[Context],
        on_question: Callable[[int], None],
        on_text: Callable[[str], None],
        on_read: Callable[[int, int], None],
    ) -> Iterator[Answer]:
        library = Library(given, on_read=on_read)
        for number, question in enumerate(questions):
            on_question(number)
            answer = self._answer(question, library, self.find(question, library))
            on_text(answer.text)
            yield answer

    def find(self, question: str, library: Library) -> list[Found]:
        """The sentences that may answer, the likeliest first; at least one."""
        asked = understand(question)
        near, scores = candidates(library, asked)
        features = sentence_features(library, asked, near, scores, background=self.weights.background)
        likely = probabilities(self.weights.sentences(features))
        lifts = features @ self.weights.line + self.weights.constant
        # a passage with no two characters of the question together, and few single ones, does not speak of the matter,
        # whatever kind of thing is asked for and stands there
        strange = (features[:, _PASSAGE_PAIRS] == 0) & (features[:, _PASSAGE_CHARACTERS] < 0.5)
        lifts = np.where(strange, np.minimum(lifts, _STRANGE), lifts)
        again = [restates(sentence.span.text, question) for _, sentence in near]
        if any(again) and not all(again):
            # lists of questions and answers hold the question itself: it speaks for what follows it
            for number in reversed(np.flatnonzero(again).tolist()):
                if number + 1 < len(near) and near[number + 1][0] == near[number][0]:
                    likely[number + 1] += likely[number]
                    lifts[number + 1] = max(lifts[number : number + 2])
                likely[number] = 0.0
            likely /= max(likely.sum(), 1e-9)
        order = sorted(range(len(near)), key=lambda number: (-likely[number], number))[:_SOURCES]
        found = []
        for number in order:
            passage, sentence = near[number][0], unmarked(near[number][1])
            span, posterior = self._words(asked, sentence)
            found.append(Found(passage, sentence, float(likely[number]), float(lifts[number]), span, posterior))
        return found

    def _words(self, asked: Question, sentence: Sentence) -> tuple[Span, float]:
        """The likeliest words of a sentence, and how likely they are among all; else the sentence itself, and 0."""
        if self.marker is not None:
            span, likely = self.marker(asked.text, sentence.span.text)
            place = sentence.span.start
            return Span(place + span.start, place + span.end, span.text), likely
        if not has_han(asked.text):
            return sentence.span, 0.0  # the weights were fitted on Chinese: of English words few are right
        choice = candidates_in(asked, sentence, background=self.weights.background)
        if not len(choice.starts):
            return sentence.span, 0.0
        likely = probabilities(self.weights.spans(choice.features))
        best = int(likely.argmax())
        start, end = int(choice.starts[best]), int(choice.ends[best])
        place = sentence.span.start
        return Span(place + start, place + end, sentence.span.text[start:end]), float(likely[best])

    def _answer(self, question: str, library: Library, found: Sequence[Found]) -> Answer:
        best = found[0]
        sure = best.span_posterior >= self.bounds.span
        sources = []
        for place, one in enumerate(found):
            passage = library.passages[one.passage]
            context = library.contexts[passage.context]
            sources.append(
                Source(
                    context=passage.context,
                    span=passage.span,
                    lift=one.lift,
                    posterior=min(one.posterior, 1.0),
                    share=float(place == 0),
                    document=context.document,
                    record=context.record,
                    evidence=one.span if one.span_posterior >= self.bounds.span else one.sentence.span,
                )
            )
        text = (best.span if sure else best.sentence.span).text
        return Answer(
            question=question,
            text=text,
            tokens=(AnswerToken(0, len(text), 0),),
            sources=tuple(sources),
            parts=len(library.passages),
            doubts=self._doubts(found),
            model=NAME,
            score=min(best.posterior * best.answered * (best.span_posterior if sure else 1.0), 1.0),
        )

    def _doubts(self, found: Sequence[Found]) -> tuple[str, ...]:
        best = found[0]
        doubts = []
        if best.answered < self.bounds.answered:
            doubts.append("unrelated")
        # a sentence that stands in two files is no second opinion
        rivals = [one.posterior for one in found[1:] if one.sentence.span.text != best.sentence.span.text]
        if rivals and rivals[0] > self.bounds.tie * best.posterior:
            doubts.append("tie")
        return tuple(doubts)
