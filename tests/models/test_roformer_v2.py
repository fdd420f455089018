from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModel, AutoModelForPreTraining

from ironwok.errors import ConfigError, InputError, MaskError
from ironwok.models import RoFormerV2Config, RoFormerV2ForPreTraining, RoFormerV2Model

KEYS = Path(__file__).parent / "state_dict_keys.txt"
Make = Callable[..., RoFormerV2Config]
Batch = dict[str, torch.Tensor]


def pretraining(config: RoFormerV2Config, seed: int = 0) -> RoFormerV2ForPreTraining:
    torch.manual_seed(seed)
    return RoFormerV2ForPreTraining(config).eval()


def test_state_dict_keys_are_those_of_released_checkpoints(tiny: Make) -> None:
    """Golden: a change here makes every checkpoint out there unreadable. REGENERATE_GOLDEN=1 writes it anew."""
    state = pretraining(tiny()).state_dict()
    lines = "".join(f"{name} {list(tensor.shape)}\n" for name, tensor in sorted(state.items()))
    if os.environ.get("REGENERATE_GOLDEN"):
        KEYS.write_text(lines, encoding="utf-8")
    assert lines == KEYS.read_text(encoding="utf-8")


def test_saves_and_loads(tiny: Make, batch: Batch, tmp_path: Path) -> None:
    model = pretraining(tiny())
    model.save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "roformer_v2"
    loaded = AutoModelForPreTraining.from_pretrained(tmp_path)
    assert isinstance(loaded, RoFormerV2ForPreTraining)
    assert loaded.config.to_dict() | {"_name_or_path": ""} == model.config.to_dict() | {"_name_or_path": ""}
    ours, theirs = model(**batch), loaded(**batch)
    assert torch.equal(ours.prediction_logits, theirs.prediction_logits)
    assert torch.equal(ours.seq_relationship_logits, theirs.seq_relationship_logits)
    base = AutoModel.from_pretrained(tmp_path)
    assert isinstance(base, RoFormerV2Model)
    assert torch.equal(base(**batch).last_hidden_state, model.roformer(**batch).last_hidden_state)
    assert isinstance(AutoConfig.from_pretrained(tmp_path), RoFormerV2Config)


def test_output_layer_is_the_token_embedding(tiny: Make, tmp_path: Path) -> None:
    model = pretraining(tiny())
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    model.save_pretrained(tmp_path)
    loaded = RoFormerV2ForPreTraining.from_pretrained(tmp_path)
    assert loaded.get_output_embeddings().weight is loaded.get_input_embeddings().weight
    loaded.resize_token_embeddings(60)
    assert loaded.get_output_embeddings().weight is loaded.get_input_embeddings().weight
    assert loaded(torch.tensor([[2, 59, 3]])).prediction_logits.shape == (1, 3, 60)


def test_shapes(tiny: Make, batch: Batch) -> None:
    output = pretraining(tiny())(**batch, output_hidden_states=True)
    assert output.prediction_logits.shape == (3, 9, 50)
    assert output.seq_relationship_logits.shape == (3, 2)
    assert [tuple(hidden.shape) for hidden in output.hidden_states] == [(3, 9, 16)] * 3
    assert output.loss is None


