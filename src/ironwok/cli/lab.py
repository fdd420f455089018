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
    from rich.text import Text

    from ironwok.lab.plan import cells_of, final_specs, sweep_specs
    from ironwok.lab.recipe import load_lab_recipe, shipped_recipes
    from ironwok.lab.training import Schedule

    console = out()
    for name in shipped_recipes():
        recipe = load_lab_recipe(name)
        any_schedule = dict.fromkeys(cells_of(recipe), Schedule(1e-3, 0.0, 1))
        runs = len(sweep_specs(recipe)) + len(final_specs(recipe, any_schedule))
        size = t(en=f"{runs} runs, {len(recipe.claims)} claims", zh=f"{runs} 次运行，{len(recipe.claims)} 个论断")
        console.print(Text.assemble((f"ironwok lab {recipe.kind} {name}", "bold"), f"  ({size})"), soft_wrap=True)
        # a width of its own: a wide terminal would put a paragraph on one line
        for line in Text(recipe.about).wrap(console, min(console.width, 100) - 4):
            line.rstrip()
            console.print(Text("    ") + line, soft_wrap=True)
        console.print()
    raise typer.Exit
