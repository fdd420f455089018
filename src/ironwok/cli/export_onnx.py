"""`ironwok export-onnx`: a next-sentence model as ONNX, for other programs or for the classifier on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ironwok.cli.console import say
from ironwok.cli.language import t


def export_onnx(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help=t(en="Bundled name, folder or hub id of a next-sentence model", zh="自带模型名、文件夹或 Hub 模型名"),
        ),
    ] = "ironwok-small",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help=t(
                en="Write to this file alone; without it into the cache, where the classifier finds it if it is faster "
                "than torch here (IRONWOK_ONNX=0 keeps it from that)",
                zh="只写入此文件；不给则写入缓存，若在本机比 torch 快，分类时会自动使用（设 IRONWOK_ONNX=0 可禁用）",
            ),
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option("--threads", min=1, help=t(en="CPU threads that are timed", zh="测速时使用的 CPU 线程数")),
    ] = None,
) -> None:
    """Export, check against torch, and without --out also time both."""
    say(t(en="loading …", zh="加载中……"), style="dim")
    import torch

    from ironwok.models import load_model
    from ironwok.models.onnx import MARGIN, export_next_sentence, prepare

    if threads:
        torch.set_num_threads(threads)
    loaded = load_model(model, head="nsp")
    if out is not None:
        difference = export_next_sentence(loaded, out)
        say(
            t(
                en=f"Written to {out}; logits differ from torch by {difference:.1e} at most",
                zh=f"已写入 {out}；与 torch 的 logits 最大相差 {difference:.1e}",
            )
        )
        return
    prepared = prepare(loaded)
    timing = prepared.timing
    say(t(en=f"In the cache: {prepared.path}", zh=f"已存入缓存：{prepared.path}"))
    figures = f"torch {1000 * timing.torch:.1f} ms, onnxruntime {1000 * timing.onnx:.1f} ms ({timing.ratio:.2f}×)"
    say(
        t(
            en=f"A batch with {prepared.threads} threads: {figures}",
            zh=f"{prepared.threads} 线程下一批：{figures}",
        )
    )
    if prepared.used:
        say(
            t(
                en="The classifier uses it from now on (IRONWOK_ONNX=0: not)",
                zh="今后分类时会使用它（设 IRONWOK_ONNX=0 可禁用）",
            )
        )
    else:
        say(
            t(
                en=f"The classifier keeps to torch: that takes {MARGIN}× or more",
                zh=f"分类仍用 torch：要快到 {MARGIN} 倍以上才会改用",
            )
        )
