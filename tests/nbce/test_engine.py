"""Cached, padded, chunked reading gives what reading each row alone gives."""

from __future__ import annotations

import pytest
import torch
from tiny_causal import make_model
from transformers import BertConfig, BertLMHeadModel, MambaConfig, MambaForCausalLM

from ironwok.errors import ModelError
from ironwok.nbce.engine import Engine
from ironwok.nbce.prefill import chunks, prefill
from ironwok.nbce.rows import side_by_side, stack
from ironwok.nbce.settings import PLAIN, Settings

HEAD = [0, 5, 9]
ROWS = [[*HEAD, *range(10, 10 + length)] for length in (3, 40, 17, 25, 8)]
QUESTIONS = [[7, 100, 3, 55, 8], [200], [9, 9, 4, 31, 250, 17, 6]]


def alone(model, ids: list[int]) -> torch.Tensor:
    """log p of the next token after each position, without cache, padding or neighbours, [L, V]."""
    with torch.inference_mode():
        return torch.log_softmax(model(torch.tensor([ids])).logits[0].float(), dim=-1)


def test_rows_of_any_length_are_read_as_if_alone(any_model):
    engine = Engine(any_model)
    rows, log_p = engine.read(ROWS)
    assert rows.positions.tolist() == [len(row) for row in ROWS]
    for number, row in enumerate(ROWS):
        torch.testing.assert_close(log_p[number], alone(any_model, row)[-1], atol=1e-4, rtol=1e-4)
    longer, log_p = engine.extend(rows, [77, 78])
    longer, log_p = engine.extend(longer, [79])
    for number, row in enumerate(ROWS):
        torch.testing.assert_close(log_p[number], alone(any_model, [*row, 77, 78, 79])[-1], atol=1e-4, rtol=1e-4)
    # what was continued is still there to be continued in another way
    _, other = engine.extend(rows, [60])
    torch.testing.assert_close(other[1], alone(any_model, [*ROWS[1], 60])[-1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("Qwen3", {"head_dim": 8}),
        ("Gemma2", {"head_dim": 8, "sliding_window": 16}),
        ("Phi3", {}),
        ("GPTNeoX", {}),
        ("Bloom", {"n_head": 4, "n_layer": 2}),  # no positions: distances are biases
        ("OPT", {"ffn_dim": 64, "word_embed_proj_dim": 32}),  # positions with an offset
    ],
)
def test_other_families_read_padded_rows_as_the_model_reads_each(family, options):
    import transformers

    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    shape |= {"num_key_value_heads": 2, "vocab_size": 259, "max_position_embeddings": 256, "pad_token_id": 2}
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**(shape | options))
    model = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    engine = Engine(model)
    rows, _ = engine.read(ROWS)
    _, log_p = engine.extend(rows.select([3, 1]), [42, 43])
    for found, row in zip(log_p, (ROWS[3], ROWS[1]), strict=True):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([[*row, 42, 43]])).logits[0, -1]
        torch.testing.assert_close(found, logits.log_softmax(-1), atol=1e-4, rtol=1e-4)


def test_rows_dropped_and_joined_go_on_as_before(any_model):
    engine = Engine(any_model)
    first, _ = engine.read(ROWS[:2])
    second, _ = engine.read(ROWS[2:])
    joined = stack([second.select([2, 0]), first.select([1])])
    # rows 8, 17 and 40 long: the widest decides, and nothing is wider
    assert joined.mask.shape == (3, len(ROWS[1]))
    assert second.select([2]).mask.shape == (1, len(ROWS[4]))
    _, log_p = engine.extend(joined, [42])
    for place, number in enumerate((4, 2, 1)):
        torch.testing.assert_close(log_p[place], alone(any_model, [*ROWS[number], 42])[-1], atol=1e-4, rtol=1e-4)


