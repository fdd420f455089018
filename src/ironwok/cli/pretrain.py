"""``ironwok pretrain``: pretrain an encoder from a recipe."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ironwok.cli import EXIT_INTERRUPTED
from ironwok.cli.console import out as stdout
from ironwok.cli.console import say
from ironwok.cli.language import t
from ironwok.cli.training_watch import TrainingWatch

if TYPE_CHECKING:
    from ironwok.training.run import PretrainResult


def pretrain(
    recipe: Annotated[Path, typer.Argument(help=t(en="recipe file (TOML)", zh="配方文件（TOML）"), show_default=False)],
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            help=t(
                en="folder with the corpus files that the recipe names", zh="语料所在的文件夹，配方中的文件名以它为起点"
            ),
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help=t(en="folder of the run", zh="本次训练的输出文件夹"))],
    resume: Annotated[
        bool, typer.Option("--resume", help=t(en="continue from the newest checkpoint", zh="从最近的检查点继续"))
    ] = False,
    store: Annotated[
        Path | None,
        typer.Option(
            "--store",
            help=t(
                en="folder of the tokenized corpus, to share it between runs", zh="分词后语料的存放处，多次训练可共用"
            ),
        ),
    ] = None,
    initial: Annotated[
        str | None,
        typer.Option(
            "--initial",
            help=t(en="model to start from: a folder or a bundled name", zh="作为起点的模型：文件夹或自带模型的名字"),
        ),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(
            "--against",
            help=t(
                en="file with evaluation texts that the training texts are compared with: contamination.json",
                zh="评测文本文件，训练文本与之比对，结果写入 contamination.json",
            ),
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help=t(
                en="change a value of the recipe: optimizer.steps=2000",
                zh="改动配方中的一项，例如 optimizer.steps=2000",
            ),
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help=t(en="CPU threads", zh="使用的 CPU 线程数"))
    ] = None,
) -> None:
    """Parse, show what goes on, say where the model is."""
    from ironwok.training.recipe import doubts_of, load_recipe

    plan = load_recipe(recipe, overrides=settings or ())
    if _is_main_process():
        for doubt in doubts_of(plan):
            say(doubt, style="yellow")
        say(t(en="loading …", zh="加载中……"), style="dim")
    import torch

    from ironwok.training.pretrain import pretrain as run

    if threads:
        torch.set_num_threads(threads)
    try:
        with TrainingWatch(plan.name) as watch:
            result = run(
                plan,
                data=data,
                out=out,
                resume=resume,
                store=store,
                initial=initial,
                against=against or (),
                progress=watch,
            )
    finally:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    if _is_main_process():
        _report(result)
    if not result.finished:
        raise typer.Exit(EXIT_INTERRUPTED)


def _is_main_process() -> bool:
    """As launchers tell it."""
    return os.environ.get("RANK", "0") == "0"


def _report(result: PretrainResult) -> None:
    step, tokens, folder = result.step, f"{result.tokens:,}", result.folder
    if result.finished:
        say(
            t(
                en=f"Finished after {step} steps and {tokens} tokens. The model:",
                zh=f"完成：{step} 步，{tokens} 个词元。模型在：",
            )
        )
        stdout().print(Text(str(folder)), soft_wrap=True)
    else:
        say(
            t(
                en=f"Stopped after {step} steps and {tokens} tokens; {folder} holds everything. "
                "The same command with --resume continues.",
                zh=f"已在第 {step} 步停下（{tokens} 个词元），进度保存在 {folder}。同样的命令加上 --resume 可继续。",
            ),
            style="yellow",
        )
