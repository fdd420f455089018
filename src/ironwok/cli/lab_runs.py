"""What ``ironwok lab norms`` and ``ironwok lab masks`` share: running a recipe, and telling what came out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from ironwok.cli.console import out as stdout
from ironwok.cli.console import say
from ironwok.cli.language import t

if TYPE_CHECKING:
    from ironwok.lab.runner import LabResults
    from ironwok.text.documents import Skip

_STYLES = {"supported": "green", "contradicted": "red", "undecided": "yellow"}


def run_recipe(
    kind: str,
    recipe: str,
    *,
    out: Path | None,
    data: Sequence[Path],
    tasks: Sequence[str],
    seeds: str | None,
    workers: int | None,
    device: str | None,
) -> None:
    """Run, write the report, print the verdicts."""
    from ironwok.lab.figures import check_matplotlib
    from ironwok.lab.recipe import load_lab_recipe

    check_matplotlib()  # now, not after minutes of work
    plan = load_lab_recipe(recipe, kind=kind, seeds=read_seeds(seeds) if seeds else ())
    folder = out or Path("runs") / plan.name
    named = read_tasks(tasks)
    say(t(en="loading …", zh="加载中……"), style="dim")

    from ironwok.lab.page import command_line, write_report
    from ironwok.lab.runner import run_lab

    arguments = ["lab", kind, recipe, *(["--out", str(folder)] if out else [])]
    for name, values in (("--data", [path.name for path in data]), ("--task", [_without_folder(one) for one in tasks])):
        for value in values:
            arguments += [name, value]
    arguments += ["--seeds", seeds] if seeds else []
    try:
        results = run_lab(
            plan,
            out=folder,
            texts=data,
            tasks=named,
            workers=workers,
            device=device,
            command=command_line(arguments),
            progress=sys.stderr.isatty(),
            on_phase=_tell,
            on_skip=tell_skip,
        )
    except KeyboardInterrupt:
        say(
            t(
                en=f"Finished runs are kept in {folder}; the same command goes on from there.",
                zh=f"已完成的运行保存在 {folder}，同样的命令会接着做。",
            ),
            style="yellow",
        )
        raise
    print_verdicts(results)
    page = write_report(results, folder / "report")
    say(t(en=f"The page: {page}", zh=f"报告页：{page}"))


def _tell(phase: str, runs: int, done: int) -> None:
    name = t(en="tuning", zh="调参") if phase == "sweep" else t(en="final runs", zh="正式运行")
    kept = t(en=f", {done} of them done before", zh=f"，其中 {done} 次先前已完成") if done else ""
    say(t(en=f"{name}: {runs} runs{kept}", zh=f"{name}：共 {runs} 次{kept}"), style="dim")


def tell_skip(skip: Skip) -> None:
    """What could not be read, and why."""
    say(t(en=f"skipped: {skip.reason}", zh=f"跳过：{skip.reason}"), style="yellow")


def _without_folder(task: str) -> str:
    name, _, path = task.partition("=")
    return f"{name}={Path(path).name}"


def read_seeds(text: str) -> list[int]:
    """Numbers and ranges, such as 1,2,6-10. Raises InputError."""
    from ironwok.errors import InputError

    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()) or (dash and int(last) < int(first)):
            raise InputError(f"seeds {text!r}: {part!r} is neither a number from 0 nor a range such as 6-10")
        seeds += range(int(first), int(last or first) + 1)
    return seeds


def read_tasks(tasks: Sequence[str]) -> dict[str, Path]:
    """NAME=FILE each. Raises InputError."""
    from ironwok.errors import InputError

    named: dict[str, Path] = {}
    for task in tasks:
        name, equals, path = task.partition("=")
        if not (name and equals and path) or name in named:
            raise InputError(f"task {task!r}: write NAME=FILE, every name once")
        named[name] = Path(path)
    return named


def print_verdicts(results: LabResults) -> None:
    """A line for each claim."""
    from rich.table import Table

    from ironwok.lab.verdicts import judge

    table: Any = Table(
        t(en="Verdict", zh="结论"), t(en="Claim", zh="论断"), t(en="Difference", zh="差值"), box=None, pad_edge=False
    )
    names = {
        "supported": t(en="supported", zh="支持"),
        "contradicted": t(en="contradicted", zh="不成立"),
        "undecided": t(en="undecided", zh="无法判断"),
    }
    for claim in results.recipe.claims:
        judged = judge(claim, results.finals)
        found = judged.difference
        shown = "–" if found is None else f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
        table.add_row(Text(names[judged.verdict], style=_STYLES[judged.verdict]), Text(claim.text), shown)
    stdout().print(table)