def test_loss_looks_at_labelled_positions_alone(tiny: Make, batch: Batch) -> None:
    model = pretraining(tiny(next_sentence_weight=0.5))
    labels = torch.full((3, 9), -100)
    labels[0, 2], labels[1, 4], labels[1, 5] = 7, 8, 9
    follows = torch.tensor([0, 1, -100])
    output = model(**batch, labels=labels, next_sentence_label=follows)
    full = model(**batch)
    expected = torch.nn.functional.cross_entropy(full.prediction_logits.flatten(0, 1), labels.flatten())
    torch.testing.assert_close(output.mlm_loss, expected, rtol=1e-5, atol=1e-6)
    nsp = torch.nn.functional.cross_entropy(full.seq_relationship_logits[:2], follows[:2])
    torch.testing.assert_close(output.nsp_loss, nsp, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(output.loss, expected + 0.5 * nsp, rtol=1e-5, atol=1e-6)
    assert output.prediction_logits is None
    assert output.labelled_targets.tolist() == [7, 8, 9]
    torch.testing.assert_close(output.labelled_logits, full.prediction_logits[labels != -100], rtol=1e-4, atol=1e-5)


def test_nothing_labelled_is_a_loss_of_zero(tiny: Make, batch: Batch) -> None:
    model = pretraining(tiny()).train()
    output = model(**batch, labels=torch.full((3, 9), -100), next_sentence_label=torch.full((3,), -100))
    assert output.loss.item() == 0.0
    output.loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_tuples_where_asked_for(tiny: Make, batch: Batch) -> None:
    model = pretraining(tiny())
    logits, follows = model(**batch, return_dict=False)
    assert logits.shape == (3, 9, 50)
    assert follows.shape == (3, 2)


@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=4), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_padding_and_batch_do_not_change_results(tiny: Make, lengths: list[int], seed: int) -> None:
    model = pretraining(tiny())
    generator = torch.Generator().manual_seed(seed)
    texts = [torch.randint(5, 50, (length,), generator=generator) for length in lengths]
    input_ids = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True)
    mask = torch.arange(input_ids.shape[1]) < torch.tensor(lengths)[:, None]
    together = model(input_ids, attention_mask=mask)
    for row, text in enumerate(texts):
        alone = model(text[None])
        hidden = together.prediction_logits[row, : lengths[row]]
        torch.testing.assert_close(hidden, alone.prediction_logits[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            together.seq_relationship_logits[row], alone.seq_relationship_logits[0], rtol=1e-4, atol=1e-5
        )


def test_segments_matter_and_default_to_the_first(tiny: Make, batch: Batch) -> None:
    model = pretraining(tiny())
    ids, mask = batch["input_ids"], batch["attention_mask"]
    without = model(ids, attention_mask=mask).prediction_logits
    torch.testing.assert_close(
        without, model(ids, attention_mask=mask, token_type_ids=torch.zeros_like(ids)).prediction_logits
    )
    assert not torch.allclose(without, model(**batch).prediction_logits)


def test_positions_matter(tiny: Make) -> None:
    model = pretraining(tiny())
    first, second = model(torch.tensor([[7, 8, 9]])), model(torch.tensor([[7, 9, 8]]))
    assert not torch.allclose(first.prediction_logits[0, 0], second.prediction_logits[0, 0], atol=1e-6)


def test_a_mask_of_four_axes_goes_through(tiny: Make, batch: Batch) -> None:
    model = pretraining(tiny())
    ids = batch["input_ids"]
    causal = torch.ones(1, 1, 9, 9, dtype=torch.bool).tril()
    logits = model(ids, attention_mask=causal).prediction_logits
    changed = ids.clone()
    changed[:, -1] = 6
    torch.testing.assert_close(model(changed, attention_mask=causal).prediction_logits[:, :-1], logits[:, :-1])
    with pytest.raises(MaskError):
        model(ids, attention_mask=causal.float())


@pytest.mark.parametrize("pattern", ["causal", "prefix", "forward-backward-heads", "forward-backward-layers"])
def test_mask_patterns_come_from_the_configuration(tiny: Make, batch: Batch, pattern: str, tmp_path: Path) -> None:
    model = pretraining(tiny(mask_pattern=pattern))
    extra = {"prefix_lengths": torch.tensor([2, 1, 0])} if pattern == "prefix" else {}
    logits = model(**batch, **extra).prediction_logits
    assert not torch.allclose(logits, pretraining(tiny())(**batch).prediction_logits)
    model.save_pretrained(tmp_path)
    loaded = RoFormerV2ForPreTraining.from_pretrained(tmp_path)
    assert torch.equal(loaded(**batch, **extra).prediction_logits, logits)


def test_input_embeddings_instead_of_ids(tiny: Make, batch: Batch) -> None:
    model = pretraining(tiny())
    words = model.get_input_embeddings()(batch["input_ids"])
    rest = {name: value for name, value in batch.items() if name != "input_ids"}
    assert torch.equal(model(inputs_embeds=words, **rest).prediction_logits, model(**batch).prediction_logits)
    with pytest.raises(InputError, match="one of them"):
        model()
    with pytest.raises(InputError, match="one of them"):
        model(batch["input_ids"], inputs_embeds=words)


def test_too_long_a_text_names_both_numbers(tiny: Make) -> None:
    with pytest.raises(InputError, match="25 tokens, the model takes 24"):
        pretraining(tiny())(torch.zeros(1, 25, dtype=torch.long))


def test_starting_values(tiny: Make) -> None:
    model = pretraining(tiny(vocab_size=4000, hidden_size=64, num_hidden_layers=4, intermediate_size=256))
    embedding = model.get_input_embeddings().weight
    assert embedding.std().item() == pytest.approx((64 * 4) ** -0.5, rel=0.02)
    down = model.roformer.encoder.blocks[3].feed_forward.branch.down.weight
    assert down.std().item() == pytest.approx((256 * 4) ** -0.5, rel=0.03)
    hidden = model(torch.randint(0, 4000, (2, 8)), output_hidden_states=True).hidden_states
    for state in hidden:  # post norm: every state has second moment 1
        assert state.square().mean().item() == pytest.approx(1.0, rel=1e-3)
    wider = pretraining(tiny(initializer_gain=1.0)).roformer.encoder.blocks[0].feed_forward.branch.up.weight
    assert wider.std().item() == pytest.approx(16**-0.5, rel=0.15)


def test_warm_up_scale_is_set_saved_and_loaded(tiny: Make, batch: Batch, tmp_path: Path) -> None:
    model = pretraining(tiny())
    full = model.roformer(**batch).last_hidden_state
    model.set_branch_scale(0.25)
    quarter = model.roformer(**batch).last_hidden_state
    assert not torch.allclose(full, quarter)
    model.save_pretrained(tmp_path)
    loaded = RoFormerV2ForPreTraining.from_pretrained(tmp_path)
    assert loaded.config.branch_scale == 0.25
    torch.testing.assert_close(loaded.roformer(**batch).last_hidden_state, quarter)
    loaded.set_branch_scale(1.0)
    torch.testing.assert_close(loaded.roformer(**batch).last_hidden_state, full)
    model.set_branch_scale(0.0)
    states = model(**batch, output_hidden_states=True).hidden_states
    torch.testing.assert_close(states[-1], states[0], rtol=1e-5, atol=1e-5)


def test_compiles_to_one_graph_for_the_whole_warm_up(tiny: Make, batch: Batch) -> None:
    from torch._dynamo.testing import CompileCounter

    counter = CompileCounter()
    torch._dynamo.reset()
    model = pretraining(tiny())
    compiled = torch.compile(model, backend=counter, fullgraph=True)
    for alpha in (0.0, 0.3, 1.0):
        model.set_branch_scale(alpha)
        torch.testing.assert_close(
            compiled(**batch).prediction_logits, model(**batch).prediction_logits, rtol=1e-4, atol=1e-5
        )
    assert counter.frame_count == 1


def test_gradient_checkpointing(tiny: Make, batch: Batch) -> None:
    gradients = []
    for checkpointing in (False, True):
        model = pretraining(tiny()).train()
        if checkpointing:
            model.activation_checkpointing_enable()
            assert model.roformer.encoder.gradient_checkpointing
        labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        model(**batch, labels=labels, next_sentence_label=torch.tensor([0, 1, 1])).loss.backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient)