def test_likelihoods_of_a_question(any_model):
    engine = Engine(any_model)
    rows, following = engine.read(ROWS)
    for question in QUESTIONS:
        _, log_p, likelihood = engine.score(rows, following, question)
        for number, row in enumerate(ROWS):
            after = alone(any_model, [*row, *question])
            expected = sum(float(after[len(row) - 1 + place, token]) for place, token in enumerate(question))
            assert float(likelihood[number]) == pytest.approx(expected, abs=1e-3)
            torch.testing.assert_close(log_p[number], after[-1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("chunk_tokens", [1, 60, 10_000])
@pytest.mark.parametrize("keep", [None, 2])
def test_chunks_and_shared_questions_change_nothing(any_model, chunk_tokens, keep):
    engine = Engine(any_model)
    settings = Settings(keep=keep, negligible=0.0)
    seen = []
    together = prefill(engine, HEAD, ROWS, QUESTIONS, settings, chunk_tokens=chunk_tokens, on_read=seen.append)
    assert sum(seen) == len(ROWS)
    for question, found in zip(QUESTIONS, together, strict=True):
        after = [alone(any_model, [*row, *question]) for row in (HEAD, *ROWS)]
        likelihood = [
            sum(float(log_p[len(row) - 1 + place, token]) for place, token in enumerate(question))
            for row, log_p in zip((HEAD, *ROWS), after, strict=True)
        ]
        lift = [one - likelihood[0] for one in likelihood[1:]]
        assert found.lift.tolist() == pytest.approx(lift, abs=2e-3)
        best = sorted(range(len(ROWS)), key=lambda number: -lift[number])[:keep]
        assert found.kept == tuple(sorted(best))
        for place, number in enumerate((-1, *found.kept)):
            torch.testing.assert_close(found.log_p[place], after[number + 1][-1], atol=1e-4, rtol=1e-4)
        _, log_p = engine.extend(found.rows, [33])
        for place, number in enumerate((-1, *found.kept)):
            row = HEAD if number < 0 else ROWS[number]
            torch.testing.assert_close(log_p[place], alone(any_model, [*row, *question, 33])[-1], atol=1e-4, rtol=1e-4)


def test_negligible_contexts_are_dropped_but_never_the_best(model):
    engine = Engine(model)
    (whole,) = prefill(engine, HEAD, ROWS, QUESTIONS[:1], PLAIN, chunk_tokens=1000)
    assert whole.kept == tuple(range(len(ROWS)))
    bound = float(whole.posterior.sort(descending=True).values[1]) + 1e-9
    (one,) = prefill(
        engine, HEAD, ROWS, QUESTIONS[:1], Settings(keep=None, negligible=min(bound, 0.99)), chunk_tokens=1000
    )
    assert one.kept == (int(whole.lift.argmax()),)
    assert len(one.rows) == 2


def test_a_context_can_be_taken_out_afterwards(model):
    engine = Engine(model)
    (whole,) = prefill(engine, HEAD, ROWS, QUESTIONS[:1], PLAIN, chunk_tokens=1000)
    (without,) = prefill(engine, HEAD, [*ROWS[:2], *ROWS[3:]], QUESTIONS[:1], PLAIN, chunk_tokens=1000)
    found = whole.without(2)
    assert found.kept == without.kept
    assert found.lift.tolist() == pytest.approx(without.lift.tolist(), abs=1e-3)
    torch.testing.assert_close(found.log_p, without.log_p, atol=1e-4, rtol=1e-4)


def test_chunks_are_bounded_and_complete():
    lengths = [5, 90, 12, 12, 3, 40, 200]
    found = list(chunks(lengths, chunk_tokens=100))
    assert sorted(number for chunk in found for number in chunk) == list(range(7))
    for chunk in found:
        assert len(chunk) == 1 or len(chunk) * max(lengths[number] for number in chunk) <= 100


def test_long_rows_are_not_read_with_short_ones():
    lengths = [300, 290, 280, 270, 60, 50, 40, 310]
    found = list(chunks(lengths, chunk_tokens=4096))
    assert found == [[7, 0, 1, 2, 3], [4, 5, 6]]
    padded = sum(len(chunk) * max(lengths[number] for number in chunk) for chunk in found)
    assert padded < 1.1 * sum(lengths)
    # few tokens are read at once, however uneven: another chunk would cost more than the padding
    assert list(chunks([60, 20, 10], chunk_tokens=4096)) == [[0, 1, 2]]


def test_parallel_windows_see_each_other_only_through_what_follows():
    """Attention over rows laid side by side, against the same attention with an explicit mask and positions."""
    model = make_model("grouped")
    engine = Engine(model)
    rows, _ = engine.read(ROWS)
    one = side_by_side(rows)
    _, log_p = engine.extend(one, [42, 43])
    ids = [token for row in ROWS for token in row] + [42, 43]
    positions = [place for row in ROWS for place in range(len(row))]
    longest = max(map(len, ROWS))
    positions += [longest, longest + 1]
    windows = [number for number, row in enumerate(ROWS) for _ in row] + [-1, -1]
    allowed = torch.tensor(
        [[j <= i and (windows[i] == -1 or windows[i] == windows[j]) for j in range(len(ids))] for i in range(len(ids))]
    )
    mask = torch.zeros(len(ids), len(ids)).masked_fill(~allowed, torch.finfo(torch.float32).min)
    with torch.inference_mode():
        logits = model(
            torch.tensor([ids]), attention_mask=mask[None, None], position_ids=torch.tensor([positions])
        ).logits[0, -1]
    torch.testing.assert_close(log_p[0], torch.log_softmax(logits.float(), dim=-1), atol=1e-4, rtol=1e-4)


def test_ids_without_text_are_never_predicted(model):
    engine = Engine(model, used=range(100))
    _, log_p = engine.read(ROWS)
    assert bool(torch.isneginf(log_p[:, 100:]).all())
    assert log_p.exp().sum(dim=-1).tolist() == pytest.approx([1.0] * len(ROWS))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_broken_logits_are_an_error(value):
    model = make_model("grouped")
    with torch.no_grad():
        model.lm_head.weight[3, 0] = value
    with pytest.raises(ModelError, match=r"NaN or infinity for [12] of 2 rows"):
        Engine(model).read(ROWS[:2])


def test_a_recurrent_model_is_refused():
    model = MambaForCausalLM(
        MambaConfig(vocab_size=20, hidden_size=8, state_size=4, num_hidden_layers=1, intermediate_size=16)
    ).eval()
    with pytest.raises(ModelError, match="full_attention or sliding_attention"):
        Engine(model)


def test_an_encoder_with_a_causal_class_can_be_read_if_it_is_a_decoder():
    config = BertConfig(
        vocab_size=300,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        is_decoder=True,
    )
    torch.manual_seed(0)
    model = BertLMHeadModel(config).eval()
    _, log_p = Engine(model).read(ROWS)
    torch.testing.assert_close(log_p[2], alone(model, ROWS[2])[-1], atol=1e-4, rtol=1e-4)
