"""Answers to questions about all documents of a reading together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ironwok.errors import InputError, OutputError
from ironwok.files import LineLog, json_line
from ironwok.reading.readers import folder_hash
from ironwok.results import Answer, DocumentResult, PassageResult, Report

if TYPE_CHECKING:
    from ironwok.nbce import Settings

ANSWERS = "answers.jsonl"
_DIGITS = 6


class AnswerReader:
    """Answers questions when all documents have been read.

    questions: at least one, none blank. model: as in `ironwok.reader.ByLanguage`; None: the extractive reader for
    Chinese questions, the default language model for others. device, dtype: of a language model, which is loaded when
    the answers begin. settings: of its decoding. answerer: anything with `ask_many`; ``model`` then only names it.
    Every answer is in answers.jsonl as soon as it is given, with a mark of the texts and settings that it is of ("of"):
    a run that was interrupted among them goes on with the next. Where documents came or changed, all are given anew.

    Raises InputError.
    """

    kind = "answers"
    # nothing is done with passages before the end: the size of a portion is that of the other readers
    portion = 64

    def __init__(
        self,
        questions: str | Sequence[str],
        *,
        model: str | None = None,
        device: str | None = None,
        dtype: str | None = None,
        settings: Settings | None = None,
        answerer: Any = None,
        on_answer: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        listed = [questions] if isinstance(questions, str) else list(questions)
        if not listed:
            raise InputError("ask holds no question: give at least one")
        for number, question in enumerate(listed):
            if not isinstance(question, str) or not question.strip():
                raise InputError(f"question {number} is {question!r}: it holds no text")
        self.questions = tuple(dict.fromkeys(listed))
        self.model = model
        self.device, self.dtype = device, "auto" if dtype is None else dtype
        self._settings, self._answerer = settings, answerer
        self._is_given = answerer is not None
        self._on_answer = on_answer

    def settings(self) -> dict[str, Any]:
        return {
            "answers_questions": list(self.questions),
            "answers_model": self.model or "by language",
            "answers_model_version": None if self._is_given else self._model_version(),
            "answers_dtype": self.dtype,
            "answers_decoding": asdict(self.decoding) | {"stop": list(self.decoding.stop)},
        }

    @property
    def decoding(self) -> Settings:
        from ironwok.nbce import Settings

        return Settings() if self._settings is None else self._settings

    def read(self, passages: Sequence[PassageResult]) -> list[PassageResult]:
        return list(passages)

    def conclude(self, document: DocumentResult) -> DocumentResult:
        return document

    def predict_seconds(self, sample: Sequence[str], passages: int) -> float | None:
        return None  # the answers come after what is predicted

    def complete(self, report: Report) -> Report:
        """The report with the answers. Raises what `Answerer.ask_many` raises, and OutputError."""
        from ironwok.nbce.contexts import Context

        contexts = [Context(one.text, one.document, one.record) for one in report.documents]
        of = _fingerprint([self.settings(), *([one.document, one.record, one.text] for one in contexts)])
        log = LineLog(report.folder / ANSWERS)
        kept = [record for record in _records(log) if record.get("of") == of]
        given = {answer.question: answer for answer in map(Answer.from_dict, kept)}
        log.keep(json_line(record) for record in kept)
        with closing(log):
            if rest := [question for question in self.questions if question not in given]:
                for found in self.answerer().ask_many(rest, contexts, settings=self.decoding):
                    answer = _rounded(found)
                    log.append([answer.to_dict() | {"of": of}])
                    given[answer.question] = answer
                    self._on_answer(len(given), len(self.questions))
        answers = tuple(given[question] for question in self.questions)
        named = dict.fromkeys(answer.model for answer in answers if answer.model)
        return replace(report, answers=answers, answer_model=", ".join(named) or self.model or "")

    def files(self, report: Report) -> Mapping[str, Iterable[bytes]]:
        return {}  # answers.jsonl has grown answer by answer

    def answerer(self) -> Any:
        if self._answerer is None:
            from ironwok.reader import ByLanguage

            self._answerer = ByLanguage(self.model, options={"device": self.device, "dtype": self.dtype})
        return self._answerer

    def _model_version(self) -> str | None:
        """What tells those who answer from later ones of the same names."""
        from ironwok.reader import ByLanguage
        from ironwok.reader.weights import load_weights

        asked = [ByLanguage(self.model).reads(question) for question in self.questions]
        versions = [load_weights().version] if any(asked) else []
        if not all(asked):
            versions.append(self._language_model_version() or "")
        return " ".join(versions) or None

    def _language_model_version(self) -> str | None:
        from ironwok.models.bundled import resolve_model
        from ironwok.nbce.loading import CONVERSION, DEFAULT_MODEL

        if self.model is None or self.model == DEFAULT_MODEL:
            return CONVERSION
        folder = Path(resolve_model(self.model))
        return folder_hash(folder) if folder.is_dir() else None


def _records(log: LineLog) -> list[dict[str, Any]]:
    """What an earlier run left; a damaged file is as good as none, answers can be given again."""
    try:
        return log.load()
    except OutputError:
        return []


def _fingerprint(values: Iterable[Any]) -> str:
    digest = sha256()
    for value in values:
        digest.update(json_line(value))
    return digest.hexdigest()[:16]


def _rounded(answer: Answer) -> Answer:
    """As it will be read back, so that a resumed run says the same."""
    sources = tuple(
        replace(
            one, lift=round(one.lift, _DIGITS), posterior=round(one.posterior, _DIGITS), share=round(one.share, _DIGITS)
        )
        for one in answer.sources
    )
    return replace(answer, sources=sources, score=None if answer.score is None else round(answer.score, _DIGITS))
