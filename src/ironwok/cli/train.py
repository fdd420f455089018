"""``ironwok train``: a model of your own, from annotated texts or from labelled examples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ironwok.cli.language import t
from ironwok.cli.options import Device

if TYPE_CHECKING:
    from ironwok.events.formats import Problem
    from ironwok.training.supervised import TrainResult


def about() -> str:
    return t(
        en="Train a model from your own data; a hundred examples are enough to begin with.\n\n"
        "events, entities, relations: find them in text, learnt from annotated texts in the format of DuEE, DuEE-fin, "
        "doccano, Label Studio or our own (see `ironwok convert-annotations`). Then: `ironwok extract --schema OUT "
        "FILE`.\n\n"
        "classify (text, label), pairs (a, b, label), choice (passage, question, choices, answer), reading (context, "
        "question, answers): learnt from records of .jsonl, .json, .csv or .tsv. Then: `ironwok classify --model OUT "
        "FILE`, for the others `ironwok predict --model OUT FILE`.\n\n"
        "The best model on the development examples is in OUT/model. A run that was stopped or killed goes on with "
        "--resume.",
        zh="用你自己的数据训练模型，一百条就可以开始。\n\n"
        "events、entities、relations：从标注好的文本学习抽取事件、实体、关系，支持 DuEE、DuEE-fin、doccano、"
        "Label Studio 和自有格式（见 `ironwok convert-annotations`）。用法：`ironwok extract --schema OUT 文件`。\n\n"
        "classify（text、label）、pairs（a、b、label）、choice（passage、question、choices、answer）、"
        "reading（context、question、answers）：从 .jsonl、.json、.csv、.tsv 的记录学习分类、句对、选择题、阅读理解。"
        "用法：`ironwok classify --model OUT 文件`，其余用 `ironwok predict --model OUT 文件`。\n\n"
        "开发集上最好的模型在 OUT/model 里。中断的训练加 --resume 可以接着做。",
    )


def train(
    task: Annotated[
        str,
        typer.Argument(
            metavar="TASK",
            show_default=False,
            help=t(
                en="What the model is to learn: events, entities, relations, classify, pairs, choice or reading.",
                zh="要学什么：events 事件，entities 实体，relations 关系，classify 分类，pairs 句对，choice 选择题，"
                "reading 阅读理解。",
            ),
        ),
    ],
    train: Annotated[
        Path,
        typer.Option("--train", metavar="FILE", help=t(en="Examples to learn from.", zh="用来训练的数据。")),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help=t(en="Folder of the run.", zh="输出文件夹。"))
    ],
    schema: Annotated[
        str | None,
        typer.Option(
            "--schema",
            metavar="NAME|FILE",
            help=t(
                en="Of extraction, what is looked for: a schema file (our TOML, DuEE, DuEE-fin, DuIE) or a bundled "
                "name (default: taken from the annotations).",
                zh="抽取任务要找什么：schema 文件（自有 TOML、DuEE、DuEE-fin、DuIE）或自带的名字（默认从标注中归纳）。",
            ),
        ),
    ] = None,
    dev: Annotated[
        Path | None,
        typer.Option(
            "--dev",
            metavar="FILE",
            help=t(
                en="Examples to choose the best model by (default: a tenth of the others is held out).",
                zh="用来挑选最佳模型的数据（默认从训练数据中留出十分之一）。",
            ),
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            help=t(
                en="Encoder to start from: bundled name, folder, or hub id. For extraction also a model that already "
                "extracts, such as finance, which keeps what it knows of the types that both schemas have.",
                zh="作为起点的编码器：自带模型名、文件夹或 hub 名。抽取任务也可以用已会抽取的模型（如 finance），"
                "两个 schema 共有的类型会保留所学。",
            ),
        ),
    ] = "ironwok-small",
    resume: Annotated[
        bool, typer.Option("--resume", help=t(en="Go on with the run at --out.", zh="接着 --out 里中断的训练做。"))
    ] = False,
    teacher: Annotated[
        str | None,
        typer.Option(
            "--teacher",
            metavar="MODEL|FILE",
            help=t(
                en="Of extraction: learn from a better model too, a JSONL of what it found in texts that nobody "
                "annotated, or the model itself, with --unlabelled.",
                zh="抽取任务：同时向更好的模型学习，给出它在无标注文本上的输出（JSONL），"
                "或给出模型本身并加 --unlabelled。",
            ),
        ),
    ] = None,
    unlabelled: Annotated[
        Path | None,
        typer.Option(
            "--unlabelled",
            metavar="FILE",
            help=t(
                en="Of extraction: texts for the teacher to annotate: lines, or records with a text.",
                zh="抽取任务：供教师模型标注的文本：每行一条，或带 text 字段的记录。",
            ),
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help=t(
                en="Of extraction: format of the annotated files (default: told from their content).",
                zh="抽取任务：标注文件的格式（默认按内容判断）。",
            ),
        ),
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(
            "--field",
            metavar="PART=NAME",
            help=t(
                en="Of the other tasks: the field or column of a part, where it has another name than the usual ones: "
                "--field text=正文 --field label=类别.",
                zh="其他任务：某一项所在的字段或列，名字不常见时给出，如 --field text=正文 --field label=类别。",
            ),
        ),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(
            "--encoding",
            metavar="NAME",
            help=t(
                en="Of the other tasks: encoding of the files (default: detected).",
                zh="其他任务：文件的编码（默认自动判断）。",
            ),
        ),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            "--recipe",
            metavar="FILE",
            help=t(
                en="TOML file with settings, such as recipes/extraction/finance.toml or recipes/tuning/afqmc.toml.",
                zh="写有训练设置的 TOML 文件，例如 recipes/extraction/finance.toml、recipes/tuning/afqmc.toml。",
            ),
        ),
    ] = None,
    epochs: Annotated[
        float | None,
        typer.Option(
            "--epochs",
            help=t(
                en="Passes over the data at most (default: by task, and a least number of steps).",
                zh="最多训练多少轮（默认随任务而定，且不少于一定步数）。",
            ),
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help=t(en="Seed of all chance (default: 0).", zh="随机种子（默认 0）。"))
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help=t(
                en="Change a setting of training: learning_rate=1e-4, batch_size=16, patience=0, ….",
                zh="改动一项训练设置：learning_rate=1e-4、batch_size=16、patience=0……",
            ),
        ),
    ] = None,
    curves: Annotated[
        bool | None,
        typer.Option(
            "--curves/--no-curves",
            help=t(
                en="Draw the learning curves into curves.png (default: where matplotlib is installed).",
                zh="把学习曲线画成 curves.png（默认在装有 matplotlib 时画）。",
            ),
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help=t(en="CPU threads.", zh="使用的 CPU 线程数。"))
    ] = None,
    device: Device = None,
) -> None:
    from ironwok.cli.console import say
    from ironwok.cli.extraction_watch import ExtractionWatch
    from ironwok.cli.training_report import Teller, report_run
    from ironwok.events.classes import TASKS
    from ironwok.students.tuned.examples import TASKS as TUNED
    from ironwok.training.extraction.settings import load_settings

    if task not in (*TASKS, *TUNED):
        known = (*TASKS, *TUNED)
        raise typer.BadParameter(
            t(en=f"{task!r} is none of {', '.join(known)}", zh=f"{task!r} 不是 {'、'.join(known)} 之一")
        )
    if task in TUNED:
        from ironwok.cli.tuning import train_labelled

        _refuse(task, schema=schema, teacher=teacher, unlabelled=unlabelled, format=format)
        train_labelled(
            task,
            train=train,
            dev=dev,
            out=out,
            model=model,
            field=field or (),
            encoding=encoding,
            recipe=recipe,
            epochs=epochs,
            seed=seed,
            overrides=settings or (),
            resume=resume,
            curves=curves,
            threads=threads,
            device=device,
        )
        return
    _refuse(task, field=field, encoding=encoding)
    chosen = load_settings(recipe, overrides=settings or (), epochs=epochs, seed=seed)
    say(t(en="loading …", zh="加载中……"), style="dim")
    import torch

    from ironwok.training.extraction.train import train_extraction

    if threads:
        torch.set_num_threads(threads)
    tell = Teller()

    def tell_lost(problem: Problem) -> None:
        # the other problems cost no annotation
        if problem.outcome == "lost":
            tell(problem)

    with ExtractionWatch(f"train {task}", task) as watch:
        result = train_extraction(
            task,
            train=train,
            dev=dev,
            out=out,
            schema=schema,
            model=model,
            settings=chosen,
            teacher=teacher,
            unlabelled=unlabelled,
            format=format,
            resume=resume,
            curves=curves,
            device=device,
            on_problem=tell_lost,
            progress=watch,
        )
    report_run(result, out, _figures(result, task), use="ironwok extract --schema")


def _refuse(task: str, **options: object) -> None:
    """Options of other tasks are a mistake that ought to be known."""
    for name, value in options.items():
        if value:
            raise typer.BadParameter(t(en=f"--{name} is not for {task}", zh=f"{task} 没有 --{name} 这个选项"))


def _figures(result: TrainResult, task: str) -> str:
    """What the best model was chosen by."""
    from ironwok.training.extraction.judge import DECIDING

    return ", ".join(f"{name.replace('_', ' ')} {result.metrics.get(name, 0.0):.3f}" for name in DECIDING[task])
