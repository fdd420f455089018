from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwok.errors import InputError
from ironwok.nn.losses import dense_multilabel_loss, factored_multilabel_loss, sparse_multilabel_loss


def places(labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    rows, cells = labels.nonzero().unbind(1)
    return rows, cells


def test_by_hand() -> None:
    scores = torch.tensor([[math.log(2.0), math.log(3.0), -math.log(4.0)]])
    labels = torch.tensor([[True, False, False]])
    # right: log(1 + 1/2); wrong: log(1 + 3 + 1/4)
    expected = math.log(1.5) + math.log(4.25)
    assert dense_multilabel_loss(scores, labels).item() == pytest.approx(expected, rel=1e-6)
    assert sparse_multilabel_loss(scores, *places(labels)).item() == pytest.approx(expected, rel=1e-6)


@given(
    seed=st.integers(0, 2**20),
    rows=st.integers(1, 4),
    cells=st.integers(1, 12),
    share=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    spread=st.sampled_from([0.1, 3.0, 40.0]),
    masked=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_sparse_is_dense_with_its_gradient(
    seed: int, rows: int, cells: int, share: float, spread: float, masked: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = spread * torch.randn(rows, cells, generator=generator, dtype=torch.float64)
    labels = torch.rand(rows, cells, generator=generator) < share
    if masked:
        scores[(torch.rand(rows, cells, generator=generator) < 0.5) & ~labels] = -torch.inf
    weight = torch.rand(rows, generator=generator, dtype=torch.float64)
    dense_in, sparse_in = scores.clone().requires_grad_(), scores.clone().requires_grad_()
    dense, sparse = dense_multilabel_loss(dense_in, labels), sparse_multilabel_loss(sparse_in, *places(labels))
    torch.testing.assert_close(sparse, dense, rtol=1e-9, atol=1e-9)
    (dense * weight).sum().backward()
    (sparse * weight).sum().backward()
    torch.testing.assert_close(sparse_in.grad, dense_in.grad, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("labels", [[[False] * 5], [[True] * 5], [[True, False, True, False, False]], [[True]]])
@pytest.mark.parametrize("level", [-1e4, -30.0, 0.0, 30.0, 1e4])
def test_finite_on_every_input(dtype: torch.dtype, labels: list[list[bool]], level: float) -> None:
    right = torch.tensor(labels)
    scores = torch.full(right.shape, level, dtype=dtype, requires_grad=True)
    loss = sparse_multilabel_loss(scores, *places(right))
    loss.sum().backward()
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss).all()
    assert (loss >= 0).all()
    assert scores.grad is not None
    assert scores.grad.dtype == dtype
    assert torch.isfinite(scores.grad).all()


def test_nothing_cancels_where_the_right_cells_outweigh_the_rest() -> None:
    """In single precision Σ_all - Σ_P would be 0 here, and the loss of the wrong cells lost."""
    scores = torch.tensor([[40.0, 2.0]])
    assert torch.exp(scores).sum() - torch.exp(scores[0, 0]) == 0.0
    loss = sparse_multilabel_loss(scores, torch.tensor([0]), torch.tensor([0]))
    assert loss.item() == pytest.approx(math.log1p(math.exp(2.0)), rel=1e-6)


def test_a_masked_right_cell_is_refused() -> None:
    scores = torch.tensor([[0.0, -torch.inf]])
    with pytest.raises(InputError, match="1 of 1 right cells"):
        sparse_multilabel_loss(scores, torch.tensor([0]), torch.tensor([1]))


def factored_case(seed: int, *, spread: float, share: float, batch: int = 3, classes: int = 4, length: int = 6):
    generator = torch.Generator().manual_seed(seed)
    pair = spread * torch.randn(batch, length, length, generator=generator)
    masked = torch.ones(length, length).tril(-1).bool().expand(batch, -1, -1).clone()
    masked[0, :, -2:] = True
    masked[0, -2:, :] = True
    pair = pair.masked_fill(masked, -torch.inf)
    start, end = (spread * torch.randn(2, batch, classes, length, generator=generator)).unbind(0)
    labels = (torch.rand(batch, classes, length, length, generator=generator) < share) & ~masked[:, None]
    return pair, start, end, labels


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize(("spread", "share"), [(1.0, 0.05), (10.0, 0.02), (1.0, 0.0), (1.0, 1.0)])
def test_factored_is_dense_with_its_gradients(seed: int, spread: float, share: float) -> None:
    pair, start, end, labels = factored_case(seed, spread=spread, share=share)
    leaves = [[part.clone().requires_grad_() for part in (pair, start, end)] for _ in range(2)]
    whole = leaves[0][0][:, None] + leaves[0][1][..., None] + leaves[0][2][:, :, None, :]
    batch, classes = whole.shape[:2]
    dense = dense_multilabel_loss(whole.reshape(batch * classes, -1), labels.reshape(batch * classes, -1)).view(
        batch, classes
    )
    factored = factored_multilabel_loss(*leaves[1], labels.nonzero())
    torch.testing.assert_close(factored, dense, rtol=1e-5, atol=1e-5)
    dense.sum().backward()
    factored.sum().backward()
    for ours, oracle in zip(leaves[1], leaves[0], strict=True):
        torch.testing.assert_close(ours.grad, oracle.grad, rtol=1e-4, atol=1e-5)


def test_factored_holds_where_the_maxima_lie_apart() -> None:
    """The largest start, end and pair meet nowhere: scaled by them, the only possible cell is e^-300."""
    pair = torch.full((1, 2, 2), -torch.inf)
    pair[0, 0, 1] = 1.0
    start, end = torch.tensor([[[1.0, 150.0]]]), torch.tensor([[[150.0, 1.0]]])
    loss = factored_multilabel_loss(pair, start, end, torch.zeros(0, 4, dtype=torch.long))
    assert loss.item() == pytest.approx(math.log1p(math.exp(3.0)), rel=1e-5)


def test_a_text_without_any_cell_costs_nothing() -> None:
    pair = torch.full((1, 2, 2), -torch.inf)
    start = torch.zeros(1, 3, 2, requires_grad=True)
    loss = factored_multilabel_loss(pair, start, torch.zeros(1, 3, 2), torch.zeros(0, 4, dtype=torch.long))
    loss.sum().backward()
    assert loss.abs().max() == 0.0
    assert start.grad is not None
    assert torch.isfinite(start.grad).all()
