"""``ironwok predict``: a trained model on a file of records, one line of JSON each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ironwok.cli.language import t
from ironwok.cli.options import Device, Dtype, Encoding, NamedFields, OutFile, Overwrite


def about() -> str:
    return t(
        en="Answer the records of a file with a model of `ironwok train classify|pairs|choice|reading`: one line of "
        "JSON for each, with the line of the file that it stands in. FILE is .jsonl, .json, .csv or .tsv, with the "
        "fields of the training data; where it holds the right answers, too, how often the model is right is said at "
        "the end.",
        zh="用 `ironwok train classify|pairs|choice|reading` 训练出的模型处理文件里的记录，每条输出一行 JSON，"
        "并注明所在的行号。文件是 .jsonl、.json、.csv 或 .tsv，字段与训练数据相同；"
        "如果带有标准答案，最后会给出正确率。",
    )


def predict(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", show_default=False, help=t(en="File of records.", zh="记录所在的文件。")),
    ],
    model: Annotated[
        Path,
        typer.Option(
            "--model",
            "-m",
            metavar="DIR",
            help=t(en="Folder of the model, or of the run that made it.", zh="模型的文件夹，或训练它的输出文件夹。"),
        ),
    ],
    field: NamedFields = None,
    encoding: Encoding = None,
    out: OutFile = None,
    overwrite: Overwrite = False,
    batch_size: Annotated[
        int,
        typer.Option(
            "--batch-size",
            metavar="N",
            min=1,
            help=t(en="Most rows in one pass of the model.", zh="一次送入模型的行数上限。"),
        ),
    ] = 64,
    device: Device = None,
    dtype: Dtype = None,
) -> None:
    import sys
    import warnings

    from ironwok.cli.console import say
    from ironwok.cli.lines import check_out
    from ironwok.cli.training_report import Teller
    from ironwok.cli.tuning import named_fields, scores_of
    from ironwok.errors import IronwokWarning, OutputError
    from ironwok.files import json_line, replace_file
    from ironwok.progress import progress_bar

    check_out(out, file)
    if out is not None and out.exists() and not overwrite:
        raise OutputError(f"{out} exists: pass --overwrite to replace it")
    named = named_fields(field or ())
    say(t(en="loading …", zh="加载中……"), style="dim")
    from ironwok.training.tuning.predict import predict_file

    with (
        warnings.catch_warnings(record=True) as caught,
        progress_bar("predict", total=None, shown=out is not None and sys.stderr.isatty()) as advance,
    ):
        warnings.simplefilter("always", IronwokWarning)
        predicted = predict_file(
            model,
            file,
            fields=named,
            encoding=encoding,
            batch_size=batch_size,
            device=device,
            dtype=dtype,
            on_problem=Teller(),
            on_record=advance,
        )
        lines: list[bytes] = []
        for record in predicted:
            line = json_line(record)
            if out is None:
                sys.stdout.write(line.decode())
                sys.stdout.flush()
            else:
                lines.append(line)
    if out is not None:
        replace_file(out, lines)
    for warning in caught:
        say(str(warning.message), style="yellow")
    _tell(predicted, out, say, scores_of)


def _tell(predicted: Any, out: Path | None, say: Any, scores_of: Any) -> None:
    metrics, judged = predicted.metrics(), predicted.judged
    count = predicted.count
    where = f"{out}: " if out is not None else ""
    if predicted.left_out:
        say(t(en=f"{predicted.left_out} records left out", zh=f"{predicted.left_out} 条记录未采用"), style="yellow")
    if predicted.unjudged:
        first = predicted.first_unjudged
        say(
            t(
                en=f"{predicted.unjudged} right answers cannot be used, the first: {first}; their records are answered "
                "and not judged",
                zh=f"{predicted.unjudged} 条标准答案无法使用，第一条：{first}；这些记录照常作答，不计分",
            ),
            style="yellow",
        )
    if unknown := predicted.unknown():
        listed = ", ".join(f"{label!r} ({number})" for label, number in unknown.most_common(5))
        known = ", ".join(map(repr, predicted.labels[:5])) + (" …" if len(predicted.labels) > 5 else "")
        say(
            t(
                en=f"right answers that the model does not know count as wrong: {listed}; it knows {known}",
                zh=f"模型不认识的标准答案一律算错：{listed}；它认识 {known}",
            ),
            style="yellow",
        )
    if metrics:
        say(
            t(
                en=f"{where}{count} records; {judged} with a right answer: {scores_of(metrics)}",
                zh=f"{where}{count} 条记录；其中 {judged} 条有标准答案：{scores_of(metrics)}",
            )
        )
    else:
        say(t(en=f"{where}{count} records", zh=f"{where}{count} 条记录"))
