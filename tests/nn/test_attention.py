from __future__ import annotations

import pytest
import torch

from ironwok.errors import ConfigError
from ironwok.nn import masks
from ironwok.nn.attention import (
    KERNELS,
    Context,
    CrossAttention,
    SelfAttention,
    attend_plain,
    attend_sdpa,
    attention_weights,
)
from ironwok.nn.rotary import Rotary, rotate


@pytest.fixture
def qkv() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    q, k, v = torch.randn(3, 2, 4, 6, 8, generator=torch.Generator().manual_seed(0))
    return q, k, v


def some_masks() -> dict[str, torch.Tensor | None]:
    return {
        "none": None,
        "causal": masks.causal(6),
        "padding": masks.padding(torch.tensor([[1] * 6, [1, 1, 1, 0, 0, 0]])),
        "both": masks.causal(6) & masks.padding(torch.tensor([[1] * 6, [0, 1, 1, 1, 0, 0]])),  # row 0 sees nothing
    }


@pytest.mark.parametrize("name", ["none", "causal", "padding", "both"])
def test_kernels_agree(name: str, qkv: tuple[torch.Tensor, ...]) -> None:
    mask = some_masks()[name]
    torch.testing.assert_close(attend_plain(*qkv, mask, 0.0), attend_sdpa(*qkv, mask, 0.0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kernel", list(KERNELS))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_that_sees_nothing_gives_zeros_and_finite_gradients(
    kernel: str, dtype: torch.dtype, qkv: tuple[torch.Tensor, ...]
) -> None:
    q, k, v = (tensor.to(dtype).requires_grad_() for tensor in qkv)
    mask = masks.full(6).clone()
    mask[..., 2, :] = False
    output = KERNELS[kernel](q, k, v, mask, 0.0)
    assert torch.equal(output[:, :, 2], torch.zeros_like(output[:, :, 2]))
    assert output[:, :, 3].abs().sum() > 0
    output.square().sum().backward()
    assert all(torch.isfinite(tensor.grad).all() for tensor in (q, k, v))


def test_weights_sum_to_one_where_something_is_seen(qkv: tuple[torch.Tensor, ...]) -> None:
    q, k, _ = qkv
    mask = masks.causal(6).clone()
    mask[..., 4, :] = False
    sums = attention_weights(q, k, mask).sum(-1)
    expected = torch.ones(2, 4, 6)
    expected[:, :, 4] = 0.0
    torch.testing.assert_close(sums, expected)


def test_self_attention_by_definition() -> None:
    torch.manual_seed(1)
    attention = SelfAttention(8, 2, bias=True, dropout=0.0)
    x = torch.randn(1, 5, 8)
    tables = Rotary(4)(5)
    q, k, v = (part.unflatten(-1, (2, 4)) for part in attention.query_key_value(x).chunk(3, dim=-1))
    q, k = rotate(q, tables), rotate(k, tables)
    heads = []
    for head in range(2):
        scores = q[0, :, head] @ k[0, :, head].T / 4**0.5
        heads.append(scores.softmax(-1) @ v[0, :, head])
    expected = attention.output(torch.cat(heads, dim=-1))
    torch.testing.assert_close(attention(x, Context(tables))[0], expected, rtol=1e-5, atol=1e-6)


def test_probe_gives_the_matrices_of_the_forward_pass() -> None:
    torch.manual_seed(2)
    attention = SelfAttention(8, 2, bias=False, dropout=0.0, kernel="sdpa")
    x, context = torch.randn(1, 5, 8), Context(Rotary(4)(5), masks.causal(5))
    weights = attention.weights(x, context)
    assert weights.shape == (1, 2, 5, 5)
    assert weights.triu(1).abs().max() == 0
    v = attention.query_key_value(x)[..., 16:].unflatten(-1, (2, 4)).transpose(1, 2)
    expected = attention.output((weights @ v).transpose(1, 2).flatten(2))
    torch.testing.assert_close(attention(x, context), expected, rtol=1e-5, atol=1e-6)


def test_dropout_acts_in_training_alone() -> None:
    torch.manual_seed(3)
    attention = SelfAttention(8, 2, bias=False, dropout=0.5, kernel="eager")
    x, context = torch.randn(1, 5, 8), Context(Rotary(4)(5))
    assert not torch.equal(attention(x, context), attention(x, context))
    attention.eval()
    assert torch.equal(attention(x, context), attention(x, context))


def test_cross_attention_reads_only_what_the_memory_mask_shows() -> None:
    torch.manual_seed(4)
    attention = CrossAttention(8, 2, bias=False, dropout=0.0)
    x, memory = torch.randn(2, 3, 8), torch.randn(2, 5, 8)
    mask = masks.padding(torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]))
    seen = attention(x, Context(Rotary(4)(3), memory=memory, memory_mask=mask))
    memory[0, 3:] = 9.0
    torch.testing.assert_close(attention(x, Context(Rotary(4)(3), memory=memory, memory_mask=mask)), seen)
    memory[1, 3:] = 9.0
    assert not torch.allclose(attention(x, Context(Rotary(4)(3), memory=memory, memory_mask=mask))[1], seen[1])


def test_cross_attention_without_memory_says_so() -> None:
    with pytest.raises(ConfigError, match="memory"):
        CrossAttention(8, 2, bias=False, dropout=0.0)(torch.randn(1, 3, 8), Context(Rotary(4)(3)))
