"""Schedules by hand, and every parameter in one optimizer."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ironwok.models import RoFormerV2Config, RoFormerV2ForPreTraining
from ironwok.training.optimizers import (
    Muon,
    alpha,
    learning_rate_share,
    make_optimizers,
    orthogonalized,
    split_parameters,
)
from ironwok.training.recipe import OptimizerRecipe


def recipe(**values: Any) -> OptimizerRecipe:
    return OptimizerRecipe.model_validate({"steps": 110, "warmup_steps": 10, "final": 0.1, **values})


@pytest.mark.parametrize(
    ("schedule", "decay_from", "shares"),
    [
        # warm-up: 1/10 at the first step, 1 at the tenth; then from step 10 on down to 0.1 at step 110
        ("linear", 0.0, {0: 0.1, 4: 0.5, 9: 1.0, 10: 1.0, 60: 0.55, 110: 0.1, 500: 0.1}),
        ("cosine", 0.0, {9: 1.0, 10: 1.0, 35: 0.1 + 0.9 * (0.5 + 0.5 * math.cos(math.pi / 4)), 60: 0.55, 110: 0.1}),
        ("constant", 0.0, {0: 0.1, 10: 1.0, 109: 1.0}),
        # half of 110 steps at full rate, then 55 steps down
        ("linear", 0.5, {10: 1.0, 55: 1.0, 66: 1 - 0.9 * 11 / 55, 110: 0.1}),
        ("cosine", 1.0, {109: 1.0}),
    ],
)
def test_learning_rates_by_hand(schedule, decay_from, shares):
    plan = recipe(schedule=schedule, decay_from=decay_from)
    for step, share in shares.items():
        assert learning_rate_share(step, plan) == pytest.approx(share), step


@given(
    steps=st.integers(1, 500),
    warmup=st.integers(0, 600),
    decay_from=st.floats(0, 1),
    final=st.floats(0.01, 1),
    schedule=st.sampled_from(["linear", "cosine", "constant"]),
)
def test_learning_rates_rise_once_and_fall_once(steps, warmup, decay_from, final, schedule):
    plan = recipe(steps=steps, warmup_steps=warmup, decay_from=decay_from, final=final, schedule=schedule)
    shares = [learning_rate_share(step, plan) for step in range(steps)]
    assert all(0 < share <= 1 for share in shares)
    top = shares.index(max(shares))
    assert shares[: top + 1] == sorted(shares[: top + 1])
    assert all(after <= before + 1e-12 for before, after in zip(shares[top:], shares[top + 1 :], strict=False))


def test_alpha_warms_up_by_hand():
    assert [alpha(step, recipe(alpha_warmup_steps=4)) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert alpha(0, recipe(alpha_warmup_steps=0)) == 1.0


def tiny_model(**config: Any) -> RoFormerV2ForPreTraining:
    return RoFormerV2ForPreTraining(
        RoFormerV2Config(vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, **config)
    )


@pytest.mark.parametrize("config", [{}, {"use_bias": True, "norm_gain": True}, {"norm_placement": "pre"}])
def test_every_parameter_is_in_exactly_one_optimizer(config):
    model = tiny_model(**config)
    muon, adamw = make_optimizers(model, recipe())
    taken = [
        parameter for optimizer in (muon, adamw) for group in optimizer.param_groups for parameter in group["params"]
    ]
    assert len({id(parameter) for parameter in taken}) == len(taken)
    assert {id(parameter) for parameter in taken} == {id(parameter) for parameter in model.parameters()}


def test_muon_gets_the_matrices_of_the_blocks_alone():
    model = tiny_model(use_bias=True, norm_gain=True)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    hidden, others = split_parameters(model)
    assert hidden
    assert all(parameter.ndim == 2 and ".encoder." in names[id(parameter)] for parameter in hidden)
    outside = {names[id(parameter)] for parameter in others}
    assert "roformer.embeddings.word_embeddings.weight" in outside
    assert "cls.seq_relationship.weight" in outside
    assert not [name for name in outside if ".encoder." in name and name.endswith(("dense.weight", "up.weight"))]


def test_a_step_changes_every_parameter():
    torch.manual_seed(0)
    model = tiny_model()
    muon, adamw = make_optimizers(model, recipe())
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    ids = torch.randint(5, 50, (4, 12))
    model(ids, labels=ids, next_sentence_label=torch.tensor([0, 1, 0, 1])).loss.backward()
    for optimizer in (muon, adamw):
        optimizer.step()
    # the second segment is in no input, but weight decay reaches it, too
    assert [name for name, parameter in model.named_parameters() if torch.equal(parameter, before[name])] == []


COEFFICIENTS = (3.4445, -4.7750, 2.0315)


@pytest.mark.parametrize("shape", [(5, 12), (12, 5), (6, 6), (1, 4)])
def test_orthogonalising_moves_the_singular_values_alone(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    values = values / values.norm()
    for _ in range(5):
        a, b, c = COEFFICIENTS
        values = a * values + b * values**3 + c * values**5
    expected = left @ torch.diag(values) @ right
    torch.testing.assert_close(orthogonalized(matrix, COEFFICIENTS, steps=5), expected)


def test_orthogonalising_nothing_gives_nothing():
    assert torch.equal(orthogonalized(torch.zeros(3, 4), COEFFICIENTS, steps=5), torch.zeros(3, 4))


def walks(optimizers: list[torch.optim.Optimizer], parameters: list[list[torch.nn.Parameter]]) -> None:
    """The same four gradients for all; they are changed by none."""
    random = torch.Generator().manual_seed(1)
    for _ in range(4):
        for place, parameter in enumerate(parameters[0]):
            gradient = torch.randn(parameter.shape, generator=random)
            for own in parameters:
                own[place].grad = gradient.clone()
        for optimizer in optimizers:
            optimizer.step()


@pytest.mark.parametrize("nesterov", [True, False])
def test_muon_in_float32_walks_as_torchs_does_in_bfloat16(nesterov):
    start = [torch.randn(8, 16, generator=torch.Generator().manual_seed(2)), torch.ones(16, 4)]
    theirs, rounded, ours = ([torch.nn.Parameter(one.clone()) for one in start] for _ in range(3))
    settings = {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.1, "nesterov": nesterov}
    optimizers = [
        torch.optim.Muon(theirs, **settings),
        Muon(rounded, dtype=torch.bfloat16, **settings),
        Muon(ours, dtype=torch.float32, **settings),
    ]
    walks(optimizers, [theirs, rounded, ours])
    for one, same, near in zip(theirs, rounded, ours, strict=True):
        assert torch.equal(one, same)
        # bfloat16 has 8 bits: 1% of what four steps moved
        torch.testing.assert_close(near, one, atol=0.01 * 4 * 0.02 * 2, rtol=0)
        assert not torch.equal(near, one)
    for one, near in zip(theirs, ours, strict=True):
        state = optimizers[2].state[near]
        assert torch.equal(state["momentum_buffer"], optimizers[0].state[one]["momentum_buffer"])


def test_a_state_of_torchs_muon_is_gone_on_from():
    start = torch.randn(4, 4, generator=torch.Generator().manual_seed(4))
    theirs, ours = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    old = torch.optim.Muon([theirs], lr=0.02)
    walks([old], [[theirs]])
    new = Muon([ours], lr=0.02)
    new.load_state_dict(old.state_dict())
    assert torch.equal(new.state[ours]["momentum_buffer"], old.state[theirs]["momentum_buffer"])
    before = ours.detach().clone()
    walks([new], [[ours]])
    assert not torch.equal(ours, before)
