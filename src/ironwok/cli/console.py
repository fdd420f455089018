"""The two consoles of the command line: results to stdout, everything said about them to stderr."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.text import Text

from ironwok.cli.language import t


class _Console(Console):
    """Lets a closed pipe surface: `ironwok.cli` ends the program then; rich itself would exit with code 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def out() -> Console:
    """Console on the stdout of this moment (tests and pipes replace it)."""
    return _Console(file=sys.stdout, highlight=False)


def err() -> Console:
    """Console on the stderr of this moment."""
    return Console(file=sys.stderr, highlight=False)


def say(message: str, *, style: str = "") -> None:
    """One line to stderr, never wrapped, markup in it left alone (paths contain brackets)."""
    err().print(Text(message, style=style), soft_wrap=True)


def complain(message: str) -> None:
    """An error, as one red line to stderr."""
    label = t(en="error: ", zh="错误：")
    err().print(Text.assemble((label, "bold red"), (message, "red")), soft_wrap=True)
