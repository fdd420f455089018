"""What the commands that learn from examples say besides bars: which examples are left out, and how a run ended."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from ironwok.cli import EXIT_INTERRUPTED
from ironwok.cli.console import out as stdout
from ironwok.cli.console import say
from ironwok.cli.language import t

if TYPE_CHECKING:
    from ironwok.training.supervised import TrainResult

# problems that are printed one by one; all of them are counted
_MOST_SHOWN = 10


class Teller:
    """Prints the first examples that are left out, and counts all of them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, problem: object) -> None:
        self.count += 1
        if self.count <= _MOST_SHOWN:
            say(t(en=f"left out: {problem}", zh=f"未采用：{problem}"), style="yellow")

    def sum_up(self) -> None:
        """Say how many there were, where not all were printed."""
        if self.count > _MOST_SHOWN:
            say(
                t(
                    en=f"{self.count} records left out; the first {_MOST_SHOWN} are named above",
                    zh=f"共有 {self.count} 条记录未采用，以上是前 {_MOST_SHOWN} 条",
                ),
                style="yellow",
            )


def report_run(result: TrainResult, out: Path, figures: str, *, use: str) -> None:
    """Where the model is and how to use it, or how to go on; then the exit code is that of an interrupted command.

    figures: of the best model on the development examples. use: the command that takes the folder of the model.
    """
    step, best = result.step, result.best_step
    if not result.finished:
        say(
            t(
                en=f"Stopped after {step} steps; {out} holds everything. The same command with --resume continues.",
                zh=f"已在第 {step} 步停下，进度保存在 {out}。同样的命令加上 --resume 可继续。",
            ),
            style="yellow",
        )
        raise typer.Exit(EXIT_INTERRUPTED)
    say(
        t(
            en=f"Finished after {step} steps; the best model is of step {best}: {figures}. It is in:",
            zh=f"完成：{step} 步，最佳模型在第 {best} 步（{figures}），位于：",
        )
    )
    stdout().print(Text(str(result.folder)), soft_wrap=True)
    say(t(en=f"Use it: {use} {result.folder} FILE", zh=f"用法：{use} {result.folder} 文件"), style="dim")
