from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwok.nn.rotary import Rotary, rotary_tables, rotate


def by_hand(x: torch.Tensor, base: float = 10000.0) -> torch.Tensor:
    """Rotation by the definition, one pair at a time."""
    turned = torch.empty_like(x)
    width = x.shape[-1]
    for position in range(x.shape[1]):
        for pair in range(width // 2):
            angle = position * base ** (-2 * pair / width)
            a, b = x[:, position, :, 2 * pair], x[:, position, :, 2 * pair + 1]
            turned[:, position, :, 2 * pair] = a * math.cos(angle) - b * math.sin(angle)
            turned[:, position, :, 2 * pair + 1] = b * math.cos(angle) + a * math.sin(angle)
    return turned


def test_turns_neighbouring_numbers_by_position_times_frequency() -> None:
    x = torch.randn(2, 7, 3, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(rotate(x, Rotary(8)(7)), by_hand(x), rtol=1e-5, atol=1e-6)


def test_first_pair_turns_by_one_radian_a_step() -> None:
    x = torch.tensor([1.0, 0.0, 1.0, 0.0]).expand(1, 3, 1, 4)
    turned = rotate(x, Rotary(4)(3))[0, 2, 0]
    expected = torch.tensor([math.cos(2), math.sin(2), math.cos(0.02), math.sin(0.02)])
    torch.testing.assert_close(turned, expected)


@given(shift=st.integers(0, 40), distance=st.integers(0, 20), seed=st.integers(0, 2**20))
@settings(max_examples=30, deadline=None)
def test_products_depend_on_the_distance_alone(shift: int, distance: int, seed: int) -> None:
    q, k = torch.randn(2, 1, 1, 1, 16, generator=torch.Generator().manual_seed(seed))
    tables = Rotary(16, length=64)(64)

    def product(i: int, j: int) -> torch.Tensor:
        return (rotate(q.expand(1, 64, 1, 16), tables)[0, i] * rotate(k.expand(1, 64, 1, 16), tables)[0, j]).sum()

    torch.testing.assert_close(product(shift + distance, shift), product(distance, 0), rtol=1e-4, atol=1e-4)


def test_gradient_equals_that_of_plain_arithmetic() -> None:
    x = torch.randn(1, 5, 2, 4, dtype=torch.float64, requires_grad=True)
    tables = Rotary(4)(5)
    weight = torch.randn(1, 5, 2, 4, dtype=torch.float64)
    (ours,) = torch.autograd.grad((rotate(x, tables) * weight).sum(), x)
    (plain,) = torch.autograd.grad((by_hand(x) * weight).sum(), x)
    torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-5)


def test_tables_grow_for_longer_texts_and_stay_out_of_the_state() -> None:
    rotary = Rotary(8, length=4)
    cos, sin = rotary(9)
    assert cos.shape == sin.shape == (9, 4)
    torch.testing.assert_close(cos, rotary_tables(8, base=10000.0, length=9)[0])
    assert rotary.state_dict() == {}


def test_distant_angles_are_exact() -> None:
    cos, _ = rotary_tables(8, base=10000.0, length=100_001)
    assert cos[100_000, 0].item() == pytest.approx(math.cos(100_000), abs=1e-7)


def test_keeps_the_dtype() -> None:
    assert rotate(torch.ones(1, 3, 1, 4, dtype=torch.bfloat16), Rotary(4)(3)).dtype == torch.bfloat16
