"""``ironwok lab report``: the page of a run, rebuilt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ironwok.cli.language import t


def lab_report(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", show_default=False, help=t(en="Folder of a run of the lab.", zh="实验的结果文件夹。")
        ),
    ],
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="DIR",
            show_default=False,
            help=t(
                en="Where to write page and figures (default: report/ in the folder).",
                zh="报告页和图写到哪里（默认：结果文件夹里的 report/）。",
            ),
        ),
    ] = None,
    page: Annotated[
        str, typer.Option("--page", metavar="FILE", help=t(en="File name of the page.", zh="报告页的文件名。"))
    ] = "index.md",
    prefix: Annotated[
        str, typer.Option("--prefix", help=t(en="Beginning of the names of figures.", zh="图文件名的前缀。"))
    ] = "",
) -> None:
    """Print the verdicts and write the page and its figures from the stored JSON."""
    from ironwok.cli.console import say
    from ironwok.cli.lab_runs import print_verdicts
    from ironwok.lab.page import write_report
    from ironwok.lab.runner import load_results

    results = load_results(folder)
    print_verdicts(results)
    written = write_report(results, to or folder / "report", page=page, prefix=prefix)
    say(t(en=f"The page: {written}", zh=f"报告页：{written}"))
