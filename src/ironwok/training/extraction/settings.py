"""How an extraction model is trained; the defaults suit a hundred annotated texts as well as ten thousand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ironwok.errors import ConfigError
from ironwok.training.settings import RunSettings, read_settings


@dataclass(frozen=True, slots=True)
class TrainSettings(RunSettings):
    """Beside those of every run:

    max_tokens: of a window, special ones included.
    pointer, head_width, head_dropout: see `ironwok.models.GPLinkerConfig`; head_learning_rate is that of the pointers.
    encoder_dropout: within the encoder; None for that which it brings along.
    swapped: copies of every training text in which words were put in the place of others that fill the same role
        (`ironwok.training.extraction.swapping`). An epoch is a pass over texts and copies.
    teacher_weight: of the loss of texts that a teacher annotated.
    calibrate: choose the thresholds of the best model by the development texts, when it is trained.

    Raises ConfigError for values out of range.
    """

    max_tokens: int = 256
    pointer: str = "efficient"
    head_width: int = 64
    head_dropout: float = 0.1
    encoder_dropout: float | None = None
    swapped: int = 0
    teacher_weight: float = 1.0
    calibrate: bool = True

    def __post_init__(self) -> None:
        RunSettings.__post_init__(self)  # super() does not know a class with slots
        self.check(at_least=("teacher_weight", "swapped"), shares=("head_dropout",))
        if self.encoder_dropout is not None:
            self.check(shares=("encoder_dropout",))
        if self.max_tokens < 16:
            raise ConfigError(f"max_tokens is {self.max_tokens}: a window has at least 16")


def load_settings(
    recipe: Path | None = None, *, overrides: Sequence[str] = (), epochs: float | None = None, seed: int | None = None
) -> TrainSettings:
    """See `ironwok.training.settings.read_settings`."""
    return read_settings(TrainSettings, recipe, overrides=overrides, epochs=epochs, seed=seed)
