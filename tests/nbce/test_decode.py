"""Answers token by token: equal to plain generation where they must be, streamed, stopped, attributed."""

from __future__ import annotations

import pytest
import torch
from tiny_causal import make_model
from transformers import LogitsProcessorList

from ironwok.errors import InputError
from ironwok.nbce.core import combine
from ironwok.nbce.decode import NBCEChooser, Step, steps_of, write
from ironwok.nbce.engine import Engine
from ironwok.nbce.prefill import prefill
from ironwok.nbce.processor import NBCELogitsProcessor
from ironwok.nbce.settings import PLAIN, Settings

HEAD = [0, 5, 9]
CONTEXTS = [[*HEAD, *range(10, 10 + length)] for length in (3, 30, 17, 25)]
QUESTION = [7, 100, 3, 55, 8]
BARE = {"beta": 0.0, "eta": 0.0, "top_p": None, "route": 0.0, "keep": None, "negligible": 0.0, "max_tokens": 20}


def decode(model, contexts, settings: Settings, *, chunk_tokens: int = 1000, end=()) -> list[Step]:
    engine = Engine(model)
    (prepared,) = prefill(engine, HEAD, contexts, [QUESTION], settings, chunk_tokens=chunk_tokens)
    chooser = NBCEChooser(prepared, settings)
    return list(steps_of(engine, prepared.rows, prepared.log_p, chooser, end=end, max_tokens=settings.max_tokens))


def generate(model, row: list[int], count: int) -> list[int]:
    found = model.generate(
        torch.tensor([row]),
        attention_mask=torch.ones(1, len(row), dtype=torch.long),
        max_new_tokens=count,
        min_new_tokens=count,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=2,
    )
    return found[0, len(row) :].tolist()


