"""Recipes, plans, intervals and verdicts: what is refused, and what rules say."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lab_recipes import masks, norms

from ironwok.errors import InputError, RecipeError
from ironwok.lab.plan import Cell, RunSpec, cells_of, choose, final_specs, sweep_specs
from ironwok.lab.recipe import ClaimRecipe, load_lab_recipe, parse_lab_recipe, shipped_recipes
from ironwok.lab.sequences import as_one_row, layer_products, shifted
from ironwok.lab.statistics import Interval, bootstrap_interval
from ironwok.lab.verdicts import decide, judge
from ironwok.nn.config import TransformerConfig
from ironwok.nn.transformer import EncoderDecoder, Stack


def parse(values):
    return parse_lab_recipe(values, source="test")


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_every_recipe_in_the_package_can_be_planned(name):
    recipe = load_lab_recipe(name)
    assert recipe.name == name
    assert recipe.claims
    assert len(recipe.seeds) >= max(claim.least_seeds for claim in recipe.claims)
    assert len({spec.name for spec in sweep_specs(recipe)}) == len(sweep_specs(recipe)) > 0


def test_both_laptop_recipes_are_there():
    assert {"norms-laptop", "masks-laptop"} <= set(shipped_recipes())


def test_every_tuned_variant_has_the_same_budget():
    recipe = parse(norms())
    trials = [spec.cell for spec in sweep_specs(recipe)]
    assert {cell.variant: trials.count(cell) for cell in trials} == {"pre": 2, "post-alpha": 2}
    assert recipe.sweep.budget == 2
    assert {spec.seed for spec in sweep_specs(recipe)} == {1000}


def test_final_runs_take_what_the_sweep_found_best_and_fixed_values_where_they_are_fixed():
    recipe = parse(norms())
    records = [
        {"spec": spec.to_dict(), "metrics": {"loss": 2.0 if spec.learning_rate == 1e-2 else 3.0}}
        for spec in sweep_specs(recipe)
    ]
    specs = final_specs(recipe, choose(records))
    assert len(specs) == 6
    assert [spec.seed for spec in specs] == [1, 1, 1, 2, 2, 2]
    assert {spec.learning_rate for spec in specs if spec.cell.group == "two"} == {1e-2}
    assert {(spec.learning_rate, spec.warmup) for spec in specs if spec.cell.group == "untuned"} == {(1e-2, 0.0)}
    assert RunSpec.from_dict(specs[0].to_dict()) == specs[0]


def test_among_equal_trials_the_lower_learning_rate_is_taken():
    recipe = parse(norms())
    records = [{"spec": spec.to_dict(), "metrics": {"loss": 2.0}} for spec in sweep_specs(recipe)]
    assert {schedule.learning_rate for schedule in choose(records).values()} == {1e-3}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "heads"}, "kind is 'heads'"),
        ({"colour": 1}, "colour: Extra inputs"),
        ({"seeds": [1, 1]}, "each only once"),
        ({"seeds": [1000]}, "seed of the sweep"),
        ({"training": {}}, "training.steps: Field required"),
        ({"groups": []}, "groups: List should have at least 1 item"),
    ],
)
def test_what_is_wrong_with_a_recipe_is_named(changes, message):
    with pytest.raises(RecipeError, match=message):
        parse(norms(**changes))


def claim(**changes) -> ClaimRecipe:
    return ClaimRecipe.model_validate({**norms()["claims"][0], **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"left": {"group": "two", "variant": "sandwich"}}, "which the recipe does not run"),
        ({"kind": "equal"}, "needs a margin above 0"),
    ],
)
def test_a_claim_about_what_is_not_run_is_refused(changes, message):
    with pytest.raises(RecipeError, match=message):
        parse(norms(claims=[{**norms()["claims"][0], **changes}]))


def test_a_claim_must_name_one_cell():
    values = norms()
    values["groups"][0]["depths"] = [2, 3]
    with pytest.raises(RecipeError, match="names 2 cells"):
        cells_of(parse(values))


def test_an_encoder_decoder_that_is_not_matched_is_refused():
    values = masks()
    values["sequence"][0]["shapes"] = [{"matching": "compute", "encoder": 3, "decoder": 3}]
    with pytest.raises(RecipeError, match="times the compute of 8 layers"):
        cells_of(parse(values))


def test_a_recipe_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(RecipeError, match="norms-laptop"):
        load_lab_recipe("nroms")


def test_a_recipe_of_the_other_kind_is_told_its_command():
    with pytest.raises(RecipeError, match="ironwok lab masks"):
        load_lab_recipe("masks-laptop", kind="norms")


# sizes


@pytest.mark.parametrize(("encoder", "decoder"), [(0, 3), (2, 3)])
def test_counted_parameters_are_those_of_the_modules(encoder, decoder):
    def config(layers: int, **more) -> TransformerConfig:
        return TransformerConfig(layers=layers, width=16, heads=2, feed_forward_width=24, **more)

    if encoder:
        made = EncoderDecoder(config(encoder), config(decoder, mask="causal", cross_attention=True))
    else:
        made = Stack(config(decoder))
    counted = layer_products(width=16, feed_forward_width=24, source=5, target=7, encoder=encoder, decoder=decoder)[0]
    assert counted == sum(parameter.numel() for parameter in made.parameters())


def test_multiplications_of_one_stack_by_hand():
    # one layer, 3 tokens: 3 (4 D^2 + 2 D F) for projections, 2 * 9 D for scores and mixing
    _, products = layer_products(width=4, feed_forward_width=8, source=1, target=2, encoder=0, decoder=1)
    assert products == 3 * (64 + 64) + 2 * 9 * 4


def test_one_row_asks_for_the_output_alone():
    inputs, labels, lengths = as_one_row(torch.tensor([[7, 8]]), torch.tensor([[9, 10]]))
    assert inputs.tolist() == [[7, 8, 2, 9]]
    assert labels.tolist() == [[0, 0, 9, 10]]
    assert lengths.tolist() == [3]
    assert shifted(torch.tensor([[9, 10]])).tolist() == [[2, 9]]


# intervals and verdicts


def test_the_interval_of_five_values_is_as_wide_as_that_of_students_t_about():
    values = [1.0, 2.0, 3.0, 4.0, 5.0]
    found = bootstrap_interval(values)
    assert (found.mean, found.values) == (3.0, 5)
    # Student: 3 +- 2.776 * 1.5811 / sqrt(5) = 3 +- 1.963
    assert found.low == pytest.approx(3 - 1.963, abs=0.35)
    assert found.high == pytest.approx(3 + 1.963, abs=0.35)


def test_the_interval_covers_the_truth_as_often_as_it_says_about():
    generator = torch.Generator().manual_seed(0)
    hits = 0
    for _ in range(200):
        found = bootstrap_interval(torch.randn(6, generator=generator).tolist())
        hits += found.low <= 0 <= found.high
    assert 182 <= hits <= 198  # 95% of 200 is 190


@settings(max_examples=25)
@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=8), st.floats(-100, 100))
def test_an_interval_moves_with_its_values(values, shift):
    here, there = bootstrap_interval(values), bootstrap_interval([value + shift for value in values])
    assert min(values) - 1e-6 <= here.low <= here.mean + 1e-6 <= here.high + 2e-6 <= max(values) + 3e-6
    assert there.low == pytest.approx(here.low + shift, abs=1e-6)


def test_one_value_has_no_interval_and_none_is_refused():
    assert math.isnan(bootstrap_interval([2.0]).low)
    with pytest.raises(InputError):
        bootstrap_interval([])
    with pytest.raises(InputError):
        bootstrap_interval([1.0, math.inf])


@pytest.mark.parametrize(
    ("kind", "margin", "low", "high", "verdict"),
    [
        ("greater", 0.0, 0.1, 0.2, "supported"),
        ("greater", 0.0, -0.2, -0.1, "contradicted"),
        ("greater", 0.0, -0.1, 0.1, "undecided"),
        ("greater", 0.15, 0.1, 0.2, "undecided"),
        ("greater", 0.3, 0.1, 0.2, "contradicted"),
        ("less", 0.0, -0.2, -0.1, "supported"),
        ("less", 0.0, 0.1, 0.2, "contradicted"),
        ("equal", 0.3, -0.1, 0.2, "supported"),
        ("equal", 0.05, 0.1, 0.2, "contradicted"),
        ("equal", 0.15, 0.1, 0.2, "undecided"),
    ],
)
def test_the_rule_of_a_claim(kind, margin, low, high, verdict):
    values = {**norms()["claims"][0], "kind": kind, "margin": margin}
    rule = ClaimRecipe.model_construct(**values)
    assert decide(rule, Interval((low + high) / 2, low, high, 5)) == verdict


def records(left: list[float], right: list[float]) -> list[dict]:
    made = []
    for variant, values in (("pre", left), ("post-alpha", right)):
        for seed, value in enumerate(values, 1):
            spec = RunSpec("final", Cell("two", variant, 2), seed, 1e-3, 0.0, 4)
            made.append({"spec": spec.to_dict(), "metrics": {"loss": value}, "curve": {"diverged": False}})
    return made


def test_differences_are_paired_by_seed():
    # the seeds differ far more than the variants do
    judged = judge(claim(), records([1.0, 5.0, 9.0], [1.1, 5.1, 9.1]))
    assert judged.verdict == "supported"
    assert judged.difference is not None
    assert judged.difference.high < 0


def test_too_few_seeds_decide_nothing():
    judged = judge(claim(least_seeds=5), records([1.0, 1.0], [2.0, 2.0]))
    assert (judged.verdict, judged.reason) == ("undecided", "2 seeds, the rule asks for 5")


def test_seed_sets_are_judged_apart():
    both = records([1.0, 1.1, 2.0, 2.1], [2.0, 2.0, 1.0, 1.0])
    assert judge(claim(), both, seeds=[1, 2]).verdict == "supported"
    assert judge(claim(), both, seeds=[3, 4]).verdict == "contradicted"
    assert judge(claim(), both).verdict == "undecided"


def test_what_is_missing_or_infinite_is_undecided_and_says_why():
    assert judge(claim(metric="transfer"), records([1.0], [2.0])).reason == "no seed has transfer on both sides"
    assert judge(claim(), records([-math.inf, 1.0], [2.0, 2.0])).reason == "loss is not finite everywhere"


def test_a_claim_against_a_number():
    judged = judge(claim(kind="equal", margin=0.5, right=1.0), records([1.0, 1.2, 0.9], [0.0] * 3))
    assert judged.verdict == "supported"
