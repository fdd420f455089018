"""``ironwok distill``: unlabelled texts in, a small fast classifier out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ironwok.cli.language import t
from ironwok.cli.options import Device, PairsAtOnce, Scorer, TextField

if TYPE_CHECKING:
    from ironwok.distill.report import DistillReport


def about() -> str:
    return t(
        en="Label unlabelled texts with the zero-shot model, and teach a small, fast classifier what it says. Texts "
        "are the lines of a file, or the records of a .jsonl or .csv file. The folder that comes out is a model for "
        "`ironwok classify --model` and `ironwok read --model`. An interrupted run goes on where it stopped.",
        zh="先用零样本模型给没有标注的文本打标签，再用这些标签教出一个又小又快的分类器。文本是文件的各行，"
        "或 .jsonl、.csv 的各条记录。得到的文件夹可直接用作 `ironwok classify --model`、`ironwok read --model` 的模型。"
        "中断后再运行会接着做。",
    )


def distill(
    labels: Annotated[
        str,
        typer.Option(
            "--labels",
            "-l",
            metavar="A,B,C",
            show_default=False,
            help=t(
                en="The labels, separated by commas; or @FILE with one label a line, or in JSON.",
                zh="标签，用逗号隔开；也可以用 @文件：每行一个标签，或 JSON。",
            ),
        ),
    ],
    unlabelled: Annotated[
        Path,
        typer.Option(
            "--unlabelled",
            "-u",
            metavar="FILE",
            show_default=False,
            help=t(en="File of texts without labels.", zh="没有标注的文本文件。"),
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="DIR", show_default=False, help=t(en="Folder to write.", zh="输出文件夹。")
        ),
    ],
    students: Annotated[
        str,
        typer.Option(
            "--students",
            metavar="ngrams,encoder",
            help=t(
                en="Which to teach: ngrams (tiny, no torch), encoder (the encoder read once a text). The first one is "
                "what --model DIR loads.",
                zh="教哪些学生：ngrams（极小，不需要 torch）、encoder（编码器，每条文本只读一次）。"
                "第一个就是 --model DIR 加载的模型。",
            ),
        ),
    ] = "ngrams,encoder",
    template: Annotated[
        list[str] | None,
        typer.Option(
            "--template",
            "-t",
            help=t(en="Sentence with {} for the label; several are averaged.", zh="句式，{} 处填标签；可给多个。"),
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            min=0,
            max=1,
            show_default=False,
            help=t(
                en="Learn nothing from a text whose best score is lower (default: 3 / labels, at most 0.6).",
                zh="最高分低于此值的文本不用于学习（默认 3 ÷ 标签数，最多 0.6）。",
            ),
        ),
    ] = None,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate/--no-calibrate",
            help=t(
                en="Take away what a label scores without any text.",
                zh="减去标签在没有正文时的得分。",
            ),
        ),
    ] = True,
    held_out: Annotated[
        float,
        typer.Option(
            "--held-out",
            metavar="SHARE",
            help=t(en="Share of the texts kept for the report.", zh="留作评估、不参与学习的文本比例。"),
        ),
    ] = 0.1,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            metavar="N",
            show_default=False,
            help=t(
                en="Texts that the teacher labels, drawn at random; from the others ngrams learns what the encoder "
                "student says of them, if that helps (default: all).",
                zh="教师只标注随机抽出的 N 条；其余由 encoder 学生标注，若有帮助便教给 ngrams（默认全由教师标注）。",
            ),
        ),
    ] = None,
    rounds: Annotated[
        int,
        typer.Option(
            "--rounds",
            metavar="1|2",
            help=t(
                en="1: ngrams learns from the teacher alone, whatever is left over.",
                zh="1：ngrams 只向教师学习，不用其余文本。",
            ),
        ),
    ] = 2,
    seed: Annotated[
        int, typer.Option("--seed", help=t(en="Of the draw of --limit.", zh="--limit 抽样的随机种子。"))
    ] = 0,
    adapt: Annotated[
        bool,
        typer.Option(
            "--adapt",
            help=t(
                en="Judge the labels by what all of the texts say of them, before any is labelled.",
                zh="标注之前，先让每个标签向全部文本中与它相符的文本靠拢。",
            ),
        ),
    ] = False,
    text_field: TextField = None,
    label_field: Annotated[
        str | None,
        typer.Option(
            "--label-field",
            metavar="NAME",
            help=t(
                en="Key or column of a true label, where some are known: never learned from, only reported on.",
                zh="真实标签所在的字段（如果有）：不参与学习，只用于报告准确率。",
            ),
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option("--model", "-m", help=t(en="The teacher: bundled name, folder, or hub id.", zh="教师模型。")),
    ] = "ironwok-small",
    scorer: Scorer = "nsp",
    batch_size: PairsAtOnce = 64,
    device: Device = None,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh", help=t(en="Label again what an earlier run labelled.", zh="不接着上次做，全部重新打标签。")
        ),
    ] = False,
    json_report: Annotated[
        bool, typer.Option("--json", help=t(en="Print the report as JSON.", zh="以 JSON 输出报告。"))
    ] = False,
) -> None:
    import json
    import sys
    import warnings

    from ironwok.cli.console import out as console
    from ironwok.cli.console import say
    from ironwok.cli.lines import read_labels
    from ironwok.distill import distill as run
    from ironwok.errors import IronwokWarning

    texts, truth = _read(unlabelled, text_field, label_field)

    def begin() -> None:
        say(
            t(
                en=f"{len(texts):,} texts; what the teacher says goes to {out / 'labelled.jsonl'} as it comes …",
                zh=f"共 {len(texts):,} 条；教师的标注会陆续写入 {out / 'labelled.jsonl'} ……",
            )
        )

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", IronwokWarning)
        report = run(
            texts,
            labels=read_labels(labels),
            out=out,
            students=[name.strip() for name in students.split(",") if name.strip()],  # pyright: ignore[reportArgumentType]
            truth=truth,
            template=template,
            calibrate=calibrate,
            threshold=threshold,
            held_out=held_out,
            limit=limit,
            rounds=rounds,
            seed=seed,
            model=model,
            scorer=scorer,
            batch_size=batch_size,
            device=device,
            adapt=adapt,
            fresh=fresh,
            progress=sys.stderr.isatty(),
        )
    for warning in caught:
        say(str(warning.message), style="yellow")
    if json_report:
        print(json.dumps(report.to_dict(), ensure_ascii=False))
    else:
        _print(report, console(), out)


def _read(path: Path, text_field: str | None, label_field: str | None) -> tuple[list[str], list[str | None] | None]:
    """The texts, and their true labels where a field of them was named."""
    from ironwok.cli.console import say
    from ironwok.cli.lines import read_lines
    from ironwok.errors import InputError

    def skipped(reason: str) -> None:
        say(t(en=f"skipped: {reason}", zh=f"跳过：{reason}"), style="yellow")

    if label_field is None:
        lines = read_lines(str(path), text_field=text_field, on_skip=skipped, on_note=skipped)
        return [line.text for line in lines], None
    from ironwok.text.documents import ReadOptions, Skip, read_file

    texts: list[str] = []
    truth: list[str | None] = []
    for item in read_file(path, options=ReadOptions(text_field=text_field)):
        if isinstance(item, Skip):
            skipped(item.reason)
            continue
        label = item.metadata.get(label_field)
        texts.append(item.text)
        truth.append(None if label is None or label == "" else str(label))
    if not any(label is not None for label in truth):
        raise InputError(f"no record of {path} has a {label_field!r}: leave --label-field out, or name another field")
    return texts, truth


def _print(report: DistillReport, console: Any, out: Path) -> None:
    from rich.table import Table

    total = max(report.texts - report.abstained, 1)
    shares = Table(
        t(en="Label", zh="标签"), t(en="Texts kept", zh="采用条数"), t(en="Share", zh="占比"), box=None, pad_edge=False
    )
    for label, count in sorted(report.balance.items(), key=lambda one: -one[1]):
        shares.add_row(label, f"{count:,}", f"{count / total:.1%}")
    console.print(shares)
    console.print(
        t(
            en=f"\n{report.texts:,} texts labelled; {report.abstained:,} under {report.threshold:.2f} left out; "
            f"{report.held_out:,} held out\n",
            zh=f"\n共标注 {report.texts:,} 条；{report.abstained:,} 条低于 {report.threshold:.2f}，不采用；"
            f"{report.held_out:,} 条留作评估\n",
        ),
        soft_wrap=True,
    )
    columns = (
        "",
        t(en="Agrees", zh="与教师一致"),
        t(en="Accuracy", zh="准确率"),
        t(en="Texts/s", zh="条/秒"),
        t(en="Speed-up", zh="加速"),
        t(en="Size", zh="大小"),
        t(en="Folder", zh="文件夹"),
    )
    table = Table(*columns, box=None, pad_edge=False)
    teacher = _percent(report.teacher_accuracy), f"{report.teacher_texts_per_second:,.0f}"
    table.add_row(report.teacher, "", *teacher, "1", _size(report.teacher_size), "")
    for one in report.students:
        table.add_row(
            one.kind,
            _percent(one.agreement),
            _percent(one.accuracy),
            f"{one.texts_per_second:,.0f}",
            f"{one.speed_up:,.0f}×",
            _size(one.size),
            one.folder,
        )
    console.print(table)
    if report.others:
        console.print("\n" + _said_of_rounds(report), soft_wrap=True, highlight=False)
    console.print(
        t(
            en=f"\nNow: ironwok classify FILE --model {out}",
            zh=f"\n接下来：ironwok classify 文件 --model {out}",
        ),
        soft_wrap=True,
        markup=False,
    )


def _said_of_rounds(report: DistillReport) -> str:
    """Which round was kept, and why."""
    from ironwok.distill.fitting import FEWEST_TO_CHOOSE

    others, aside = f"{report.others:,}", f"{report.set_aside:,}"
    if report.why in ("agrees more", "agrees no more"):
        one, two = (_percent(tried.agreement) for tried in report.rounds)
        kept = next(tried.number for tried in report.rounds if tried.kept)
        return t(
            en=f"Round {kept} of ngrams is kept: of {aside} texts set aside to choose on, the first agrees with the "
            f"teacher on {one}, the second, with {others} other texts labelled by the encoder student, on {two}.",
            zh=f"ngrams 保留第 {kept} 轮：在留作选择的 {aside} 条文本上，第一轮与教师一致 {one}，"
            f"第二轮（另学 {others} 条由 encoder 学生标注的文本）一致 {two}。",
        )
    reasons = {
        "not asked for": t(en="no second round was asked for", zh="没有要求第二轮"),
        "no vectors": t(en="the teacher's scorer gives no vectors of texts", zh="教师的打分方式不能给出文本向量"),
        "too few set aside": t(
            en=f"{aside} texts set aside are too few to choose on ({FEWEST_TO_CHOOSE} would do): raise --limit",
            zh=f"留作选择的文本只有 {aside} 条，太少（至少要 {FEWEST_TO_CHOOSE} 条）：请加大 --limit",
        ),
    }
    reason = reasons.get(report.why, report.why)
    return t(
        en=f"Nothing was learned from the {others} other texts: {reason}.",
        zh=f"其余 {others} 条文本没有用上：{reason}。",
    )


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.0f} kB"
