"""``ironwok home say``: one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ironwok.cli.console import complain, out, say
from ironwok.cli.language import t

if TYPE_CHECKING:
    from ironwok.home.config import HomeConfig


def home_say(
    text: Annotated[str, typer.Argument(help=t(en="what is said", zh="要说的话"), metavar=t(en="TEXT", zh="句子"))],
    config: Annotated[
        Path, typer.Option("--config", "-c", help=t(en="the room's file", zh="房间的配置文件"), metavar="home.toml")
    ] = Path("home.toml"),
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help=t(en="say what would be done, and do nothing", zh="只说明会做什么，不执行")),
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help=t(en="answer with JSON", zh="以 JSON 输出结果"))] = False,
) -> None:
    """Through the daemon where one runs, by ourselves otherwise. Exit code 1 where nothing was done."""
    import asyncio
    import json

    from ironwok.home.config import load_home

    answer = asyncio.run(_say(load_home(config), text, dry_run))
    if json_:
        out().print_json(json.dumps(answer, ensure_ascii=False))
    else:
        _report(answer)
    if answer["ending"] == "failed":
        raise typer.Exit(1)


async def _say(config: HomeConfig, text: str, dry_run: bool) -> dict[str, Any]:
    from ironwok.errors import RoomTakenError
    from ironwok.home.daemon import Home
    from ironwok.home.inputs.webhook import ask_daemon

    try:
        home = Home(config, dry_run=dry_run, lasting=False)
    except RoomTakenError:
        if config.webhook is None or dry_run:
            raise
        return await ask_daemon(config, config.webhook, text)
    try:
        if home.room.broker is not None:
            # plugs may hang on it; nothing else is listened to for one sentence
            home.room.broker.start()
            await home.room.broker.ready(5)
        await home.planner.recover()
        return await home.say(text, "say")
    finally:
        await home.close()
        if home.room.broker is not None:
            await home.room.broker.close()


def _report(answer: dict[str, Any]) -> None:
    words = {
        "confirmed": t(en="confirmed", zh="已确认"),
        "sent": t(en="sent", zh="已发送"),
        "failed": t(en="not done", zh="未执行"),
        "pending": t(en="taken", zh="已接受"),
    }
    action = answer.get("action")
    slots = " ".join(f"{key}={answer[key]}" for key in ("steps", "source", "minutes") if key in answer)
    what = " ".join(filter(None, [action, slots]))
    line = f"{words[answer['ending']]}: {f'{what}: ' if what else ''}{answer['reason']}"
    if answer["ending"] == "failed":
        complain(line)
    else:
        out().print(line, soft_wrap=True, markup=False)
    if way := answer.get("way"):
        say(t(en=f"by {way}", zh=f"途径：{way}"), style="dim")
