from __future__ import annotations

import pytest
import torch

from ironwok.errors import ConfigError
from ironwok.nn.losses import dense_multilabel_loss
from ironwok.nn.pointer import POINTERS, EfficientGlobalPointer, GlobalPointer, cells
from ironwok.nn.rotary import Rotary, rotate

WIDTH, CLASSES, HEAD, LENGTH = 12, 3, 4, 7


@pytest.fixture(params=["global", "efficient"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def make(kind: str, **choices: bool):
    torch.manual_seed(3)
    return POINTERS[kind](WIDTH, CLASSES, head_width=HEAD, **choices)


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    hidden = torch.randn(2, LENGTH, WIDTH, generator=torch.Generator().manual_seed(5))
    usable = torch.ones(2, LENGTH, dtype=torch.bool)
    usable[:, 0] = False
    usable[1, 4:] = False
    return hidden, usable


def test_global_pointer_by_the_definition() -> None:
    hidden, usable = inputs()
    pointer = make("global")
    scores = pointer(hidden, usable)
    tables = Rotary(HEAD)(LENGTH)
    for c in range(CLASSES):
        weight = pointer.dense.weight[2 * HEAD * c : 2 * HEAD * (c + 1)]
        bias = pointer.dense.bias[2 * HEAD * c : 2 * HEAD * (c + 1)]
        both = hidden @ weight.T + bias
        query, key = (rotate(part[:, :, None], tables)[:, :, 0] for part in (both[..., :HEAD], both[..., HEAD:]))
        for i, j in ((1, 1), (1, 3), (2, 3)):
            torch.testing.assert_close(scores[0, c, i, j], query[0, i] @ key[0, j] / HEAD**0.5, rtol=1e-4, atol=1e-5)


def test_efficient_pointer_by_the_definition() -> None:
    hidden, usable = inputs()
    pointer = make("efficient", rotary=False)
    scores = pointer(hidden, usable)
    both = hidden @ pointer.dense.weight.T + pointer.dense.bias
    query, key = both[..., :HEAD], both[..., HEAD:]
    for c in range(CLASSES):
        weight = torch.cat([pointer.kinds.weight[c], pointer.kinds.weight[CLASSES + c]])
        bias = pointer.kinds.bias[c] + pointer.kinds.bias[CLASSES + c]
        for i, j in ((1, 1), (1, 3), (2, 6)):
            features = torch.cat([query[0, i], key[0, i], query[0, j], key[0, j]])
            expected = query[0, i] @ key[0, j] / HEAD**0.5 + weight @ features + bias
            torch.testing.assert_close(scores[0, c, i, j], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("triangle", [True, False])
def test_masks_padding_special_tokens_and_spans_that_end_before_they_start(kind: str, triangle: bool) -> None:
    hidden, usable = inputs()
    scores = make(kind, triangle=triangle)(hidden, usable)
    possible = cells(usable, triangle=triangle)
    assert torch.isfinite(scores).logical_not().equal(~possible[:, None].expand_as(scores))
    assert possible[0].sum() == (21 if triangle else 36)  # of 6 usable tokens
    assert possible[1].sum() == (6 if triangle else 9)


def test_rotary_positions_make_scores_depend_on_the_distance(kind: str) -> None:
    hidden = torch.ones(1, LENGTH, WIDTH)
    usable = torch.ones(1, LENGTH, dtype=torch.bool)
    turned, plain = make(kind)(hidden, usable), make(kind, rotary=False)(hidden, usable)
    assert plain[0, 0, 0, 1:].std() < 1e-6
    assert turned[0, 0, 0, 1:].std() > 1e-3
    torch.testing.assert_close(turned[0, 0, 0, 2], turned[0, 0, 3, 5])


@pytest.mark.parametrize("triangle", [True, False])
def test_loss_is_the_dense_loss_with_its_gradients(kind: str, triangle: bool) -> None:
    hidden, usable = inputs()
    pointer = make(kind, triangle=triangle)
    right = torch.tensor([[0, 0, 1, 3], [0, 2, 2, 2], [0, 2, 1, 6], [1, 1, 1, 2]])
    scores = pointer(hidden, usable)
    labels = torch.zeros_like(scores, dtype=torch.bool)
    labels[right.unbind(1)] = True
    dense = dense_multilabel_loss(scores.flatten(2).flatten(0, 1), labels.flatten(2).flatten(0, 1)).view(2, CLASSES)
    ours = pointer.loss(hidden, usable, right)
    torch.testing.assert_close(ours, dense, rtol=1e-5, atol=1e-5)
    parameters = list(pointer.parameters())
    for a, b in zip(
        torch.autograd.grad(ours.sum(), parameters), torch.autograd.grad(dense.sum(), parameters), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_padding_changes_no_score(kind: str) -> None:
    hidden, usable = inputs()
    pointer = make(kind)
    torch.testing.assert_close(pointer(hidden, usable)[1, :, :4, :4], pointer(hidden[1:, :4], usable[1:, :4])[0])


def test_bfloat16_loss_is_finite_and_in_float32(kind: str) -> None:
    hidden, usable = inputs()
    pointer = make(kind).bfloat16()
    loss = pointer.loss(100 * hidden.bfloat16(), usable, torch.tensor([[0, 0, 1, 3]]))
    loss.sum().backward()
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss).all()
    assert all(torch.isfinite(p.grad).all() for p in pointer.parameters() if p.grad is not None)


def test_efficient_pointer_needs_four_head_widths_a_class() -> None:
    sizes = [sum(p.numel() for p in EfficientGlobalPointer(384, classes).parameters()) for classes in (50, 200)]
    assert sizes[1] - sizes[0] == 150 * (4 * 64 + 2)  # weights, and two biases
    plain = [sum(p.numel() for p in GlobalPointer(384, classes).parameters()) for classes in (50, 51)]
    assert plain[1] - plain[0] == (384 + 1) * 2 * 64


def test_starts_from_wrong() -> None:
    pointer = EfficientGlobalPointer(WIDTH, CLASSES)
    assert pointer(torch.zeros(1, 4, WIDTH), torch.ones(1, 4, dtype=torch.bool)).max().item() == pytest.approx(
        -8.0, abs=1.0
    )


@pytest.mark.parametrize(("classes", "head_width", "message"), [(0, 4, "0 classes"), (2, 3, "head_width is 3")])
def test_refuses_sizes_that_cannot_be(kind: str, classes: int, head_width: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        POINTERS[kind](WIDTH, classes, head_width=head_width)


def test_classes_are_taken_over_by_number(kind: str) -> None:
    hidden, usable = inputs()
    old = make(kind)
    torch.manual_seed(8)
    new = POINTERS[kind](WIDTH, 4, head_width=HEAD)
    before = new(hidden, usable)
    new.take_over(old, {1: 2, 3: 0})
    after, wanted = new(hidden, usable), old(hidden, usable)
    torch.testing.assert_close(after[:, [1, 3]], wanted[:, [2, 0]])
    if kind == "global":
        torch.testing.assert_close(after[:, [0, 2]], before[:, [0, 2]])
