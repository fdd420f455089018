"""The application: routes, and what their errors look like."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from ironwok import __version__
from ironwok.errors import InputError, MissingExtraError
from ironwok.results import Answer
from ironwok.serving.answering import AnswerService, Asking, pieces_of
from ironwok.serving.chat import asking_of, chunk, completion, reason, usage
from ironwok.serving.gate import Gate
from ironwok.serving.limits import Limits
from ironwok.serving.problems import Problem, invalid, printable
from ironwok.serving.schemas import (
    AnswerRequest,
    ChatRequest,
    ClassifyRequest,
    CompareRequest,
    ExtractRequest,
    FillRequest,
    Refused,
)
from ironwok.serving.server import Server
from ironwok.serving.services import Services

# what the API may answer besides 200; for the OpenAPI document
_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refused, "description": description}
    for status, description in {
        400: "The request is no HTTP or JSON that can be read",
        401: "No key, or a wrong one",
        404: "There is no such model or task here",
        408: "The body did not arrive in time",
        413: "The body is too large",
        422: "What is asked for cannot be done; the message says why",
        429: "Too many requests are waiting, or too many came from this client; see Retry-After",
        499: "The client left",
        500: "A bug of the server",
        503: "The server is going down",
        504: "No answer in time",
    }.items()
}
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": 'The answer; with "stream": true its pieces', "content": {"text/event-stream": {}}}
}
_NOT_READY: dict[int | str, dict[str, Any]] = {503: {"description": "Not yet, or not any more"}}
_LOG = logging.getLogger("uvicorn.error")
_DONE = "data: [DONE]\n\n"
_PAGE = "/web"
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path fill="#a03c14" d="M3 13h26a13 13 0 0 1-26 0z"/>'
    '<path stroke="#a03c14" stroke-width="2" d="M1 13h30"/></svg>'
)


def create_app(
    services: Services,
    *,
    limits: Limits | None = None,
    api_keys: Sequence[str] = (),
    page: bool = False,
    clock: Callable[[], float] = time.time,
) -> FastAPI:
    """The ASGI application. Each app has its own queues and metrics; its threads end with its lifespan.

    api_keys: of which every request but those for health has to bring one; none: open to everybody who can reach it.
    page: whether there is a web page under /web, which needs the extra "web". ``app.state.end_streams()`` ends the
    streams that a browser leaves open; `ironwok.serving.run.Runner` calls it before it goes down.
    clock: for the time that chat completions carry.
    Raises MissingExtraError for a page without Gradio.
    """
    if any(not key.strip() for key in api_keys):
        raise InputError("an API key is blank")
    server = Server(services, limits or Limits(), clock)

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
    # for the OpenAPI document: the gate looks at keys before a request comes here
    keyed = [Security(HTTPBearer(auto_error=False))] if api_keys else []
    _add_health(app, server, keyed)
    _add_understanding(app, server, keyed)
    _add_judging(app, server, keyed)
    _add_answers(app, server, keyed)
    app.state.end_streams = _add_page(app, server) if page else lambda: None
    routes = [route.path for route in app.routes]  # pyright: ignore[reportAttributeAccessIssue]
    app.add_middleware(
        Gate,
        limits=server.limits,
        keys=tuple(api_keys),
        metrics=server.metrics,
        routes=routes,
        page=_PAGE if page else None,
    )
    return app


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
        return _bug().response()


def _bug() -> Problem:
    return Problem(500, "internal_error", "something went wrong inside the server")


def _add_page(app: FastAPI, server: Server) -> Callable[[], None]:
    try:
        from ironwok.serving.page.mount import mount
    except ImportError as error:
        if error.name is not None and error.name.startswith("ironwok"):
            raise
        raise MissingExtraError("web", feature="the web page") from error

    @app.get("/", include_in_schema=False)
    async def root() -> RedirectResponse:
        return RedirectResponse(f"{_PAGE[1:]}/")

    # browsers ask for both at the root, whatever the page says, and without a key
    @app.get("/favicon.ico", include_in_schema=False)
    async def icon() -> Response:
        return Response(_ICON, media_type="image/svg+xml")

    @app.get("/manifest.json", include_in_schema=False)
    async def manifest() -> JSONResponse:
        return JSONResponse({"name": "Ironwok", "icons": [{"src": "favicon.ico", "sizes": "any"}]})

    return mount(app, server, path=_PAGE)


def _add_health(app: FastAPI, server: Server, keyed: Sequence[Any]) -> None:
    @app.get("/healthz", summary="The process is alive")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="Models are loaded and requests are taken", responses=_NOT_READY)
    async def readyz() -> JSONResponse:
        return JSONResponse({"ready": server.ready}, status_code=200 if server.ready else 503)

    @app.get("/metrics", summary="Counters for Prometheus", response_class=Response)
    async def metrics() -> Response:
        return Response(server.metrics.text(), media_type=server.metrics.content_type)

    @app.get("/v1/models", summary="Models, and what each of them does", dependencies=keyed)
    async def models() -> dict[str, Any]:
        listed = [
            {"id": name, "object": "model", "created": 0, "owned_by": "ironwok", "tasks": tasks}
            for name, tasks in server.services.models().items()
        ]
        return {"object": "list", "data": listed}


def _add_understanding(app: FastAPI, server: Server, keyed: Sequence[Any]) -> None:
    services = server.services

    @app.post("/v1/classify", summary="Sort texts into labels", responses=_REFUSALS, dependencies=keyed)
    async def classify(request: Request, body: ClassifyRequest) -> dict[str, Any]:
        service = server.service(server.classify, services.classifier_name, body.model, "classify")
        results = await server.result(partial(_gone, request), lambda: service.submit(body))
        return {"model": services.classifier_name, "results": [result.to_dict() for result in results]}

    @app.post(
        "/v1/extract",
        summary="Find events, entities or relations in texts",
        responses=_REFUSALS,
        dependencies=keyed,
    )
    async def extract(request: Request, body: ExtractRequest) -> dict[str, Any]:
        service = server.service(server.extract, services.extractor_name, body.model, "extract")
        results = await server.result(partial(_gone, request), lambda: service.submit(body))
        found = [{service.task: [one.to_dict() for one in own]} for own in results]
        return {"model": services.extractor_name, "results": found}


def _add_judging(app: FastAPI, server: Server, keyed: Sequence[Any]) -> None:
    name = server.services.judge_name

    @app.post("/v1/compare", summary="How two sentences stand to each other", responses=_REFUSALS, dependencies=keyed)
    async def compare(request: Request, body: CompareRequest) -> dict[str, Any]:
        service = server.service(server.compare, name, body.model, "compare")
        results = await server.result(partial(_gone, request), lambda: service.submit(body))
        return {"model": name, "results": results}

    @app.post("/v1/fill", summary="Which word belongs into a blank", responses=_REFUSALS, dependencies=keyed)
    async def fill(request: Request, body: FillRequest) -> dict[str, Any]:
        service = server.service(server.fill, name, body.model, "fill")
        results = await server.result(partial(_gone, request), lambda: service.submit(body))
        return {"model": name, "results": results}


def _add_answers(app: FastAPI, server: Server, keyed: Sequence[Any]) -> None:
    services, name = server.services, server.services.answerer_name

    @app.post(
        "/v1/answer",
        summary="Answer a question from texts",
        response_model=None,
        responses=_REFUSALS | _STREAM,
        dependencies=keyed,
    )
    async def answer(request: Request, body: AnswerRequest) -> dict[str, Any] | StreamingResponse:
        service = server.service(server.answer, name, body.model, "answer")
        asking = service.ask(body)
        if not body.stream:
            found = await server.result(partial(_gone, request), lambda: service.submit(asking))
            return {"model": services.answerer_name} | found.to_dict()
        return await _streamed(
            server, service, asking, piece=lambda text: {"delta": text}, end=lambda found: [found.to_dict()]
        )

    @app.post(
        "/v1/chat/completions",
        summary="OpenAI's chat completions",
        response_model=None,
        responses=_REFUSALS | _STREAM,
        dependencies=keyed,
    )
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
            found = await server.result(partial(_gone, request), lambda: service.submit(asking))
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
    server: Server,
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
            except Exception:
                # too late for a status: without a last word the client could not tell a bug from a cut line
                _LOG.exception("a stream broke off")
                yield _event(_bug().body())
        yield _DONE

    return StreamingResponse(events(), media_type="text/event-stream", headers={"cache-control": "no-store"})


def _event(value: Any) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
