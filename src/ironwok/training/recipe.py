"""Recipes of pretraining runs: TOML files, every key checked, unknown keys refused."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ironwok.errors import RecipeError
from ironwok.training.pairs import KINDS, LENGTHS

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceRecipe(_Section):
    """A source of running text. files: patterns under --data; weight: how often it is drawn from."""

    name: str
    files: list[str] = Field(min_length=1)
    weight: float = Field(gt=0)
    fields: list[str] = Field(default=["text"], min_length=1)
    optional: bool = False


class LabelledRecipe(_Section):
    """A labelled data set as pairs: see `ironwok.training.labelled.LabelledTask`. labels: raw label -> its phrases."""

    name: str
    files: list[str] = Field(min_length=1)
    weight: float = Field(gt=0)
    form: Literal["single", "pair", "choice"]
    fields: list[str] = Field(min_length=1)
    label: str = "label"
    labels: dict[str, list[str]] = {}
    positive: list[str] = []
    negative: list[str] = []
    templates: list[str] = ["{}"]

    @model_validator(mode="after")
    def _check(self) -> LabelledRecipe:
        wanted = {"single": 1, "pair": 2, "choice": 4}[self.form]
        if len(self.fields) != wanted:
            raise ValueError(f"form {self.form} takes {wanted} fields, not {self.fields}")
        _check_templates(self.templates)
        return self


def _check_templates(templates: list[str]) -> None:
    for template in templates:
        if template.count("{}") != 1:
            raise ValueError(f"template {template!r} needs exactly one place {{}}")


class TokenizerRecipe(_Section):
    """source: a bundled name, a folder, or "train" for one learnt from the sources."""

    source: str = "ironwok-small"
    vocab_size: Positive = 12800
    min_frequency: Positive = 20


class PairsRecipe(_Section):
    """How pairs are drawn: see `ironwok.training.pairs.PairOptions`. lengths: [tokens, weight] each."""

    kinds: dict[str, float] = {"next": 0.5, "heading": 0.1, "keyword": 0.4}
    lengths: list[tuple[Positive, float]] = Field(default=list(LENGTHS), min_length=1)
    shortest: Share = 0.85
    same_document: Share = 0.25
    any_source: Share = 0.15
    inside: Share = 0.35
    clause_cut: Share = 0.25
    swap: Share = 0.5
    templates: list[str] = ["{}"]

    @model_validator(mode="after")
    def _check(self) -> PairsRecipe:
        unknown = set(self.kinds) - set(KINDS)
        if unknown or sum(self.kinds.values()) <= 0:
            raise ValueError(f"kinds are {dict(self.kinds)}: some of {KINDS} with positive weights are needed")
        _check_templates(self.templates)
        return self


class MaskingRecipe(_Section):
    """rate: share of words masked in a masked row; row_rate: share of rows masked at all."""

    rate: Share = 0.15
    row_rate: Share = 0.75


class EmbeddingsRecipe(_Section):
    """A start from co-occurrences (PPMI and SVD). tokens = 0 turns it off."""

    tokens: int = Field(default=6_000_000, ge=0)
    window: Positive = 5


class OptimizerRecipe(_Section):
    """Muon for the matrices inside the blocks, AdamW for the rest.

    steps: of the whole run. tokens_per_batch: per process, padding counted. warmup_steps: of the learning rates.
    alpha_warmup_steps: until the residual branches count fully (x <- Norm(x + alpha F(x)), alpha from 0 to 1).
    schedule: how the learning rates fall after the warm-up, beginning at ``decay_from`` (share of steps);
    final: the learning rates at the end, as a share of the highest.
    """

    steps: Positive
    tokens_per_batch: Positive = 4096
    muon_lr: float = Field(default=6e-3, gt=0)
    muon_momentum: Share = 0.95
    adamw_lr: float = Field(default=6e-4, gt=0)
    adamw_betas: tuple[Share, Share] = (0.9, 0.98)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup_steps: int = Field(default=200, ge=0)
    alpha_warmup_steps: int = Field(default=1500, ge=0)
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    decay_from: Share = 0.0
    final: Share = 0.05
    clip: float = Field(default=1.0, gt=0)
    next_sentence_weight: float = Field(default=2.0, ge=0)


class EvaluationRecipe(_Section):
    """every: steps between evaluations. pairs: held-out pairs of each kind."""

    every: Positive = 1000
    pairs: Positive = 1024


class PretrainRecipe(_Section):
    """A whole pretraining run."""

    name: str
    seed: int = 1
    held_out: Annotated[float, Field(gt=0, lt=0.5)] = 0.01
    precision: Literal["bf16", "fp32"] = "bf16"
    checkpoint_every: Positive = 500
    model: dict[str, Any] = {}
    tokenizer: TokenizerRecipe = TokenizerRecipe()
    sources: list[SourceRecipe] = Field(min_length=1)
    labelled: list[LabelledRecipe] = []
    pairs: PairsRecipe = PairsRecipe()
    masking: MaskingRecipe = MaskingRecipe()
    embeddings: EmbeddingsRecipe = EmbeddingsRecipe()
    optimizer: OptimizerRecipe
    evaluation: EvaluationRecipe = EvaluationRecipe()

    @model_validator(mode="after")
    def _check(self) -> PretrainRecipe:
        names = [source.name for source in self.sources]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"sources are named twice: {', '.join(doubled)}")
        if len(names) > 255:
            raise ValueError(f"{len(names)} sources, a store takes 255")
        return self


def load_recipe(path: Path, *, overrides: Sequence[str] = ()) -> PretrainRecipe:
    """Read a recipe.

    overrides: ``section.key=value`` with the value in TOML, e.g. ``optimizer.steps=2000``.
    Raises RecipeError, naming file and key, for anything that is not as it should be.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecipeError(f"{path}: no such recipe; the recipes that come with Ironwok are in recipes/") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"{path}: not a readable TOML file ({error})") from error
    for override in overrides:
        _override(values, override)
    try:
        return PretrainRecipe.model_validate(values)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, item['loc'])) or 'recipe'}: {item['msg']}" for item in error.errors()]
        raise RecipeError(f"{path}: " + "; ".join(lines)) from error


def _override(values: dict[str, Any], override: str) -> None:
    name, separator, value = override.partition("=")
    if not separator:
        raise RecipeError(f"override {override!r} is not of the form section.key=value")
    *sections, key = name.strip().split(".")
    place: Any = values
    for section in sections:
        place = place.setdefault(section, {})
        if not isinstance(place, dict):
            raise RecipeError(f"override {override!r}: {section} is not a section")
    try:
        place[key] = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        place[key] = value.strip()
