"""Cases of long-context question answering, the ways to answer them, and what counts as right."""

from __future__ import annotations

import json
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from torch import Tensor

from ironwok.errors import DataError, ModelError
from ironwok.nbce.answerer import Answerer
from ironwok.nbce.closer import Closer, look_closer
from ironwok.nbce.contexts import Part
from ironwok.nbce.copying import copy
from ironwok.nbce.decode import Decoded, Step, steps_of, write
from ironwok.nbce.doubts import jumps
from ironwok.nbce.prefill import Prepared, prefill
from ironwok.nbce.prompts import layout_for
from ironwok.nbce.questions import asks_for_words
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
    "copied": "the same two sentences, the answer chosen among their own words, or their sentence, where words answer",
    "nbce": "NBCE as published: entropy, all rows to the end",
    "mean": "NBCE, mean of the contexts",
    "max": "NBCE, maximum of the contexts",
    "concatenated": "all contexts in one row, cut off at the model's window",
    "parallel": "Parallel Context Windows",
    "aware": "context-aware decoding over the concatenation, alpha 0.5",
    "bm25copied": "the best context by BM25 alone, read two sentences at a time and copied from",
    "bm25": "retrieve then read: the best context by BM25 alone",
    "gold": "the context that holds the answer alone: what the model can do at most",
}
ALPHA = 0.5  # of the paper on context-aware decoding
PUBLISHED_BETA = 0.25  # of kexue.fm 9617, for reading comprehension


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


def kind_of(answers: Sequence[str]) -> str:
    """What an answer is, by its looks: "number" with a digit in the first accepted one, "name" where all its longer
    words begin with a capital letter, else "words". Chinese knows no capitals and so no names.
    """
    first = unicodedata.normalize("NFKC", answers[0])
    if any(one.isdigit() for one in first):
        return "number"
    longer = [word for word in re.findall(r"\w+", first) if len(word) > 3]
    return "name" if longer and all(word[0].isupper() for word in longer) else "words"


_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = frozenset(string.punctuation)


