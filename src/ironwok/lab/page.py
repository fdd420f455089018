"""The report of a run: a page in Markdown with its figures, rebuilt from the stored JSON at any time."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ironwok.files import replace_file, writing
from ironwok.lab.figures import Line, Panel, draw_intervals, draw_panels
from ironwok.lab.plan import Cell, RunSpec, cells_of, choose, groups_of
from ironwok.lab.recipe import LabRecipe, NormGroup, NormsRecipe, SequenceGroup
from ironwok.lab.runner import LabResults, Record
from ironwok.lab.statistics import Interval, bootstrap_interval
from ironwok.lab.verdicts import Judged, judge, values_by_seed

# metric -> (heading, decimals)
_COLUMNS = {
    "loss": ("Loss", 3),
    "mean_loss": ("Mean loss of training", 3),
    "accuracy": ("Accuracy", 3),
    "transfer": ("Fine-tuned accuracy", 3),
    "growth_exponent": ("Growth p of ‖x_t‖ ~ t^p", 2),
    "late_cosine": ("Cosine of consecutive inputs, upper half", 3),
    "late_drop": ("Loss added by dropping an upper block", 3),
    "swap": ("Loss added by swapping neighbours", 3),
    "effective_rank": ("Effective rank / n", 3),
    "numerical_rank": ("Numerical rank / n", 3),
    "log_determinant": ("log det / n", 2),
}
_RULES = {"greater": "left − right > {m}", "less": "right − left > {m}", "equal": "|left − right| ≤ {m}"}


def write_report(
    results: LabResults, folder: Path, *, page: str = "index.md", prefix: str = "", figures: bool = True
) -> Path:
    """Write the page and its figures into a folder and return the page.

    page: its file name. prefix: of the names of the figures, so that several reports share a folder. figures: False
    leaves them out, and needs no matplotlib.
    Raises MissingExtraError without matplotlib, OutputError where a file cannot be written.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    drawn = _draw(results, folder, prefix) if figures else []
    path = folder / page
    replace_file(path, _page(results, drawn).encode("utf-8"))
    return path


