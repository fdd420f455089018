"""``ironwok read --engine ray``: the main job in parts, and a report where it is not too long to be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ironwok.cli.language import current_language, t
from ironwok.cli.scaling import Scaling, as_url


def read_scaled(
    paths: list[str],
    scaling: Scaling,
    *,
    out: Path,
    labels: str | None,
    labelling: dict[str, Any],
    label_separator: str | None,
    schema: str | None,
    event_model: str | None,
    tolerance: float,
    ask: list[str] | None,
    reading: dict[str, Any],
    max_chars: int | None,
    device: str | None,
    dtype: str | None,
    fresh: bool,
) -> None:
    """Arguments as those of the command. The same command goes on where it stopped, as ever."""
    from ironwok.cli.console import out as stdout
    from ironwok.cli.console import say
    from ironwok.cli.lines import read_labels
    from ironwok.cli.table import print_report
    from ironwok.errors import InputError
    from ironwok.reading.sources import DEFAULT_MAX_CHARS, SourceOptions
    from ironwok.scale.documents import ReadFiles, compose_report

    if ask:
        raise InputError("a question is asked of all documents together: leave --ask out, or --engine ray")
    where = {"device": device, "dtype": dtype}
    labels_asked = None
    if labels is not None:
        chosen = read_labels(labels, separator=label_separator)
        labels_asked = {"labels": chosen, "label_separator": label_separator} | labelling | where
        labels_asked["template"] = labelling["template"] or None
    events_asked = None
    if schema is not None or event_model is not None:
        events_asked = {"schema": schema, "model": event_model, "tolerance": tolerance} | where
    options = SourceOptions(max_chars=DEFAULT_MAX_CHARS if max_chars is None else max_chars, **reading)
    work = ReadFiles(labels_asked, events_asked, options)
    work.readers()  # what does not fit is said before anything is read
    given = {"text_field": options.text_field, "encoding": options.encoding}
    job = scaling.run(paths, work, out=out, resume=not fresh, overwrite=fresh, **given)
    report = compose_report(
        work, job, sources=[as_url(path) for path in paths], form=scaling.form, language=current_language()
    )
    if report is None:
        say(
            t(
                en="There is no page: the parts are too many passages for one, or not on this machine.",
                zh="没有生成网页：段落太多，或分块不在本机。",
            )
        )
        return
    print_report(report, console=stdout(), skipped=len(report.skipped), listed_in="_quarantine")
