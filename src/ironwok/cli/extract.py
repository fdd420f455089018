"""``ironwok extract``: texts in, events (entities, relations) out, one line of JSON a text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ironwok.cli.language import t
from ironwok.cli.options import (
    Address,
    Device,
    Dtype,
    Engine,
    OutFile,
    Overwrite,
    PartFormat,
    PartSize,
    Resume,
    TextField,
    Texts,
    WorkerCpus,
    WorkerGpus,
    Workers,
)


def about() -> str:
    return t(
        en="Find events, entities or relations in texts: one line of JSON for each text, in the order of the input, "
        "with character offsets and scores. Texts are the lines of FILE, or the records of .jsonl and .csv; - reads "
        "standard input. A text may have any length. For documents and folders use `ironwok read --schema`.",
        zh="在文本中抽取事件、实体或关系：每条文本输出一行 JSON，顺序与输入相同，带字符位置和分数。文本是 FILE 的各行，"
        "或 .jsonl、.csv 的各条记录；- 表示读标准输入。文本长度不限。文档和文件夹请用 `ironwok read --schema`。",
    )


def extract(
    file: Texts,
    schema: Annotated[
        str,
        typer.Option(
            "--schema",
            "-s",
            metavar="NAME|DIR|FILE",
            help=t(
                en="What to find: a bundled model such as finance, the folder of a model or of `ironwok train`, or a "
                "schema file whose names a model knows.",
                zh="要找什么：自带模型（如 finance）、模型或 `ironwok train` 的输出文件夹，或一个 schema 文件"
                "（其中的名字须是某个模型学过的）。",
            ),
        ),
    ] = "finance",
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help=t(
                en="Model for a schema file (default: a bundled one that knows all its names).",
                zh="配合 schema 文件使用的模型（默认用认识其中全部名字的自带模型）。",
            ),
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            help=t(
                en="Log-odds above which a span counts (default: the model's own); higher for fewer, surer finds.",
                zh="片段得分（对数几率）高于此值才算（默认用模型自带的）：调高则更少、更准。",
            ),
        ),
    ] = None,
    link_threshold: Annotated[
        float | None,
        typer.Option(
            "--link-threshold",
            help=t(
                en="Log-odds above which two spans belong to one event (default: the model's own).",
                zh="两个片段的连接得分高于此值才属于同一事件（默认用模型自带的）。",
            ),
        ),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(
            "--tolerance",
            min=0,
            max=0.99,
            help=t(
                en="Forgive missing links: join parts of an event whose links are this close to sure (try 0.3).",
                zh="容忍缺失的连接：平均连接概率不低于 1 减此值的几部分合成一个事件（可试 0.3）。",
            ),
        ),
    ] = 0.0,
    across: Annotated[
        str,
        typer.Option(
            "--across",
            metavar="places|words",
            help=t(
                en="Join events of a long text across its windows where they share a place, or also where they share "
                "the words of an argument.",
                zh="长文本分窗后如何合并事件：places 按共同位置，words 还按论元的共同文字。",
            ),
        ),
    ] = "places",
    every_mention: Annotated[
        bool,
        typer.Option(
            "--every-mention",
            help=t(
                en="Keep events that say the same words at other mentions of them (one of them is kept otherwise).",
                zh="同样的词在文中多处出现时，各处的事件都保留（默认只留一个）。",
            ),
        ),
    ] = False,
    text_field: TextField = None,
    out: OutFile = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    batch_size: Annotated[
        int,
        typer.Option(
            "--batch-size", min=1, help=t(en="Most windows in one pass of the model.", zh="一次送入模型的窗口数上限。")
        ),
    ] = 32,
    device: Device = None,
    dtype: Dtype = None,
    engine: Engine = "plain",
    address: Address = None,
    workers: Workers = None,
    cpus_per_worker: WorkerCpus = None,
    gpus_per_worker: WorkerGpus = None,
    part_size: PartSize = None,
    part_format: PartFormat = None,
) -> None:
    from ironwok.cli.console import say
    from ironwok.cli.lines import ResultFile, check_out, read_lines
    from ironwok.cli.scaling import Scaling
    from ironwok.events.choosing import choose_model
    from ironwok.events.decoding import DecodingOptions
    from ironwok.events.extractor import load_extractor
    from ironwok.events.schema_files import schema_to_dict

    scaling = Scaling(engine, address, workers, cpus_per_worker, gpus_per_worker, part_size, part_format)
    check_out(out, file, resume=resume, overwrite=overwrite)
    options = DecodingOptions(
        threshold=threshold, link_threshold=link_threshold, tolerance=tolerance, distinct=not every_mention
    )
    choice = choose_model(schema, model=model)
    extraction: dict[str, Any] = {
        "schema": choice.schema,
        "options": options,
        "across": across,
        "batch_size": batch_size,
        "device": device,
        "dtype": dtype,
    }
    if scaling.asked:
        from ironwok.scale.work import ExtractTexts, task_of

        work = ExtractTexts(choice.model, **extraction, task=task_of(choice.model))
        where = {"text_field": text_field, "encoding": None}
        scaling.run([file], work, out=out, resume=resume, overwrite=overwrite, **where)
        return
    settings = {
        "model": choice.model,
        "schema": None if choice.schema is None else schema_to_dict(choice.schema),
        "threshold": threshold,
        "link_threshold": link_threshold,
        "tolerance": tolerance,
        "every_mention": every_mention,
        "across": across,
        "dtype": dtype,
    }
    lines = read_lines(file, text_field=text_field, on_skip=_report)
    with ResultFile(out, settings=settings, resume=resume, overwrite=overwrite) as results:
        rest: Any = results.without_done(lines)
        if file != "-":
            rest = list(rest)
        if isinstance(rest, list) and not rest:
            _say_done(results.kept, 0, out)
            return
        extractor = load_extractor(choice.model, **extraction)
        written = 0
        try:
            for line, found in _answers(extractor, rest, shown=out is not None, on_wait=results.flush):
                results.write(line, found)
                written += 1
        except KeyboardInterrupt:
            results.flush()
            if results.path is not None:
                done = results.kept + written
                say(
                    t(
                        en=f"{done} results are in {results.path}; --resume goes on from there.",
                        zh=f"{results.path} 里已有 {done} 条结果；用 --resume 接着做。",
                    ),
                    style="yellow",
                )
            raise
    _say_done(results.kept, written, out)


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found in one text, under the name of the task."""

    task: str
    results: tuple[Any, ...]

    def to_dict(self) -> dict[str, Any]:
        return {self.task: [result.to_dict() for result in self.results]}


def _answers(extractor: Any, lines: Any, *, shown: bool, on_wait: Callable[[], None]) -> Iterator[tuple[Any, _Found]]:
    import sys

    from ironwok.cli.lines import with_answers

    def answer(texts: Iterable[str]) -> Iterator[_Found]:
        for results in extractor.extract_iter(texts, progress=shown and sys.stderr.isatty()):
            yield _Found(extractor.task, results)

    return with_answers(lines, answer, on_wait=on_wait)


def _report(reason: str) -> None:
    from ironwok.cli.console import say

    say(t(en=f"skipped: {reason}", zh=f"跳过：{reason}"), style="yellow")


def _say_done(kept: int, written: int, out: Path | None) -> None:
    if out is None:
        return
    from ironwok.cli.console import say

    earlier = t(en=f", {kept} were there already", zh=f"，此前已有 {kept} 条") if kept else ""
    say(t(en=f"{written} texts read into {out}{earlier}.", zh=f"已处理 {written} 条，写入 {out}{earlier}。"))
