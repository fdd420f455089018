"""``ironwok read``: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ironwok.cli import EXIT_INTERRUPTED
from ironwok.cli.console import out as stdout
from ironwok.cli.console import say
from ironwok.cli.language import current_language, t
from ironwok.cli.options import (
    Address,
    AnyModel,
    Calibrate,
    Device,
    Dtype,
    Encoding,
    Engine,
    LabelThreshold,
    MultiLabel,
    PairsAtOnce,
    PartFormat,
    PartSize,
    Scorer,
    Separator,
    TextField,
    WorkerCpus,
    WorkerGpus,
    Workers,
)


def about() -> str:
    return t(
        en=(
            "Read files and folders (.txt .md .html .pdf .docx .csv .jsonl), cut them into passages, sort every "
            "passage into your labels, find the events in it, and write a report: index.html to look at, results.jsonl "
            "and events.csv to work with. Ask for labels, for events, for answers, or for several of them.\n\n"
            "No examples are needed, and nothing leaves this machine. If the run is interrupted, the same command goes "
            "on where it stopped; on a finished report it reads only what is new or has changed.\n\n"
            "  ironwok read notes/ mail.csv --labels 'invoice,complaint,praise'\n"
            "  ironwok read announcements/ --schema finance"
        ),
        zh=(
            "读文件和文件夹（.txt .md .html .pdf .docx .csv .jsonl），切成段落，把每一段归入你给的标签，"
            "找出其中的事件，回答你的问题，写出一份报告：index.html 用来看，results.jsonl 和 events.csv 供程序用。"
            "标签、事件、问题可以只要一样，也可以都要。\n\n"
            "不需要标注样例，数据不出本机。中断之后，再运行同样的命令就会接着读；报告已经完成时，只读新增和改动过的文件。\n\n"
            "  ironwok read 资料/ 留言.csv --labels 科技,财经,体育\n"
            "  ironwok read 公告/ --schema finance"
        ),
    )


def read(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH…", help=t(en="Files, folders and patterns to read.", zh="要读的文件、文件夹或通配模式。")
        ),
    ],
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            "-l",
            metavar="A,B,C",
            help=t(
                en="The labels, separated by commas or semicolons (also 、，；); or @FILE with one label a line, or "
                ".json.",
                zh="标签，用逗号、顿号或分号隔开；也可以用 @文件，每行一个标签，或 .json。",
            ),
        ),
    ] = None,
    schema: Annotated[
        str | None,
        typer.Option(
            "--schema",
            "-s",
            metavar="finance|entities|FILE|MODEL",
            help=t(
                en="Find events or names: a bundled model (finance, entities), the folder of one that you trained, or "
                "a schema file (.toml .json .jsonl) with the types and roles you want of those that the model knows.",
                zh="找事件或实体：自带的 finance 或 entities、自己训练的模型的文件夹，"
                "或一个 schema 文件（.toml .json .jsonl），"
                "从模型认识的类型和角色里挑出你要的。",
            ),
        ),
    ] = None,
    event_model: Annotated[
        str | None,
        typer.Option(
            "--event-model",
            metavar="NAME",
            help=t(
                en="The model that finds what a schema file names (default: finance or entities).",
                zh="用 schema 文件时所用的模型（默认 finance 或 entities）。",
            ),
        ),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(
            "--tolerance",
            metavar="0…1",
            min=0,
            max=0.99,
            help=t(
                en="Forgive missing links within an event, and join its parts (try 0.3).",
                zh="容忍事件里缺少的连线，把它的几部分合起来（可试 0.3）。",
            ),
        ),
    ] = 0.0,
    ask: Annotated[
        list[str] | None,
        typer.Option(
            "--ask",
            metavar="QUESTION",
            help=t(
                en="Answer a question from all documents together; may be given several times.",
                zh="根据全部文档回答问题，可以给多次。",
            ),
        ),
    ] = None,
    answer_model: Annotated[
        str | None,
        typer.Option(
            "--answer-model",
            metavar="NAME",
            help=t(
                en="Who answers: extractive, or a language model: smollm2, a folder, or a hub id (default: extractive "
                "for Chinese questions, smollm2 for others).",
                zh="由谁回答：extractive（在文件里标出词句），或语言模型：smollm2、文件夹或 hub 上的名字"
                "（默认：中文问题用 extractive，其他用 smollm2）。",
            ),
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help=t(en="Folder of the report.", zh="报告所在的文件夹。"))
    ] = Path("report"),
    template: Annotated[
        list[str] | None,
        typer.Option(
            "--template",
            "-t",
            metavar="TEXT",
            help=t(
                en="A sentence with {} in the place of the label; may be given several times, scores are averaged "
                "(default: one in the language of the labels).",
                zh="一句话，用 {} 代表标签；可以给多个，取平均分（默认按标签的语言选用）。",
            ),
        ),
    ] = None,
    multi_label: MultiLabel = False,
    threshold: LabelThreshold = None,
    calibrate: Calibrate = None,
    adapt: Annotated[
        list[Path] | None,
        typer.Option(
            "--adapt",
            metavar="PATH",
            show_default=False,
            help=t(
                en="Look at all passages of a file or folder first, and judge the labels by what they say of them; may "
                "be given several times, and may be what is read. Where it changes, everything is read anew (--fresh).",
                zh="先看完某个文件或文件夹的全部段落，让每个标签向与它相符的段落靠拢，再归类；"
                "可以给多次，也可以就是要读的那些。其中的文件一有变动，就要用 --fresh 从头读起。",
            ),
        ),
    ] = None,
    separator: Separator = None,
    model: AnyModel = "ironwok-small",
    scorer: Scorer = "nsp",
    max_chars: Annotated[
        int | None,
        typer.Option(
            "--max-chars", metavar="N", min=1, help=t(en="Longest passage, in characters.", zh="一段最多多少字。")
        ),
    ] = None,
    text_field: TextField = None,
    title_field: Annotated[
        str | None,
        typer.Option("--title-field", metavar="NAME", help=t(en="Likewise, the title.", zh="同上，标题所在的列或键。")),
    ] = None,
    encoding: Encoding = None,
    device: Device = None,
    dtype: Dtype = None,
    batch_size: PairsAtOnce = 64,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh",
            help=t(
                en="Forget an earlier run in the same folder and start over.",
                zh="不要同一文件夹里以前的结果，从头读起。",
            ),
        ),
    ] = False,
    engine: Engine = "plain",
    address: Address = None,
    workers: Workers = None,
    cpus_per_worker: WorkerCpus = None,
    gpus_per_worker: WorkerGpus = None,
    part_size: PartSize = None,
    part_format: PartFormat = None,
) -> None:
    """Parse, show what goes on, print the table."""
    from ironwok.cli.scaling import Scaling
    from ironwok.cli.watch import Watch
    from ironwok.students import known_labels

    asked = labels is not None or schema is not None or event_model is not None or bool(ask)
    # a distilled or trained model has labels of its own to ask for
    own = None if asked or engine != "plain" else known_labels(model)
    if not asked and own is None:
        raise typer.BadParameter(
            t(
                en="ask for something: --labels 'A,B,C', --schema finance, --ask 'QUESTION', or several of them",
                zh="请说明要什么：--labels '甲,乙,丙'、--schema finance、--ask '问题'，可以同时要几样",
            )
        )
    scaling = Scaling(engine, address, workers, cpus_per_worker, gpus_per_worker, part_size, part_format)
    if scaling.asked:
        from ironwok.cli.read_scaled import read_scaled
        from ironwok.errors import InputError

        if adapt:
            raise InputError("--adapt looks at all passages in one process: leave --engine ray out, or --adapt")
        sorting = {"template": template, "multi_label": multi_label, "threshold": threshold, "calibrate": calibrate}
        read_scaled(
            [str(path) for path in paths],
            scaling,
            out=out,
            labels=labels,
            labelling=sorting | {"model": model, "scorer": scorer, "batch_size": batch_size},
            label_separator=separator,
            schema=schema,
            event_model=event_model,
            tolerance=tolerance,
            ask=ask,
            reading={"text_field": text_field, "title_field": title_field, "encoding": encoding},
            max_chars=max_chars,
            device=device,
            dtype=dtype,
            fresh=fresh,
        )
        return
    with Watch() as watch:
        watch.say_loading()
        from ironwok.cli.lines import read_labels
        from ironwok.reading import read as read_documents
        from ironwok.reading.sources import DEFAULT_MAX_CHARS

        try:
            report = read_documents(
                paths,
                labels=own if labels is None else read_labels(labels, separator=separator),
                schema=schema,
                event_model=event_model,
                tolerance=tolerance,
                ask=ask or None,
                answer_model=answer_model,
                label_separator=separator,
                out=out,
                template=template or None,
                multi_label=multi_label,
                threshold=threshold,
                calibrate=calibrate,
                adapt=adapt or None,
                model=model,
                scorer=scorer,
                device=device,
                dtype=dtype,
                batch_size=batch_size,
                max_chars=DEFAULT_MAX_CHARS if max_chars is None else max_chars,
                text_field=text_field,
                title_field=title_field,
                encoding=encoding,
                fresh=fresh,
                language=current_language(),
                on_event=watch,
            )
        except KeyboardInterrupt:
            watch.close()
            say(watch.interrupted(out), style="yellow")
            raise typer.Exit(EXIT_INTERRUPTED) from None

    from ironwok.cli.table import print_report

    print_report(report, console=stdout(), skipped=watch.skipped)
