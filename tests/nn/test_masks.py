from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwok.errors import MaskError
from ironwok.nn import masks


def test_causal_and_anticausal_share_the_diagonal() -> None:
    past, future = masks.causal(4)[0, 0], masks.anticausal(4)[0, 0]
    assert past.tolist() == [[j <= i for j in range(4)] for i in range(4)]
    assert torch.equal(future, past.T)
    assert torch.equal(past & future, torch.eye(4, dtype=torch.bool))


def test_half_the_heads_look_back_and_half_ahead() -> None:
    mask = masks.forward_backward_heads(5, 4)
    assert mask.shape == (1, 4, 5, 5)
    for head, expected in enumerate([masks.causal(5), masks.causal(5), masks.anticausal(5), masks.anticausal(5)]):
        assert torch.equal(mask[0, head], expected[0, 0])


@given(lengths=st.lists(st.integers(0, 6), min_size=1, max_size=4))
@settings(max_examples=50, deadline=None)
def test_prefix_by_definition(lengths: list[int]) -> None:
    mask = masks.prefix(torch.tensor(lengths), 6)
    assert mask.shape == (len(lengths), 1, 6, 6)
    for row, prefix in enumerate(lengths):
        assert mask[row, 0].tolist() == [[j <= i or j < prefix for j in range(6)] for i in range(6)]


def test_prefix_of_nothing_is_causal_and_of_everything_full() -> None:
    assert torch.equal(masks.prefix(torch.tensor([0]), 5), masks.causal(5))
    assert torch.equal(masks.prefix(torch.tensor([5]), 5), masks.full(5))


def test_masks_compose() -> None:
    mask = masks.causal(3) & masks.padding(torch.tensor([[1, 1, 0]]))
    assert mask.tolist() == [[[[True, False, False], [True, True, False], [True, True, False]]]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.uint8])
def test_other_dtypes_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(MaskError, match=r"only torch\.bool"):
        masks.check_mask(torch.ones(1, 1, 2, 2, dtype=dtype), (1, 1, 2, 2))


@pytest.mark.parametrize("shape", [(2, 2), (1, 1, 3, 2), (3, 1, 2, 2), (1, 5, 2, 2)])
def test_shapes_that_do_not_broadcast_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(MaskError, match="broadcast"):
        masks.check_mask(torch.ones(shape, dtype=torch.bool), (2, 4, 2, 2))


def test_no_mask_is_a_mask() -> None:
    assert masks.check_mask(None, (1, 1, 1, 1)) is None


@pytest.mark.parametrize("bad", [torch.ones(2), torch.ones(2, 3), torch.ones(2, 3, 3, dtype=torch.long)])
def test_padding_wants_integers_of_two_axes(bad: torch.Tensor) -> None:
    with pytest.raises(MaskError, match="attention_mask"):
        masks.padding(bad)


@pytest.mark.parametrize("bad", [torch.tensor([1.0]), torch.tensor([True]), torch.tensor([[1]])])
def test_prefix_lengths_are_integers(bad: torch.Tensor) -> None:
    with pytest.raises(MaskError, match="prefix lengths"):
        masks.prefix(bad, 3)