def normalised(text: str) -> str:
    """As SQuAD does: small letters, no punctuation, no articles, single spaces."""
    text = unicodedata.normalize("NFKC", text).lower()
    kept = (" " if unicodedata.category(one)[0] == "P" and one not in _PUNCTUATION else one for one in text)
    bare = "".join(one for one in kept if one not in _PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


_TOKEN = re.compile(r"[a-z0-9]+|[^\W_]")


def f1(found: str, answers: Sequence[str]) -> float:
    """The best F1 of the tokens with an accepted answer; every Chinese character is a token."""
    tokens = Counter(_TOKEN.findall(normalised(found)))
    best = 0.0
    for answer in answers:
        wanted = Counter(_TOKEN.findall(normalised(answer)))
        common = sum((tokens & wanted).values())
        if common:
            best = max(best, 2 * common / (sum(tokens.values()) + sum(wanted.values())))
    return best


def answer_case(
    answerer: Answerer, case: Case, methods: Sequence[str], settings: Settings, *, without_gold: bool = False
) -> dict[str, Any]:
    """Every method's answer to one case.

    The contexts are read once, and every way to combine rows starts from these: that is exact, what stands before a
    question does not depend on what comes. ``seconds`` of a method hold what it would need alone: its reading, its
    question, its decoding; ``cpu_seconds`` the same of the processor, which other work cannot stretch; ``megabytes``
    the keys and values at its widest. Where the contexts were read for a method, the record says what that tells about
    them; without_gold: also how the answer jumps between contexts where the right one is not among them.
    """
    run = _CaseRun(answerer, case, settings)
    record: dict[str, Any] = {"id": case.name, "contexts": len(case.contexts), "methods": {}}
    for method in methods:
        record["methods"][method] = run.answer(method)
    return record | run.signs(without_gold=without_gold)


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds by the clock, and of the processor."""

    wall: float = 0.0
    cpu: float = 0.0

    @classmethod
    def now(cls) -> Spent:
        return cls(perf_counter(), process_time())

    def since(self, start: Spent) -> Spent:
        return Spent(self.wall - start.wall, self.cpu - start.cpu)

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.wall + other.wall, self.cpu + other.cpu)


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
        self.reading = self.looking = Spent()
        self._whole: tuple[Rows, Tensor, Spent] | None = None

    @cached_property
    def prepared(self) -> Prepared:
        """All contexts, read; what that took is ``reading``."""
        start = Spent.now()
        everything = Settings(keep=None, negligible=0.0, route=0.0)
        (prepared,) = prefill(
            self.answerer.engine,
            self.head,
            self.rows,
            [self.question],
            everything,
            chunk_tokens=self.answerer.chunk_tokens,
        )
        self.reading = Spent.now().since(start)
        return prepared

    def answer(self, method: str) -> dict[str, Any]:
        if method in ("routed", "copied", "closer", "nbce", "mean", "max", "parallel"):
            _ = self.prepared  # read now, not on the clock of the method
        if method in ("closer", "copied"):
            _ = self.near
        start = Spent.now()
        reading, source = Spent(), None
        if method == "closer":
            reading = self.reading + self.looking
            decoded, drawn, size = self.closer
            source = most_common(drawn)
        elif method == "copied":
            reading = self.reading + self.looking
            decoded, drawn, size = self._closer(self._variant("routed")[0], self.parts, self.near, copies=True)
            source = most_common(drawn)
        elif method == "bm25copied":
            source = best_by_bm25(self.case.question, self.case.contexts)
            (one,) = prefill(
                self.answerer.engine,
                self.head,
                [self.rows[source]],
                [self.question],
                self.settings,
                chunk_tokens=self.answerer.chunk_tokens,
            )
            parts = [self.parts[source]]
            decoded, _, size = self._closer(one, parts, self._look(one, parts), copies=True)
        elif method in ("routed", "nbce", "mean", "max"):
            reading = self.reading
            prepared, settings = self._variant(method)
            decoded, size = self.answerer.decode(prepared, settings), prepared.rows.nbytes
            source = most_common(_drawn(decoded))
        else:
            try:
                rows, log_p, chooser, reading, source = self._rival(method)
            except ModelError as error:  # a model that cannot do this is no failure of the case
                return {"refused": str(error)}
            decoded, size = self._decode(rows, log_p, chooser), rows.nbytes
        spent = reading + Spent.now().since(start)
        found = {
            "text": decoded.text.strip(),
            "right": is_right(decoded.text, self.case.answers),
            "f1": round(f1(decoded.text, self.case.answers), 3),
            "seconds": round(spent.wall, 3),
            "cpu_seconds": round(spent.cpu, 3),
            "megabytes": round(size / 2**20, 1),
        }
        if source is not None:
            found["source"] = source
            found["right_source"] = source == self.case.gold
        return found

    @cached_property
    def closer(self) -> tuple[Decoded, list[int], int]:
        """The answer of `Answerer`, the contexts its tokens came from, the bytes at its widest."""
        return self._closer(self._variant("routed")[0], self.parts, self.near)

    @cached_property
    def near(self) -> Closer | None:
        """The contexts that routing keeps, read again; what that took is ``looking``."""
        start = Spent.now()
        near = self._look(self._variant("routed")[0], self.parts)
        self.looking = Spent.now().since(start)
        return near

    @cached_property
    def parts(self) -> list[Part]:
        return [
            Part(number, Span(0, len(text), text), tuple(ids))
            for number, (text, (ids, _)) in enumerate(zip(self.case.contexts, self.encoded, strict=True))
        ]

    def _look(self, prepared: Prepared, parts: Sequence[Part]) -> Closer | None:
        return look_closer(
            self.answerer.engine,
            self.answerer.prompter,
            prepared,
            parts,
            self.question,
            self.layout,
            replace(self.settings, closer=self.settings.closer or 2),
            chunk_tokens=self.answerer.chunk_tokens,
        )

    def _closer(
        self, prepared: Prepared, parts: Sequence[Part], near: Closer | None, *, copies: bool = False
    ) -> tuple[Decoded, list[int], int]:
        answerer, settings = self.answerer, self.settings
        ready, among = (prepared, parts) if near is None else (near.prepared, near.parts)
        taken = None
        if copies and asks_for_words(self.case.question):
            taken = copy(
                answerer.engine,
                answerer.prompter,
                ready,
                among,
                self.case.question,
                self.question,
                self.layout,
                end=answerer.end,
                max_tokens=settings.max_tokens,
            )
        decoded = answerer.decode(ready, settings) if taken is None else taken.decoded
        drawn = _drawn(decoded)
        followed = drawn if near is None else [near.parents[number] for number in drawn]
        return decoded, followed, max(prepared.rows.nbytes, ready.rows.nbytes)

    def signs(self, *, without_gold: bool) -> dict[str, Any]:
        """What tells whether the contexts settle the question, as far as it was needed anyway."""
        record: dict[str, Any] = {"gold": self.case.gold}
        if "prepared" in self.__dict__ or without_gold:
            record["question_tokens"] = self.answerer.prompter.length(self.case.question)
            record["lift"] = [round(value, 3) for value in self.prepared.lift.tolist()]
        if "closer" in self.__dict__ or without_gold:
            record["jumps"] = round(jumps(self.closer[1]), 3)
        if without_gold and len(self.rows) > 1:
            without = _kept(self.prepared.without(self.case.gold), self.settings)
            parts = [part for part in self.parts if part.context != self.case.gold]
            record["jumps_without_gold"] = round(jumps(self._closer(without, parts, self._look(without, parts))[1]), 3)
        return record

    def _variant(self, method: str) -> tuple[Prepared, Settings]:
        ours = self.settings
        if method == "routed":
            return _kept(self.prepared, ours), ours
        pooling = "entropy" if method == "nbce" else method
        plain = Settings(
            pooling=pooling,  # pyright: ignore[reportArgumentType]
            beta=PUBLISHED_BETA,
            eta=ours.eta,
            route=0.0,
            keep=None,
            negligible=0.0,
            max_tokens=ours.max_tokens,
        )
        return self.prepared, plain

    def _rival(self, method: str) -> tuple[Rows, Tensor, LastRowChooser, Spent, int | None]:
        engine = self.answerer.engine
        if method in ("bm25", "gold"):
            context = self.case.gold if method == "gold" else best_by_bm25(self.case.question, self.case.contexts)
            rows, log_p = read_concatenated(engine, self.rows[context], self.question)
            return rows, log_p, LastRowChooser(self.settings, context=context), Spent(), context
        if method == "parallel":
            everything = self.prepared.rows.select(range(1, len(self.rows) + 1))
            rows, log_p = read_parallel(engine, everything.without_last(len(self.question)), self.question)
            return rows, log_p, LastRowChooser(self.settings), self.reading, None
        fresh = self._whole is None
        whole, log_p, spent = self._concatenated()
        # the method that reads it first has it on its own clock already
        spent = Spent() if fresh else spent
        if method == "concatenated":
            return whole, log_p, LastRowChooser(self.settings), spent, None
        rows, log_p = read_aware(engine, self.head, whole, log_p, self.question)
        return rows, log_p, LastRowChooser(self.settings, alpha=ALPHA), spent, None

    def _concatenated(self) -> tuple[Rows, Tensor, Spent]:
        if self._whole is None:
            start = Spent.now()
            row = concatenated(self.head, self.rows, room=self.room)
            rows, log_p = read_concatenated(self.answerer.engine, row, self.question)
            self._whole = rows, log_p, Spent.now().since(start)
        return self._whole

    def _decode(self, rows: Rows, log_p: Tensor, chooser: LastRowChooser) -> Decoded:
        answerer = self.answerer
        steps: Iterator[Step] = steps_of(
            answerer.engine, rows, log_p, chooser, end=answerer.end, max_tokens=self.settings.max_tokens
        )
        stop = () if answerer.prompter.chat else ("\n",)
        return write(steps, answerer.tokenizer, end=answerer.end, stop=stop)


def _drawn(decoded: Decoded) -> list[int]:
    return [step.context for step in decoded.steps if step.context is not None]


def most_common(contexts: Sequence[int]) -> int | None:
    return Counter(contexts).most_common(1)[0][0] if contexts else None


def _kept(prepared: Prepared, settings: Settings) -> Prepared:
    """The rows that a run with these settings would have kept."""
    ranked = sorted(range(len(prepared.lift)), key=lambda number: (-float(prepared.lift[number]), number))
    likely = [number for number in ranked[: settings.keep] if prepared.posterior[number] >= settings.negligible]
    return prepared.only(sorted(likely or ranked[:1]))
