"""Cases of long-context question answering, the ways to answer them, and what counts as right."""

from __future__ import annotations

import json
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from torch import Tensor

from ironwok.errors import DataError, ModelError
from ironwok.nbce.answerer import Answerer
from ironwok.nbce.closer import look_closer
from ironwok.nbce.contexts import Part
from ironwok.nbce.decode import Decoded, Step, steps_of, write
from ironwok.nbce.doubts import jumps
from ironwok.nbce.prefill import Prepared, prefill
from ironwok.nbce.prompts import layout_for
from ironwok.nbce.rivals import (
    LastRowChooser,
    best_by_bm25,
    concatenated,
    read_aware,
    read_concatenated,
    read_parallel,
)
from ironwok.nbce.rows import Rows
from ironwok.nbce.settings import Settings
from ironwok.results import Span
from ironwok.text.characters import has_han
from ironwok.text.formats.files import open_file
from ironwok.text.tokenizer import encode_texts

METHODS = {
    "routed": "NBCE, the choice leaning on the question's likelihood (ours)",
    "closer": "the same, the kept contexts read again two sentences at a time",
    "nbce": "NBCE as published: entropy, all rows to the end",
    "mean": "NBCE, mean of the contexts",
    "max": "NBCE, maximum of the contexts",
    "concatenated": "all contexts in one row, cut off at the model's window",
    "parallel": "Parallel Context Windows",
    "aware": "context-aware decoding over the concatenation, alpha 0.5",
    "bm25": "retrieve then read: the best context by BM25 alone",
    "gold": "the context that holds the answer alone: what the model can do at most",
}
ALPHA = 0.5  # of the paper on context-aware decoding


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    question: str
    answers: tuple[str, ...]
    contexts: tuple[str, ...]
    gold: int


def load_cases(path: Path, limit: int | None) -> list[Case]:
    """The first ``limit`` cases of a JSON Lines file, packed or not."""
    cases = []
    with open_file(path) as file:
        for number, line in enumerate(file, 1):
            if limit is not None and len(cases) == limit:
                break
            try:
                record = json.loads(line)
                case = Case(
                    str(record.get("id", number)),
                    record["question"],
                    tuple(record["answers"]),
                    tuple(record["contexts"]),
                    record["gold"],
                )
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(f"{path}, line {number}: not a case with question, answers, contexts, gold") from error
            if not 0 <= case.gold < len(case.contexts) or not case.answers:
                raise DataError(f"{path}, line {number}: gold is {case.gold} of {len(case.contexts)} contexts")
            cases.append(case)
    if not cases:
        raise DataError(f"{path}: no cases")
    return cases


def is_right(text: str, answers: Sequence[str]) -> bool:
    """Whether an accepted answer stands in the text as whole words, both normalised."""
    found = f" {normalised(text)} "
    for answer in answers:
        wanted = normalised(answer)
        # Chinese is written without spaces: characters suffice
        if wanted and (wanted if has_han(wanted) else f" {wanted} ") in found:
            return True
    return False


_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = frozenset(string.punctuation)


