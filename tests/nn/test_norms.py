from __future__ import annotations

import pytest
import torch

from ironwok.nn.norms import RMSNorm, Scale, make_norm


def test_divides_by_the_root_mean_square() -> None:
    y = RMSNorm(2)(torch.tensor([[3.0, 4.0], [-1.0, 1.0]]))
    torch.testing.assert_close(y, torch.tensor([[3.0, 4.0], [-1.0, 1.0]]) / torch.tensor([[12.5**0.5], [1.0]]))


def test_equals_torch_with_gradients() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 5, 16, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 5, 16, generator=generator, dtype=torch.float64)
    norm = RMSNorm(16, eps=1e-12)
    theirs = torch.nn.functional.rms_norm(x, (16,), eps=1e-12)
    torch.testing.assert_close(norm(x), theirs, rtol=1e-6, atol=1e-6)
    (ours_dx,) = torch.autograd.grad((norm(x) * weight).sum(), x)
    (theirs_dx,) = torch.autograd.grad((theirs * weight).sum(), x)
    torch.testing.assert_close(ours_dx, theirs_dx, rtol=1e-6, atol=1e-6)


def test_zeros_stay_zeros() -> None:
    x = torch.zeros(1, 8, requires_grad=True)
    y = RMSNorm(8)(x)
    y.sum().backward()
    assert torch.equal(y, torch.zeros(1, 8))
    assert torch.isfinite(x.grad).all()


def test_bfloat16_takes_its_mean_in_float32() -> None:
    x = torch.full((1, 1024), 0.1, dtype=torch.bfloat16)
    assert RMSNorm(1024)(x).dtype == torch.bfloat16
    torch.testing.assert_close(RMSNorm(1024)(x), torch.ones(1, 1024, dtype=torch.bfloat16), rtol=0.01, atol=0.01)


def test_gain_is_the_only_parameter() -> None:
    assert list(RMSNorm(4).parameters()) == []
    norm = RMSNorm(4, gain=True)
    assert [name for name, _ in norm.named_parameters()] == ["weight"]
    norm.weight.data = torch.tensor([1.0, 2.0, 3.0, 4.0])
    torch.testing.assert_close(norm(torch.ones(1, 4)), torch.tensor([[1.0, 2.0, 3.0, 4.0]]))


@pytest.mark.parametrize(
    ("kind", "gain", "bias", "parameters"),
    [
        ("rms", False, False, []),
        ("rms", True, True, ["weight"]),
        ("layer", False, True, []),
        ("layer", True, False, ["weight"]),
        ("layer", True, True, ["weight", "bias"]),
    ],
)
def test_make_norm(kind: str, gain: bool, bias: bool, parameters: list[str]) -> None:
    norm = make_norm(kind, 4, eps=1e-6, gain=gain, bias=bias)
    assert [name for name, _ in norm.named_parameters()] == parameters
    y = norm(torch.tensor([[1.0, 2.0, 3.0, 6.0]]))
    assert y.square().mean().item() == pytest.approx(1.0, abs=1e-5)
    assert (abs(y.mean().item()) < 1e-6) == (kind == "layer")


def test_scale() -> None:
    assert torch.equal(Scale(0.5)(torch.tensor([2.0, 4.0])), torch.tensor([1.0, 2.0]))
