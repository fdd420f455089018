"""How an encoder is fine-tuned; the defaults suit a hundred labelled examples as well as ten thousand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ironwok.errors import ConfigError
from ironwok.training.settings import RunSettings, read_settings

# What differs from the defaults below, by task: rows of a passage are long, and a question has several of them.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "classify": {},
    "pairs": {},
    "choice": {"max_tokens": 384, "batch_tokens": 8192, "epochs": 6.0},
    "reading": {"max_tokens": 384, "batch_tokens": 8192, "epochs": 4.0},
}


@dataclass(frozen=True, slots=True)
class TuneSettings(RunSettings):
    """Beside those of every run:

    max_tokens: of a row, special ones included; what is longer is read in windows or cut, see docs/fine-tuning.md.
    dropout: within the encoder and before the head, while training.
    train_windows: windows of a long text that are trained on, the first ones; all of them are read afterwards.
    head_learning_rate is that of what the encoder did not bring.

    Raises ConfigError for values out of range.
    """

    epochs: float = 10.0
    min_steps: int = 200
    patience: int = 5
    evaluations: int = 10
    batch_tokens: int = 4096
    batch_size: int = 16
    max_tokens: int = 256
    dropout: float = 0.1
    train_windows: int = 4

    def __post_init__(self) -> None:
        RunSettings.__post_init__(self)  # super() does not know a class with slots
        self.check(above=("train_windows",), shares=("dropout",))
        if self.max_tokens < 16:
            raise ConfigError(f"max_tokens is {self.max_tokens}: a row has at least 16")


def load_settings(
    task: str,
    recipe: Path | None = None,
    *,
    overrides: Sequence[str] = (),
    epochs: float | None = None,
    seed: int | None = None,
) -> TuneSettings:
    """See `ironwok.training.settings.read_settings`; the defaults are those of the task."""
    return read_settings(
        TuneSettings, recipe, overrides=overrides, epochs=epochs, seed=seed, defaults=DEFAULTS.get(task, {})
    )
