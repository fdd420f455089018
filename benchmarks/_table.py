"""How every benchmark reports: a table for people, then one line of JSON, the last on stdout."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

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
