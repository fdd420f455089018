"""``ironwok lab masks``: who sees whom."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ironwok.cli.language import t


def about() -> str:
    return t(
        en="Train small models that differ in who sees whom: a decoder alone, a prefix-LM, an encoder with a decoder "
        "matched in parameters and in compute, and masked-LM with half of the heads each way; measure loss and rank of "
        "attention; and judge the claims of the recipe by rules fixed before. An interrupted run goes on where it "
        "stopped.",
        zh="训练注意力方式不同的小模型：纯解码器、前缀语言模型、参数量或计算量相同的编码器加解码器，以及一半注意力头向前、"
        "一半向后的掩码语言模型；比较损失和注意力的秩，并按事先定好的规则判断论断。中断后再运行会接着做。",
    )


def lab_masks(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help=t(
                en="Name of a recipe in the package (see `ironwok lab --list`), or a TOML file.",
                zh="随包配方的名字（见 `ironwok lab --list`），或一个 TOML 文件。",
            ),
        ),
    ] = "masks-laptop",
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
        "masks",
        recipe,
        out=out,
        data=data or [],
        tasks=[],
        seeds=seeds,
        workers=workers,
        device=device,
    )
