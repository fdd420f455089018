"""``ironwok classify``: texts in, one line of JSON a text out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ironwok.cli.language import t
from ironwok.cli.options import (
    Adapt,
    Address,
    AnyModel,
    Calibrate,
    Device,
    Dtype,
    Encoding,
    Engine,
    LabelThreshold,
    MultiLabel,
    OutFile,
    Overwrite,
    PairsAtOnce,
    PartFormat,
    PartSize,
    Resume,
    Scorer,
    Separator,
    TextField,
    Texts,
    WorkerCpus,
    WorkerGpus,
    Workers,
)

if TYPE_CHECKING:
    from ironwok.cli.lines import Line


def about() -> str:
    return t(
        en="Sort texts into your own labels, without training: one line of JSON for each text, in the order of the "
        "input. Texts are the lines of FILE, or the records of a .jsonl or .csv file; - reads standard input. For "
        "documents (.md, .html, .pdf, .docx) and folders use `ironwok read`.",
        zh="把文本归入你给的标签，无需训练：每条文本输出一行 JSON，顺序与输入相同。文本是 FILE 的各行，"
        "或 .jsonl、.csv 的各条记录；- 表示读标准输入。文档（.md、.html、.pdf、.docx）和文件夹请用 `ironwok read`。",
    )


def classify(
    file: Texts,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            "-l",
            metavar="A,B,C",
            show_default=False,
            help=t(
                en="The labels, separated by commas or semicolons (also 、，；); or @FILE with one label a line, or in "
                "JSON: a list, label → words for the template, or a tree. A distilled or trained model knows its own.",
                zh="标签，用逗号、顿号或分号隔开；也可以用 @文件：每行一个标签，"
                "或 JSON（列表、“标签→句式用词”、多级标签）。蒸馏或训练出的模型自带标签，可不给。",
            ),
        ),
    ] = None,
    template: Annotated[
        list[str] | None,
        typer.Option(
            "--template",
            "-t",
            help=t(
                en="Sentence with {} for the label, such as '这是一则{}新闻'; several are averaged.",
                zh="句式，{} 处填标签，例如“这是一则{}新闻”；可给多个，取平均。",
            ),
        ),
    ] = None,
    multi_label: MultiLabel = False,
    threshold: LabelThreshold = None,
    calibrate: Calibrate = None,
    adapt: Adapt = None,
    separator: Separator = None,
    shortlist: Annotated[
        int | None,
        typer.Option(
            "--shortlist",
            metavar="K",
            min=2,
            help=t(
                en="Of many labels read only the K likeliest by a cheap comparison.",
                zh="标签很多时，先粗选最可能的 K 个再细读。",
            ),
        ),
    ] = None,
    model: AnyModel = "ironwok-small",
    scorer: Scorer = "nsp",
    text_field: TextField = None,
    encoding: Encoding = None,
    out: OutFile = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    batch_size: PairsAtOnce = 64,
    device: Device = None,
    dtype: Dtype = None,
    estimate: Annotated[
        bool,
        typer.Option("--estimate", help=t(en="Only say how long it would take.", zh="只估算要花多久。")),
    ] = False,
    engine: Engine = "plain",
    address: Address = None,
    workers: Workers = None,
    cpus_per_worker: WorkerCpus = None,
    gpus_per_worker: WorkerGpus = None,
    part_size: PartSize = None,
    part_format: PartFormat = None,
) -> None:
    from ironwok.cli.console import out as console
    from ironwok.cli.lines import ResultFile, check_out, has_fields, read_labels, read_lines
    from ironwok.cli.scaling import Scaling
    from ironwok.errors import InputError
    from ironwok.zero_shot.adapting import named_heap
    from ironwok.zero_shot.labels import parse_labels
    from ironwok.zero_shot.question import default_template

    scaling = Scaling(engine, address, workers, cpus_per_worker, gpus_per_worker, part_size, part_format)
    check_out(out, file, resume=resume, overwrite=overwrite, adapt=adapt)
    if estimate and file == "-":
        raise InputError("--estimate needs all texts beforehand: name a file instead of -")
    chosen = _known_labels(model) if labels is None else read_labels(labels, separator=separator)
    label_set = parse_labels(chosen, separator=separator, at_least=1 if multi_label else 2)
    options: dict[str, Any] = {
        "labels": chosen,
        "template": template or default_template(label_set.names),
        "multi_label": multi_label,
        "threshold": threshold,
        "calibrate": calibrate,
        "label_separator": separator,
        "shortlist": shortlist,
    }
    if adapt is not None and (multi_label or scaling.asked):
        asked = "--multi-label" if multi_label else "--engine ray"
        raise InputError(f"--adapt is for one label a text in one process: leave {asked} out, or --adapt")
    if scaling.asked:
        from ironwok.scale.work import ClassifyTexts

        if estimate:
            raise InputError("--estimate tells of one process: try a part of the texts without --engine ray")
        work = ClassifyTexts(model, options, scorer=scorer, batch_size=batch_size, device=device, dtype=dtype)
        where = {"text_field": text_field, "encoding": encoding}
        scaling.run([file], work, out=out, resume=resume, overwrite=overwrite, **where)
        return
    heap = []
    if adapt is not None:
        heap = _heap(adapt, file, text_field, encoding)
        # the one name may be of the other file's field
        text_field = text_field if has_fields(file) or not has_fields(adapt) else None
    settings = options | {"model": model, "scorer": scorer, "dtype": dtype, "adapt": named_heap(heap) if heap else None}
    lines = read_lines(file, text_field=text_field, encoding=encoding, on_skip=_report, on_note=_note)
    with ResultFile(out, settings=settings, resume=resume, overwrite=overwrite, dry=estimate) as results:
        rest = results.without_done(lines)
        if file != "-":
            rest = list(rest)
        if isinstance(rest, list) and not rest:
            _say_done(results.kept, 0, out)
            return
        classifier = _load(model, scorer, batch_size=batch_size, device=device, dtype=dtype)
        if adapt is not None:
            classifier = _adapted(classifier, heap, options, adapt)
        if estimate:
            assert isinstance(rest, list)
            console().print(_predict(classifier, rest, options), soft_wrap=True)
            return
        written = _classify(classifier, rest, options, results, watched=out is not None)
    _say_done(results.kept, written, out)


def _heap(adapt: Path, file: str, text_field: str | None, encoding: str | None) -> list[str]:
    """The texts of a file that labels are to adapt to. Raises InputError where there is none."""
    from ironwok.cli.lines import has_fields, read_lines
    from ironwok.errors import InputError

    if str(adapt) == "-":
        raise InputError("--adapt reads its texts before the first is sorted: name a file instead of -")
    # what cannot be used of the input itself is told when it is read for good
    on_skip = (lambda _: None) if str(adapt) == file else _report
    fields = text_field if has_fields(adapt) else None
    lines = read_lines(str(adapt), text_field=fields, encoding=encoding, on_skip=on_skip)
    heap = [line.text for line in lines]
    if not heap:
        raise InputError(f"--adapt: {adapt} has no text to look at: name a file with some hundreds of texts")
    return heap


def _adapted(classifier: Any, heap: list[str], options: dict[str, Any], file: Path) -> Any:
    from ironwok.students.loading import adapted_classifier
    from ironwok.zero_shot.adapting import FEW_TEXTS

    separator = options["label_separator"]
    adapted = adapted_classifier(classifier, heap, labels=options["labels"], label_separator=separator)
    few_en, few_zh = (
        ("; some hundreds are needed to gain by it", "；要有几百条才有用") if len(heap) < FEW_TEXTS else ("", "")
    )
    _note(
        t(
            en=f"labels adapted to the texts of {file} ({len(heap)}){few_en}",
            zh=f"标签已适应 {file} 里的文本（{len(heap)} 条）{few_zh}",
        )
    )
    return adapted


def _known_labels(model: str) -> list[str]:
    """The labels of a distilled or trained model. Raises InputError for another, which has none of its own."""
    from ironwok.errors import InputError
    from ironwok.models import bundled_names
    from ironwok.students import known_labels
    from ironwok.students.loading import refuse_extractor

    labels = known_labels(model)
    if labels is not None:
        return labels
    refuse_extractor(model)
    if model in bundled_names() or Path(model).expanduser().is_dir():
        raise InputError(
            f"--labels is missing: {model} reads any labels, so name them; a distilled or trained model has its own"
        )
    raise InputError(
        f"--labels is missing, and there is no folder {model} of a distilled or trained model with labels of its own: "
        "name labels, or the right folder"
    )


def _load(model: str, scorer: str, *, batch_size: int, device: str | None, dtype: str | None) -> Any:
    import warnings

    from ironwok.errors import IronwokWarning
    from ironwok.students import load_classifier

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", IronwokWarning)
        classifier = load_classifier(model, scorer=scorer, batch_size=batch_size, device=device, dtype=dtype)
    _say_warnings(caught)
    return classifier


def _predict(classifier: Any, lines: list[Line], options: dict[str, Any]) -> str:
    names = ("labels", "template", "shortlist", "label_separator")
    cost = classifier.estimate_cost([line.text for line in lines], **{name: options[name] for name in names})
    return cost.describe()


# Readings from which a run is long enough for a word about its cost beforehand.
_LONG_RUN = 5000


def _classify(classifier: Any, lines: Any, options: dict[str, Any], results: Any, *, watched: bool) -> int:
    """Classify and write as the answers come. Returns how many were written."""
    import sys
    import warnings
    from functools import partial

    from ironwok.cli.console import say
    from ironwok.cli.lines import with_answers
    from ironwok.errors import IronwokWarning
    from ironwok.zero_shot.labels import parse_labels

    shown = watched and sys.stderr.isatty()
    labels = parse_labels(options["labels"], separator=options["label_separator"], at_least=1)
    if shown and isinstance(lines, list) and len(lines) * len(labels.names) > _LONG_RUN:
        say(_predict(classifier, lines, options), style="dim")
    written = 0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", IronwokWarning)
        try:
            answer = partial(classifier.classify_iter, **options, progress=shown)
            for line, result in with_answers(lines, answer, on_wait=results.flush):
                results.write(line, result)
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
    _say_warnings(caught)
    return written


def _report(reason: str) -> None:
    from ironwok.cli.console import say

    say(t(en=f"skipped: {reason}", zh=f"跳过：{reason}"), style="yellow")


def _note(message: str) -> None:
    from ironwok.cli.console import say

    say(message, style="yellow")


def _say_warnings(caught: Any) -> None:
    import warnings

    from ironwok.cli.console import say
    from ironwok.errors import IronwokWarning

    for warning in caught:
        if issubclass(warning.category, IronwokWarning):
            say(str(warning.message), style="yellow")
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _say_done(kept: int, written: int, out: Path | None) -> None:
    if out is None:
        return
    from ironwok.cli.console import say

    earlier = t(en=f", {kept} were there already", zh=f"，此前已有 {kept} 条") if kept else ""
    say(t(en=f"{written} texts classified into {out}{earlier}.", zh=f"已归类 {written} 条，写入 {out}{earlier}。"))
