"""The two consoles of the command line: results to stdout, everything said about them to stderr."""

from __future__ import annotations

import re
import sys

from rich.console import Console
from rich.text import Text

from ironwok.cli.language import t

# a file name may hold a line feed, or what a terminal obeys
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


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


def one_line(text: str) -> str:
    """The text with control characters and line ends as their escapes."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def say(message: str, *, style: str = "") -> None:
    """One line to stderr, never wrapped, markup in it left alone (paths contain brackets)."""
    err().print(Text(one_line(message), style=style), soft_wrap=True)


def complain(message: str) -> None:
    """An error, as one red line to stderr."""
    label = t(en="error: ", zh="错误：")
    err().print(Text.assemble((label, "bold red"), (one_line(message), "red")), soft_wrap=True)
