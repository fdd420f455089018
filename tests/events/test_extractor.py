"""Texts in, events out: windows, batches, streams, schemas, and input that nobody should give."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from extraction_samples import ENTITIES, EVENTS, SCHEMA
from ironwok.errors import (
    CheckpointError,
    DecodingWarning,
    InputError,
    ModelNotFoundError,
    SchemaChangedError,
)
from ironwok.events import EntityExtractor, EventExtractor, load_extractor
from ironwok.events.choosing import choose_model, extraction_models
from ironwok.events.classes import TaskClasses
from ironwok.events.decoding import DecodingOptions
from ironwok.events.schema import EventType, Role, Schema
from ironwok.events.schema_files import save_schema
from ironwok.models import GPLinkerConfig, GPLinkerModel
from ironwok.results import Event
from ironwok.text.tokenizer import load_tokenizer

TEXTS = [text.text for text in EVENTS]


def plain(events: tuple[Event, ...]) -> list[tuple]:
    return [(e.type, e.trigger, tuple((a.role, a.span, a.value) for a in e.arguments)) for e in events]


@pytest.fixture(scope="module")
def extractor(event_run: Path) -> EventExtractor:
    return EventExtractor(event_run)


def test_finds_what_it_was_taught_at_the_right_characters(extractor: EventExtractor) -> None:
    found = extractor.extract(TEXTS)
    for text, events, annotated in zip(TEXTS, found, EVENTS, strict=True):
        wanted = {
            (e.type, e.trigger, frozenset((a.role, a.span, a.value) for a in e.arguments)) for e in annotated.events
        }
        assert {(kind, trigger, frozenset(roles)) for kind, trigger, roles in plain(events)} == wanted
        for event in events:
            assert 0.0 < event.score < 1.0
            assert all(text[span.start : span.end] == span.text for span in event.spans)


def test_batch_size_and_order_change_nothing(extractor: EventExtractor, event_run: Path) -> None:
    one = EventExtractor(event_run, batch_size=1)
    assert [plain(events) for events in one.extract(TEXTS)] == [plain(events) for events in extractor.extract(TEXTS)]
    backwards = extractor.extract(TEXTS[::-1])[::-1]
    assert [plain(events) for events in backwards] == [plain(events) for events in extractor.extract(TEXTS)]


def test_streams_are_answered_as_they_come(event_run: Path) -> None:
    taken: list[int] = []

    def endless():
        number = 0
        while True:
            taken.append(number)
            yield TEXTS[number % len(TEXTS)]
            number += 1

    results = EventExtractor(event_run, batch_size=2).extract_iter(endless())
    assert plain(next(results)) == plain(EventExtractor(event_run).extract(TEXTS[:1])[0])
    assert len(taken) <= 2 * 8


def test_a_stream_that_pauses_is_answered_before_the_next_text_is_waited_for(extractor: EventExtractor) -> None:
    class Slow:
        """Two texts at once, then one, and then nothing that may be waited for."""

        def __init__(self) -> None:
            self.given = 0

        def __iter__(self) -> Iterator[str]:
            return self

        def __next__(self) -> str:
            assert self.given < 3, "it was waited for"
            self.given += 1
            return f"第{self.given}条，什么也没有发生。"

        def pauses(self) -> bool:
            return self.given >= 2

    texts = Slow()
    results = extractor.extract_iter(texts)
    next(results)
    assert texts.given == 2
    next(results)
    next(results)
    with pytest.raises(AssertionError, match="it was waited for"):
        next(results)


def test_long_texts_are_read_in_windows_and_their_events_merged(extractor: EventExtractor) -> None:
    """The sample texts one after the other, longer than the 64 tokens that the model was trained on."""
    text = "".join(TEXTS)
    (found,) = extractor.extract([text])
    starts = [sum(map(len, TEXTS[:i])) for i in range(len(TEXTS))]
    known = {
        (e.type, e.moved(start).trigger)
        for start, annotated in zip(starts, EVENTS, strict=True)
        for e in annotated.events
        if e.trigger is not None
    }
    hits = {(event.type, event.trigger) for event in found} & known
    assert hits
    assert all(text[span.start : span.end] == span.text for event in found for span in event.spans)
    assert len(set(plain(found))) == len(found), "an event in two windows is found once"


def test_a_text_of_a_hundred_thousand_characters(event_run: Path) -> None:
    once = TEXTS[0] + TEXTS[3]
    text = once * (100_000 // len(once) + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DecodingWarning)
        (found,) = EventExtractor(event_run, max_tokens=128, overlap=0).extract([text])
    assert found
    assert all(text[span.start : span.end] == span.text for event in found for span in event.spans)


@pytest.mark.parametrize("text", ["", " \n\t ", "\u200b", "\ud800", "😀", "[CLS] [SEP] [MASK]", "a" * 500])
def test_odd_texts_are_no_trouble(extractor: EventExtractor, text: str) -> None:
    (found,) = extractor.extract([text])
    assert all(text[span.start : span.end] == span.text for event in found for span in event.spans)


def test_no_texts(extractor: EventExtractor) -> None:
    assert extractor.extract([]) == []


def test_refuses_what_is_no_list_of_texts(extractor: EventExtractor) -> None:
    with pytest.raises(InputError, match="texts is one string"):
        extractor.extract("一句话")
    with pytest.raises(InputError, match="text 1 is a int"):
        extractor.extract(["一句话", 3])  # pyright: ignore[reportArgumentType]


def test_refuses_sizes_that_cannot_be(event_run: Path) -> None:
    for choices, message in (
        ({"batch_size": 0}, "batch_size is 0"),
        ({"max_tokens": 1000}, "the model takes 128"),
        ({"max_tokens": 4}, "at least 8"),
        ({"overlap": 60}, "overlap is 60"),
        ({"across": "x"}, "across is 'x'"),
    ):
        with pytest.raises(InputError, match=message):
            EventExtractor(event_run, **choices)


def test_a_threshold_keeps_the_surer_ones(event_run: Path) -> None:
    strict = EventExtractor(event_run, options=DecodingOptions(threshold=1e6))
    assert strict.extract(TEXTS) == [(), (), (), ()]


# -- schemas


def test_a_smaller_schema_finds_its_part(event_run: Path) -> None:
    asked = Schema(events=(EventType("收购", (Role("买方"), Role("标的"))),))
    found = EventExtractor(event_run, schema=asked).extract(TEXTS)
    assert {event.type for events in found for event in events} == {"收购"}
    assert {a.role for events in found for event in events for a in event.arguments} == {"买方", "标的"}


def test_a_schema_with_new_names_is_refused(event_run: Path) -> None:
    asked = Schema(events=(EventType("收购", (Role("买方"), Role("卖方"))), EventType("合并")))
    with pytest.raises(SchemaChangedError, match="卖方"):
        EventExtractor(event_run, schema=asked)
    with pytest.raises(SchemaChangedError, match="names no events"):
        EventExtractor(event_run, schema=Schema(entities=SCHEMA.entities))


def test_a_schema_file_and_its_model(event_run: Path, tmp_path: Path) -> None:
    file = tmp_path / "part.toml"
    save_schema(Schema(events=(EventType("起诉", (Role("原告"),)),)), file)
    choice = choose_model(file, model=event_run)
    assert choice.model == str(event_run)
    assert choice.schema is not None
    with pytest.raises(ModelNotFoundError, match="ironwok train events"):
        choose_model(file)
    with pytest.raises(InputError, match="leave the other model"):
        choose_model(event_run, model="another")
    assert choose_model(event_run).schema is None
    assert all(name in choose_model(name).model for name in extraction_models())


# -- models


def test_an_extractor_is_for_one_task(event_run: Path) -> None:
    with pytest.raises(InputError, match="finds events, not entities: use EventExtractor"):
        EntityExtractor(event_run)
    assert isinstance(load_extractor(event_run), EventExtractor)


def test_an_encoder_is_no_extraction_model(tiny_encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="finds no events"):
        EventExtractor(tiny_encoder)
    with pytest.raises(ModelNotFoundError, match="holds no model"):
        EventExtractor(tmp_path)
    with pytest.raises(ModelNotFoundError, match="no folder"):
        EventExtractor(tmp_path / "absent")


def test_damaged_and_foreign_weights_are_noticed(event_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(event_run / "model", folder)
    weights = load_file(folder / "model.safetensors")
    weights.pop("spans.dense.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"spans\.dense\.weight"):
        EventExtractor(folder)
    (folder / "model.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        EventExtractor(folder)


def test_a_configuration_with_another_schema_than_its_weights(event_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(event_run / "model", folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["schema"]["event"].append({"type": "合并", "trigger": True, "roles": []})
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(CheckpointError, match="changed after training"):
        EventExtractor(folder)


def test_an_untrained_model_is_bounded_and_says_so(tiny_encoder: Path) -> None:
    torch.manual_seed(0)
    classes = TaskClasses.of("events", SCHEMA)
    model = GPLinkerModel.from_encoder(str(tiny_encoder), **classes.config(), head_width=16)
    torch.nn.init.constant_(model.spans.kinds.bias, 1.0)  # pyright: ignore
    options = DecodingOptions(max_nodes=20, max_events=10)
    extractor = EventExtractor(model, tokenizer=load_tokenizer(tiny_encoder), options=options)
    with pytest.warns(DecodingWarning, match="max_nodes = 20"):
        (found,) = extractor.extract([TEXTS[1]])
    assert len(found) <= 10 * len(SCHEMA.events)


def test_a_model_object_needs_a_tokenizer(tiny_encoder: Path) -> None:
    classes = TaskClasses.of("entities", SCHEMA)
    model = GPLinkerModel.from_encoder(str(tiny_encoder), **classes.config(), head_width=16)
    with pytest.raises(InputError, match="needs its tokenizer"):
        EntityExtractor(model)
    found = EntityExtractor(model, tokenizer=load_tokenizer(tiny_encoder)).extract([ENTITIES[0].text])
    assert len(found) == 1


def test_any_encoder_will_do(tiny_encoder: Path, tmp_path: Path) -> None:
    """A BERT under the pointers, saved and loaded again."""
    from transformers import AutoModel, BertConfig, BertModel

    tokenizer = load_tokenizer(tiny_encoder)
    torch.manual_seed(0)
    bert = BertModel(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=64,
        )
    )
    bert.save_pretrained(tmp_path / "bert")
    tokenizer.save_pretrained(tmp_path / "bert")
    classes = TaskClasses.of("events", SCHEMA)
    model = GPLinkerModel.from_encoder(str(tmp_path / "bert"), **classes.config(), pointer="global", head_width=8)
    model.save_pretrained(tmp_path / "gp")
    tokenizer.save_pretrained(tmp_path / "gp")
    again = AutoModel.from_pretrained(tmp_path / "gp")
    assert isinstance(again, GPLinkerModel)
    assert isinstance(again.config, GPLinkerConfig)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value)
    inputs = {
        "input_ids": torch.tensor([[2, 9, 10, 3]]),
        "attention_mask": torch.ones(1, 4, dtype=torch.long),
        "special_tokens_mask": torch.tensor([[1, 0, 0, 1]]),
    }
    with torch.inference_mode():
        torch.testing.assert_close(again.eval()(**inputs).spans, model.eval()(**inputs).spans)
    strict = EventExtractor(tmp_path / "gp", options=DecodingOptions(threshold=1e6))
    assert strict.extract(TEXTS) == [(), (), (), ()]
