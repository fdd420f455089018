"""Stacks of blocks: norm placements, mask patterns, encoder-decoder, what holds at initialisation."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ironwok.errors import ConfigError, MaskError
from ironwok.nn import masks
from ironwok.nn.attention import Context
from ironwok.nn.block import Residual, make_block
from ironwok.nn.config import TransformerConfig
from ironwok.nn.initialization import initialize
from ironwok.nn.norms import RMSNorm
from ironwok.nn.rotary import Rotary
from ironwok.nn.transformer import EncoderDecoder, Stack

TINY = TransformerConfig(layers=2, width=16, heads=4, feed_forward_width=32)
PLACEMENTS = ["post", "pre", "sandwich", "deepnorm", "mix", "scaled-pre"]
PATTERNS = ["full", "causal", "prefix", "forward-backward-heads", "forward-backward-layers"]


def stack(config: TransformerConfig = TINY, *, seed: int = 0, gain: float = 1.0) -> Stack:
    made = Stack(config, length=16).eval()
    initialize(made, gain=gain, generator=torch.Generator().manual_seed(seed))
    return made


def inputs(batch: int = 2, length: int = 7, seed: int = 0, width: int = 16) -> torch.Tensor:
    x = torch.randn(batch, length, width, generator=torch.Generator().manual_seed(seed))
    return RMSNorm(width)(x)


def run(model: Stack, x: torch.Tensor, **arguments: torch.Tensor) -> torch.Tensor:
    if model.config.mask == "prefix":
        arguments.setdefault("prefix_lengths", torch.tensor([2, 0, 5, 1][: len(x)]))
    return model(x, **arguments)


# norm placement


class Double(nn.Module):
    """A branch that a pencil can follow."""

    def forward(self, x: torch.Tensor, context: Context) -> torch.Tensor:
        return 2 * x


def slots(**chosen: nn.Module | float) -> torch.Tensor:
    residual = Residual(Double(), **chosen)
    residual.branch_scale.fill_(0.5)
    return residual(torch.tensor([[3.0, 4.0]]), Context(Rotary(2)(1)))


def test_slots_by_hand() -> None:
    x, rms = torch.tensor([[3.0, 4.0]]), 12.5**0.5
    torch.testing.assert_close(slots(), x + 0.5 * 2 * x)
    torch.testing.assert_close(slots(before=RMSNorm(2)), x + 0.5 * 2 * x / rms)
    torch.testing.assert_close(slots(after_branch=RMSNorm(2)), x + 0.5 * x / rms)
    torch.testing.assert_close(slots(after_add=RMSNorm(2)), x / rms)
    torch.testing.assert_close(slots(residual_scale=3.0), 3 * x + 0.5 * 2 * x)


@pytest.mark.parametrize(
    ("placement", "before", "after_branch", "after_add", "final"),
    [
        ("post", False, False, True, False),
        ("deepnorm", False, False, True, False),
        ("pre", True, False, False, True),
        ("scaled-pre", True, False, False, True),
        ("sandwich", True, True, False, True),
    ],
)
def test_placements_fill_slots(placement: str, before: bool, after_branch: bool, after_add: bool, final: bool) -> None:
    model = Stack(replace(TINY, norm_placement=placement))
    for block in model.blocks:
        for branch in (block.attention, block.feed_forward):
            filled = [
                not isinstance(slot, nn.Identity) for slot in (branch.before, branch.after_branch, branch.after_add)
            ]
            assert filled == [before, after_branch, after_add]
    assert isinstance(model.norm, RMSNorm) == final


def test_mix_is_post_below_and_pre_above() -> None:
    model = Stack(replace(TINY, layers=8, norm_placement="mix"))
    posts = [isinstance(block.attention.after_add, RMSNorm) for block in model.blocks]
    assert posts == [True, True] + [False] * 6
    assert [isinstance(block.feed_forward.before, RMSNorm) for block in model.blocks] == [not post for post in posts]
    assert isinstance(model.norm, RMSNorm)
    all_post = Stack(replace(TINY, norm_placement="mix", mix_post_fraction=1.0))
    assert isinstance(all_post.norm, nn.Identity)


def test_scaled_pre_divides_by_the_root_of_the_layer() -> None:
    model = Stack(replace(TINY, layers=4, norm_placement="scaled-pre"))
    x = inputs()
    for layer, block in enumerate(model.blocks):
        assert block.attention.before(x).square().mean().item() == pytest.approx(1 / (layer + 1), rel=1e-4)


def test_deepnorm_constants() -> None:
    config = replace(TINY, layers=8, norm_placement="deepnorm")
    assert config.residual_scale == pytest.approx(2.0)  # (2 * 8)^(1/4)
    assert config.branch_gain == pytest.approx(64**-0.25)
    model = stack(config)
    projection = model.blocks[0].attention.branch.query_key_value.weight
    assert projection[:16].std().item() == pytest.approx(16**-0.5, rel=0.15)
    assert projection[32:].std().item() == pytest.approx(16**-0.5 * 64**-0.25, rel=0.15)
    x = inputs()
    context = Context(model.rotary(7))
    y = model.blocks[0].attention.branch(x, context)
    expected = RMSNorm(16)(2 * x + y)
    torch.testing.assert_close(model.blocks[0].attention(x, context), expected)


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("norm", ["rms", "layer"])
def test_every_placement_trains(placement: str, norm: str) -> None:
    model = stack(replace(TINY, norm_placement=placement, norm=norm, norm_gain=True, bias=True)).train()
    model(inputs()).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())


def test_no_bias_and_no_gain_leave_matrices_alone() -> None:
    assert {parameter.dim() for parameter in Stack(TINY).parameters()} == {2}
    with_both = Stack(replace(TINY, bias=True, norm_gain=True))
    assert {parameter.dim() for parameter in with_both.parameters()} == {1, 2}


def test_branch_scale_zero_is_the_identity_after_norm() -> None:
    model = stack()
    model.set_branch_scale(0.0)
    torch.testing.assert_close(model(inputs()), inputs(), rtol=1e-5, atol=1e-5)


def test_branch_scale_needs_no_recompilation() -> None:
    """A compiler guards on Python numbers, not on the contents of tensors."""
    block = make_block(TINY, 0)
    assert isinstance(block.attention.branch_scale, torch.Tensor)
    assert "attention.branch_scale" not in block.state_dict()


# at initialisation (kexue.fm 9009: what the norm placements do to the identity)


def hidden_states(model: Stack, x: torch.Tensor) -> list[torch.Tensor]:
    seen: list[torch.Tensor] = []
    model(x, on_block=lambda _, hidden: seen.append(hidden))
    return seen


def unit_branches(model: Stack, seed: int) -> None:
    """Replace all branches by random maps that keep the second moment, the case that the claims are made for."""
    generator = torch.Generator().manual_seed(seed)

    class Map(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.matrix = torch.randn(width, width, generator=generator) / width**0.5

        def forward(self, x: torch.Tensor, context: Context) -> torch.Tensor:
            return x @ self.matrix

    for block in model.blocks:
        block.attention.branch = Map(model.config.width)
        block.feed_forward.branch = Map(model.config.width)


WIDE = TransformerConfig(layers=8, width=256, heads=4, feed_forward_width=64)


def test_pre_norm_grows_linearly() -> None:
    model = Stack(replace(WIDE, norm_placement="pre"), length=16)
    unit_branches(model, seed=0)
    moments = [hidden.square().mean().item() for hidden in hidden_states(model, inputs(width=256))]
    # each of the two branches of a block adds one to the second moment
    assert moments == pytest.approx([1 + 2 * layer for layer in range(9)], rel=0.1)


def test_post_norm_weakens_the_identity_by_half_per_branch() -> None:
    model = Stack(WIDE, length=16)
    unit_branches(model, seed=0)
    x = inputs(width=256)
    for layer, hidden in enumerate(hidden_states(model, x)):
        weight = (hidden * x).mean().item()  # both have second moment 1
        assert weight == pytest.approx(2 ** (-2 * layer / 2), abs=0.05)
        assert hidden.square().mean().item() == pytest.approx(1.0, rel=1e-3)


def test_starting_values_have_the_documented_spread() -> None:
    model = stack(WIDE, gain=WIDE.layers**-0.5)
    up, down = model.blocks[0].feed_forward.branch.up.weight, model.blocks[0].feed_forward.branch.down.weight
    assert up.std().item() == pytest.approx((256 * 8) ** -0.5, rel=0.02)
    assert down.std().item() == pytest.approx((64 * 8) ** -0.5, rel=0.02)
    assert up.abs().max().item() <= 2 * 1.1368472 * (256 * 8) ** -0.5


def test_initialisation_follows_its_generator() -> None:
    first, second, third = stack(seed=1), stack(seed=1), stack(seed=2)
    pairs = list(zip(first.parameters(), second.parameters(), third.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    assert not any(torch.equal(a, c) for a, _, c in pairs)


# masks


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("placement", ["post", "pre"])
@given(lengths=st.lists(st.integers(1, 7), min_size=1, max_size=4), seed=st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_padding_and_batch_do_not_change_results(pattern: str, placement: str, lengths: list[int], seed: int) -> None:
    model = stack(replace(TINY, mask=pattern, norm_placement=placement))
    longest = max(lengths)
    x = inputs(len(lengths), longest, seed)
    real = torch.arange(longest) < torch.tensor(lengths)[:, None]
    prefixes = torch.tensor(lengths) // 2
    together = run(model, x, mask=masks.padding(real), prefix_lengths=prefixes)
    for row, length in enumerate(lengths):
        alone = run(model, x[row : row + 1, :length], prefix_lengths=prefixes[row : row + 1])
        torch.testing.assert_close(together[row, :length], alone[0], rtol=1e-4, atol=1e-5)


@given(position=st.integers(0, 6), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_causal_outputs_ignore_the_future(position: int, seed: int) -> None:
    model = stack(replace(TINY, mask="causal"))
    x = inputs(seed=seed)
    changed = x.clone()
    changed[:, position + 1 :] = inputs(seed=seed + 100)[:, position + 1 :]
    torch.testing.assert_close(model(changed)[:, : position + 1], model(x)[:, : position + 1])


def test_prefix_sees_itself_and_its_past() -> None:
    model = stack(replace(TINY, mask="prefix"))
    x, lengths = inputs(), torch.tensor([3, 3])
    before = model(x, prefix_lengths=lengths)
    inside, beyond = x.clone(), x.clone()
    inside[:, 2] = inputs(seed=5)[:, 2]  # within the prefix: all positions see it
    beyond[:, 5] = inputs(seed=5)[:, 5]  # after it: only later positions do
    assert ((model(inside, prefix_lengths=lengths) - before).abs().amax(-1) > 1e-6).all()
    change = (model(beyond, prefix_lengths=lengths) - before).abs().amax(-1)
    assert torch.equal(change[:, :5], torch.zeros_like(change[:, :5]))
    assert (change[:, 5:] > 1e-6).all()


def test_an_empty_prefix_is_causal() -> None:
    x = inputs()
    prefix = stack(replace(TINY, mask="prefix"))(x, prefix_lengths=torch.tensor([0, 0]))
    torch.testing.assert_close(prefix, stack(replace(TINY, mask="causal"))(x))


def test_forward_backward_heads_see_exactly_their_triangle() -> None:
    config = replace(TINY, layers=1, mask="forward-backward-heads")
    model = stack(config)
    attention = model.blocks[0].attention.branch
    mask = masks.forward_backward_heads(7, config.heads)
    weights = attention.weights(inputs(), Context(model.rotary(7), mask))
    assert torch.equal(weights > 0, mask.expand_as(weights))
    # and the stack does use that mask: without the mixing of heads, output 0 of the backward heads sees the last token
    x, changed = inputs(), inputs()
    changed[:, -1] = inputs(seed=3)[:, -1]
    assert ((model(changed) - model(x)).abs().amax(-1) > 1e-6).all()


def test_forward_backward_layers_take_turns() -> None:
    model = stack(replace(TINY, layers=2, mask="forward-backward-layers"))
    x, changed = inputs(), inputs()
    changed[:, 4] = inputs(seed=3)[:, 4]
    seen, after = hidden_states(model, x), hidden_states(model, changed)
    first = (after[1] - seen[1]).abs().amax(-1)[0] > 1e-6
    second = (after[2] - seen[2]).abs().amax(-1)[0] > 1e-6
    assert first.tolist() == [False] * 4 + [True] * 3  # the past: later positions see position 4
    assert second.all()  # the future: all positions see a later one that saw it
    only_backward = model.blocks[1](seen[1], Context(model.rotary(7), masks.anticausal(7)))
    torch.testing.assert_close(only_backward, seen[2])


def test_a_text_of_padding_alone_keeps_finite_states() -> None:
    model = stack()
    real = torch.tensor([[True] * 7, [False] * 7])
    output = model(inputs(), mask=masks.padding(real))
    assert torch.isfinite(output).all()
    torch.testing.assert_close(output[0], model(inputs())[0], rtol=1e-5, atol=1e-5)


def test_bad_masks_are_refused() -> None:
    model = stack()
    with pytest.raises(MaskError, match=r"torch\.bool"):
        model(inputs(), mask=torch.ones(2, 1, 1, 7))
    with pytest.raises(MaskError, match="broadcast"):
        model(inputs(), mask=torch.ones(2, 1, 1, 8, dtype=torch.bool))
    prefix = stack(replace(TINY, mask="prefix"))
    with pytest.raises(MaskError, match="needs prefix_lengths"):
        prefix(inputs())
    with pytest.raises(MaskError, match="batch is 2"):
        prefix(inputs(), prefix_lengths=torch.tensor([1, 2, 3]))


# encoder and decoder


def pair(encoder_mask: str = "full", **changes: object) -> EncoderDecoder:
    encoder = replace(TINY, mask=encoder_mask, **changes)
    decoder = replace(TINY, mask="causal", cross_attention=True, **changes)
    made = EncoderDecoder(encoder, decoder).eval()
    initialize(made, gain=1.0, generator=torch.Generator().manual_seed(0))
    return made


@pytest.mark.parametrize("encoder_mask", PATTERNS)
def test_encoder_decoder_is_causal_in_the_target(encoder_mask: str) -> None:
    model = pair(encoder_mask)
    source, target = inputs(length=5), inputs(length=6, seed=1)
    prefixes = torch.tensor([2, 3]) if encoder_mask == "prefix" else None
    output = model(source, target, prefix_lengths=prefixes)
    changed = target.clone()
    changed[:, 4:] = inputs(length=6, seed=2)[:, 4:]
    again = model(source, changed, prefix_lengths=prefixes)
    torch.testing.assert_close(again[:, :4], output[:, :4])
    assert not torch.allclose(again[:, 4:], output[:, 4:])
    assert not torch.allclose(model(inputs(length=5, seed=9), target, prefix_lengths=prefixes), output)


def test_encoder_decoder_ignores_source_padding() -> None:
    model = pair()
    source, target = inputs(length=5), inputs(length=6, seed=1)
    real = masks.padding(torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 0, 0]]))
    torch.testing.assert_close(
        model(source, target, source_mask=real), model(source[:, :3], target), rtol=1e-4, atol=1e-5
    )


def test_encoder_decoder_deepnorm_constants() -> None:
    model = pair(norm_placement="deepnorm", layers=3)
    joint = (3**4 * 3) ** (1 / 16)
    assert model.encoder.config.residual_scale == pytest.approx(0.81 * joint)
    assert model.encoder.config.branch_gain == pytest.approx(0.87 / joint)
    assert model.decoder.config.residual_scale == pytest.approx(9**0.25)
    assert model.decoder.config.branch_gain == pytest.approx(36**-0.25)


def test_encoder_decoder_refuses_other_roles() -> None:
    decoder = replace(TINY, mask="causal", cross_attention=True)
    with pytest.raises(ConfigError, match="causal"):
        EncoderDecoder(TINY, TINY)
    with pytest.raises(ConfigError, match="no cross-attention"):
        EncoderDecoder(decoder, decoder)
    with pytest.raises(ConfigError, match="width"):
        EncoderDecoder(replace(TINY, width=32), decoder)


# the rest


def test_gradient_checkpointing_changes_nothing() -> None:
    gradients = []
    for checkpointing in (False, True):
        model = stack().train()
        model.gradient_checkpointing = checkpointing
        model(inputs()).square().sum().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(recomputed, plain)


def test_kernel_can_be_chosen_later() -> None:
    model, x = stack(), inputs()
    before = model(x)
    model.set_kernel("eager")
    assert model.blocks[0].attention.branch.kernel.__name__ == "attend_plain"
    torch.testing.assert_close(model(x), before, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 0}, "layers is 0"),
        ({"width": 18}, "width 18 is not a multiple of 4 heads"),
        ({"width": 12}, "head size of 3"),
        ({"norm": "batch"}, "'batch' is none of rms, layer"),
        ({"norm_placement": "middle"}, "'middle' is none of post"),
        ({"mask": "random"}, "'random' is none of full"),
        ({"dropout": 1.0}, r"dropout is 1\.0"),
        ({"mix_post_fraction": 2.0}, "mix_post_fraction"),
        ({"norm_eps": 0.0}, "norm_eps"),
        ({"heads": 1, "mask": "forward-backward-heads"}, "1 is odd"),
    ],
)
def test_contradictions_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(TINY, **changes)


def test_unknown_activation_is_named() -> None:
    with pytest.raises(ConfigError, match="'sine' is none of gelu"):
        Stack(replace(TINY, activation="sine"))
