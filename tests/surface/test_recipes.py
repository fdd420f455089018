"""Every recipe that we publish can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironwok.training.recipe import load_recipe

RECIPES = Path(__file__).resolve().parents[2] / "recipes"


def test_there_are_recipes():
    assert sorted(RECIPES.rglob("*.toml"))


@pytest.mark.parametrize("path", sorted(RECIPES.rglob("*.toml")), ids=lambda path: path.stem)
def test_a_recipe_parses_and_its_model_can_be_configured(path):
    from ironwok.models import RoFormerV2Config

    recipe = load_recipe(path)
    assert recipe.name == path.stem
    assert recipe.optimizer.steps > 0
    RoFormerV2Config(**recipe.model)
