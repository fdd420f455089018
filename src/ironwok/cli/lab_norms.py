"""``ironwok lab norms``: where the norm stands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ironwok.cli.language import t


def about() -> str:
    return t(
        en="Train the same small model with its norms in different places (pre, post, DeepNorm, ...), each tuned with "
        "the same budget, several seeds each; fine-tune all of them; and judge the claims of the recipe by rules fixed "
        "before. An interrupted run goes on where it stopped.",
        zh="用同一个小模型，把归一化放在不同位置（pre、post、DeepNorm 等）训练；各自用同样的预算调参，各跑几个随机种子"
        "，再做微调，并按事先定好的规则判断配方里的论断。中断后再运行会接着做。",
    )


def lab_norms(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help=t(
                en="Name of a recipe in the package (see `ironwok lab --list`), or a TOML file.",
                zh="随包配方的名字（见 `ironwok lab --list`），或一个 TOML 文件。",
            ),
        ),
    ] = "norms-laptop",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            show_default=False,
            help=t(en="Folder of the results (default: runs/NAME).", zh="结果所在的文件夹（默认：runs/配方名）。"),
        ),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data",
            metavar="PATH",
            help=t(
                en="File or folder of running text, instead of generated stories; can be given several times.",
                zh="用这些文件或文件夹里的文本，代替自动生成的故事；可给多个。",
            ),
        ),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            metavar="NAME=FILE",
            help=t(
                en="Labelled texts (.jsonl, .csv with the fields text and label) to fine-tune on, with --data.",
                zh="用于微调的标注文本（.jsonl、.csv，含 text 和 label 字段），与 --data 一起用。",
            ),
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            "--seeds",
            metavar="6-10",
            help=t(
                en="Other seeds than those of the recipe; in the same folder they become a second set.",
                zh="换用其他随机种子；在同一文件夹里会成为第二组。",
            ),
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=1,
            help=t(en="Runs at a time (default: one for each core).", zh="同时运行几个（默认每个核一个）。"),
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            help=t(en="cpu, cuda, … (default: a GPU if there is one).", zh="cpu、cuda……（默认有 GPU 就用）。"),
        ),
    ] = None,
) -> None:
    from ironwok.cli.lab_runs import run_recipe

    run_recipe(
        "norms",
        recipe,
        out=out,
        data=data or [],
        tasks=task or [],
        seeds=seeds,
        workers=workers,
        device=device,
    )
