"""``ironwok lab norms``: where the norm stands."""

from __future__ import annotations

from typing import Annotated

import typer

from ironwok.cli.language import t
from ironwok.cli.options import Device, LabOut, LabRecipe, LabSeeds, LabTexts, LabWorkers


def about() -> str:
    return t(
        en="Train the same small model with its norms in different places (pre, post, DeepNorm, ...), each tuned with "
        "the same budget, several seeds each; fine-tune all of them; and judge the claims of the recipe by rules fixed "
        "before. An interrupted run goes on where it stopped.",
        zh="用同一个小模型，把归一化放在不同位置（pre、post、DeepNorm 等）训练；各自用同样的预算调参，各跑几个随机种子"
        "，再做微调，并按事先定好的规则判断配方里的论断。中断后再运行会接着做。",
    )


def lab_norms(
    recipe: LabRecipe = "norms-laptop",
    out: LabOut = None,
    data: LabTexts = None,
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
    seeds: LabSeeds = None,
    workers: LabWorkers = None,
    device: Device = None,
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
