"""Every recipe that we publish can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironwok.training.recipe import load_recipe

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
# those of extraction have settings of their own: tests/training/test_extraction_training.py
PRETRAINING = sorted(RECIPES.glob("*.toml"))


def test_there_are_recipes():
    assert PRETRAINING


@pytest.mark.parametrize("path", PRETRAINING, ids=lambda path: path.stem)
def test_a_recipe_parses_and_its_model_can_be_configured(path):
    from ironwok.models import RoFormerV2Config

    recipe = load_recipe(path)
    assert recipe.name == path.stem
    assert recipe.optimizer.steps > 0
    RoFormerV2Config(**recipe.model)
