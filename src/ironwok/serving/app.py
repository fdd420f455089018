"""The application: routes, and what their errors look like."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from ironwok import __version__
from ironwok.errors import InputError
from ironwok.results import Answer
from ironwok.serving.answering import AnswerService, Asking, pieces_of
from ironwok.serving.batching import Busy, Closed, Job, Left, result_of
from ironwok.serving.chat import asking_of, chunk, completion, reason, usage
from ironwok.serving.gate import Gate
from ironwok.serving.limits import Limits
from ironwok.serving.metrics import Metrics
from ironwok.serving.problems import Problem, invalid, printable
from ironwok.serving.schemas import AnswerRequest, ChatRequest, ClassifyRequest, ExtractRequest
from ironwok.serving.services import Services
from ironwok.serving.understanding import ClassifyService, ExtractService

_DONE = "data: [DONE]\n\n"


def create_app(
    services: Services,
    *,
    limits: Limits | None = None,
    api_keys: Sequence[str] = (),
    clock: Callable[[], float] = time.time,
) -> FastAPI:
    """The ASGI application. Each app has its own queues and metrics; its threads end with its lifespan.

    api_keys: of which every request but those for health has to bring one; none: open to everybody who can reach it.
    clock: for the time that chat completions carry.
    """
    if any(not key.strip() for key in api_keys):
        raise InputError("an API key is blank")
    server = _Server(services, limits or Limits(), clock)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        server.ready = True
        try:
            yield
        finally:
            server.ready = False
            await asyncio.to_thread(server.close)

    app = FastAPI(
        title="Ironwok",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # those pages fetch scripts from other machines
        redoc_url=None,
    )
    _add_errors(app)
    _add_health(app, server)
    _add_understanding(app, server)
    _add_answers(app, server)
    routes = [route.path for route in app.routes]  # pyright: ignore[reportAttributeAccessIssue]
    app.add_middleware(Gate, limits=server.limits, keys=tuple(api_keys), metrics=server.metrics, routes=routes)
    return app


class _Server:
    """Services with their queues."""

    def __init__(self, services: Services, limits: Limits, clock: Callable[[], float]) -> None:
        self.services, self.limits, self.clock = services, limits, clock
        self.metrics = Metrics()
        self.ready = False
        options: dict[str, Any] = {"limits": limits, "metrics": self.metrics}
        self.classify = services.classifier and ClassifyService(services.classifier, **options)
        self.extract = services.extractor and ExtractService(services.extractor, **options)
        self.answer = services.answerer and AnswerService(services.answerer, **options)

    def close(self) -> None:
        """Finish what was accepted."""
        for service in (self.classify, self.extract, self.answer):
            if service is not None:
                service.batcher.close()

    def service(self, service: Any, name: str, asked: str | None, task: str) -> Any:
        """The service of a task. Raises Problem where it is not there, or its model is another one than asked for."""
        if service is None:
            raise Problem(404, "not_served", f"this server does not {task}: it was started without a model for it")
        if asked is not None and asked != name:
            raise Problem(404, "model_not_found", f"there is no model {asked!r:.80} to {task} here; there is {name!r}")
        return service

    async def result(self, request: Request, submit: Callable[[], Job]) -> Any:
        """What a job gives. Raises Problem where there is no room or no time."""
        job = self.accept(submit)
        try:
            return await result_of(job, gone=lambda: _gone(request), seconds=self.limits.seconds)
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


async def _gone(request: Request) -> None:
    """Returns when the client has left; its body was read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> JSONResponse:
        return error.response()

    @app.exception_handler(InputError)
    async def input_error(_: Request, error: InputError) -> JSONResponse:
        return Problem(422, "invalid_request", printable(str(error))).response()

    @app.exception_handler(RequestValidationError)
    async def validation(_: Request, error: RequestValidationError) -> JSONResponse:
        return invalid(list(error.errors())).response()

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "invalid_request")
        return Problem(error.status_code, code, str(error.detail), headers=dict(error.headers or {})).response()

    @app.exception_handler(Exception)
    async def bug(_: Request, error: Exception) -> JSONResponse:
        # the server's own log has the trace; the client learns that it was not its fault
        return Problem(500, "internal_error", "something went wrong inside the server").response()


