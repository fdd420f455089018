"""All runs of a recipe: which cells there are, the trials of the sweep, the final runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ironwok.errors import RecipeError
from ironwok.lab.recipe import LabRecipe, NormGroup, NormsRecipe, SequenceGroup
from ironwok.lab.sequences import layer_products
from ironwok.lab.training import Schedule

# how far an encoder-decoder may lie from the single stack that it is matched with
MATCH = 0.1


@dataclass(frozen=True, slots=True)
class Cell:
    """One line of the tables: runs that differ in nothing but their seed.

    depth: layers of a single stack, or of encoder and decoder together. matching: of an encoder-decoder, else "".
    encoder: its layers, else 0.
    """

    group: str
    variant: str
    depth: int
    matching: str = ""
    encoder: int = 0

    @property
    def name(self) -> str:
        matching = f"-{self.matching}" if self.matching else ""
        return f"{self.group}-{self.variant}{matching}-d{self.depth}"

    def matches(self, selector: Mapping[str, str | int]) -> bool:
        return all(getattr(self, key, None) == value for key, value in selector.items())


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One run. The name says which; the file of that name in ``runs/`` holds what came out."""

    phase: Literal["sweep", "final"]
    cell: Cell
    seed: int
    learning_rate: float
    warmup: float
    steps: int

    @property
    def name(self) -> str:
        tuned = f"-lr{self.learning_rate:g}-w{self.warmup:g}" if self.phase == "sweep" else ""
        return f"{self.phase}-{self.cell.name}{tuned}-s{self.seed}"

    @property
    def schedule(self) -> Schedule:
        return Schedule(self.learning_rate, self.warmup, self.steps)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> RunSpec:
        return cls(**{**values, "cell": Cell(**values["cell"])})


def groups_of(recipe: LabRecipe) -> dict[str, Any]:
    """The groups of a recipe by name."""
    groups = recipe.groups if isinstance(recipe, NormsRecipe) else [*recipe.sequence, *recipe.masked]
    return {group.name: group for group in groups}


def cells_of(recipe: LabRecipe) -> list[Cell]:
    """Every cell, in the order of the recipe. Raises RecipeError for an encoder-decoder that is not matched."""
    cells: list[Cell] = []
    for group in groups_of(recipe).values():
        if isinstance(group, NormGroup):
            cells += [Cell(group.name, variant, depth) for depth in group.depths for variant in group.variants]
        elif isinstance(group, SequenceGroup):
            _check_shapes(recipe, group)
            for variant in group.variants:
                if not variant.startswith("encdec"):
                    cells.append(Cell(group.name, variant, group.layers))
                else:
                    cells += [
                        Cell(group.name, variant, shape.encoder + shape.decoder, shape.matching, shape.encoder)
                        for shape in group.shapes
                    ]
        else:
            cells += [Cell(group.name, variant, group.layers) for variant in group.variants]
    _check_selectors(recipe, cells)
    return cells


def sizes(recipe: LabRecipe, group: SequenceGroup, *, encoder: int, decoder: int) -> tuple[int, int]:
    """(parameters, multiplications a pair) of layers."""
    return layer_products(
        width=recipe.model.width,
        feed_forward_width=recipe.model.feed_forward_width,
        source=group.source_length,
        target=group.target_length if group.task == "continue" else group.source_length,
        encoder=encoder,
        decoder=decoder,
    )


def _check_shapes(recipe: LabRecipe, group: SequenceGroup) -> None:
    single = sizes(recipe, group, encoder=0, decoder=group.layers)
    for shape in group.shapes:
        pair = sizes(recipe, group, encoder=shape.encoder, decoder=shape.decoder)
        which = 0 if shape.matching == "parameters" else 1
        ratio = pair[which] / single[which]
        if abs(ratio - 1) > MATCH:
            raise RecipeError(
                f"group {group.name!r}: {shape.encoder} encoder and {shape.decoder} decoder layers have {ratio:.2f} "
                f"times the {shape.matching} of {group.layers} layers; matched means within {MATCH:.0%}"
            )


def _check_selectors(recipe: LabRecipe, cells: list[Cell]) -> None:
    for claim in recipe.claims:
        for side in (claim.left, claim.right):
            if isinstance(side, dict) and (found := sum(cell.matches(side) for cell in cells)) != 1:
                raise RecipeError(
                    f"claim {claim.name!r}: {side} names {found} cells, it must name one (by group, variant, depth, "
                    "matching)"
                )


def _steps(recipe: LabRecipe, cell: Cell) -> int:
    steps = groups_of(recipe)[cell.group].steps
    return recipe.training.steps if steps is None else steps


def sweep_specs(recipe: LabRecipe) -> list[RunSpec]:
    """The trials of every cell that is tuned: the same for all, dear ones first."""
    sweep = recipe.sweep
    return [
        RunSpec("sweep", cell, sweep.seed, rate, warmup, sweep.steps)
        for cell in sorted(_tuned(recipe), key=lambda cell: -cell.depth)
        for rate in sweep.learning_rates
        for warmup in sweep.warmups
    ]


def _tuned(recipe: LabRecipe) -> list[Cell]:
    groups = groups_of(recipe)
    return [cell for cell in cells_of(recipe) if getattr(groups[cell.group], "fixed", None) is None]


def choose(trials: Iterable[Mapping[str, Any]]) -> dict[Cell, Schedule]:
    """The best values of each cell by dev loss; among equals the lower learning rate. trials: records of sweep runs."""
    best: dict[Cell, tuple[float, float, float, int]] = {}
    for record in trials:
        spec = RunSpec.from_dict(record["spec"])
        found = (record["metrics"]["loss"], spec.learning_rate, spec.warmup, spec.steps)
        best[spec.cell] = min(best.get(spec.cell, found), found)
    return {cell: Schedule(rate, warmup, steps) for cell, (_, rate, warmup, steps) in best.items()}


def final_specs(recipe: LabRecipe, chosen: Mapping[Cell, Schedule]) -> list[RunSpec]:
    """Every cell with every seed; whole seeds one after the other, so that a stop leaves whole comparisons."""
    groups = groups_of(recipe)
    specs = []
    for seed in recipe.seeds:
        for cell in cells_of(recipe):
            fixed = getattr(groups[cell.group], "fixed", None)
            values = fixed or chosen[cell]
            specs.append(RunSpec("final", cell, seed, values.learning_rate, values.warmup, _steps(recipe, cell)))
    return specs
