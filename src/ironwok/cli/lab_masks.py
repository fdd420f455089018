"""``ironwok lab masks``: who sees whom."""

from __future__ import annotations

from ironwok.cli.language import t
from ironwok.cli.options import Device, LabOut, LabRecipe, LabSeeds, LabTexts, LabWorkers


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
    recipe: LabRecipe = "masks-laptop",
    out: LabOut = None,
    data: LabTexts = None,
    seeds: LabSeeds = None,
    workers: LabWorkers = None,
    device: Device = None,
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
