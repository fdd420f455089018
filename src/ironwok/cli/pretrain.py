"""``ironwok pretrain``: pretrain an encoder from a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ironwok.cli.language import t


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
        Path | None,
        typer.Option("--initial", help=t(en="folder of a model to start from", zh="作为起点的模型文件夹")),
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
    """Pretrain."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from ironwok.training.recipe import load_recipe

    plan = load_recipe(recipe, overrides=settings or ())
    console = Console(stderr=True)
    with console.status(t(en="loading", zh="加载中")):
        import torch

        from ironwok.training.pretrain import pretrain as run

        if threads:
            torch.set_num_threads(threads)

    bar = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
    )

    class Bars:
        """Draws what the run reports."""

        characters = 0
        preparing_task = None
        step_task = None

        def preparing(self, what: str, done: int) -> None:
            if self.preparing_task is None:
                self.preparing_task = bar.add_task(t(en="corpus", zh="语料"), total=None, note="")
            self.characters += done
            bar.update(self.preparing_task, completed=self.characters, note=what)

        def stepped(self, step: int, *, total: int, tokens_per_second: float, metrics: dict[str, float]) -> None:
            if self.step_task is None:
                if self.preparing_task is not None:
                    bar.remove_task(self.preparing_task)
                self.step_task = bar.add_task(plan.name, total=total, note="", completed=step - 1)
            note = f"{tokens_per_second:,.0f} {t(en='tokens/s', zh='词元/秒')}  loss {metrics['loss']:.3f}"
            bar.update(self.step_task, completed=step, note=note)

        def evaluated(self, step: int, metrics: dict[str, float]) -> None:
            parts = [f"MLM {metrics['mlm_accuracy']:.3f}"]
            for name in metrics:
                if name.startswith("nsp_"):
                    kind = name.removeprefix("nsp_")
                    parts.append(f"NSP {kind} {metrics[name]:.3f} ({metrics['overlap_' + kind]:.3f})")
            bar.console.print(f"{step:>8}  " + "  ".join(parts), highlight=False)

    with bar:
        result = run(plan, data=data, out=out, resume=resume, store=store, initial=initial, progress=Bars())
    said = t(
        en="{state} at step {step} after {tokens:,} tokens: {folder}",
        zh="{state}：第 {step} 步，共 {tokens:,} 个词元，模型在 {folder}",
    )
    state = (
        t(en="finished", zh="完成")
        if result.finished
        else t(en="stopped, --resume continues", zh="已中断，用 --resume 继续")
    )
    console.print(said.format(state=state, step=result.step, tokens=result.tokens, folder=result.folder))
