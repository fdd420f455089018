"""``ironwok home run``: the daemon of a room."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ironwok.cli.console import say
from ironwok.cli.language import t


def home_run(
    config: Annotated[
        Path, typer.Argument(help=t(en="the room's file", zh="房间的配置文件"), metavar="home.toml")
    ] = Path("home.toml"),
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help=t(en="look and decide, but send nothing", zh="只观察和判断，不发送任何东西")),
    ] = False,
    stdin: Annotated[
        bool,
        typer.Option(
            "--stdin",
            help=t(en="take sentences from standard input too, one a line", zh="同时从标准输入读句子，每行一句"),
        ),
    ] = False,
) -> None:
    """Run until Ctrl-C or SIGTERM; what runs is ended safely then."""
    import asyncio

    from ironwok.home.config import load_home

    home = load_home(config)
    say(t(en="Ctrl-C stops.", zh="按 Ctrl-C 停止。"), style="dim")
    asyncio.run(_serve(home, dry_run=dry_run, stdin=stdin))


async def _serve(config: object, *, dry_run: bool, stdin: bool) -> None:
    import asyncio
    import signal

    from ironwok.home.config import HomeConfig
    from ironwok.home.daemon import running_home

    assert isinstance(config, HomeConfig)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    _log_to_stderr()
    async with running_home(config, dry_run=dry_run, tell=say) as home:
        say(t(en=f"{config.name}: ready", zh=f"{config.name}：就绪"))
        if stdin:
            from ironwok.home.inputs.lines import follow_lines

            await follow_lines(home, stop)
            if not stop.is_set():
                say(
                    t(
                        en="standard input has ended; the room is still looked after",
                        zh="标准输入已结束；房间仍在照看中",
                    ),
                    style="dim",
                )
        await stop.wait()
        say(t(en="stopping …", zh="正在停止……"), style="dim")


def _log_to_stderr() -> None:
    import logging

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    # paho's and aiohttp's chatter
    for name in ("mqtt", "aiohttp", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
