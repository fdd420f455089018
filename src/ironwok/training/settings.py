"""What all runs that learn from labelled examples can be told; rooms add what is theirs."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from ironwok.errors import ConfigError, RecipeError
from ironwok.training.ranges import check_ranges

PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True, slots=True)
class RunSettings:
    """epochs: passes over the training texts at most. min_steps: but at least so many steps, which few texts need.
    patience: stop after so many evaluations without a better one; 0 never stops early.
    evaluations: how often the development texts are looked at, at least, in a whole run; never more than once in
        ``evaluate_every`` steps, where that is given it is the exact distance.
    batch_tokens: tokens of a batch, padding included. batch_size: examples in it at most.
    learning_rate: of the encoder; head_learning_rate: of what is new. Both warm up over ``warmup`` of the steps and
        then fall to 0 along a line.
    ema: share of the old in the running mean of the weights that is evaluated and kept; 0 for the weights as they are.
    precision: "bf16" computes in bfloat16, "auto" does so where the device is faster with it.

    Raises ConfigError for values out of range.
    """

    seed: int = 0
    epochs: float = 20.0
    min_steps: int = 600
    patience: int = 6
    evaluations: int = 20
    evaluate_every: int | None = None
    batch_tokens: int = 2048
    batch_size: int = 32
    learning_rate: float = 2e-4
    head_learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.06
    clip: float = 1.0
    ema: float = 0.99
    precision: str = "auto"

    def __post_init__(self) -> None:
        self.check(
            above=(
                "epochs",
                "batch_tokens",
                "batch_size",
                "evaluations",
                "learning_rate",
                "head_learning_rate",
                "clip",
            ),
            at_least=("min_steps", "patience", "seed", "weight_decay"),
            shares=("warmup", "ema"),
        )
        if self.evaluate_every is not None and self.evaluate_every < 1:
            raise ConfigError(f"evaluate_every is {self.evaluate_every}: it must be at least 1")
        if self.precision not in PRECISIONS:
            raise ConfigError(f"precision {self.precision!r} is none of {', '.join(PRECISIONS)}")

    def check(self, *, above: Sequence[str] = (), at_least: Sequence[str] = (), shares: Sequence[str] = ()) -> None:
        """above: finite and above 0; at_least: not below 0; shares: in [0, 1). Raises ConfigError."""
        check_ranges(self, above=above, not_below=at_least, shares=shares, error=ConfigError)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def share(self, step: int, steps: int) -> float:
        """The share of the highest learning rate at a step, 0 the first, in (0, 1]."""
        warm = max(round(self.warmup * steps), 1)
        return (step + 1) / warm if step < warm else max((steps - step) / max(steps - warm, 1), 1e-8)


SettingsT = TypeVar("SettingsT", bound=RunSettings)


def read_settings(
    kind: type[SettingsT],
    recipe: Path | None = None,
    *,
    overrides: Sequence[str] = (),
    epochs: float | None = None,
    seed: int | None = None,
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> SettingsT:
    """The defaults of the class, or other ones, changed by a recipe, by ``name=value``, by ``epochs`` and ``seed``.

    recipe: a TOML file of names and values. Whoever asks for a number of epochs gets it: ``min_steps`` adds none then,
    unless it is given, too.
    Raises RecipeError, naming file and key, for unknown names and values of the wrong type, ConfigError for values out
    of range.
    """
    values: dict[str, Any] = dict(defaults)
    if recipe is not None:
        try:
            values |= tomllib.loads(recipe.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise RecipeError(f"{recipe}: not a readable TOML file ({error})") from error
    for override in overrides:
        name, separator, value = override.partition("=")
        if not separator:
            raise RecipeError(f"override {override!r} is not of the form name=value")
        try:
            values[name.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            values[name.strip()] = value.strip()
    values |= {name: value for name, value in (("epochs", epochs), ("seed", seed)) if value is not None}
    if epochs is not None or any(override.partition("=")[0].strip() == "epochs" for override in overrides):
        values.setdefault("min_steps", 0)
    return kind(**{name: _typed(kind, name, value, recipe) for name, value in values.items()})


def _typed(kind: type[RunSettings], name: str, value: Any, recipe: Path | None) -> Any:
    place = f"{recipe}: " if recipe is not None else ""
    kinds = {one.name: str(one.type) for one in fields(kind)}
    if name not in kinds:
        raise RecipeError(f"{place}there is no setting {name!r}: there are {', '.join(kinds)}")
    wanted = kinds[name].split(" ")[0]
    if wanted == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if wanted == "bool" and isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"  # TOML knows small letters only, Python writes large ones
    if type(value).__name__ != wanted:
        raise RecipeError(f"{place}{name} is {value!r}: it must be of type {wanted}")
    return value
