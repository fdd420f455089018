"""Services with their queues: the part of the server that the routes and the web page share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ironwok.serving.answering import AnswerService
from ironwok.serving.batching import Busy, Closed, Job, Left, result_of
from ironwok.serving.judging import CompareService, FillService
from ironwok.serving.limits import Limits
from ironwok.serving.metrics import Metrics
from ironwok.serving.problems import Problem
from ironwok.serving.services import Services
from ironwok.serving.understanding import ClassifyService, ExtractService


class Server:
    """Services with their queues."""

    def __init__(self, services: Services, limits: Limits, clock: Callable[[], float]) -> None:
        self.services, self.limits, self.clock = services, limits, clock
        self.metrics = Metrics()
        self.ready = False
        options: dict[str, Any] = {"limits": limits, "metrics": self.metrics}
        self.classify = services.classifier and ClassifyService(services.classifier, **options)
        self.extract = services.extractor and ExtractService(services.extractor, **options)
        self.answer = services.answerer and AnswerService(services.answerer, **options)
        judge = services.judge
        self.compare: Any = judge and judge.relations and CompareService(judge, **options)
        self.fill: Any = judge and judge.blanks and FillService(judge, **options)

    def close(self) -> None:
        """Finish what was accepted."""
        for service in (self.classify, self.extract, self.compare, self.fill, self.answer):
            if service is not None:
                service.close()

    def service(self, service: Any, name: str, asked: str | None, task: str) -> Any:
        """The service of a task. Raises Problem where it is not there, or its model is another one than asked for."""
        if service is None:
            raise Problem(404, "not_served", f"this server does not {task}: it was started without a model for it")
        if asked is not None and asked != name:
            raise Problem(404, "model_not_found", f"there is no model {asked!r:.80} to {task} here; there is {name!r}")
        return service

    async def result(self, gone: Callable[[], Any], submit: Callable[[], Job]) -> Any:
        """What a job gives. gone: a coroutine function that returns when the client has left.

        Raises Problem where there is no room or no time, and what the job raised.
        """
        job = self.accept(submit)
        try:
            return await result_of(job, gone=gone, seconds=self.limits.seconds)
        except TimeoutError:
            raise self.late() from None
        except Left:
            raise Problem(499, "client_left", "the client left before the answer was there") from None

    def accept(self, submit: Callable[[], Any]) -> Any:
        """Hand a job in. Raises Problem where there is no room, and what ``submit`` raises."""
        try:
            return submit()
        except Busy:
            self.metrics.rejected.labels("queue_full").inc()
            told = f"{self.limits.queue} requests are waiting: ask again soon"
            raise Problem(429, "queue_full", told, headers={"retry-after": "1"}) from None
        except Closed:
            raise Problem(503, "shutting_down", "the server is going down", headers={"retry-after": "5"}) from None

    def late(self) -> Problem:
        self.metrics.rejected.labels("timeout").inc()
        return Problem(504, "timeout", f"no answer within {self.limits.seconds:g} s: send less at once, or ask later")
