"""What the commands that learn from examples say besides bars: which examples are left out, and how a run ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from ironwok.cli.console import out as stdout
from ironwok.cli.console import say
from ironwok.cli.language import t

if TYPE_CHECKING:
    from ironwok.training.supervised import TrainResult

# problems that are printed one by one; all of them are counted
_MOST_SHOWN = 10


def teller() -> Callable[[object], None]:
    """Prints the first examples that are left out; a warning counts all of them."""
    count = 0

    def tell(problem: object) -> None:
        nonlocal count
        count += 1
        if count <= _MOST_SHOWN:
            say(t(en=f"left out: {problem}", zh=f"未采用：{problem}"), style="yellow")

    return tell


def report_run(result: TrainResult, out: Path, figures: str) -> None:
    """Where the model is, or how to go on. figures: of the best model on the development examples."""
    step, best = result.step, result.best_step
    if not result.finished:
        say(
            t(
                en=f"Stopped after {step} steps; {out} holds everything. The same command with --resume continues.",
                zh=f"已在第 {step} 步停下，进度保存在 {out}。同样的命令加上 --resume 可继续。",
            ),
            style="yellow",
        )
        return
    say(
        t(
            en=f"Finished after {step} steps; the best model is of step {best}: {figures}. It is in:",
            zh=f"完成：{step} 步，最佳模型在第 {best} 步（{figures}），位于：",
        )
    )
    stdout().print(Text(str(result.folder)), soft_wrap=True)
