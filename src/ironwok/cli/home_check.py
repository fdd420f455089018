"""``ironwok home check``: everything that the file speaks of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from ironwok.cli.console import out
from ironwok.cli.language import t


def home_check(
    config: Annotated[
        Path, typer.Argument(help=t(en="the room's file", zh="房间的配置文件"), metavar="home.toml")
    ] = Path("home.toml"),
) -> None:
    """Print a line for each part. Exit code 1 where something does not work."""
    import asyncio

    from ironwok.home.config import load_home

    failed = asyncio.run(_check(load_home(config), config))
    if failed:
        raise typer.Exit(1)


async def _check(home: object, file: Path) -> int:
    from ironwok.home.check import check_home
    from ironwok.home.config import HomeConfig

    assert isinstance(home, HomeConfig)
    failed = 0
    async for health in check_home(home, file=file):
        failed += not health.works
        mark, style = (t(en="works", zh="正常"), "green") if health.works else (t(en="fails", zh="异常"), "bold red")
        out().print(Text.assemble((f"{mark}  ", style), (f"{health.name}: ", "bold"), health.finding), soft_wrap=True)
        if health.hint:
            out().print(Text(f"       → {health.hint}", style="dim"), soft_wrap=True)
    return failed
