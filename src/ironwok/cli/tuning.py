"""The part of ``ironwok train`` that learns from labelled records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from ironwok.cli.language import t
from ironwok.cli.training_report import Teller, report_run
from ironwok.cli.training_watch import TrainingWatch

_SHOWN = ("accuracy", "macro_f1", "f1", "exact")


class TuningWatch(TrainingWatch):
    """A line with the scores for each evaluation."""

    def evaluated(self, step: int, metrics: dict[str, float]) -> None:
        self._end_work()
        self._console.print(Text(f"{step:>8}  {scores_of(metrics)}"), soft_wrap=True)


def scores_of(metrics: dict[str, float]) -> str:
    return "  ".join(f"{name.replace('_', ' ')} {metrics[name]:.3f}" for name in _SHOWN if name in metrics)


def named_fields(given: Sequence[str]) -> dict[str, str]:
    """What was given as PART=NAME, by part. Raises InputError for what is not of that form."""
    from ironwok.errors import InputError

    named = {}
    for one in given:
        part, separator, name = one.partition("=")
        if not separator or not part.strip() or not name.strip():
            raise InputError(f"--field {one!r} is not of the form PART=NAME, such as text=正文")
        named[part.strip()] = name.strip()
    return named


def train_labelled(
    task: str,
    *,
    train: Path,
    dev: Path | None,
    out: Path,
    model: str,
    field: Sequence[str],
    encoding: str | None,
    recipe: Path | None,
    epochs: float | None,
    seed: int | None,
    overrides: Sequence[str],
    resume: bool,
    curves: bool | None,
    threads: int | None,
    device: str | None,
) -> None:
    from ironwok.cli.console import say
    from ironwok.training.tuning.settings import load_settings

    settings = load_settings(task, recipe, overrides=overrides, epochs=epochs, seed=seed)
    fields = named_fields(field)
    say(t(en="loading …", zh="加载中……"), style="dim")
    import torch

    from ironwok.training.tuning.train import train_tuned

    if threads:
        torch.set_num_threads(threads)
    with TuningWatch(f"train {task}") as watch:
        result = train_tuned(
            task,
            train=train,
            dev=dev,
            out=out,
            model=model,
            fields=fields,
            encoding=encoding,
            settings=settings,
            resume=resume,
            curves=curves,
            device=device,
            on_problem=Teller(),
            on_note=lambda note: say(t(en=f"note: {note}", zh=f"注意：{note}"), style="yellow"),
            progress=watch,
        )
    command = "classify" if task == "classify" else "predict"
    report_run(result, out, scores_of(result.metrics), use=f"ironwok {command} --model")
