"""The process side of a server."""

from __future__ import annotations

import socket
from typing import Any

import uvicorn
from fastapi import FastAPI


class Runner(uvicorn.Server):
    """Uvicorn, which waits for open connections before it goes down: those of idle browser pages are ended first."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app: Any = self.config.app
        app.state.end_streams()
        await super().shutdown(sockets)


def serve_forever(app: FastAPI, *, host: str, port: int, seconds: float) -> None:
    """Serve until a signal comes. seconds: that a request may take; going down waits no longer than that."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="info",
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=int(seconds) + 1,
    )
    Runner(config).run()