def batch(contexts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    rows = [[*HEAD, *QUESTION], *([*row, *QUESTION] for row in contexts)]
    longest = max(map(len, rows))
    ids = torch.tensor([[0] * (longest - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    return ids, mask


@pytest.mark.parametrize("pooling", ["entropy", "mean", "max"])
def test_one_context_without_prior_is_plain_generation(any_model, pooling):
    settings = Settings(pooling=pooling, **BARE)
    found = [step.token for step in decode(any_model, CONTEXTS[1:2], settings)]
    assert found == generate(any_model, [*CONTEXTS[1], *QUESTION], 20)


@pytest.mark.parametrize("pooling", ["entropy", "mean", "max"])
def test_the_same_context_many_times_is_that_context(any_model, pooling):
    settings = Settings(pooling=pooling, **BARE)
    found = decode(any_model, CONTEXTS[1:2] * 3, settings)
    assert [step.token for step in found] == generate(any_model, [*CONTEXTS[1], *QUESTION], 20)


def test_one_context_kept_of_many_is_that_context(any_model):
    settings = Settings(**(BARE | {"route": 0.1, "keep": 1}))
    (step, *_) = found = decode(any_model, CONTEXTS, settings)
    assert step.context is not None
    assert [one.token for one in found] == generate(any_model, [*CONTEXTS[step.context], *QUESTION], 20)


@pytest.mark.parametrize("pooling", ["entropy", "mean", "max"])
def test_all_rows_to_the_end_equal_the_published_loop(any_model, pooling):
    """Written out without a cache: read everything again for every token."""
    settings = Settings(pooling=pooling, route=0.0, keep=None, negligible=0.0, max_tokens=12)
    found = decode(any_model, CONTEXTS, settings, chunk_tokens=40)
    rows = [[*HEAD, *QUESTION], *([*row, *QUESTION] for row in CONTEXTS)]
    previous = 0
    for step in found:
        with torch.inference_mode():
            log_p = torch.stack(
                [torch.log_softmax(any_model(torch.tensor([row])).logits[0, -1], dim=-1) for row in rows]
            )
        combined = combine(log_p, pooling=pooling, previous=previous)
        assert step.token == int(combined.scores.argmax())
        assert step.context is not None
        if pooling == "entropy":
            assert step.context + 1 == combined.context
        previous = step.context + 1
        for row in rows:
            row.append(step.token)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("pooling", ["entropy", "mean", "max"])
def test_generate_with_the_processor_says_the_same(any_model, pooling, temperature):
    settings = Settings(
        pooling=pooling, route=0.2, keep=None, negligible=0.0, max_tokens=15, temperature=temperature, seed=3
    )
    engine = Engine(any_model)
    (prepared,) = prefill(engine, HEAD, CONTEXTS, [QUESTION], settings, chunk_tokens=1000)
    expected = decode(any_model, CONTEXTS, settings)
    ids, mask = batch(CONTEXTS)
    processor = NBCELogitsProcessor(settings, lift=prepared.lift)
    found = any_model.generate(
        ids,
        attention_mask=mask,
        max_new_tokens=15,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=2,
        logits_processor=LogitsProcessorList([processor]),
    )[:, ids.shape[1] :]
    assert found.tolist() == [[step.token for step in expected]] * len(ids)
    assert [row - 1 for row in processor.contexts] == [step.context for step in expected]


def test_the_processor_asks_for_what_it_needs():
    with pytest.raises(InputError, match=r"route is 0\.1 but lift is missing"):
        NBCELogitsProcessor(Settings())
    processor = NBCELogitsProcessor(Settings(), lift=torch.zeros(2))
    with pytest.raises(InputError, match="lift has 2 values, the batch 3 contexts"):
        processor(torch.zeros(4, 1), torch.zeros(4, 9))


def test_a_seed_gives_the_same_answer_again(model):
    def tokens(seed: int) -> list[int]:
        return [step.token for step in decode(model, CONTEXTS, Settings(temperature=1.5, seed=seed, keep=None))]

    assert tokens(1) == tokens(1)
    assert tokens(1) != tokens(2)


def test_it_stops_at_an_end_token_and_does_no_step_too_many(model):
    free = decode(model, CONTEXTS, PLAIN)
    end = free[5].token
    first = [step.token for step in free].index(end)
    assert [step.token for step in decode(model, CONTEXTS, PLAIN, end={end})] == [
        step.token for step in free[: first + 1]
    ]
    assert len(free) == PLAIN.max_tokens


def test_steps_know_their_context_and_how_likely_they_were(model):
    for step in decode(model, CONTEXTS, PLAIN):
        assert step.context in range(len(CONTEXTS))
        assert step.log_p <= 0 <= step.entropy


# from tokens to text


def told(text: str, tokenizer, **options):
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    pieces: list[str] = []
    steps = (Step(token, 0, 0.0, 0.0) for token in ids)
    return write(steps, tokenizer, on_text=pieces.append, **options), pieces


@pytest.mark.parametrize("text", ["plain words", "三个字，两句话。", "mixed 中文 and 🙂 signs", "a\nb"])
def test_streamed_pieces_are_the_text_and_hold_no_half_character(text, tokenizer):
    found, pieces = told(text, tokenizer, end={2})
    assert found.text == "".join(pieces) == text
    assert "\ufffd" not in "".join(pieces)
    assert len(found.steps) == len(found.ends)
    assert found.ends[-1] == len(text)
    assert list(found.ends) == sorted(found.ends)
    assert not found.finished


def test_the_end_token_is_no_part_of_the_text(tokenizer):
    found, _ = told("yes<|im_end|>never", tokenizer, end={2})
    assert (found.text, found.finished, len(found.steps)) == ("yes", True, 3)


@pytest.mark.parametrize(
    ("stop", "expected"),
    [(("\n",), "one"), (("two", "\nt"), "one"), (("e\nx", "wo"), "one\nt"), (("zz",), "one\ntwo")],
)
def test_nothing_of_a_stop_string_is_told(stop, expected, tokenizer):
    found, pieces = told("one\ntwo", tokenizer, end={2}, stop=stop)
    assert found.text == expected == "".join(pieces)
    assert found.finished == (stop != ("zz",))
    assert found.ends[-1] == len(expected)


def test_an_answer_that_breaks_off_within_a_character_says_so(tokenizer):
    ids = tokenizer("好", add_special_tokens=False)["input_ids"][:2]
    found = write((Step(token, 0, 0.0, 0.0) for token in ids), tokenizer, end={2})
    assert found.text == "\ufffd"
    assert not found.finished


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "median"}, "one of entropy, mean, max"),
        ({"beta": -1.5}, "beta is -1.5"),
        ({"beta": float("nan")}, "beta is nan"),
        ({"eta": -0.1}, "eta is -0.1"),
        ({"route": float("inf")}, "route is inf"),
        ({"keep": 0}, "keep is 0"),
        ({"negligible": 1.0}, "negligible is 1.0"),
        ({"closer": -1}, "closer is -1"),
        ({"top_p": 0}, "top_p is 0"),
        ({"sample_top_p": 1.1}, "sample_top_p is 1.1"),
        ({"top_k": 0}, "top_k is 0"),
        ({"temperature": -1}, "temperature is -1"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"stop": "\n"}, "give a tuple of strings"),
        ({"stop": ("",)}, "not empty"),
    ],
)
def test_settings_out_of_range_are_named(options, message):
    with pytest.raises(InputError, match=message):
        Settings(**options)


def test_a_vocabulary_with_unused_ids_answers_in_text(tokenizer):
    model = make_model("grouped", vocab_size=320)
    engine = Engine(model, used=set(tokenizer.get_vocab().values()))
    (prepared,) = prefill(engine, HEAD, CONTEXTS, [QUESTION], PLAIN, chunk_tokens=1000)
    settings = Settings(temperature=5.0, top_p=None, beta=0.0, keep=None)
    steps = list(
        steps_of(engine, prepared.rows, prepared.log_p, NBCEChooser(prepared, settings), end=(), max_tokens=64)
    )
    assert max(step.token for step in steps) < 259
