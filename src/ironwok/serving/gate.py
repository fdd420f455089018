"""What every request passes before the app sees it: key, rate, size, time to arrive; and what is counted of it."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from ironwok.serving.limits import Limits, RateLimiter
from ironwok.serving.metrics import Metrics
from ironwok.serving.problems import Problem

# what load balancers and browsers ask for without a key; nothing there tells anything
_OPEN = ("/healthz", "/readyz", "/favicon.ico", "/manifest.json")

# bytes of a refused body that are taken in and thrown away
_DISCARDED = 64_000_000


class Gate:
    """An ASGI middleware.

    keys: of which a request has to bring one, as "Authorization: Bearer KEY"; none: everybody may ask. On the page, a
    browser asks its user for it: there the key may also come as the password of "Authorization: Basic".
    routes: paths that are counted by name, all others as "other". page: where the page lies, None where there is none.
    """

    def __init__(
        self,
        app: Any,
        *,
        limits: Limits,
        keys: Sequence[str],
        metrics: Metrics,
        routes: Sequence[str],
        page: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app, self._limits, self._metrics, self._clock = app, limits, metrics, clock
        self._keys = [key.encode() for key in keys]
        self._routes = frozenset(routes)
        self._page = page
        self._rate = RateLimiter(limits.rate, clock=clock) if limits.rate is not None else None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, route, status = self._clock(), scope["path"], 500
        route = self._page if self._on_page(route) else route if route in self._routes else "other"

        async def counted(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            try:
                body = await self._admit(scope, receive)
            except Problem as problem:
                self._metrics.rejected.labels(problem.code).inc()
                # the rest of a body that is not read would be taken for the next request
                problem.headers["connection"] = "close"
                await problem.response()(scope, receive, counted)
                return
            if body is None:
                status = 499  # gone before the request was there
                return
            await self._app(scope, _replayed(body, receive), counted)
        finally:
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(self._clock() - start)

    async def _admit(self, scope: dict[str, Any], receive: Any) -> bytes | None:
        """The body; None where the client left while it came. Raises Problem."""
        try:
            self._check(scope)
        except Problem:
            # who asks before sending the body hears the answer without it
            if not any(name.lower() == b"expect" for name, _ in scope["headers"]):
                await self._discard(receive)
            raise
        try:
            return await asyncio.wait_for(self._read(receive), self._limits.body_seconds)
        except TimeoutError:
            told = f"the body did not arrive within {self._limits.body_seconds:g} s"
            raise Problem(408, "request_timeout", told) from None

    def _check(self, scope: dict[str, Any]) -> None:
        """What can be told before the body is there. Raises Problem."""
        headers = {name.lower(): value for name, value in scope["headers"]}
        on_page = self._on_page(scope["path"])
        key = _key_of(headers.get(b"authorization", b""), basic=on_page)
        known = sum(hmac.compare_digest(key, one) for one in self._keys) > 0  # all of them, in constant time
        if self._keys and not known and scope["path"] not in _OPEN:
            raise Problem(
                401,
                "invalid_api_key",
                "a key is asked for: send the header Authorization: Bearer KEY",
                headers={"www-authenticate": 'Basic realm="Ironwok: the key is the password"' if on_page else "Bearer"},
            )
        if self._rate is not None and scope["method"] == "POST":
            client = scope.get("client") or ("",)
            if wait := self._rate.wait(key.decode("latin-1") if known else str(client[0])):
                raise Problem(
                    429,
                    "rate_limited",
                    f"more than {self._limits.rate:g} requests a minute: ask again in {wait:.0f} s",
                    headers={"retry-after": str(max(1, round(wait)))},
                )
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 20:
            raise Problem(400, "invalid_request", "the content-length is no number of bytes")
        self._check_size(int(length))

    async def _read(self, receive: Any) -> bytes | None:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            more = message.get("more_body", False)
            try:
                self._check_size(len(body))
            except Problem:
                body.clear()
                if more:
                    await self._discard(receive)
                raise
            if not more:
                return bytes(body)

    async def _discard(self, receive: Any) -> None:
        """Take in the body of a request that is refused, up to a size: most clients listen only when all is sent."""
        rest = _DISCARDED
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.body_seconds):
                while rest > 0:
                    message = await receive()
                    if message["type"] == "http.disconnect" or not message.get("more_body", False):
                        return
                    rest -= len(message.get("body", b""))

    def _on_page(self, path: str) -> bool:
        return self._page is not None and (path in ("/", self._page) or path.startswith(self._page + "/"))

    def _check_size(self, size: int) -> None:
        if size > self._limits.body:
            raise Problem(
                413,
                "request_too_large",
                f"the body has more than {self._limits.body:,} bytes: send fewer texts at once",
            )


def _key_of(authorization: bytes, *, basic: bool) -> bytes:
    """The key that a request brings, b"" for none. basic: whether it may be a password."""
    scheme, _, value = authorization.partition(b" ")
    if scheme.lower() == b"basic" and basic:
        try:
            return base64.b64decode(value.strip(), validate=True).partition(b":")[2]
        except binascii.Error:
            return b""
    return value.strip() if scheme.lower() == b"bearer" else b""


def _replayed(body: bytes, receive: Any) -> Any:
    """`receive` with the body that was read already; what comes after it, the client's leaving, is passed on."""
    given = False

    async def replay() -> dict[str, Any]:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