def _add_health(app: FastAPI, server: _Server) -> None:
    @app.get("/healthz", summary="The process is alive")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="Models are loaded and requests are taken")
    async def readyz() -> JSONResponse:
        return JSONResponse({"ready": server.ready}, status_code=200 if server.ready else 503)

    @app.get("/metrics", summary="Counters for Prometheus", response_class=Response)
    async def metrics() -> Response:
        return Response(server.metrics.text(), media_type=server.metrics.content_type)

    @app.get("/v1/models", summary="Models, and what each of them does")
    async def models() -> dict[str, Any]:
        listed = [
            {"id": name, "object": "model", "created": 0, "owned_by": "ironwok", "task": task}
            for name, task in server.services.models().items()
        ]
        return {"object": "list", "data": listed}


def _add_understanding(app: FastAPI, server: _Server) -> None:
    services = server.services

    @app.post("/v1/classify", summary="Sort texts into labels")
    async def classify(request: Request, body: ClassifyRequest) -> dict[str, Any]:
        service = server.service(server.classify, services.classifier_name, body.model, "classify")
        results = await server.result(request, lambda: service.submit(body))
        return {"model": services.classifier_name, "results": [result.to_dict() for result in results]}

    @app.post("/v1/extract", summary="Find events, entities or relations in texts")
    async def extract(request: Request, body: ExtractRequest) -> dict[str, Any]:
        service = server.service(server.extract, services.extractor_name, body.model, "extract")
        results = await server.result(request, lambda: service.submit(body))
        found = [{service.task: [one.to_dict() for one in own]} for own in results]
        return {"model": services.extractor_name, "results": found}


def _add_answers(app: FastAPI, server: _Server) -> None:
    services, name = server.services, server.services.answerer_name

    @app.post("/v1/answer", summary="Answer a question from texts", response_model=None)
    async def answer(request: Request, body: AnswerRequest) -> dict[str, Any] | StreamingResponse:
        service = server.service(server.answer, name, body.model, "answer")
        asking = service.ask(body)
        if not body.stream:
            found = await server.result(request, lambda: service.submit(asking))
            return {"model": services.answerer_name} | found.to_dict()
        return await _streamed(
            server, service, asking, piece=lambda text: {"delta": text}, end=lambda found: [found.to_dict()]
        )

    @app.post("/v1/chat/completions", summary="OpenAI's chat completions", response_model=None)
    async def chat(request: Request, body: ChatRequest) -> dict[str, Any] | StreamingResponse:
        service = server.service(server.answer, name, body.model, "answer")
        asking = asking_of(body, service, server.limits)
        about: dict[str, Any] = {
            "identity": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(server.clock()),
            "model": services.answerer_name,
        }
        read = service.count_tokens([asking.question, *asking.contexts])
        if not body.stream:
            found = await server.result(request, lambda: service.submit(asking))
            return completion(found, prompt_tokens=read, **about)

        def end(found: Answer) -> list[dict[str, Any]]:
            last = chunk({}, end=reason(found), **about) | {"ironwok": found.to_dict()}
            if not (body.stream_options or {}).get("include_usage"):
                return [last]
            return [last, chunk({}, **about) | {"choices": [], "usage": usage(found, read)}]

        return await _streamed(
            server,
            service,
            asking,
            piece=lambda text: chunk({"content": text}, **about),
            end=end,
            begin=[chunk({"role": "assistant", "content": ""}, **about)],
        )


async def _streamed(
    server: _Server,
    service: AnswerService,
    asking: Asking,
    *,
    piece: Callable[[str], dict[str, Any]],
    end: Callable[[Answer], list[dict[str, Any]]],
    begin: Sequence[dict[str, Any]] = (),
) -> StreamingResponse:
    """Server-sent events. What is asked wrongly or finds no room is still an ordinary error: nothing was sent yet."""
    pieces = server.accept(lambda: pieces_of(service, asking, seconds=server.limits.seconds))

    async def events() -> AsyncIterator[str]:
        for one in begin:
            yield _event(one)
        async with aclosing(pieces):
            try:
                async for item in pieces:
                    if isinstance(item, str):
                        yield _event(piece(item))
                    else:
                        for one in end(item):
                            yield _event(one)
            except TimeoutError:
                yield _event(server.late().body())
            except InputError as error:
                yield _event(Problem(422, "invalid_request", printable(str(error))).body())
        yield _DONE

    return StreamingResponse(events(), media_type="text/event-stream", headers={"cache-control": "no-store"})


def _event(value: Any) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
