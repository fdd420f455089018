"""HTTP for whoever has the token.

    POST /say     {"text": "把声音调小一点"}
    POST /do      {"command": "volume_up 3"}
    GET  /state

with ``Authorization: Bearer TOKEN``. Answers are JSON. A scene takes minutes: ``"wait": false`` answers at once.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ironwok.errors import ConfigError, HomeError, InputError, MissingExtraError

if TYPE_CHECKING:
    from ironwok.home.config import HomeConfig, WebhookPart

log = logging.getLogger(__name__)

MOST_BODY = 4096
MOST_TEXT = 200


class Webhook:
    """Serves. say, do: take a text and whether to wait, and return what is answered. state: returns the state.

    tls: for HTTPS, None for HTTP.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        token: str,
        say: Callable[[str, bool], Awaitable[dict[str, Any]]],
        do: Callable[[str, bool], Awaitable[dict[str, Any]]],
        state: Callable[[], Awaitable[dict[str, Any]]],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self._token = token.encode()
        self._calls = {"/say": ("text", say), "/do": ("command", do)}
        self._state = state
        self._tls = tls
        self._runner: Any = None

    async def start(self) -> None:
        """Listen. Raises HomeError where the address is taken. ``port`` is the real one afterwards."""
        web = _web()

        @web.middleware
        async def guard(request: Any, handler: Any) -> Any:
            return await self._guard(request, handler)

        app = web.Application(client_max_size=MOST_BODY, middlewares=[guard])
        app.router.add_get("/state", self._get_state)
        for path in self._calls:
            app.router.add_post(path, self._post)
        # the access log would show who asked what; the journal does
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port, ssl_context=self._tls)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise HomeError(
                f"the webhook cannot listen on {self.host}:{self.port}: {error.strerror or error}"
            ) from error
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _guard(self, request: Any, handler: Any) -> Any:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        known = hmac.compare_digest(given.strip().encode("utf-8", "replace"), self._token)
        if scheme.lower() != "bearer" or not known:
            log.warning("webhook: a request from %s without the right token", request.remote)
            # slows guessing down; the token is too long to guess in any case
            await asyncio.sleep(0.2)
            return _answer({"error": "the token is missing or wrong"}, 401)
        return await handler(request)

    async def _get_state(self, request: Any) -> Any:
        return _answer(await self._state())

    async def _post(self, request: Any) -> Any:
        web = _web()
        field, call = self._calls[request.path]
        try:
            body = json.loads(await request.read())
        except web.HTTPRequestEntityTooLarge:
            return _answer({"error": f"the body is over {MOST_BODY} bytes"}, 413)
        except (ValueError, RecursionError):
            return _answer({"error": "the body is no JSON"}, 400)
        if not isinstance(body, dict) or not isinstance(body.get(field), str) or set(body) - {field, "wait"}:
            return _answer({"error": f'the body is {{"{field}": "…"}}, and "wait" if you like'}, 400)
        wait = body.get("wait", True)
        if not isinstance(wait, bool):
            return _answer({"error": '"wait" is true or false'}, 400)
        if not 0 < len(body[field].strip()) <= MOST_TEXT:
            return _answer({"error": f"{field} is empty or longer than {MOST_TEXT} characters"}, 400)
        try:
            return _answer(await call(body[field], wait))
        except InputError as error:
            return _answer({"error": str(error)}, 400)


def webhook_tls(config: HomeConfig, part: WebhookPart) -> ssl.SSLContext | None:
    """For HTTPS, None where [webhook] names no certificate. Raises ConfigError for files that are none."""
    if part.certificate is None or part.key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate, key = config.path(part.certificate), config.path(part.key)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        # SSLError is one too
        raise ConfigError(f"webhook.certificate: {certificate} and {key}: {error.strerror or error}") from error
    return context


def _answer(record: dict[str, Any], status: int = 200) -> Any:
    text = json.dumps(record, ensure_ascii=False)
    return _web().Response(text=text, status=status, content_type="application/json")


def _web() -> Any:
    try:
        from aiohttp import web
    except ImportError:
        raise MissingExtraError("home", feature="the webhook") from None
    return web


async def ask_daemon(config: HomeConfig, part: WebhookPart, text: str) -> dict[str, Any]:
    """Let the daemon that has the room do it, over its webhook.

    Raises HomeError where it does not answer.
    """
    try:
        import aiohttp
    except ImportError:
        raise MissingExtraError("home", feature="talking to the daemon") from None
    certificate = None if part.certificate is None else config.path(part.certificate)
    url = f"{'http' if certificate is None else 'https'}://{_reachable(part.host)}:{part.port}/say"
    headers = {"Authorization": f"Bearer {part.token.get_secret_value()}"}
    # our own certificate, on our own machine: its name is not ours to check
    context = None
    if certificate is not None:
        try:
            context = ssl.create_default_context(cafile=certificate)
        except OSError as error:
            raise ConfigError(f"webhook.certificate: {certificate}: {error.strerror or error}") from error
        context.check_hostname = False
    timeout = aiohttp.ClientTimeout(total=600)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(url, json={"text": text}, headers=headers, ssl=context or True) as response,
        ):
            answer = await response.json()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise HomeError(f"a daemon has this room, but its webhook does not answer: {error}") from error
    if "error" in answer:
        raise HomeError(f"the daemon: {answer['error']}")
    return answer


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
