"""``ironwok home simulate``: a room without hardware."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ironwok.cli.console import say
from ironwok.cli.language import t


def home_simulate(
    folder: Annotated[
        Path,
        typer.Argument(
            help=t(en="folder for its home.toml", zh="存放 home.toml 的文件夹"), metavar=t(en="FOLDER", zh="文件夹")
        ),
    ] = Path("simulated-home"),
    loss: Annotated[
        float, typer.Option("--loss", min=0, max=1, help=t(en="share of datagrams that are lost", zh="UDP 丢包率"))
    ] = 0.0,
    hangs: Annotated[
        float, typer.Option("--hangs", min=0, max=1, help=t(en="share of boots that hang", zh="开机卡死的概率"))
    ] = 0.0,
    speed: Annotated[
        float,
        typer.Option(
            "--speed", min=0.1, max=50, help=t(en="how much faster than real time it goes", zh="比真实时间快多少倍")
        ),
    ] = 1.0,
    on: Annotated[
        bool, typer.Option("--on", help=t(en="begin with the projector on", zh="一开始就是开机状态"))
    ] = False,
    mqtt: Annotated[
        str | None,
        typer.Option(
            "--mqtt",
            metavar="HOST:PORT",
            help=t(en="put the plug on this broker, as Tasmota", zh="把插座接到这个 MQTT 服务器上（Tasmota）"),
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help=t(en="of all chance", zh="随机种子"))] = 0,
) -> None:
    """Serve a projector and a plug on local ports until Ctrl-C."""
    import asyncio

    from ironwok.home.simulator.run import Simulation

    asyncio.run(_simulate(Simulation(folder, loss=loss, hangs=hangs, speed=speed, seed=seed, on=on, mqtt=mqtt)))


async def _simulate(what: object) -> None:
    import asyncio
    import signal

    from ironwok.home.simulator.run import Simulation, simulate

    assert isinstance(what, Simulation)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    say(t(en="Ctrl-C stops.", zh="按 Ctrl-C 停止。"), style="dim")
    await simulate(what, tell=say, stop=stop)