def _page(results: LabResults, figures: list[tuple[str, str]]) -> str:
    recipe = results.recipe
    parts = [
        f"# {recipe.name}",
        recipe.about,
        _how(results),
        "## Verdicts",
        _verdicts(results),
        "## Results",
        *_tables(results),
        *(f"![{title}]({name})\n\n*{title}*" for title, name in figures),
        "## Tuning",
        _tuning(results),
        "## Reading this page",
        _legend(recipe),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _how(results: LabResults) -> str:
    meta, recipe = results.meta, results.recipe
    expected = len(cells_of(recipe)) * len({seed for seeds in meta["seed_sets"] for seed in seeds})
    lines = [f"- Command: `{command}`" for command in meta["commands"]]
    for session in meta["sessions"]:
        lines.append(
            f"- {session['runs']} runs in {_duration(session['seconds'])}, {_count(session['workers'], 'worker')} on "
            f"{session['device']}, torch {session['torch']}, Python {session['python']}"
        )
    seconds = sum(record["seconds"] for record in [*results.sweeps, *results.finals])
    lines.append(f"- Time of all runs added up: {_duration(seconds)}")
    lines.append("- Seeds: " + "; then ".join(", ".join(map(str, seeds)) for seeds in meta["seed_sets"]))
    data = meta["data"]
    lines.append(
        f"- Text: {', '.join(data['texts']) or 'generated stories'}; {recipe.training.steps} steps of "
        f"{recipe.training.batch} rows; width {recipe.model.width}, {recipe.model.heads} heads"
    )
    if data["tasks"]:
        lines.append("- Labelled tasks: " + ", ".join(f"{name} ({file})" for name, file in data["tasks"].items()))
    if len(results.finals) < expected:
        lines.append(f"- **Unfinished:** {len(results.finals)} of {expected} final runs are there.")
    diverged = sorted({_name(record) for record in results.finals if record["curve"]["diverged"]})
    if diverged:
        lines.append(f"- Diverged (counted as guessing evenly): {', '.join(diverged)}")
    return "\n".join(lines)


def _verdicts(results: LabResults) -> str:
    if not results.recipe.claims:
        return "This recipe makes no claims."
    sets: list[list[int]] = results.meta["seed_sets"]
    heads = ["Claim", *(f"Seeds {_seeds(seeds)}" for seeds in sets)]
    if len(sets) > 1:
        heads.append("All seeds")
    heads += ["Left", "Right", "Difference, 95% interval", "Rule"]
    rows = []
    for claim in results.recipe.claims:
        pooled = judge(claim, results.finals)
        verdicts = [judge(claim, results.finals, seeds=seeds) for seeds in sets]
        cells = [
            f"**{claim.name}**: {claim.text} ({claim.source})" if claim.source else f"**{claim.name}**: {claim.text}"
        ]
        cells += [_verdict(one) for one in verdicts]
        if len(sets) > 1:
            cells.append(_verdict(pooled))
        rule = _RULES[claim.kind].format(m=f"{claim.margin:g}")
        cells += [_interval(pooled.left), _interval(pooled.right), _interval(pooled.difference, signed=True)]
        rows.append([*cells, f"{claim.metric}: {rule}"])
    text = _table(heads, rows)
    if len(sets) > 1:
        changed = [
            claim.name
            for claim in results.recipe.claims
            if len({judge(claim, results.finals, seeds=seeds).verdict for seeds in sets}) > 1
        ]
        told = (
            f"Verdicts that differ between the seed sets: {', '.join(changed)}."
            if changed
            else "Every verdict is the same for each seed set."
        )
        text += f"\n\n{told} The sets share the learning rates that the sweep chose."
    return text


def _verdict(judged: Judged) -> str:
    return f"{judged.verdict} ({judged.reason})" if judged.reason else judged.verdict


def _tables(results: LabResults) -> list[str]:
    made = []
    for name, group in groups_of(results.recipe).items():
        cells = [cell for cell in cells_of(results.recipe) if cell.group == name]
        present = {
            metric
            for record in results.finals
            if record["spec"]["cell"]["group"] == name
            for metric in record["metrics"]
        }
        tasks = sorted(metric for metric in present if metric.startswith("transfer."))
        columns: dict[str, tuple[str, int]] = {}
        for metric, shown in _COLUMNS.items():
            if metric in present:
                columns[metric] = shown
            if metric == "transfer":
                columns |= {task: (task.removeprefix("transfer."), 3) for task in tasks}
        rows = []
        for cell in cells:
            row = [_label(cell, cells)]
            for metric, (_, decimals) in columns.items():
                row.append(_interval(_of(results, cell, metric), decimals=decimals))
            if isinstance(group, SequenceGroup):
                row += _size_columns(results, cell)
            rows.append(row)
        heads = ["Variant", *(head for head, _ in columns.values())]
        if isinstance(group, SequenceGroup):
            heads += ["Parameters in layers", "Multiplications a pair"]
        told = _describe(results.recipe, group)
        if tasks:
            shares = ", ".join(f"{task} {share:.3f}" for task, share in results.guessing.items())
            told += f" Always answering the most frequent label has an accuracy of: {shares}."
        made += [f"### {name}", told, _table(heads, rows)]
    return made


def _size_columns(results: LabResults, cell: Cell) -> list[str]:
    shown = []
    for metric in ("parameters", "products"):
        found = values_by_seed(results.finals, _selector(cell), metric)
        shown.append(f"{next(iter(found.values())):,.0f}" if found else "–")
    return shown


def _describe(recipe: LabRecipe, group: Any) -> str:
    if isinstance(group, NormGroup):
        if group.steps == 0:
            return "Not pretrained at all: the models as they were drawn, for comparison."
        text = f"{group.objective.capitalize()} language model, {group.steps or recipe.training.steps} steps."
        if group.fixed:
            text += f" Not tuned: learning rate {group.fixed.learning_rate:g}, warm-up {group.fixed.warmup:g}."
        return text
    if isinstance(group, SequenceGroup):
        what = {
            "reverse": f"The source reversed, {group.source_length} of {group.symbols} symbols; the loss can reach 0.",
            "sort": f"The source sorted, {group.source_length} of {group.symbols} symbols; the loss can reach 0.",
            "continue": f"{group.source_length} tokens of text, continued by {group.target_length}.",
        }[group.task]
        return f"{what} Loss on the output alone, {group.steps or recipe.training.steps} steps."
    return f"Masked-LM, {group.layers} layers, {group.steps or recipe.training.steps} steps."


def _tuning(results: LabResults) -> str:
    sweep = results.recipe.sweep
    chosen = choose(results.sweeps)
    rows: list[list[str]] = []
    for cell, schedule in sorted(chosen.items(), key=lambda one: one[0].name):
        trials = [record for record in results.sweeps if RunSpec.from_dict(record["spec"]).cell == cell]
        losses = ", ".join(
            f"{record['spec']['learning_rate']:g}/{record['spec']['warmup']:g}: "
            + ("diverged" if record["curve"]["diverged"] else f"{record['metrics']['loss']:.3f}")
            for record in trials
        )
        rows.append([cell.name, f"{schedule.learning_rate:g}", f"{schedule.warmup:g}", losses])
    told = (
        f"Every tuned variant had {sweep.budget} trials of {sweep.steps} steps with seed {sweep.seed}: learning rates "
        f"{', '.join(f'{rate:g}' for rate in sweep.learning_rates)} and warm-ups of "
        f"{', '.join(f'{warmup:g}' for warmup in sweep.warmups)} of the steps. The lowest dev loss was taken."
    )
    return f"{told}\n\n" + _table(["Runs", "Learning rate", "Warm-up", "All trials: rate/warm-up: loss"], rows)


def _legend(recipe: LabRecipe) -> str:
    shared = (
        "Values are means over seeds with 95% bootstrap intervals (expanded percentiles, so that a handful of seeds is "
        "not taken for many). A seed draws the weights and the batches; the text is the same for all. Differences are "
        "paired by seed. A claim is *supported* where the whole interval of the difference lies where its rule says, "
        "*contradicted* where all of it lies elsewhere, and *undecided* otherwise: at this scale the runs do not say. "
        "The rules stood in the recipe before the first run. Several claims are tested at once, without correction. "
        "Losses are in nats a token."
    )
    if isinstance(recipe, NormsRecipe):
        return shared + (
            " Fine-tuning starts from each final model; its learning rate is chosen on the dev split, for each "
            "variant, task and seed alike."
        )
    return shared + (
        " Accuracy is that of the likeliest token, given the true ones before it. Ranks are means over heads, layers "
        "and texts of the self-attention after training (of the encoder, where there are two), as shares of the "
        "number of tokens n; −∞ stands for runs in which some matrix has the determinant 0: attention is "
        "computed in float32, and where a weight on the diagonal is too small for it, even a triangle is singular."
    )


def _draw(results: LabResults, folder: Path, prefix: str) -> list[tuple[str, str]]:
    """(title, file name) of each figure that could be drawn."""
    drawn: list[tuple[str, str]] = []

    def add(title: str, name: str, draw: Callable[[Path], None]) -> None:
        draw(folder / f"{prefix}{name}.png")
        drawn.append((title, f"{prefix}{name}.png"))

    if not results.finals:
        return []
    cells = cells_of(results.recipe)
    names = list(dict.fromkeys(_label(cell, cells) for cell in cells))
    by_group = {name: [cell for cell in cells if cell.group == name] for name in groups_of(results.recipe)}
    curves = [
        Panel(name, "step", "dev loss (nats)", [line for cell in mine if (line := _curve(results, cell, mine))])
        for name, mine in by_group.items()
    ]
    for number, some in enumerate(_in_threes([panel for panel in curves if panel.lines])):
        title = "Dev loss during training; bands from the lowest to the highest seed"
        add(
            title, f"curves{number + 1 if number else ''}", lambda path, some=some: draw_panels(path, some, names=names)
        )
    if isinstance(results.recipe, NormsRecipe):
        for name, mine in by_group.items():
            if panels := _depth_panels(results, mine):
                title = f"Depth, group {name}: growth, likeness of consecutive inputs, worth of each block, gradients"
                add(title, f"depth-{name}", lambda path, panels=panels: draw_panels(path, panels, names=names))
            shown = {_label(cell, mine): one for cell in mine if (one := _of(results, cell, "transfer"))}
            if shown:
                add(
                    f"Fine-tuned accuracy, group {name}, with 95% intervals",
                    f"transfer-{name}",
                    lambda path, shown=shown, name=name: draw_intervals(
                        path, f"group {name}", "mean test accuracy", shown
                    ),
                )
    elif panels := _rank_panels(results, by_group):
        title = "Effective rank of attention by layer, after training, as a share of the tokens"
        for number, some in enumerate(_in_threes(panels)):
            add(
                title,
                f"ranks{number + 1 if number else ''}",
                lambda path, some=some: draw_panels(path, some, names=names),
            )
    return drawn


def _in_threes(panels: Sequence[Panel]) -> list[Sequence[Panel]]:
    return [panels[begin : begin + 3] for begin in range(0, len(panels), 3)]


def _runs(results: LabResults, cell: Cell) -> list[Record]:
    mine = [record for record in results.finals if RunSpec.from_dict(record["spec"]).cell == cell]
    return [record for record in mine if not record["curve"]["diverged"]]


def _curve(results: LabResults, cell: Cell, cells: Sequence[Cell]) -> Line | None:
    runs = _runs(results, cell)
    if not runs:
        return None
    return Line(_label(cell, cells), runs[0]["curve"]["steps"], [run["curve"]["losses"] for run in runs])


def _depth_panels(results: LabResults, cells: Sequence[Cell]) -> list[Panel]:
    def lines(pick: Callable[[dict[str, Any]], Sequence[float]], first: int) -> list[Line]:
        made = []
        for cell in cells:
            rows = [pick(run["probes"]) for run in _runs(results, cell) if "final" in run["probes"]]
            if rows:
                made.append(Line(_label(cell, cells), range(first, first + len(rows[0])), rows))
        return made

    deepest = max(cell.depth for cell in cells)
    if len({cell.depth for cell in cells}) > 1:
        cells = [cell for cell in cells if cell.depth == deepest]
    panels = [
        Panel(
            "growth of the stream",
            "block t",
            "mean square of x_t",
            lines(lambda p: p["final"]["square_norms"], 0),
            log_y=True,
        ),
        Panel("consecutive inputs", "block t", "cosine of x_t, x_t+1", lines(lambda p: p["final"]["cosines"], 0)),
        Panel("a block dropped", "block t", "loss added (nats)", lines(lambda p: p["effective_depth"]["dropped"], 0)),
        Panel("gradients before training", "block t", "norm", lines(lambda p: p["initial_gradients"], 0), log_y=True),
    ]
    return panels if panels[0].lines else []


def _rank_panels(results: LabResults, groups: dict[str, list[Cell]]) -> list[Panel]:
    panels = []
    for name, cells in groups.items():
        lines = []
        for cell in cells:
            rows = [
                [sum(layer["effective"]) / len(layer["effective"]) for layer in run["probes"]["ranks"][-1]["layers"]]
                for run in _runs(results, cell)
                if run["probes"]["ranks"]
            ]
            if rows:
                lines.append(Line(_label(cell, cells), range(len(rows[0])), rows))
        if lines:
            panels.append(Panel(name, "layer", "effective rank / n", lines))
    return panels


def _of(results: LabResults, cell: Cell, metric: str) -> Interval | None:
    values = list(values_by_seed(results.finals, _selector(cell), metric).values())
    if not values:
        return None
    if not all(map(math.isfinite, values)):
        return Interval(-math.inf, math.nan, math.nan, len(values))
    return bootstrap_interval(values)


def _selector(cell: Cell) -> dict[str, str | int]:
    return {"group": cell.group, "variant": cell.variant, "depth": cell.depth, "matching": cell.matching}


def _label(cell: Cell, cells: Sequence[Cell]) -> str:
    """The variant, with its matching, and its depth where those of the group differ by it."""
    name = f"{cell.variant}, {cell.matching}" if cell.matching else cell.variant
    alike = [
        one for one in cells if (one.group, one.variant, one.matching) == (cell.group, cell.variant, cell.matching)
    ]
    return f"{name}, {cell.depth} layers" if len(alike) > 1 else name


def _name(record: Record) -> str:
    return RunSpec.from_dict(record["spec"]).name.removeprefix("final-")


def _interval(interval: Interval | None, *, decimals: int = 3, signed: bool = False) -> str:
    if interval is None:
        return "–"
    sign = "+" if signed else ""
    if not math.isfinite(interval.mean):
        return "−∞"
    text = f"{interval.mean:{sign}.{decimals}f}"
    if math.isfinite(interval.low):
        text += f" [{interval.low:{sign}.{decimals}f}, {interval.high:{sign}.{decimals}f}]"
    return text


def _seeds(seeds: Sequence[int]) -> str:
    consecutive = len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[0] + len(seeds)))
    return f"{seeds[0]}–{seeds[-1]}" if consecutive else ", ".join(map(str, seeds))


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def command_line(arguments: Sequence[str]) -> str:
    """A command as one types it."""
    return shlex.join(["ironwok", *arguments])