def test_bfloat16_autocast_trains(tiny: Make, batch: Batch) -> None:
    model = pretraining(tiny()).train()
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(**batch, labels=labels, next_sentence_label=torch.tensor([0, 1, 1]))
    assert output.loss.dtype == torch.float32
    output.loss.backward()
    exact = pretraining(tiny()).train()
    exact(**batch, labels=labels, next_sentence_label=torch.tensor([0, 1, 1])).loss.backward()
    for (name, parameter), (_, reference) in zip(model.named_parameters(), exact.named_parameters(), strict=True):
        similarity = torch.nn.functional.cosine_similarity(parameter.grad.flatten(), reference.grad.flatten(), dim=0)
        assert similarity > 0.99, name


def test_attention_can_be_written_out(tiny: Make, batch: Batch, tmp_path: Path) -> None:
    model = pretraining(tiny())
    model.save_pretrained(tmp_path)
    eager = RoFormerV2ForPreTraining.from_pretrained(tmp_path, attn_implementation="eager")
    assert eager.roformer.encoder.blocks[0].attention.branch.kernel.__name__ == "attend_plain"
    torch.testing.assert_close(eager(**batch).prediction_logits, model(**batch).prediction_logits, rtol=1e-4, atol=1e-5)


def test_memorises_four_examples(tiny: Make) -> None:
    torch.manual_seed(0)
    model = RoFormerV2ForPreTraining(tiny(hidden_size=32)).train()
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(5, 50, (4, 10), generator=generator)
    labels[:, 0] = -100
    input_ids = torch.full((4, 10), 4)
    input_ids[:, 0] = torch.arange(5, 9)  # only the first token tells the texts apart
    follows = torch.tensor([0, 1, 1, 0])
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(150):
        output = model(input_ids, labels=labels, next_sentence_label=follows)
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
    model.eval()
    output = model(input_ids)
    assert torch.equal(output.prediction_logits.argmax(-1)[:, 1:], labels[:, 1:])
    assert torch.equal(output.seq_relationship_logits.argmax(-1), follows)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 18}, "width 18 is not a multiple of 4 heads"),
        ({"hidden_act": "sine"}, "hidden_act 'sine'"),
        ({"vocab_size": 0}, "vocab_size is 0"),
        ({"norm_placement": "nowhere"}, "'nowhere' is none of"),
    ],
)
def test_contradicting_configurations(tiny: Make, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tiny(**changes)


def test_defaults_are_the_small_model() -> None:
    config = RoFormerV2Config()
    assert (config.num_hidden_layers, config.hidden_size, config.num_attention_heads) == (6, 384, 6)
    assert (config.intermediate_size, config.vocab_size, config.max_position_embeddings) == (1536, 12800, 512)
    assert (config.norm_type, config.norm_gain, config.use_bias, config.norm_eps) == ("rms", False, False, 1e-12)
