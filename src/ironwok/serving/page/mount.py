"""The page on the app: where it lies, what of Gradio is reachable, and that no browser asks another machine for it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI
from gradio import themes

from ironwok.serving.page.blocks import build
from ironwok.serving.problems import Problem
from ironwok.serving.server import Server

# Gradio also has routes for files, uploads, proxies, recordings and more; the page needs none of them
_REACHABLE = re.compile(
    r"/|/(config|theme\.css|manifest\.json|favicon\.ico)/?|/(assets|static)(/[\w-][\w.-]*)+"
    r"|/gradio_api/(queue/(join|data)|run/predict|cancel|reset|startup-events|theme\.css|info|heartbeat/\w+)/?"
)
# the scripts of Gradio stand in the page itself and build functions; all of them come from here
_POLICY = (
    "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]
_STYLE = Path(__file__).with_name("page.css")


def mount(app: FastAPI, server: Server, *, path: str) -> Callable[[], None]:
    """Put the page under the path. What is returned ends its open streams, so that a server can go down."""

    def build_and_mount() -> None:
        gr.mount_gradio_app(
            app,
            build(server),
            path,
            footer_links=[],
            run_history=False,
            show_error=False,  # what went wrong inside stays inside
            ssr_mode=False,
            enable_monitoring=False,
            pwa=False,
            mcp_server=False,
            max_file_size=1,
            theme=_theme(),
            css=_STYLE.read_text(encoding="utf-8"),
        )

    _in_event_loop(build_and_mount)
    inner: Any = app.routes[-1]
    gradio_app = inner.app
    inner.app = Shield(gradio_app)
    return gradio_app.stop_event.set


class Shield:
    """An ASGI middleware: lets only what the page needs through, and forbids the browser to ask anybody else."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":  # the page has no sockets
            await send({"type": "websocket.close", "code": 1008})
            return
        path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        if not _REACHABLE.fullmatch(path):
            await Problem(404, "not_found", "there is nothing here").response()(scope, receive, send)
            return

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = message | {"headers": [*message["headers"], *_HEADERS]}
            await send(message)

        await self._app(scope, receive, guarded)


def _in_event_loop(work: Callable[[], None]) -> None:
    """Where no loop runs, Gradio makes one for each of its locks and never closes it."""

    async def run() -> None:
        work()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(run())
    else:
        work()


def _theme() -> themes.Base:
    """Plain iron, as the report: ink on paper, one ember. Fonts are the system's; Gradio's own come from outside."""
    sans = [
        "system-ui", "-apple-system", "Segoe UI", "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei UI",
        "Noto Sans CJK SC", "Noto Sans SC", "sans-serif",
    ]  # fmt: skip
    theme = themes.Base(
        primary_hue=themes.colors.orange,
        neutral_hue=themes.colors.stone,
        radius_size=themes.sizes.radius_sm,
        font=sans,
        font_mono=["ui-monospace", "monospace"],
    )
    return theme.set(
        body_background_fill="#fcfbf9",
        body_background_fill_dark="#17191a",
        body_text_color="#1c1f21",
        body_text_color_dark="#e8e6e1",
        body_text_color_subdued="#5b6064",
        body_text_color_subdued_dark="#a2a5a4",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#1d2022",
        background_fill_secondary="#f1efea",
        background_fill_secondary_dark="#24282a",
        block_background_fill="#fcfbf9",
        block_background_fill_dark="#17191a",
        block_border_width="0px",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        border_color_primary="#e2dfd9",
        border_color_primary_dark="#313537",
        input_background_fill="#ffffff",
        input_background_fill_dark="#1d2022",
        input_border_color="#d5d1c9",
        input_border_color_dark="#3b4043",
        input_border_color_focus="#a03c14",
        input_border_color_focus_dark="#f0a07a",
        button_primary_background_fill="#a03c14",
        button_primary_background_fill_hover="#86310f",
        button_primary_text_color="#ffffff",
        button_primary_background_fill_dark="#f0a07a",
        button_primary_background_fill_hover_dark="#f5b697",
        button_primary_text_color_dark="#17191a",
        color_accent="#a03c14",
        slider_color="#a03c14",
        slider_color_dark="#f0a07a",
    )
