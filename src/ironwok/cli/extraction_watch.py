"""What the terminal shows while an extraction model is trained."""

from __future__ import annotations

from rich.text import Text

from ironwok.cli.training_watch import TrainingWatch

# precision and recall are in metrics.jsonl
_SHOWN = {
    "events": ("event", "trigger_classification", "argument_classification"),
    "entities": ("entity",),
    "relations": ("relation",),
}


class ExtractionWatch(TrainingWatch):
    """A line with every F1 that matters for each evaluation. name: of the run. task: what is trained."""

    def __init__(self, name: str, task: str) -> None:
        super().__init__(name)
        self._task = task

    def evaluated(self, step: int, metrics: dict[str, float]) -> None:
        self._end_work()
        parts = [f"{name.replace('_', ' ')} F1 {metrics[f'{name}_f1']:.3f}" for name in _SHOWN[self._task]]
        self._console.print(Text(f"{step:>8}  " + "  ".join(parts)), soft_wrap=True)