def normalised(text: str) -> str:
    """As SQuAD does: small letters, no punctuation, no articles, single spaces."""
    text = unicodedata.normalize("NFKC", text).lower()
    kept = (" " if unicodedata.category(one)[0] == "P" and one not in _PUNCTUATION else one for one in text)
    bare = "".join(one for one in kept if one not in _PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def answer_case(answerer: Answerer, case: Case, methods: Sequence[str], settings: Settings) -> dict[str, Any]:
    """Every method's answer to one case.

    The contexts are read once, and every way to combine rows starts from these: that is exact, what stands before a
    question does not depend on what comes. ``seconds`` of a method hold what it would need alone: its reading, its
    question, its decoding; ``megabytes`` the keys and values at its widest.
    """
    run = _CaseRun(answerer, case, settings)
    record: dict[str, Any] = {"id": case.name, "contexts": len(case.contexts), "methods": {}}
    for method in methods:
        record["methods"][method] = run.answer(method)
    record |= run.routing()
    return record


class _CaseRun:
    def __init__(self, answerer: Answerer, case: Case, settings: Settings) -> None:
        self.answerer, self.case, self.settings = answerer, case, settings
        engine, prompter = answerer.engine, answerer.prompter
        self.layout = layout_for(case.question, chat=prompter.chat)
        self.question = prompter.question(case.question, self.layout)
        self.head = prompter.head()
        self.encoded = encode_texts(answerer.tokenizer, case.contexts)
        room = engine.limit - len(self.head) - len(self.question) - settings.max_tokens - 32 if engine.limit else None
        self.rows = [prompter.context(ids[:room], self.layout) for ids, _ in self.encoded]
        self.room = None if engine.limit is None else engine.limit - len(self.question) - settings.max_tokens
        start = perf_counter()
        everything = Settings(keep=None, negligible=0.0, route=0.0)
        (self.prepared,) = prefill(
            engine, self.head, self.rows, [self.question], everything, chunk_tokens=answerer.chunk_tokens
        )
        self.reading = perf_counter() - start
        self._whole: tuple[Rows, Tensor, float] | None = None

    def answer(self, method: str) -> dict[str, Any]:
        start = perf_counter()
        reading, source = 0.0, None
        if method == "closer":
            reading = self.reading
            decoded, size, source = self._closer()
        elif method in ("routed", "nbce", "mean", "max"):
            reading = self.reading
            prepared, settings = self._variant(method)
            decoded, size = self.answerer.decode(prepared, settings), prepared.rows.nbytes
            drawn = Counter(step.context for step in decoded.steps)
            source = drawn.most_common(1)[0][0] if drawn else None
        else:
            try:
                rows, log_p, chooser, reading, source = self._rival(method)
            except ModelError as error:  # a model that cannot do this is no failure of the case
                return {"refused": str(error)}
            decoded, size = self._decode(rows, log_p, chooser), rows.nbytes
        found = {
            "text": decoded.text.strip(),
            "right": is_right(decoded.text, self.case.answers),
            "seconds": round(reading + perf_counter() - start, 3),
            "megabytes": round(size / 2**20, 1),
        }
        if source is not None:
            found["source"] = source
            found["right_source"] = source == self.case.gold
        return found

    def _closer(self) -> tuple[Decoded, int, int | None]:
        prepared, settings = self._variant("routed")
        settings = replace(settings, closer=settings.closer or 2)
        parts = [
            Part(number, Span(0, len(text), text), tuple(ids))
            for number, (text, (ids, _)) in enumerate(zip(self.case.contexts, self.encoded, strict=True))
        ]
        answerer = self.answerer
        near = look_closer(
            answerer.engine,
            answerer.prompter,
            prepared,
            parts,
            self.question,
            self.layout,
            settings,
            chunk_tokens=answerer.chunk_tokens,
        )
        ready = prepared if near is None else near.prepared
        decoded = answerer.decode(ready, settings)
        drawn = [step.context for step in decoded.steps if step.context is not None]
        followed = drawn if near is None else [near.parents[number] for number in drawn]
        size = max(prepared.rows.nbytes, ready.rows.nbytes)
        return decoded, size, Counter(followed).most_common(1)[0][0] if followed else None

    def routing(self) -> dict[str, Any]:
        """What the prefill says about the contexts, with the gold one and without it."""
        record: dict[str, Any] = {
            "gold": self.case.gold,
            "question_tokens": self.answerer.prompter.length(self.case.question),
            "lift": [round(value, 3) for value in self.prepared.lift.tolist()],
        }
        prepared, settings = self._variant("routed")
        record["jumps"] = self._jumps(prepared, settings)
        if len(self.rows) > 1:
            without = _kept(self.prepared.without(self.case.gold), self.settings)
            record["jumps_without_gold"] = self._jumps(without, settings)
        return record

    def _jumps(self, prepared: Prepared, settings: Settings) -> float:
        if len(prepared.kept) == 1:
            return 0.0
        decoded = self.answerer.decode(prepared, settings)
        return round(jumps([step.context for step in decoded.steps if step.context is not None]), 3)

    def _variant(self, method: str) -> tuple[Prepared, Settings]:
        ours = self.settings
        if method == "routed":
            return _kept(self.prepared, ours), ours
        pooling = "entropy" if method == "nbce" else method
        plain = Settings(
            pooling=pooling,  # pyright: ignore[reportArgumentType]
            beta=ours.beta,
            eta=ours.eta,
            route=0.0,
            keep=None,
            negligible=0.0,
            max_tokens=ours.max_tokens,
        )
        return self.prepared, plain

    def _rival(self, method: str) -> tuple[Rows, Tensor, LastRowChooser, float, int | None]:
        engine = self.answerer.engine
        if method in ("bm25", "gold"):
            context = self.case.gold if method == "gold" else best_by_bm25(self.case.question, self.case.contexts)
            rows, log_p = read_concatenated(engine, self.rows[context], self.question)
            return rows, log_p, LastRowChooser(self.settings, context=context), 0.0, context
        if method == "parallel":
            everything = self.prepared.rows.select(range(1, len(self.rows) + 1))
            rows, log_p = read_parallel(engine, everything.without_last(len(self.question)), self.question)
            return rows, log_p, LastRowChooser(self.settings), self.reading, None
        whole, log_p, seconds = self._concatenated()
        if method == "concatenated":
            return whole, log_p, LastRowChooser(self.settings), seconds, None
        rows, log_p = read_aware(engine, self.head, whole, log_p, self.question)
        return rows, log_p, LastRowChooser(self.settings, alpha=ALPHA), seconds, None

    def _concatenated(self) -> tuple[Rows, Tensor, float]:
        if self._whole is None:
            start = perf_counter()
            row = concatenated(self.head, self.rows, room=self.room)
            rows, log_p = read_concatenated(self.answerer.engine, row, self.question)
            self._whole = rows, log_p, perf_counter() - start
        return self._whole

    def _decode(self, rows: Rows, log_p: Tensor, chooser: LastRowChooser) -> Decoded:
        answerer = self.answerer
        steps: Iterator[Step] = steps_of(
            answerer.engine, rows, log_p, chooser, end=answerer.end, max_tokens=self.settings.max_tokens
        )
        stop = () if answerer.prompter.chat else ("\n",)
        return write(steps, answerer.tokenizer, end=answerer.end, stop=stop)


def _kept(prepared: Prepared, settings: Settings) -> Prepared:
    """The rows that a run with these settings would have kept."""
    ranked = sorted(range(len(prepared.lift)), key=lambda number: (-float(prepared.lift[number]), number))
    likely = [number for number in ranked[: settings.keep] if prepared.posterior[number] >= settings.negligible]
    return prepared.only(sorted(likely or ranked[:1]))
