"""``ironwok home learn``: codes of a remote."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ironwok.cli.console import complain, out, say
from ironwok.cli.language import t


def home_learn(
    config: Annotated[
        Path, typer.Argument(help=t(en="the room's file", zh="房间的配置文件"), metavar="home.toml")
    ] = Path("home.toml"),
    show: Annotated[bool, typer.Option("--show", help=t(en="only show the codes", zh="只显示编码，不绑定"))] = False,
) -> None:
    """Ask what each unknown key shall do, and write the answer into the file."""
    import asyncio

    asyncio.run(_learn(config, show))


async def _learn(path: Path, show: bool) -> None:
    from ironwok.errors import ConfigError, InputError
    from ironwok.home.actions import Action
    from ironwok.home.config import load_home
    from ironwok.home.inputs.lines import Lines
    from ironwok.home.learn import bind, heard_codes

    home = load_home(path)
    say(t(en="Press keys on the remote; Ctrl-C ends.", zh="请按遥控器上的键，Ctrl-C 结束。"))
    if not show:
        actions = ", ".join(Action)
        say(t(en=f"Actions: {actions}. Empty: leave it.", zh=f"可用动作：{actions}。直接回车表示跳过。"), style="dim")
    answers = Lines()
    async for code in heard_codes(home):
        if (bound := load_home(path).bindings.get(code.name)) is not None:
            out().print(f"{code.name} = {bound}", markup=False)
            continue
        out().print(code.name, markup=False)
        if show:
            continue
        out().print("  → ", end="", markup=False)
        try:
            command = await answers.next()
            if command is None:
                return
            if not command.strip():
                continue
            bind(path, code.name, command.strip())
        except (InputError, ConfigError) as error:
            complain(str(error))
        else:
            say(t(en=f"{code.name} is {command} now", zh=f"{code.name} 已绑定为 {command}"), style="green")
