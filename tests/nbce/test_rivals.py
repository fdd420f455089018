"""The other ways to answer: that they are what they are called."""

from __future__ import annotations

import builtins

import pytest
import torch
from tiny_causal import make_model

from ironwok.errors import InputError, MissingExtraError, ModelError
from ironwok.nbce import rivals
from ironwok.nbce.decode import steps_of
from ironwok.nbce.engine import Engine
from ironwok.nbce.settings import Settings

HEAD = [0, 5, 9]
ROWS = [[*HEAD, *range(10, 10 + length)] for length in (3, 20, 9)]
QUESTION = [7, 100, 3]


def log_p_of(model, ids: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        return torch.log_softmax(model(torch.tensor([ids])).logits[0, -1].float(), dim=-1)


def greedy(engine, rows, log_p, chooser, count=10) -> list[int]:
    return [step.token for step in steps_of(engine, rows, log_p, chooser, end=(), max_tokens=count)]


def test_concatenation_has_one_head_and_is_cut_at_its_end():
    whole = rivals.concatenated(HEAD, ROWS, room=None)
    assert whole == [*HEAD, *ROWS[0][3:], *ROWS[1][3:], *ROWS[2][3:]]
    assert rivals.concatenated(HEAD, ROWS, room=11) == whole[:11]


def test_concatenation_is_plain_generation(any_model):
    engine = Engine(any_model)
    row = rivals.concatenated(HEAD, ROWS, room=None)
    read, log_p = rivals.read_concatenated(engine, row, QUESTION)
    found = greedy(engine, read, log_p, rivals.LastRowChooser(Settings()))
    written: list[int] = []
    for _ in range(10):
        written.append(int(log_p_of(any_model, [*row, *QUESTION, *written]).argmax()))
    assert found == written


def test_context_aware_decoding_takes_the_empty_row_away(any_model):
    engine, alpha = Engine(any_model), 0.5
    row = rivals.concatenated(HEAD, ROWS, room=None)
    read, log_p = rivals.read_concatenated(engine, row, QUESTION)
    both, both_log_p = rivals.read_aware(engine, HEAD, read, log_p, QUESTION)
    found = greedy(engine, both, both_log_p, rivals.LastRowChooser(Settings(), alpha=alpha))
    written: list[int] = []
    for _ in range(10):
        whole = log_p_of(any_model, [*row, *QUESTION, *written])
        bare = log_p_of(any_model, [*HEAD, *QUESTION, *written])
        written.append(int(((1 + alpha) * whole - alpha * bare).argmax()))
    assert found == written


def test_parallel_windows_of_one_context_are_that_context(model):
    engine = Engine(model)
    rows, _ = engine.read(ROWS[1:2])
    one, log_p = rivals.read_parallel(engine, rows, QUESTION)
    torch.testing.assert_close(log_p[0], log_p_of(model, [*ROWS[1], *QUESTION]), atol=1e-4, rtol=1e-4)
    assert one.positions.tolist() == [len(ROWS[1]) + len(QUESTION)]


def test_parallel_windows_do_not_depend_on_the_order_of_contexts(model):
    engine = Engine(model)
    forth, _ = engine.read(ROWS)
    back, _ = engine.read(ROWS[::-1])
    _, a = rivals.read_parallel(engine, forth, QUESTION)
    _, b = rivals.read_parallel(engine, back, QUESTION)
    torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["sliding", "mixed"])
def test_parallel_windows_are_refused_where_attention_slides(kind):
    engine = Engine(make_model(kind))
    rows, _ = engine.read(ROWS)
    with pytest.raises(ModelError, match="sliding windows"):
        rivals.read_parallel(engine, rows, QUESTION)


def test_bm25_finds_the_text_with_the_rare_words():
    texts = [
        "The road to the harbour is closed for the day.",
        "Lindholm has a ferry in the morning and one at night.",
        "The harbour of the town is old, and so is the road.",
    ]
    assert rivals.best_by_bm25("When is the ferry to Lindholm?", texts) == 1
    assert rivals.best_by_bm25("Is the HARBOUR of the town old?", texts) == 2
    # nothing in common: the first
    assert rivals.best_by_bm25("zebra?", texts) == 0


def test_bm25_reads_chinese():
    texts = ["面包要发两次。", "渡轮早上七点开往林岛。", "档案馆藏有四千张地图。"]
    assert rivals.best_by_bm25("渡轮几点开？", texts) == 1
    assert rivals.best_by_bm25("有多少张地图？", texts) == 2


def test_without_bm25s_the_extra_is_named(monkeypatch):
    original = builtins.__import__

    def refusing(name, *rest, **options):
        if name == "bm25s":
            raise ImportError(name)
        return original(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", refusing)
    with pytest.raises(MissingExtraError, match=r"ironwok\[ask\]"):
        rivals.best_by_bm25("a", ["a"])


def test_a_negative_alpha_is_named():
    with pytest.raises(InputError, match=r"alpha is -1"):
        rivals.LastRowChooser(Settings(), alpha=-1)
