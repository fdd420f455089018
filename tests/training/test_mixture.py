"""Weights of tasks: hand-worked cases, the closed form for two, a grid for three."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwok.errors import InputError
from ironwok.training.mixture import (
    gram_matrix,
    joint_loss,
    min_norm_weights,
    outputs_of,
    task_gradients,
    task_weights,
)


def gram_of(*vectors: list[float]) -> np.ndarray:
    matrix = np.asarray(vectors, dtype=np.float64)
    return matrix @ matrix.T


# -- inverse norms --


def test_inverse_norms_by_hand():
    gram = gram_of([3.0, 4.0], [0.0, 1.0])  # lengths 5 and 1
    # 1/5 and 1/1, brought to a sum of 2
    assert task_weights("inverse_norm", gram, [1.0, 1.0]) == pytest.approx([1 / 3, 5 / 3])
    # 2/5 and 1/1, brought to a sum of 3
    assert task_weights("inverse_norm", gram, [2.0, 1.0]) == pytest.approx([6 / 7, 15 / 7])


def test_each_task_pulls_as_hard_as_its_priority():
    gram, priorities = gram_of([3.0, 4.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1e-4]), [1.0, 2.0, 0.5]
    weights = task_weights("inverse_norm", gram, priorities)
    pulls = weights * np.sqrt(np.diag(gram))
    assert pulls / pulls.sum() == pytest.approx(np.asarray(priorities) / 3.5)
    assert weights.sum() == pytest.approx(3.5)


@given(
    vectors=st.lists(st.lists(st.integers(-9, 9), min_size=3, max_size=3).filter(any), min_size=2, max_size=5),
    scales=st.lists(st.sampled_from([1e-4, 0.1, 1.0, 7.0, 1e5]), min_size=5, max_size=5),
)
def test_the_scale_of_a_loss_does_not_turn_the_step(vectors, scales):
    gradients = np.asarray(vectors, dtype=np.float64)
    priorities = np.arange(1.0, len(gradients) + 1)
    scaled = gradients * np.asarray(scales[: len(gradients)])[:, None]

    def direction(rows: np.ndarray) -> np.ndarray:
        step = task_weights("inverse_norm", rows @ rows.T, priorities) @ rows
        exact = (priorities / np.linalg.norm(rows, axis=1)) @ rows
        # opposite tasks cancel; what is left of them is rounding
        return step / np.linalg.norm(step) if np.linalg.norm(exact) > 1e-6 else np.zeros(3)

    assert direction(scaled) == pytest.approx(direction(gradients), abs=1e-6)


def test_plain_summing_is_what_the_recipe_says():
    assert task_weights("sum", gram_of([3.0, 4.0], [0.0, 1.0]), [1.0, 2.0]).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("method", ["inverse_norm", "min_norm"])
def test_a_task_without_a_gradient_says_nothing(method):
    weights = task_weights(method, gram_of([3.0, 4.0], [0.0, 0.0], [0.0, 1.0]), [1.0, 1.0, 1.0])
    assert weights[1] == 0
    assert weights.sum() == pytest.approx(3.0)
    assert task_weights(method, np.zeros((2, 2)), [1.0, 2.0]).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("method", ["sum", "inverse_norm", "min_norm"])
def test_a_task_of_no_priority_gets_none(method):
    weights = task_weights(method, gram_of([1.0, 0.0], [0.0, 1.0], [1.0, 1.0]), [1.0, 0.0, 2.0])
    assert weights[1] == 0
    assert weights.sum() == pytest.approx(3.0)


# -- the shortest vector of the hull --


def closed_form(one: np.ndarray, two: np.ndarray) -> float:
    """The weight of the first of two gradients (Sener and Koltun, eq. 3)."""
    apart = one - two
    return float(np.clip((two - one) @ two / (apart @ apart), 0.0, 1.0))


def test_two_tasks_by_hand():
    # a right angle with lengths 1 and 2: weights go with inverse squares, 4/5 and 1/5
    assert min_norm_weights(gram_of([1.0, 0.0], [0.0, 2.0])) == pytest.approx([0.8, 0.2], abs=1e-6)
    # the shorter one points the same way: it alone is the shortest
    assert min_norm_weights(gram_of([1.0, 0.0], [3.0, 0.5])) == pytest.approx([1.0, 0.0], abs=1e-6)
    # opposite ones meet at nothing
    assert min_norm_weights(gram_of([3.0, 0.0], [-1.0, 0.0])) == pytest.approx([0.25, 0.75], abs=1e-6)


@pytest.mark.parametrize("seed", range(60))
def test_two_tasks_have_a_closed_form(seed):
    chance = np.random.default_rng(seed)
    one, two = chance.normal(size=(2, 4)) * 10.0 ** chance.uniform(-2, 2, size=(2, 1))
    weight = closed_form(one, two)
    assert min_norm_weights(gram_of(one, two)) == pytest.approx([weight, 1 - weight], abs=1e-6)


@pytest.mark.parametrize("seed", range(40))
def test_no_point_of_a_grid_is_shorter(seed):
    chance = np.random.default_rng(seed)
    gradients = chance.normal(size=(3, 5)) * chance.uniform(0.2, 2, size=(3, 1)) + chance.normal(size=5) * (seed % 3)
    found = min_norm_weights(gradients @ gradients.T)
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1.0)
    grid = np.asarray([(a, b, 100 - a - b) for a, b in itertools.product(range(101), repeat=2) if a + b <= 100]) / 100
    lengths = np.linalg.norm(grid @ gradients, axis=1)
    assert np.linalg.norm(found @ gradients) <= lengths.min() + 1e-7
    assert np.abs(grid[lengths.argmin()] - found).max() < 0.1


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 7), st.integers(2, 9), st.integers(0, 10_000))
def test_a_step_along_the_shortest_vector_makes_no_task_worse(tasks, width, seed):
    gradients = np.random.default_rng(seed).normal(size=(tasks, width))
    gram = gradients @ gradients.T
    shortest = min_norm_weights(gram) @ gradients
    # optimal where <g_i, u> is |u|^2 or more for every task
    assert (gradients @ shortest).min() >= shortest @ shortest - 1e-6 * np.diag(gram).max()


def test_gradients_of_one_line_have_a_shortest_one():
    same = gram_of([1.0, 1.0], [1.0, 1.0])
    assert min_norm_weights(same) == pytest.approx([0.5, 0.5])
    assert min_norm_weights(gram_of([2.0, 2.0], [1.0, 1.0], [3.0, 3.0])) == pytest.approx([0.0, 1.0, 0.0], abs=1e-9)


# -- with gradients of real losses --


def test_gradients_come_from_the_graph_and_leave_it_whole():
    shared, other = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([3.0], requires_grad=True)
    losses = [(shared**2).sum(), 3 * shared[0] * other[0], torch.tensor(0.0)]
    gradients = task_gradients(losses, [shared, other])
    # [2, 4] | none, [9, 0] | [3], nothing at all
    expected = [[20.0, 18.0, 0.0], [18.0, 90.0, 0.0], [0.0, 0.0, 0.0]]
    gram = gram_matrix(gradients)
    assert gram.dtype == torch.float64
    assert gram.tolist() == expected
    assert shared.grad is None
    joint_loss({"one": losses[0], "two": losses[1]}, np.array([0.5, 2.0])).backward()
    assert shared.grad.tolist() == [1.0 + 18.0, 2.0]


def test_tasks_on_different_rows_are_orthogonal():
    one, two = torch.ones(2, 3, requires_grad=True), torch.ones(1, 3, requires_grad=True)
    gram = gram_matrix(task_gradients([one.sum(), two.sum(), one.mean() + two.mean()], [one, two]))
    assert gram[0, 1] == 0
    assert gram[0, 0] == 6
    assert gram[2, 1] == pytest.approx(1.0)


def test_outputs_are_seen_and_can_be_differentiated():
    layer, head = torch.nn.Linear(3, 2), torch.nn.Linear(2, 1)
    with outputs_of(layer) as seen:
        losses = [head(layer(torch.ones(4, 3))).sum(), head(layer(torch.ones(2, 3))).sum()]
    assert [tuple(tensor.shape) for tensor in seen] == [(4, 2), (2, 2)]
    gradients = task_gradients(losses, seen)
    assert gradients[0][1] is None
    assert torch.equal(gradients[0][0], head.weight.detach().expand(4, 2))
    layer(torch.ones(1, 3))
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("method", "gram", "priorities", "said"),
    [
        ("product", np.eye(2), [1, 1], "'product'; it is one of sum, inverse_norm, min_norm"),
        ("sum", np.eye(3), [1, 1], r"shape \(3, 3\)"),
        ("sum", np.eye(2), [1, -1], ">= 0"),
        ("min_norm", np.full((2, 2), np.nan), [1, 1], "not finite"),
    ],
)
def test_what_cannot_be_weighed_is_refused(method, gram, priorities, said):
    with pytest.raises(InputError, match=said):
        task_weights(method, gram, priorities)
