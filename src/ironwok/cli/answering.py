"""Commands that give each record of a file an answer: some hundreds at a time, into a file that can be gone on with."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from ironwok.cli.language import t
from ironwok.cli.lines import Answer, LineT, ResultFile
from ironwok.cli.training_report import Teller
from ironwok.errors import DataError
from ironwok.progress import progress_bar

_AT_ONCE = 256


def write_answers(
    asked: Iterator[LineT],
    judge: Callable[[list[LineT]], Iterable[Answer]],
    *,
    out: Path | None,
    settings: Mapping[str, Any],
    resume: bool,
    overwrite: bool,
    told: Teller,
    shown: str,
    nothing: str,
) -> tuple[int, int]:
    """Judge what has no answer in ``out`` yet, and write the answers as they come: (written now, there already).

    judge: an answer for each record of a part, in order. told: sums up once all records were read. shown: beside the
    progress bar. Raises DataError that says ``nothing`` where there is no record, and what `ResultFile` raises.
    """
    written = 0
    with (
        ResultFile(out, settings=settings, resume=resume, overwrite=overwrite) as results,
        progress_bar(shown, total=None, shown=out is not None and sys.stderr.isatty()) as advance,
    ):
        rest = results.without_done(asked)
        while part := list(islice(rest, _AT_ONCE)):
            for record, answer in zip(part, judge(part), strict=True):
                results.write(record, answer)
            written += len(part)
            advance(len(part))
        told.sum_up()
        if not written and not results.kept:
            raise DataError(nothing)
    return written, results.kept


def there_already(kept: int) -> str:
    """How many answers a file had before, for the end of a sentence."""
    return t(en=f", {kept} were there already", zh=f"，此前已有 {kept} 个") if kept else ""
