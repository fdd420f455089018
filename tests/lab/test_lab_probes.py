"""Probes of depth and rank: what theory says of random models, and what a pencil says of small ones."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from ironwok.errors import ConfigError, ModelError
from ironwok.lab.callbacks import ProbeLog, trainer_callback
from ironwok.lab.depth import DepthProfile, depth_profile, effective_depth, gradient_norms
from ironwok.lab.layers import LayerStack, dropped, find_layers, swapped
from ironwok.lab.models import LanguageModel, initialized
from ironwok.lab.ranks import attention_matrices, rank_measures, rank_profile
from ironwok.nn import masks
from ironwok.nn.attention import Context
from ironwok.nn.block import Block, Residual
from ironwok.nn.config import TransformerConfig
from ironwok.nn.norms import RMSNorm
from ironwok.nn.rotary import Rotary

WIDTH = 64


class RandomMap(nn.Module):
    """A branch that keeps the length of what it gets, and is uncorrelated with it: a random rotation."""

    def __init__(self, seed: int, width: int) -> None:
        super().__init__()
        values = torch.randn(width, width, generator=torch.Generator().manual_seed(seed))
        orthogonal, upper = torch.linalg.qr(values)
        # without the signs the factorisation prefers negative traces, and a branch would be correlated with its input
        self.weight = nn.Parameter(orthogonal * upper.diagonal().sign())

    def forward(self, x: torch.Tensor, context: Context) -> torch.Tensor:
        return x @ self.weight


def random_stack(placement: str, *, layers: int, width: int = 256) -> LayerStack:
    slot = "before" if placement == "pre" else "after_add"
    blocks = [
        Block({"branch": Residual(RandomMap(layer, width), **{slot: RMSNorm(width)})})  # pyright: ignore[reportArgumentType]
        for layer in range(layers)
    ]
    return LayerStack("blocks", nn.ModuleList(blocks))


def profile_of(stack: LayerStack, *, width: int = 256) -> DepthProfile:
    x = RMSNorm(width)(torch.randn(8, 16, width, generator=torch.Generator().manual_seed(99)))
    context = Context(Rotary(2)(16))

    def forward() -> torch.Tensor:
        state = x
        for block in stack.layers:
            state = block(state, context)
        return state

    return depth_profile(stack, forward)


def language_model(placement: str = "pre", mask: str = "full", *, layers: int = 4, heads: int = 4) -> LanguageModel:
    config = TransformerConfig(
        layers=layers,
        width=WIDTH,
        heads=heads,
        feed_forward_width=2 * WIDTH,
        norm_placement=placement,  # pyright: ignore[reportArgumentType]
        mask=mask,  # pyright: ignore[reportArgumentType]
    )
    made = initialized(LanguageModel(config, vocabulary=50, length=32), seed=3, gain=1.0)
    assert isinstance(made, LanguageModel)
    return made.eval()


def tokens(batch: int = 3, length: int = 24) -> torch.Tensor:
    return torch.randint(4, 50, (batch, length), generator=torch.Generator().manual_seed(5))


# what holds at initialisation


def test_the_square_of_a_pre_norm_stream_grows_by_one_a_layer_when_branches_are_uncorrelated():
    squares = profile_of(random_stack("pre", layers=24)).square_norms
    for depth, square in enumerate(squares):
        assert square == pytest.approx(1 + depth, rel=0.06)


def test_the_growth_exponent_of_uncorrelated_branches_is_a_half_and_that_of_equal_ones_is_one():
    grown = DepthProfile(tuple(float(max(t, 1)) for t in range(40)), (), (), ())
    equal = DepthProfile(tuple(float(max(t, 1)) ** 2 for t in range(40)), (), (), ())
    assert grown.growth_exponent == pytest.approx(0.5)
    assert equal.growth_exponent == pytest.approx(1.0)


def test_the_identity_weight_of_post_norm_halves_every_two_norms():
    profile = profile_of(random_stack("post", layers=10))
    for depth, weight in enumerate(profile.identity_weights):
        assert weight == pytest.approx(2 ** (-depth / 2), abs=0.03)
    assert profile.square_norms == pytest.approx([1.0] * 11, rel=1e-4)


def test_real_pre_norm_blocks_grow_linearly_at_initialisation():
    model = language_model("pre", layers=24)
    stack = LayerStack("blocks", model.stack.blocks)
    squares = torch.tensor(depth_profile(stack, lambda: model(tokens(8, 32))).square_norms, dtype=torch.float64)
    depth = torch.arange(25, dtype=torch.float64)
    correlation = torch.corrcoef(torch.stack([depth, squares]))[0, 1]
    # a square would have 0.97, a root 0.98
    assert correlation > 0.99
    assert squares[-1] > 4 * squares[0]


def test_real_post_norm_blocks_lose_the_identity_by_what_their_branches_add():
    model = language_model("post", layers=6)
    stack = LayerStack("blocks", model.stack.blocks)
    added: list[float] = []

    def listen(module: nn.Module, arguments: tuple[torch.Tensor, ...], total: torch.Tensor) -> None:
        # what enters the norm has a mean square of 1 + that of the branch
        added.append(float(arguments[0].square().mean()))

    hooks = [
        module.register_forward_hook(listen) for module in model.stack.blocks.modules() if isinstance(module, RMSNorm)
    ]
    weights = depth_profile(stack, lambda: model(tokens(16, 32))).identity_weights
    for hook in hooks:
        hook.remove()
    assert len(added) == 12
    expected = 1.0
    for layer in range(6):
        expected /= math.sqrt(added[2 * layer] * added[2 * layer + 1])
        assert weights[layer + 1] == pytest.approx(expected, abs=0.12)


def test_pre_norm_inputs_grow_more_alike_with_depth_and_those_of_post_norm_do_not():
    pre, post = (profile_of(random_stack(kind, layers=16)).cosines for kind in ("pre", "post"))
    assert pre[-1] > 0.95 > pre[0]
    assert post[-1] == pytest.approx(math.sqrt(0.5), abs=0.03)


# single layers


class Add(nn.Module):
    """Adds a number, then multiplies: the order of two of them matters."""

    def __init__(self, term: float, factor: float) -> None:
        super().__init__()
        self.child = nn.Identity()
        self.term = nn.Parameter(torch.tensor(float(term)))
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x + self.term) * self.factor


def adding() -> tuple[LayerStack, nn.Sequential]:
    layers = nn.ModuleList([Add(1, 2), Add(3, 5)])
    return LayerStack("layers", layers), nn.Sequential(layers[0], layers[1])


def run_adding(stack: LayerStack) -> torch.Tensor:
    x = torch.zeros(1, 1, 1)
    for layer in stack.layers:
        x = layer(x)
    return x.sum()


def test_dropping_and_swapping_give_what_a_pencil_gives():
    stack, _ = adding()
    # ((0 + 1) 2 + 3) 5 = 25; without the first 15, without the second 2; swapped ((0 + 3) 5 + 1) 2 = 32
    found = effective_depth(stack, lambda: run_adding(stack))
    assert found.loss == 25
    assert found.dropped == (15 - 25, 2 - 25)
    assert found.swapped == (32 - 25,)
    assert float(run_adding(stack).detach()) == 25


def test_a_stack_is_as_it_was_after_an_error_in_the_middle():
    stack, _ = adding()
    first = stack.layers[0]
    with pytest.raises(ZeroDivisionError), swapped(stack, 0):
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), dropped(stack, 1):
        raise ZeroDivisionError
    assert stack.layers[0] is first
    assert float(run_adding(stack).detach()) == 25


def test_gradient_norms_are_those_of_autograd_and_leave_gradients_alone():
    stack, _ = adding()
    stack.layers[0].term.grad = torch.tensor(7.0)  # pyright: ignore[reportAttributeAccessIssue]
    # d/da ((a) 2 + b) 5 = 10, d/db = 5
    assert gradient_norms(stack, lambda: run_adding(stack)) == (10.0, 5.0)
    assert float(stack.layers[0].term.grad) == 7.0  # pyright: ignore[reportArgumentType]


# attention matrices


def test_a_causal_attention_matrix_has_a_positive_determinant_whatever_the_head_size():
    model = language_model("pre", "causal", heads=32)  # heads of 2 for 24 tokens
    for matrix in attention_matrices(model, lambda: model(tokens())):
        double = matrix.double()
        assert torch.equal(double, double.tril())
        assert (torch.linalg.det(double) > 0).all()
        assert (double.diagonal(dim1=-2, dim2=-1) > 0).all()


def test_a_prefix_mask_with_an_empty_prefix_is_causal():
    prefixed, causal = language_model("pre", "prefix"), language_model("pre", "causal")
    empty = torch.zeros(3, dtype=torch.int64)
    torch.testing.assert_close(prefixed(tokens(), prefix_lengths=empty), causal(tokens()))
    assert torch.equal(masks.prefix(empty, 24), masks.causal(24).expand(3, 1, -1, -1))
    for one, other in zip(
        attention_matrices(prefixed, lambda: prefixed(tokens(), prefix_lengths=empty)),
        attention_matrices(causal, lambda: causal(tokens())),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_forward_and_backward_heads_see_exactly_their_triangle():
    model = language_model("pre", "forward-backward-heads")
    matrices = attention_matrices(model, lambda: model(tokens()))
    assert len(matrices) == 4
    lower = torch.ones(24, 24).tril().bool()
    for matrix in matrices:
        seen = matrix > 0
        assert (seen[:, :2] == lower).all()
        assert (seen[:, 2:] == lower.T).all()


def test_alternating_layers_see_exactly_their_triangle():
    model = language_model("pre", "forward-backward-layers")
    lower = torch.ones(24, 24).tril().bool()
    for layer, matrix in enumerate(attention_matrices(model, lambda: model(tokens()))):
        assert ((matrix > 0) == (lower.T if layer % 2 else lower)).all()


def test_ranks_of_matrices_that_a_pencil_knows():
    size = 6
    uniform = torch.full((size, size), 1 / size)
    half = torch.diag(torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0]))
    triangle = torch.eye(size) * 0.5 + torch.ones(size, size).tril(-1)
    numerical, effective, determinants = rank_measures(torch.stack([torch.eye(size), uniform, half, triangle]))
    assert numerical.tolist() == [6, 1, 3, 6]
    assert effective[:3].tolist() == pytest.approx([6, 1, 3])
    assert determinants[0] == 0
    assert determinants[3] == pytest.approx(size * math.log(0.5))
    assert determinants[2] == -math.inf


def test_padding_is_cut_off_before_ranks_are_measured():
    matrix = torch.eye(8).expand(2, 3, 8, 8).clone()
    matrix[1, :, 4:] = matrix[1, :, :, 4:] = 0
    profile = rank_profile(matrix, lengths=torch.tensor([8, 4]))
    assert profile.effective == pytest.approx((1.0, 1.0, 1.0))
    assert profile.tokens == 6


def test_only_square_matrices_are_measured():
    with pytest.raises(ModelError, match=r"\[2, 3, 4\]"):
        rank_measures(torch.ones(2, 3, 4))


# models of others


def hugging_face(kind: str) -> nn.Module:
    from transformers import (
        BertConfig,
        BertForMaskedLM,
        GPT2Config,
        GPT2LMHeadModel,
        T5Config,
        T5ForConditionalGeneration,
    )

    if kind == "bert":
        config = BertConfig(
            vocab_size=50,
            hidden_size=32,
            num_hidden_layers=3,
            num_attention_heads=4,
            intermediate_size=64,
            initializer_range=0.3,  # with the usual 0.02 a block of this size does nothing that float32 could tell
        )
        config._attn_implementation = "eager"
        return BertForMaskedLM(config).eval()
    if kind == "gpt2":
        config = GPT2Config(vocab_size=50, n_embd=32, n_layer=3, n_head=4, n_positions=64)
        config._attn_implementation = "eager"
        return GPT2LMHeadModel(config).eval()
    return T5ForConditionalGeneration(T5Config(vocab_size=50, d_model=32, d_kv=8, d_ff=64, num_layers=3, num_heads=4))


@pytest.mark.parametrize(("kind", "stacks"), [("bert", 1), ("gpt2", 1), ("t5", 2)])
def test_the_blocks_of_hugging_face_models_are_found(kind, stacks):
    found = find_layers(hugging_face(kind))
    assert [len(stack) for stack in found] == [3] * stacks


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_probes_work_on_hugging_face_models(kind):
    torch.manual_seed(0)
    model = hugging_face(kind)
    ids = tokens(2, 12)
    (stack,) = find_layers(model)

    def loss() -> torch.Tensor:
        return nn.functional.cross_entropy(model(ids).logits.flatten(0, 1), ids.flatten())

    states = model(ids, output_hidden_states=True).hidden_states
    profile = depth_profile(stack, lambda: model(ids))
    assert profile.square_norms[:3] == pytest.approx(
        [float(state.detach().square().mean()) for state in states[:3]], rel=1e-4
    )
    found = effective_depth(stack, loss)
    assert len(found.dropped) == 3
    assert all(change != 0 for change in (*found.dropped, *found.swapped))
    assert float(loss().detach()) == pytest.approx(found.loss)
    assert all(norm > 0 for norm in gradient_norms(stack, loss))
    matrices = attention_matrices(model, lambda: model(ids, output_attentions=True))
    assert [tuple(matrix.shape) for matrix in matrices] == [(2, 4, 12, 12)] * 3


def test_a_model_without_blocks_is_refused():
    with pytest.raises(ModelError, match="Linear has no list of two equal blocks"):
        find_layers(nn.Linear(2, 2))


def test_a_model_that_keeps_its_attention_is_refused():
    model = hugging_face("bert")
    with pytest.raises(ModelError, match="attn_implementation='eager'"):
        attention_matrices(model, lambda: model(tokens(1, 8)))


# during training


def test_the_log_of_probes_looks_when_it_is_due_and_leaves_the_model_as_it_was(tmp_path):
    model = language_model().train()
    ids = tokens()

    def loss(one: nn.Module) -> torch.Tensor:
        return nn.functional.cross_entropy(one(ids).flatten(0, 1), ids.flatten())

    log = ProbeLog(tmp_path / "probes.jsonl", loss=loss, attention=lambda one: one(ids), every=2, drops=True)
    seen = [log(model, step) is not None for step in range(5)]
    log.close()
    assert seen == [True, False, True, False, True]
    assert model.training
    records = log.lines.load()
    assert [record["step"] for record in records] == [0, 2, 4]
    assert len(records[0]["ranks"]) == len(records[0]["gradients"]) == 4
    expected = float(loss(model.eval()).detach())
    assert records[0]["effective_depth"]["loss"] == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ConfigError, match="every is 0"):
        ProbeLog(tmp_path / "x", loss=loss, every=0)


def test_the_trainer_of_transformers_lets_the_log_look(tmp_path):
    from transformers import TrainerControl, TrainerState, TrainingArguments

    model = hugging_face("gpt2")
    ids = tokens(2, 8)
    log = ProbeLog(tmp_path / "probes.jsonl", loss=lambda one: one(ids, labels=ids).loss, every=2)
    callback = trainer_callback(log)
    arguments, state = TrainingArguments(output_dir=str(tmp_path), report_to=[]), TrainerState()
    callback.on_train_begin(arguments, state, TrainerControl(), model=model)
    for step in (1, 2, 3, 4):
        state.global_step = step
        callback.on_step_end(arguments, state, TrainerControl(), model=model)
    callback.on_train_end(arguments, state, TrainerControl(), model=model)
    assert [record["step"] for record in log.lines.load()] == [0, 2, 4]
