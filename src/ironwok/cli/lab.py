"""``ironwok lab``: options of the group itself."""

from __future__ import annotations

from typing import Annotated

import typer

from ironwok.cli.console import out
from ironwok.cli.language import t


def lab(
    listed: Annotated[
        bool,
        typer.Option(
            "--list",
            is_eager=True,
            callback=lambda asked: _list(asked),
            help=t(en="List the recipes in the package.", zh="列出随包附带的配方。"),
        ),
    ] = False,
) -> None:
    """Options only; the commands do the work."""


def _list(asked: bool) -> None:
    if not asked:
        return
    from rich.table import Table

    from ironwok.lab.plan import cells_of, final_specs, sweep_specs
    from ironwok.lab.recipe import load_lab_recipe, shipped_recipes
    from ironwok.lab.training import Schedule

    table = Table(
        t(en="Recipe", zh="配方"),
        t(en="Command", zh="命令"),
        t(en="Runs", zh="运行次数"),
        t(en="Claims", zh="论断数"),
        t(en="What", zh="内容"),
        box=None,
        pad_edge=False,
    )
    for name in shipped_recipes():
        recipe = load_lab_recipe(name)
        any_schedule = dict.fromkeys(cells_of(recipe), Schedule(1e-3, 0.0, 1))
        runs = len(sweep_specs(recipe)) + len(final_specs(recipe, any_schedule))
        table.add_row(name, f"ironwok lab {recipe.kind} {name}", str(runs), str(len(recipe.claims)), recipe.about)
    out().print(table)
    raise typer.Exit
