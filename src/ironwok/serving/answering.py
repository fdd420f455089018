"""/v1/answer and /v1/chat/completions: one answer at a time, piece by piece, given up when nobody waits any more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ironwok.nbce import Settings
from ironwok.nbce.contexts import Context
from ironwok.results import Answer
from ironwok.serving.batching import Job, Left, MicroBatcher
from ironwok.serving.limits import Limits
from ironwok.serving.metrics import Metrics
from ironwok.serving.problems import Problem
from ironwok.serving.schemas import AnswerRequest, Document
from ironwok.serving.understanding import check_characters


@dataclass(slots=True)
class Asking:
    """A question on its way through the worker.

    names: what the client calls its contexts, None where it does not. on_piece: told every further piece of the answer.
    left: set when nobody waits any more.
    """

    question: str
    contexts: Sequence[str]
    names: Sequence[str | None]
    settings: Settings
    on_piece: Callable[[str], object] = lambda piece: None
    left: threading.Event = field(default_factory=threading.Event)


class AnswerService:
    """Questions to one answerer, one after the other."""

    def __init__(self, answerer: Any, *, limits: Limits, metrics: Metrics) -> None:
        self._answerer, self._limits, self._metrics = answerer, limits, metrics
        self.batcher = MicroBatcher(self._work, name="answer", most=1, wait=0, room=limits.queue)
        metrics.watch("answer", lambda: self.batcher.waiting)

    def ask(self, request: AnswerRequest) -> Asking:
        """A request, checked. Raises Problem, InputError."""
        texts, names = split_contexts(request.contexts)
        if len(texts) > self._limits.texts:
            raise Problem(422, "too_many_texts", f"there are {len(texts)} contexts; at most {self._limits.texts}")
        check_characters(len(request.question) + sum(map(len, texts)), self._limits)
        chosen = request.decoding.model_dump(exclude_none=True) if request.decoding else {}
        settings = Settings(
            max_tokens=self.tokens(request.max_tokens),
            temperature=request.temperature,
            seed=request.seed,
            **chosen,
        )
        return Asking(request.question, texts, names, settings)

    def tokens(self, wanted: int | None) -> int:
        """How long an answer may be. Raises Problem for more than the server gives."""
        if wanted is None:
            return min(Settings().max_tokens, self._limits.answer_tokens)
        if wanted > self._limits.answer_tokens:
            told = f"max_tokens is {wanted}; at most {self._limits.answer_tokens} here"
            raise Problem(422, "too_many_tokens", told)
        return wanted

    def close(self) -> None:
        """Finish what was accepted."""
        self.batcher.close()

    def submit(self, asking: Asking) -> Job:
        """Raises Busy, Closed."""
        return self.batcher.submit(asking, left=asking.left)

    def count_tokens(self, texts: Sequence[str]) -> int:
        """Tokens of all texts, without special ones."""
        return sum(len(self._answerer.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts)

    def _work(self, batch: list[Asking]) -> list[Answer]:
        (asking,) = batch

        def leave_if_alone(*_: Any) -> None:
            # raised between two tokens or two chunks of reading; the cache goes with the frame
            if asking.left.is_set():
                raise Left

        def on_text(piece: str) -> None:
            leave_if_alone()
            asking.on_piece(piece)

        contexts = [Context(text, name) for text, name in zip(asking.contexts, asking.names, strict=True)]
        answer = self._answerer.ask(
            asking.question, contexts, settings=asking.settings, on_text=on_text, on_read=leave_if_alone
        )
        self._metrics.tokens.inc(len(answer.tokens))
        return [answer]


def split_contexts(contexts: Sequence[str | Document]) -> tuple[list[str], list[str | None]]:
    """Texts, and what the client calls them."""
    texts = [one if isinstance(one, str) else one.text for one in contexts]
    return texts, [None if isinstance(one, str) else one.id for one in contexts]


def pieces_of(service: AnswerService, asking: Asking, *, seconds: float) -> AsyncGenerator[str | Answer, None]:
    """Hand a question in; the pieces of its answer as they come, then the answer itself.

    To be called in a running event loop. The iterator raises TimeoutError, or what the answerer raised; closing it
    early gives the question up. Raises Busy, Closed at once.
    """
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[Any] = asyncio.Queue()
    asking.on_piece = lambda piece: loop.call_soon_threadsafe(waiting.put_nowait, piece)
    job = service.submit(asking)
    job.future.add_done_callback(lambda done: loop.call_soon_threadsafe(waiting.put_nowait, done))

    async def run() -> AsyncGenerator[str | Answer, None]:
        until = loop.time() + seconds
        try:
            while True:
                item = await asyncio.wait_for(waiting.get(), until - loop.time())
                if isinstance(item, str):
                    yield item
                    continue
                yield item.result()
                return
        finally:
            job.left.set()
            job.future.cancel()

    return run()
