"""What the benchmarks of extraction compare with is right itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.mark.parametrize("number", range(60))
def test_the_published_recursion_and_ours_find_the_same(number: int) -> None:
    import cliques

    nodes, links, linked = cliques.graph(2 + number % 9, 0.2 + 0.1 * (number % 8), number)
    assert cliques.published_recursion(frozenset(range(len(nodes))), linked, float("inf")) == cliques.ours(nodes, links)


def test_the_recursion_ends_when_patience_does() -> None:
    import cliques

    _, _, linked = cliques.graph(12, 0.8, 0)
    with pytest.raises(cliques.OutOfPatience):
        cliques.published_recursion(frozenset(range(12)), linked, 0.0)


def test_the_published_dense_loss_is_ours() -> None:
    import pointer_loss
    from ironwok.nn.losses import dense_multilabel_loss

    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(6, 20, generator=generator)
    labels = torch.rand(6, 20, generator=generator) < 0.2
    torch.testing.assert_close(
        pointer_loss.published_dense_loss(scores, labels.float()), dense_multilabel_loss(scores, labels)
    )


def test_all_variants_of_the_loss_take_the_same_step() -> None:
    import pointer_loss

    tasks = {
        name: pointer_loss.Task(name, classes=3, length=12, batch=2, device=torch.device("cpu"))
        for name in ("dense", "sparse", "factored")
    }
    losses = {name: task.step() for name, task in tasks.items()}
    for name, task in tasks.items():
        torch.testing.assert_close(losses[name].float(), losses["dense"].float(), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(task.hidden.grad, tasks["dense"].hidden.grad, rtol=1e-3, atol=1e-5)


def test_tags_and_spans() -> None:
    import _fewfc

    # class 0: begin 1, inside 2; class 1: begin 3, inside 4
    assert _fewfc.spans_of([0, 1, 2, 2, 1, 0, 4, 4, 3]) == [(0, 1, 3), (0, 4, 4), (1, 6, 7), (1, 8, 8)]
    batch = type("Batch", (), {})()
    batch.inputs = {"input_ids": np.zeros((1, 7)), "special_tokens_mask": np.array([[1, 0, 0, 0, 0, 0, 1]])}
    batch.right = (np.array([[0, 0, 1, 2], [0, 1, 2, 4], [0, 0, 5, 5]]),)
    # the longer one of two that overlap stays
    assert _fewfc.labels_of(batch).tolist() == [[-100, 0, 3, 4, 4, 1, -100]]


def test_all_arguments_of_a_type_are_one_event() -> None:
    import _fewfc
    from extraction_samples import SCHEMA
    from ironwok.events.classes import TaskClasses
    from ironwok.events.schema import SpanClass
    from ironwok.results import Span

    classes = TaskClasses.of("events", SCHEMA)
    number = classes.numbers
    trigger, buyer = number[SpanClass("收购", None, None)], number[SpanClass("收购", "买方", None)]
    lonely = number[SpanClass("起诉", "原告", None)]
    a, b, c, d = (Span(i, i + 1, "字") for i in range(4))
    events = _fewfc.events_of([(buyer, a), (trigger, b), (buyer, c), (lonely, d)], classes)
    assert [(e.type, e.trigger, [x.span for x in e.arguments]) for e in events] == [("收购", b, [a, c])]


def test_a_tagger_that_was_killed_goes_on_to_the_same_weights(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import itertools

    import _fewfc
    from extraction_samples import EVENTS, SCHEMA, quick_settings
    from ironwok.events.classes import TaskClasses
    from ironwok.training.extraction.train import tokenizer_of

    torch.set_num_threads(1)
    clock = itertools.count(0, 61)  # every step is a minute: each is saved
    monkeypatch.setattr(_fewfc.time, "perf_counter", lambda: next(clock))
    classes, tokenizer = TaskClasses.of("events", SCHEMA), tokenizer_of(str(tiny_encoder))

    def begin() -> _fewfc.TaggerRun:
        settings = quick_settings(batch_size=2)
        return _fewfc.TaggerRun(str(tiny_encoder), EVENTS, classes, tokenizer, settings, steps=5)

    whole = begin().train(tmp_path / "whole.pt")
    torn, step = begin(), _fewfc.TaggerRun._train_step

    def stop_after_three(run: _fewfc.TaggerRun) -> None:
        if run.step == 3:
            raise KeyboardInterrupt
        step(run)

    monkeypatch.setattr(_fewfc.TaggerRun, "_train_step", stop_after_three)
    with pytest.raises(KeyboardInterrupt):
        torn.train(tmp_path / "torn.pt")
    monkeypatch.setattr(_fewfc.TaggerRun, "_train_step", step)
    again = begin()
    resumed = again.train(tmp_path / "torn.pt")
    assert again.step == 5
    start = begin().mean.state_dict()
    for name, value in whole.state_dict().items():
        assert value.equal(resumed.state_dict()[name]), name
    assert any(not value.equal(start[name]) for name, value in whole.state_dict().items())
    # one that is done trains no more
    monkeypatch.setattr(_fewfc.TaggerRun, "_train_step", stop_after_three)
    begin().train(tmp_path / "torn.pt")


def test_speed_is_measured_on_equal_batches() -> None:
    import extract_speed

    batches = extract_speed.batches(32)
    assert sum(len(ids) for ids, _ in batches) == extract_speed.SENTENCES
    assert all((mask.sum(1) >= 30).all() and mask.sum(1).max() == ids.shape[1] for ids, mask in batches)
    assert extract_speed.threshold(np.arange(10.0), 3) == 7.0
