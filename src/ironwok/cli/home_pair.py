"""``ironwok home pair``: the Android TV remote protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ironwok.cli.console import out, say
from ironwok.cli.language import t


def home_pair(
    config: Annotated[
        Path, typer.Argument(help=t(en="the room's file", zh="房间的配置文件"), metavar="home.toml")
    ] = Path("home.toml"),
) -> None:
    """Ask for the code on the projector's screen."""
    import asyncio

    asyncio.run(_pair(config))


async def _pair(path: Path) -> None:
    from ironwok.errors import ConfigError, InputError
    from ironwok.home.config import load_home
    from ironwok.home.inputs.lines import Lines
    from ironwok.home.room import build_room
    from ironwok.home.ways.android_tv import AndroidTv

    room = build_room(load_home(path))
    ways = [way for way in room.ways if isinstance(way, AndroidTv)]
    if not ways:
        raise ConfigError(f'{path} has no way of kind = "android_tv"')

    answers = Lines()

    async def ask() -> str:
        out().print(t(en="The code on the projector's screen: ", zh="投影画面上显示的配对码："), end="")
        if (answer := await answers.next()) is None:
            raise InputError("the input ended before the code was typed")
        return answer.strip()

    for way in ways:
        await way.pair(ask)
        say(t(en=f"{way.name}: paired", zh=f"{way.name}：配对成功"), style="green")
