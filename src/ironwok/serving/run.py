"""The process side of a server."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from types import FrameType
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from ironwok.errors import InputError
from ironwok.serving.limits import Limits
from ironwok.serving.problems import Problem


class Runner(uvicorn.Server):
    """Uvicorn, which waits for open connections before it goes down: those of idle browser pages are ended first."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app: Any = self.config.app
        app.state.end_streams()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit and sig == signal.SIGINT:
            # the loop would still wait for what a model does in its thread, and nothing can break that off
            print("stopped at once; what was accepted and not answered yet is dropped", file=sys.stderr, flush=True)
            os._exit(128 + sig)
        super().handle_exit(sig, frame)


def configuration(app: FastAPI, *, host: str, port: int, limits: Limits, log_level: str = "info") -> uvicorn.Config:
    """How an application of `create_app` is to be served; going down waits no longer than a request may take."""

    class Protocol(_Protocol):
        header_seconds = limits.body_seconds

    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=Protocol,
        ws="none",
        log_level=log_level,
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=int(limits.seconds) + 1,
    )


def bound(host: str, port: int) -> socket.socket:
    """A socket at this address that does not listen yet. Raises InputError where somebody else does, or nobody can."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        taken = socket.socket(family, kind, protocol)
        try:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(address)
        except BaseException:
            taken.close()
            raise
    except (OSError, OverflowError) as error:
        told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(
            f"cannot listen at {host}, port {port} ({told}): name another port with --port, or an address of this "
            "machine with --host"
        ) from error
    return taken


def serve_forever(app: FastAPI, *, at: socket.socket, limits: Limits) -> None:
    """Serve at a socket of `bound` until a signal comes."""
    host, port = at.getsockname()[:2]
    Runner(configuration(app, host=host, port=port, limits=limits)).run(sockets=[at])


class _Protocol(H11Protocol):
    """HTTP/1.1 that gives up a client whose headers do not arrive in time; uvicorn waits for them without end."""

    header_seconds: float
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_headers(self) -> None:
        # h11 calls a client idle until its headers are complete; the clock does not start anew with each byte of them
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self._waiting is None:
            self._waiting = self.loop.call_later(self.header_seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._waiting = None
        if self.transport.is_closing() or self.conn.their_state is not h11.IDLE:
            return
        if self.conn.our_state is h11.IDLE:
            told = f"the headers did not arrive within {self.header_seconds:g} s"
            response = Problem(408, "request_timeout", told, headers={"connection": "close"}).response()
            head = h11.Response(status_code=response.status_code, headers=response.raw_headers)
            for event in (head, h11.Data(data=bytes(response.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
