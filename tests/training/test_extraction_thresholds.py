"""Thresholds are chosen where the model does best, and go with it."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from extraction_samples import EVENTS, train_tiny
from ironwok.events import DecodingOptions, EventExtractor
from ironwok.training.extraction.judge import judge
from ironwok.training.extraction.thresholds import LINKS, SPANS, choose_thresholds

TEXTS = [text.text for text in EVENTS]


def shifted(folder: Path, run: Path, *, links: float) -> Path:
    """The model of a run whose links all score that much less."""
    import shutil

    shutil.copytree(run / "model", folder)
    weights = load_file(folder / "model.safetensors")
    for name in ("heads", "tails"):
        weights[f"{name}.kinds.bias"][0] -= links
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {"threshold": 0.0, "link_threshold": 0.0}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def test_links_that_score_too_low_get_a_lower_threshold(event_run: Path, tmp_path: Path) -> None:
    strict = EventExtractor(event_run).readings(TEXTS, options=DecodingOptions(threshold=-9.0))
    lowest = min(
        float(one.links[i, j])
        for reading in strict
        for _, one in reading.windows
        if one.links is not None
        for i in range(len(one.nodes))
        for j in range(i)
        if one.links[i, j] > 0
    )
    weak = EventExtractor(shifted(tmp_path / "weak", event_run, links=lowest + 1.0))
    before = judge("events", weak.extract(TEXTS), EVENTS)
    options, after = choose_thresholds(weak, EVENTS)
    assert options.link_threshold in LINKS
    assert options.threshold in SPANS
    assert options.link_threshold < 0.0
    assert before["event_f1"] < after["event_f1"] == 1.0
    # what was promised is what comes out
    again = EventExtractor(weak.model, tokenizer=weak.tokenizer, options=options)
    assert judge("events", again.extract(TEXTS), EVENTS) == after


def test_a_model_that_needs_none_keeps_zero(event_run: Path) -> None:
    options, metrics = choose_thresholds(EventExtractor(event_run), EVENTS)
    assert metrics["event_f1"] == 1.0
    assert (options.threshold, options.link_threshold) == (0.0, 0.0)


def test_the_thresholds_of_a_model_are_its_defaults(event_run: Path, tmp_path: Path) -> None:
    folder = shifted(tmp_path / "model", event_run, links=0.0)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"threshold": 1e6}), encoding="utf-8")
    assert EventExtractor(folder).extract(TEXTS) == [(), (), (), ()]
    assert EventExtractor(folder).options.threshold == 1e6
    own = EventExtractor(folder, options=DecodingOptions(threshold=0.0))
    assert own.options.link_threshold == 0.0
    assert [len(events) for events in own.extract(TEXTS)] == [len(text.events) for text in EVENTS]


def test_it_can_be_left_out(tiny_encoder: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    train_tiny(tmp_path, "events", tiny_encoder, min_steps=2, evaluate_every=2, calibrate=False)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8")
    assert "threshold" not in lines
