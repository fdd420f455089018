"""``ironwok convert-annotations``: annotated texts from one format into another, and what was not taken over."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ironwok.cli.console import out as stdout
from ironwok.cli.console import say
from ironwok.cli.language import t

if TYPE_CHECKING:
    from rich.table import Table

    from ironwok.events.formats import Problem

_FORMATS = "ironwok|duee|duee-fin|doccano|label-studio"
# problems that are listed one by one, of each kind; --problems writes all of them
_LISTED = 5
EXIT_LOST = 3


def about() -> str:
    return t(
        en=(
            "Convert annotated texts between the formats of DuEE, FewFC (as DuEE), DuEE-fin, doccano, Label Studio and "
            "our own JSON lines. Every annotation is checked against its text and the schema; offsets that disagree "
            "with the words are repaired where that is unambiguous; the rest is left out, counted and named by file "
            "and line.\n\n"
            "Without OUT the file is only checked. OUT is replaced in one piece when everything is converted.\n\n"
            "  ironwok convert-annotations export.json train.jsonl --from label-studio --to ironwok --schema my.toml\n"
            "  ironwok convert-annotations train.jsonl --write-schema my.toml"
        ),
        zh=(
            "在 DuEE、FewFC（同 DuEE）、DuEE-fin、doccano、Label Studio 和本项目的 JSON 行之间转换标注。"
            "每条标注都与原文和 schema 核对；位置与文字不符而又没有歧义的，自动改正；其余的略去，按文件和行号报告。\n\n"
            "不写 OUT 就只检查。全部转换完成后，输出文件才一次性替换。\n\n"
            "  ironwok convert-annotations export.json train.jsonl --from label-studio --to ironwok --schema my.toml\n"
            "  ironwok convert-annotations train.jsonl --write-schema my.toml"
        ),
    )


def convert_annotations(
    source: Annotated[Path, typer.Argument(metavar="IN", help=t(en="File to read.", zh="要读的文件。"))],
    target: Annotated[
        Path | None,
        typer.Argument(
            metavar="OUT", help=t(en="File to write (default: only check).", zh="要写的文件（默认只检查）。")
        ),
    ] = None,
    read_as: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar=_FORMATS,
            help=t(en="Format of IN (default: told from its first record).", zh="IN 的格式（默认看第一条记录）。"),
        ),
    ] = None,
    write_as: Annotated[
        str, typer.Option("--to", metavar=_FORMATS, help=t(en="Format of OUT.", zh="OUT 的格式。"))
    ] = "ironwok",
    schema: Annotated[
        str | None,
        typer.Option(
            "--schema",
            "-s",
            metavar="finance|FILE",
            help=t(
                en="What may be annotated: everything else is left out; also tells which roles are enumerated.",
                zh="允许标注什么：其余的都略去；也说明哪些角色是枚举的。",
            ),
        ),
    ] = None,
    problems: Annotated[
        Path | None,
        typer.Option(
            "--problems",
            metavar="FILE",
            help=t(en="Write every problem, a line of JSON each.", zh="把每个问题写成一行 JSON。"),
        ),
    ] = None,
    write_schema: Annotated[
        Path | None,
        typer.Option(
            "--write-schema",
            metavar="FILE",
            help=t(
                en="Write the smallest schema that the annotations fit (.toml or .json).",
                zh="写出恰好容纳这些标注的 schema（.toml 或 .json）。",
            ),
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help=t(en="End with exit code 3 if anything was lost.", zh="只要有标注丢失，就以退出码 3 结束。"),
        ),
    ] = False,
) -> None:
    """Read, check, write, report."""
    from ironwok.errors import AnnotationError, InputError
    from ironwok.events import infer_schema, load_schema, save_schema
    from ironwok.events.formats import format_named, read_annotations, write_annotations
    from ironwok.files import json_line, replace_file

    format_named(write_as)
    outputs = [path.resolve() for path in (target, problems, write_schema) if path is not None]
    if len(set(outputs)) < len(outputs) or source.resolve() in outputs:
        raise InputError("IN, OUT, --problems and --write-schema are different files")
    known = None if schema is None else load_schema(schema)
    found: list[Problem] = []
    texts = list(read_annotations(source, format=read_as, schema=known, on_problem=found.append))
    if not texts:
        raise AnnotationError(f"{source} holds no text that can be used: {found[0] if found else 'it is empty'}")
    if write_schema is not None:
        save_schema(infer_schema(texts, name=source.stem.split(".")[0]), write_schema)
    if target is not None:
        write_annotations(texts, target, format=write_as, on_problem=found.append)
    if problems is not None:
        replace_file(problems, (json_line(problem.to_dict()) for problem in found))
    for line in _examples(found):
        say(line, style="dim")
    console = stdout()
    if found:
        console.print(_table(found))
        console.print()
    counts = {name: sum(len(getattr(text, name)) for text in texts) for name in ("events", "entities", "relations")}
    totals = t(
        en=f"{len(texts):,} texts, {counts['events']:,} events, {counts['entities']:,} entities, "
        f"{counts['relations']:,} relations",
        zh=f"{len(texts):,} 条文本，{counts['events']:,} 个事件，{counts['entities']:,} 个实体，"
        f"{counts['relations']:,} 个关系",
    )
    console.print(totals if target is None else f"{totals} → {target}", soft_wrap=True, markup=False, highlight=False)
    if strict and any(problem.outcome == "lost" for problem in found):
        raise typer.Exit(EXIT_LOST)


def _examples(found: list[Problem]) -> list[str]:
    """The first problems of every kind that changed something; what is merely worth knowing is only counted."""
    seen: Counter[str] = Counter()
    lines = []
    for problem in found:
        seen[problem.kind] += 1
        if problem.outcome != "noted" and seen[problem.kind] <= _LISTED:
            lines.append(str(problem))
    return lines


def _table(found: list[Problem]) -> Table:
    from rich.table import Table

    from ironwok.events.formats import OUTCOMES

    outcomes = {
        "lost": t(en="left out", zh="略去"),
        "repaired": t(en="repaired", zh="改正"),
        "noted": t(en="kept, worth a look", zh="保留，值得一看"),
    }
    counts = Counter(problem.kind for problem in found)
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column(t(en="Problem", zh="问题"))
    table.add_column(t(en="Times", zh="次数"), justify="right")
    table.add_column(t(en="What was done", zh="处理"))
    for kind in (kind for kind in OUTCOMES if counts[kind]):
        table.add_row(kind, f"{counts[kind]:,}", outcomes[OUTCOMES[kind]])
    return table
