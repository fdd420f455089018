"""What the commands with ``--engine ray`` have in common."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ironwok.cli.language import t

if TYPE_CHECKING:
    from ironwok.scale.job import JobReport

_URL = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+):/+")


@dataclass(frozen=True, slots=True)
class Scaling:
    """The options as given; None where they were not. Raises InputError for those that do not fit together."""

    engine: str
    address: str | None
    workers: int | None
    cpus: float | None
    gpus: float | None
    part_size: float | None
    part_format: str | None

    def __post_init__(self) -> None:
        from ironwok.errors import InputError

        if self.engine not in ("plain", "ray"):
            raise InputError(f"--engine {self.engine!r} is not one of plain, ray")
        given = {
            "--address": self.address,
            "--workers": self.workers,
            "--cpus-per-worker": self.cpus,
            "--gpus-per-worker": self.gpus,
            "--part-size": self.part_size,
            "--part-format": self.part_format,
        }
        if not self.asked and (names := [name for name, value in given.items() if value is not None]):
            raise InputError(f"{names[0]} is for --engine ray: add that, or leave it out")
        if self.part_format not in (None, "parquet", "jsonl"):
            raise InputError(f"--part-format {self.part_format!r} is not one of parquet, jsonl")

    @property
    def asked(self) -> bool:
        return self.engine == "ray"

    @property
    def form(self) -> Any:
        return self.part_format or "parquet"

    def run(
        self,
        inputs: Sequence[str],
        work: Any,
        *,
        out: Path | None,
        resume: bool,
        overwrite: bool,
        text_field: str | None,
        encoding: str | None,
    ) -> JobReport:
        """Do the job and show how it goes on; on Ctrl-C say how to go on. Raises as `run_job` does."""
        from ironwok.cli.console import err, say
        from ironwok.errors import InputError
        from ironwok.progress import progress_bar
        from ironwok.scale.job import DEFAULT_PART_BYTES, Began, Finished, Fleet, Lost, run_job

        if out is None:
            raise InputError("--engine ray writes parts: name a folder for them with --out")
        given = [as_url(one) for one in inputs]
        if "-" in given:
            raise InputError("--engine ray reads files and folders, not standard input")
        fleet = Fleet(
            "ray",
            address=self.address,
            workers=self.workers,
            cpus=1 if self.cpus is None else self.cpus,
            gpus=self.gpus or 0,
        )
        place = as_url(str(out))
        with progress_bar(t(en="parts", zh="分块"), total=None, shown=err().is_terminal) as advance:

            def watch(event: Any) -> None:
                match event:
                    case Began(parts, done):
                        already = t(en=f", {done} of them done already", zh=f"，其中 {done} 块已完成") if done else ""
                        say(t(en=f"{parts} parts{already}.", zh=f"共 {parts} 块{already}。"), style="dim")
                    case Finished():
                        advance(1)
                    case Lost(worker, part, reason):
                        again = (
                            t(en=f"; part {part} is done again", zh=f"；第 {part} 块重做") if part is not None else ""
                        )
                        told = t(
                            en=f"worker {worker} was lost{again}: {reason}",
                            zh=f"工作进程 {worker} 丢失{again}：{reason}",
                        )
                        say(told, style="yellow")

            try:
                report = run_job(
                    given,
                    work,
                    out=place,
                    fleet=fleet,
                    part_format=self.form,
                    part_bytes=DEFAULT_PART_BYTES if self.part_size is None else round(self.part_size * 1_000_000),
                    text_field=text_field,
                    encoding=encoding,
                    resume=resume,
                    overwrite=overwrite,
                    on_event=watch,
                )
            except KeyboardInterrupt:
                say(
                    t(
                        en=f"Finished parts are in {place}; the same command with --resume goes on from there.",
                        zh=f"已完成的分块在 {place}；同样的命令加上 --resume 即可接着做。",
                    ),
                    style="yellow",
                )
                raise
        _say_done(report)
        return report


def as_url(given: str) -> str:
    """What became a path on the way here, as the URL that it was."""
    match = _URL.match(given)
    return f"{match[1]}://{given[match.end() :]}" if match and not Path(given).exists() else given


def _say_done(report: JobReport) -> None:
    from ironwok.cli.console import say

    say(
        t(
            en=f"{report.rows:,} rows in {report.parts:,} parts in {report.out}.",
            zh=f"共 {report.rows:,} 条，分 {report.parts:,} 块，写入 {report.out}。",
        )
    )
    if report.quarantined:
        say(
            t(
                en=f"{report.quarantined:,} rows could not be done; with the reasons in {report.out}/_quarantine.",
                zh=f"{report.quarantined:,} 条无法处理，连同原因放在 {report.out}/_quarantine。",
            ),
            style="yellow",
        )
    if report.replaced:
        say(
            t(
                en=f"{report.replaced:,} rows hold broken bytes, which are read as U+FFFD.",
                zh=f"{report.replaced:,} 条含有损坏的字节，读作 U+FFFD。",
            ),
            style="yellow",
        )
    for url, reason in report.unreadable:
        say(t(en=f"skipped: {reason}", zh=f"跳过：{reason}") if url in reason else f"{url}: {reason}", style="yellow")
