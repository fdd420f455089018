"""How benchmarks run and report: in a folder of work, a table for people, then one line of JSON, the last on stdout."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ironwok.errors import IronwokError

# Wide enough for the widest table here: output that goes to a file must not be folded.
_WIDTH = 160


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, notes: Sequence[str] = ()) -> None:
    """Print a table: the first column to the left, numbers to the right, None as an empty cell, notes below."""
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    console = Console(width=_WIDTH, highlight=False, markup=False)
    console.print(table)
    for note in notes:
        console.print(f"  {note}")


def finish(figures: Mapping[str, Any]) -> None:
    """Print the figures as the one JSON line."""
    print(json.dumps(dict(figures), ensure_ascii=False), flush=True)


def carry_out(run: Callable[[argparse.Namespace, Path], None], options: argparse.Namespace) -> int:
    """Run in the folder ``options.work``, or in a temporary one where that is None.

    Returns the exit code: 0, or 1 for an IronwokError, which is told on stderr in one line.
    """
    try:
        with tempfile.TemporaryDirectory() as temporary:
            run(options, options.work or Path(temporary))
    except IronwokError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
