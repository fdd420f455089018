"""/v1/compare and /v1/fill: what the heads beside the table say of pairs of sentences and of blanks."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from ironwok.errors import InputError, LabelError
from ironwok.serving.batching import Job
from ironwok.serving.limits import Limits
from ironwok.serving.metrics import Metrics
from ironwok.serving.problems import Problem
from ironwok.serving.schemas import Blank, CompareRequest, FillRequest
from ironwok.serving.understanding import BatchedService, check_characters, check_count, dealt
from ironwok.zero_shot.nsp import AssociationScorer
from ironwok.zero_shot.tasks import (
    Cloze,
    classify_pairs,
    complete_prior,
    fill_blanks,
    filled_blank,
    share_out,
)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """A request to compare, checked. prior: the share of each answer, where the pairs are compared with one another."""

    pairs: list[tuple[str, str]]
    answers: tuple[str, ...]
    prior: dict[str, float] | None
    left: threading.Event = field(default_factory=threading.Event, compare=False)


@dataclass(frozen=True, slots=True)
class _Blanks:
    """A request to fill blanks, checked."""

    items: list[Cloze]
    left: threading.Event = field(default_factory=threading.Event, compare=False)


class CompareService(BatchedService):
    """Requests to a head for relations of sentences."""

    def __init__(self, judge: AssociationScorer, *, limits: Limits, metrics: Metrics) -> None:
        if judge.relations is None:
            raise InputError("this model brings no head for relations of sentences")
        self._judge, self._answers = judge, judge.relations.answers
        super().__init__("compare", limits=limits, metrics=metrics, model=judge.relations.head)

    def submit(self, request: CompareRequest) -> Job:
        """Raises Problem for too much, InputError for what is not usable, Busy, Closed."""
        check_count(len(request.pairs), self._limits, of="pairs")
        check_characters(sum(len(sentence) for pair in request.pairs for sentence in pair), self._limits)
        answers = self._answers.get(request.relation)
        if answers is None:
            raise InputError(f"relation is {request.relation!r:.40}; it is one of {', '.join(self._answers)}")
        if request.prior is not None and (not request.prior or len(request.pairs) < 2):
            raise InputError(
                f"prior compares the pairs of a request with one another: name a share, such as {answers[-1]}, and "
                "send two pairs or more, or leave it out"
            )
        prior = None if request.prior is None else complete_prior(request.prior, answers)
        asked = _Pairs([(first, second) for first, second in request.pairs], answers, prior)
        return self.batcher.submit(asked, size=len(asked.pairs), together=answers, left=asked.left)

    def _work(self, batch: list[_Pairs]) -> list[list[dict[str, Any]]]:
        pairs = [pair for one in batch for pair in one.pairs]
        with self._passes.of([one.left for one in batch]):
            found = classify_pairs(self._judge, pairs, labels=batch[0].answers, protocol="head")
        # pairs are compared with those of their own request, whoever else asked at that time
        return [
            [pair.to_dict() for pair in (judged if one.prior is None else share_out(judged, one.prior))]
            for one, judged in zip(batch, dealt(found, [len(one.pairs) for one in batch]), strict=True)
        ]


class FillService(BatchedService):
    """Requests to a head for blanks."""

    def __init__(self, judge: AssociationScorer, *, limits: Limits, metrics: Metrics) -> None:
        self._judge = judge
        super().__init__("fill", limits=limits, metrics=metrics)

    def submit(self, request: FillRequest) -> Job:
        """Raises Problem for too much, LabelError or InputError for what is not usable, Busy, Closed."""
        texts = [request.texts] if isinstance(request.texts, str) else request.texts
        check_count(len(texts), self._limits)
        blanks = [one if isinstance(one, Blank) else Blank(text=one) for one in texts]
        named = [one.candidates if one.candidates is not None else request.candidates for one in blanks]
        own = [candidate for one in blanks for candidate in one.candidates or ()]
        written = [one.text for one in blanks] + own + (request.candidates or [])
        check_characters(sum(map(len, written)), self._limits)
        items = []
        for one, candidates in zip(blanks, named, strict=True):
            if candidates is None:
                raise LabelError(
                    f"text {one.text!r:.40} has no candidates: send candidates, beside it or for all texts"
                )
            if len(candidates) > self._limits.labels:
                raise Problem(
                    422,
                    "too_many_candidates",
                    f"text {one.text!r:.40} has {len(candidates)} candidates; at most {self._limits.labels}",
                )
            items.append(Cloze(one.text, tuple(candidates), request.blank))
        asked = _Blanks(items)
        return self.batcher.submit(asked, size=len(items), left=asked.left)

    def _work(self, batch: list[_Blanks]) -> list[list[dict[str, Any]]]:
        found = [filled_blank(one) for one in fill_blanks(self._judge, [item for one in batch for item in one.items])]
        return dealt(found, [len(one.items) for one in batch])
