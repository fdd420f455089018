"""Recipes of the lab: TOML files with everything that a run depends on, the claims and their rules included."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ironwok.errors import RecipeError
from ironwok.nn.config import NormKind

Positive = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]

NormVariant = Literal["pre", "post", "post-alpha", "deepnorm", "sandwich", "mix", "scaled-pre"]
SequenceVariant = Literal["gpt", "unilm", "encdec", "encdec-causal", "encdec-forward-backward"]
MaskedVariant = Literal["full", "half-heads", "alternating-layers"]
Matching = Literal["parameters", "compute"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelRecipe(_Section):
    """Shape of all models. gain: factor on the starting weights, 1/sqrt(fan-in) each; DeepNorm adds its beta."""

    width: Positive = 48
    heads: Positive = 4
    feed_forward_width: Positive = 192
    norm: NormKind = "rms"
    norm_gain: bool = True
    gain: PositiveFloat = 1.0


class DataRecipe(_Section):
    """Running text: generated stories, unless ``--data`` names real text.

    tokens: of training text, cut into rows of ``length``. seed: of the stories. vocabulary: the most frequent tokens
    that are kept. unit: of a token in real text, "characters" or "words"; stories are words.
    """

    tokens: Positive = 200_000
    dev_tokens: Positive = 8_000
    length: Annotated[int, Field(ge=8)] = 48
    vocabulary: Annotated[int, Field(ge=16)] = 3000
    unit: Literal["characters", "words"] = "characters"
    seed: int = Field(default=0, ge=0)


class TrainingRecipe(_Section):
    """AdamW with a linear warm-up and a linear fall. batch: rows. evaluations: of the dev loss, evenly spaced."""

    steps: Positive
    batch: Positive = 8
    mask_rate: Annotated[float, Field(gt=0, lt=1)] = 0.15
    betas: tuple[Share, Share] = (0.9, 0.98)
    weight_decay: float = Field(default=0.01, ge=0)
    clip: PositiveFloat = 1.0
    final: Share = 0.05
    evaluations: Positive = 6
    alpha_share: Share = 0.5


class SweepRecipe(_Section):
    """The same budget for every variant: each pair of values, ``steps`` long, with one seed that no final run has.

    warmups: as shares of the steps.
    """

    learning_rates: list[PositiveFloat] = Field(min_length=1)
    warmups: list[Share] = Field(min_length=1)
    steps: Positive
    seed: int = Field(default=1000, ge=0)

    @property
    def budget(self) -> int:
        """Trials of each variant."""
        return len(self.learning_rates) * len(self.warmups)


class FixedRecipe(_Section):
    """Untuned values for a group: how a variant stands what was not chosen for it."""

    learning_rate: PositiveFloat
    warmup: Share


class TransferRecipe(_Section):
    """Fine-tuning on labelled tasks after pretraining.

    tasks: generated ones ("genre", "holding", "mention", "order", "place"), unless ``--task`` names files. The
    learning rate is chosen on the dev split among ``learning_rates``, for each variant, task and seed; the test split
    is reported.
    """

    tasks: list[str] = Field(default=["genre", "holding", "mention"], min_length=1)
    learning_rates: list[PositiveFloat] = Field(min_length=1)
    steps: Positive
    batch: Positive = 16
    warmup: Share = 0.1
    examples: Positive = 512
    test_examples: Positive = 512


class ProbeRecipe(_Section):
    """When and on how many rows of the dev text probes look. ranks_at: shares of the training."""

    rows: Positive = 8
    ranks_at: list[Share] = [0.0, 0.5, 1.0]


class ClaimRecipe(_Section):
    """A claim and its rule, fixed before the run.

    left, right: which runs are compared, by their ``group`` and ``variant`` (and depth, task, ...: see the page);
    right may be a number. Values are paired by seed. kind: "greater" (left is above right by more than ``margin``),
    "less", or "equal" (within ``margin`` of each other). The interval of the differences decides: wholly inside what
    is claimed is supported, wholly outside is contradicted, anything else is undecided, as is what rests on fewer than
    ``least_seeds`` seeds.
    """

    name: str
    text: str
    source: str = ""
    metric: str
    kind: Literal["greater", "less", "equal"]
    left: dict[str, str | int]
    right: dict[str, str | int] | float
    margin: float = Field(default=0.0, ge=0)
    least_seeds: Annotated[int, Field(ge=2)] = 5

    @model_validator(mode="after")
    def _check(self) -> ClaimRecipe:
        if self.kind == "equal" and self.margin == 0:
            raise ValueError(f"claim {self.name!r} is of kind equal: it needs a margin above 0")
        return self


class NormGroup(_Section):
    """Runs of the same kind: every variant at every depth.

    steps: instead of those of the training; 0 leaves the models as they were drawn, and what fine-tuning reaches from
    there says what pretraining was worth. fixed: these values instead of tuned ones. transfer: fine-tune afterwards.
    """

    name: str
    variants: list[NormVariant] = Field(min_length=1)
    depths: list[Annotated[int, Field(ge=2)]] = Field(min_length=1)
    objective: Literal["masked", "causal"] = "masked"
    steps: Annotated[int, Field(ge=0)] | None = None
    fixed: FixedRecipe | None = None
    transfer: bool = True

    @model_validator(mode="after")
    def _check(self) -> NormGroup:
        if self.steps == 0 and self.fixed is None:
            raise ValueError(f"group {self.name!r} has 0 steps and nothing to tune: give it fixed values")
        return self


class SequenceShape(_Section):
    """Layers of encoder and decoder under one matching with ``layers`` of a single stack."""

    matching: Matching
    encoder: Positive
    decoder: Positive


class SequenceGroup(_Section):
    """Sequence-to-sequence runs on one task.

    task: "reverse" or "sort" of ``source_length`` symbols, or "continue": the next ``target_length`` tokens of text.
    layers: of the single stacks. shapes: of encoder and decoder; a shape more than a tenth off what it is matched in
    is refused.
    """

    name: str
    task: Literal["reverse", "sort", "continue"]
    variants: list[SequenceVariant] = Field(min_length=1)
    layers: Positive
    shapes: list[SequenceShape] = Field(min_length=1)
    source_length: Positive = 16
    target_length: Positive = 16
    symbols: Annotated[int, Field(ge=2)] = 16
    steps: Positive | None = None


class MaskedGroup(_Section):
    """Masked-LM runs that differ in who sees whom."""

    name: str
    variants: list[MaskedVariant] = Field(min_length=1)
    layers: Annotated[int, Field(ge=2)]
    steps: Positive | None = None


class _LabRecipe(_Section):
    name: str
    about: str = ""
    seeds: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)
    model: ModelRecipe = ModelRecipe()
    data: DataRecipe = DataRecipe()
    training: TrainingRecipe
    sweep: SweepRecipe
    probes: ProbeRecipe = ProbeRecipe()
    claims: list[ClaimRecipe] = []

    @model_validator(mode="after")
    def _check_seeds(self) -> Any:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds are {self.seeds}: each only once")
        if self.sweep.seed in self.seeds:
            raise ValueError(f"the seed of the sweep, {self.sweep.seed}, is one of the seeds of the runs")
        return self


class NormsRecipe(_LabRecipe):
    """``ironwok lab norms``."""

    kind: Literal["norms"]
    groups: list[NormGroup] = Field(min_length=1)
    transfer: TransferRecipe


class MasksRecipe(_LabRecipe):
    """``ironwok lab masks``."""

    kind: Literal["masks"]
    sequence: list[SequenceGroup] = []
    masked: list[MaskedGroup] = []

    @model_validator(mode="after")
    def _check(self) -> MasksRecipe:
        if not self.sequence and not self.masked:
            raise ValueError("a recipe of kind masks needs a group under sequence or masked")
        return self


LabRecipe = NormsRecipe | MasksRecipe
KINDS: dict[str, type[NormsRecipe] | type[MasksRecipe]] = {"norms": NormsRecipe, "masks": MasksRecipe}


def shipped_recipes() -> dict[str, Path]:
    """The recipes in the package, by name."""
    folder = Path(str(files("ironwok.lab"))) / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load_lab_recipe(name_or_path: str | Path, *, kind: str | None = None, seeds: Sequence[int] = ()) -> LabRecipe:
    """A recipe in the package by its name, or any file.

    kind: what it must be, "norms" or "masks". seeds: take these instead of its own.
    Raises RecipeError, naming what is wrong.
    """
    shipped = shipped_recipes()
    path = Path(name_or_path)
    path = shipped.get(str(name_or_path), path) if not path.suffix else path
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise RecipeError(
            f"{name_or_path}: no such recipe; the package has {', '.join(shipped)}, and any TOML file can be named"
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"{path}: not a readable TOML file ({error})") from error
    if seeds:
        values["seeds"] = list(seeds)
    recipe = parse_lab_recipe(values, source=str(path))
    if kind is not None and recipe.kind != kind:
        raise RecipeError(f"{path} is a recipe of kind {recipe.kind!r}: run it with `ironwok lab {recipe.kind}`")
    return recipe


def parse_lab_recipe(values: dict[str, Any], *, source: str) -> LabRecipe:
    """Raises RecipeError, naming ``source``, for values that are no recipe."""
    kind = values.get("kind")
    if kind not in KINDS:
        raise RecipeError(f"{source}: kind is {kind!r}, it must be one of {', '.join(KINDS)}")
    try:
        recipe = KINDS[kind].model_validate(values)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, item['loc'])) or 'recipe'}: {item['msg']}" for item in error.errors()]
        raise RecipeError(f"{source}: " + "; ".join(lines)) from error
    _check_claims(recipe, source)
    return recipe


def _check_claims(recipe: LabRecipe, source: str) -> None:
    groups = recipe.groups if isinstance(recipe, NormsRecipe) else [*recipe.sequence, *recipe.masked]
    variants: dict[str, list[str]] = {}
    for group in groups:
        if group.name in variants:
            raise RecipeError(f"{source}: two groups are called {group.name!r}")
        variants[group.name] = list(group.variants)
    names = [claim.name for claim in recipe.claims]
    if len(set(names)) < len(names):
        raise RecipeError(f"{source}: two claims have one name among {', '.join(names)}")
    for claim in recipe.claims:
        for side in (claim.left, claim.right):
            if isinstance(side, dict) and side.get("variant") not in variants.get(str(side.get("group")), []):
                raise RecipeError(
                    f"{source}: claim {claim.name!r} compares group {side.get('group')!r}, variant "
                    f"{side.get('variant')!r}, which the recipe does not run"
                )


def fingerprint(value: Any) -> str:
    """Twelve hexadecimal digits of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


SEQUENCE_ENCODER_MASKS = {
    "encdec": "full",
    "encdec-causal": "causal",
    "encdec-forward-backward": "forward-backward-heads",
}
MASKED_MASKS = {"full": "full", "half-heads": "forward-backward-heads", "alternating-layers": "forward-backward-layers"}
assert set(MASKED_MASKS) == set(get_args(MaskedVariant))
