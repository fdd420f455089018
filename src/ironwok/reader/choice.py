"""Who answers which question: a language model, or the reader that needs none."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ironwok.nbce.contexts import Context, as_contexts, check_questions
from ironwok.reader.extractive import NAME, ExtractiveReader
from ironwok.results import Answer
from ironwok.text.characters import has_han

if TYPE_CHECKING:
    from ironwok.nbce import Answerer, Settings

LANGUAGE_MODEL = "smollm2"


class ByLanguage:
    """Answers Chinese questions with `ExtractiveReader` and others with a language model, unless told whom to ask.

    model: None for this choice; "extractive" for the reader alone; else the language model that answers all, as in
    `ironwok.nbce.Answerer`, which is loaded when the first question comes to it. options: of `Answerer`.
    load: builds the language model from its name and the options. reader: the extractive one, None for the usual.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        options: dict[str, Any] | None = None,
        load: Callable[..., Answerer] | None = None,
        reader: ExtractiveReader | None = None,
    ) -> None:
        self.model = model
        self._options = dict(options or {})
        self._load = load or _load
        self._reader = reader
        self._answerer: Answerer | None = None

    def reads(self, question: str) -> bool:
        """Whether the extractive reader answers this question."""
        return self.model == NAME or (self.model is None and has_han(question))

    def ask_many(
        self,
        questions: Sequence[str],
        contexts: Iterable[str | Context],
        *,
        settings: Settings | None = None,
        ordered: bool = False,
        on_question: Callable[[int], None] = lambda number: None,
        on_text: Callable[[str], None] = lambda piece: None,
        on_read: Callable[[int, int], None] = lambda done, total: None,
    ) -> Iterator[Answer]:
        """One answer a question, in order. settings, ordered: for the language model. Raises what either raises."""
        given = as_contexts(contexts)
        check_questions(questions)
        marked = [number for number, question in enumerate(questions) if self.reads(question)]
        written = [number for number, question in enumerate(questions) if not self.reads(question)]
        streams: dict[int, Iterator[Answer]] = {}

        def numbered(numbers: Sequence[int]) -> Callable[[int], None]:
            return lambda place: on_question(numbers[place])

        if marked:
            self._reader = self._reader or ExtractiveReader()
            answers = self._reader.ask_many(
                [questions[number] for number in marked],
                given,
                on_question=numbered(marked),
                on_text=on_text,
                on_read=on_read,
            )
            streams.update((number, answers) for number in marked)
        if written:
            answers = self.answerer().ask_many(
                [questions[number] for number in written],
                given,
                settings=settings,
                ordered=ordered,
                on_question=numbered(written),
                on_text=on_text,
                on_read=on_read,
            )
            streams.update((number, answers) for number in written)
        return (next(streams[number]) for number in range(len(questions)))

    def answerer(self) -> Answerer:
        if self._answerer is None:
            self._answerer = self._load(LANGUAGE_MODEL if self.model is None else self.model, **self._options)
        return self._answerer


def _load(model: str | os.PathLike[str], **options: Any) -> Answerer:
    from ironwok.nbce import Answerer

    return Answerer(model, **options)
