"""Training of extraction models: it learns, it goes on after a kill to the same numbers, and it says what is wrong."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from crashing import Crash, CrashAfter, kill_at_first_checkpoint
from extraction_samples import EVENTS, OF_TASK, SCHEMA, quick_settings, train_tiny, write_jsonl
from ironwok.errors import (
    CheckpointError,
    CheckpointWarning,
    ConfigError,
    DataError,
    DataWarning,
    InputError,
    MissingExtraError,
    OutputError,
    RecipeError,
    SchemaChangedError,
)
from ironwok.events import load_extractor
from ironwok.events.annotations import AnnotatedText
from ironwok.events.decoding import DecodingOptions
from ironwok.events.schema import EventType, Role, Schema
from ironwok.training import supervised as run_module
from ironwok.training.extraction.curves import draw_curves, read_curves
from ironwok.training.extraction.data import read_corpus
from ironwok.training.extraction.examples import Batches, make_examples
from ironwok.training.extraction.settings import TrainSettings, load_settings
from ironwok.training.extraction.train import tokenizer_of, train_extraction
from ironwok.training.progress import Silent

RECIPES = Path(__file__).resolve().parents[2] / "recipes" / "extraction"


@pytest.mark.parametrize("task", ["entities", "relations"])
def test_learns_four_examples_by_heart(task: str, tiny_encoder: Path, tmp_path: Path) -> None:
    result = train_tiny(tmp_path, task, tiny_encoder, min_steps=80)
    assert result.finished
    assert result.metrics["entity_f1" if task == "entities" else "relation_f1"] == 1.0
    found = load_extractor(tmp_path / "run").extract([text.text for text in OF_TASK[task]])
    for results, text in zip(found, OF_TASK[task], strict=True):
        wanted = getattr(text, task)
        assert len(results) == len(wanted)
        assert {_key(one) for one in results} == {_key(one) for one in wanted}


def _key(result) -> tuple:
    if hasattr(result, "predicate"):
        return result.predicate, result.subject, result.object
    return result.type, result.span


def test_events_are_learnt_and_everything_is_written(event_run: Path) -> None:
    """The fixture has seen to it that all four examples are known by heart."""
    result = json.loads((event_run / "result.json").read_text(encoding="utf-8"))
    assert result["metrics"]["argument_classification_f1"] == 1.0
    losses, scores = read_curves(event_run / "metrics.jsonl")
    assert [step for step, _ in losses] == list(range(1, 61))
    assert losses[-1][1] < losses[0][1] / 5
    assert [step for step, _ in scores["event_f1"]] == [20, 40, 60]
    assert not list(event_run.glob("step-*")), "checkpoints of a finished run are of no use"


# -- resuming


def _train(folder: Path, encoder: Path, *, resume: bool = False, progress=None, **changes: object):
    file = write_jsonl(folder.parent / "samples.jsonl", EVENTS)
    return train_extraction(
        "events",
        train=file,
        dev=file,
        out=folder,
        schema=changes.pop("schema", SCHEMA),  # pyright: ignore[reportArgumentType]
        model=str(encoder),
        settings=quick_settings(**({"min_steps": 16, "evaluate_every": 6, "head_dropout": 0.1} | changes)),
        resume=resume,
        curves=False,
        progress=progress,
    )


def _figures(folder: Path) -> list[str]:
    return (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("at", [5, 13])
def test_a_run_that_died_continues_to_the_same_numbers(
    at: int, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "_SAVE_EVERY", 0.0)
    _train(tmp_path / "whole", tiny_encoder)
    with pytest.raises(Crash):
        _train(tmp_path / "torn", tiny_encoder, progress=CrashAfter(at))
    result = _train(tmp_path / "torn", tiny_encoder, resume=True)
    assert result.finished
    assert _figures(tmp_path / "torn") == _figures(tmp_path / "whole")
    whole, torn = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("whole", "torn"))
    assert whole.keys() == torn.keys()
    assert all(torch.equal(whole[name], torn[name]) for name in whole)
    # and once more: it is done already
    assert _train(tmp_path / "torn", tiny_encoder, resume=True).metrics == result.metrics


def test_a_run_killed_by_the_system_continues_to_the_same_numbers(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, out = Path(__file__).parent, tmp_path / "killed"
    statements = (
        "from test_extraction_training import _train\n"
        f"_train(Path({str(out)!r}), Path({str(tiny_encoder)!r}), resume=True)"
    )
    kill_at_first_checkpoint(out, statements, folders=[here, here.parent])
    monkeypatch.setattr(run_module, "_SAVE_EVERY", 1e9)
    _train(out, tiny_encoder, resume=True)
    _train(tmp_path / "whole", tiny_encoder)
    assert _figures(out) == _figures(tmp_path / "whole")


def test_a_damaged_checkpoint_is_passed_over(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "_SAVE_EVERY", 0.0)
    with pytest.raises(Crash):
        _train(tmp_path / "run", tiny_encoder, progress=CrashAfter(5))
    (checkpoint,) = (tmp_path / "run").glob("step-*")
    (checkpoint / "run.safetensors").write_bytes(b"x")
    with pytest.warns(CheckpointWarning, match="from the beginning instead"):
        assert _train(tmp_path / "run", tiny_encoder, resume=True).finished


def test_another_run_is_not_gone_on_with(tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "_SAVE_EVERY", 0.0)
    with pytest.raises(Crash):
        _train(tmp_path / "run", tiny_encoder, progress=CrashAfter(3))
    with pytest.raises(OutputError, match="--resume"):
        _train(tmp_path / "run", tiny_encoder)
    with pytest.raises(CheckpointError, match="batch_size was"):
        _train(tmp_path / "run", tiny_encoder, resume=True, batch_size=2)
    fewer = Schema(events=tuple(event for event in SCHEMA.events if event.name != "停电"))
    with pytest.warns(DataWarning, match="unknown type"), pytest.raises(SchemaChangedError, match="same schema"):
        _train(tmp_path / "run", tiny_encoder, resume=True, schema=fewer)


def test_a_signal_stops_the_run_with_a_checkpoint(tiny_encoder: Path, tmp_path: Path) -> None:
    class Interrupt(Silent):
        def stepped(self, step: int, **_: object) -> None:
            if step == 4:
                signal.raise_signal(signal.SIGTERM)

    result = _train(tmp_path / "run", tiny_encoder, progress=Interrupt())
    assert not result.finished
    assert result.step == 4
    assert [path.name for path in (tmp_path / "run").glob("step-*")] == ["step-000000004"]


def test_stops_when_nothing_gets_better(tiny_encoder: Path, tmp_path: Path) -> None:
    still = {"learning_rate": 1e-12, "head_learning_rate": 1e-12, "weight_decay": 0.0, "ema": 0.0}
    result = _train(tmp_path / "run", tiny_encoder, min_steps=50, evaluate_every=1, patience=3, **still)
    assert result.finished
    assert (result.best_step, result.step) == (1, 4)


# -- data


def test_without_development_texts_a_tenth_is_held_out(tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "many.jsonl", EVENTS * 10)
    corpus = read_corpus("events", train=file, dev=None, schema=SCHEMA, format=None, seed=0)
    assert (len(corpus.texts), len(corpus.dev)) == (36, 4)
    assert any(text.events for text in corpus.dev)
    again = read_corpus("events", train=file, dev=None, schema=SCHEMA, format=None, seed=0)
    assert again.digest == corpus.digest
    other = read_corpus("events", train=file, dev=None, schema=SCHEMA, format=None, seed=1)
    assert other.digest != corpus.digest


def test_a_schema_can_be_inferred(tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "events.jsonl", EVENTS)
    corpus = read_corpus("events", train=file, dev=file, schema=None, format=None, seed=0)
    assert {event.name for event in corpus.classes.schema.events} == {"收购", "起诉", "停电"}
    assert corpus.classes.anchored


def test_what_does_not_fit_is_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    good = EVENTS[0].to_dict()
    foreign = EVENTS[1].to_dict()
    foreign["events"][0]["type"] = "合并"
    absent = EVENTS[0].to_dict()
    absent["events"][0]["arguments"][0] |= {"text": "别处没有", "start": 0, "end": 4}
    file = tmp_path / "mixed.jsonl"
    lines = [json.dumps(record, ensure_ascii=False) for record in (good, foreign, absent)]
    file.write_text("\n".join([lines[0], "{broken", *lines[1:]]) + "\n", encoding="utf-8")
    problems = []
    with pytest.warns(DataWarning, match="annotations could not be used"):
        corpus = read_corpus(
            "events", train=file, dev=file, schema=SCHEMA, format=None, seed=0, on_problem=problems.append
        )
    assert len(corpus.texts) == 3
    assert {problem.line for problem in problems} == {2, 3, 4}


def test_nothing_to_learn_from_is_an_error(tmp_path: Path) -> None:
    empty = write_jsonl(tmp_path / "empty.jsonl", (EVENTS[3],))
    full = write_jsonl(tmp_path / "full.jsonl", EVENTS)
    one = write_jsonl(tmp_path / "one.jsonl", EVENTS[:1])
    with pytest.raises(DataError, match="nothing to learn from"):
        read_corpus("events", train=empty, dev=full, schema=SCHEMA, format=None, seed=0)
    with pytest.raises(DataError, match="to judge the model by"):
        read_corpus("events", train=full, dev=empty, schema=SCHEMA, format=None, seed=0)
    with pytest.raises(DataError, match="annotate more"):
        read_corpus("events", train=one, dev=None, schema=SCHEMA, format=None, seed=0)


def test_batches_are_a_function_of_seed_and_epoch(tiny_encoder: Path) -> None:
    tokenizer = tokenizer_of(str(tiny_encoder))
    from ironwok.events.classes import TaskClasses

    examples, _ = make_examples(EVENTS * 6, TaskClasses.of("events", SCHEMA), tokenizer, max_tokens=64)
    assert len(examples) == 24

    def drawn(seed: int, epoch: int) -> list[list[int]]:
        batches = Batches(examples, tokenizer, batch_tokens=200, batch_size=6, seed=seed)
        return [batches.batch(epoch, n).inputs["input_ids"].tolist() for n in range(batches.count(epoch))]

    assert drawn(0, 1) == drawn(0, 1)
    assert drawn(0, 1) != drawn(0, 2)
    assert drawn(0, 1) != drawn(1, 1)
    rows = [row for batch in drawn(3, 0) for row in batch]
    assert len(rows) == 24
    assert all(len(batch) <= 6 and len(batch) * len(batch[0]) <= 200 for batch in drawn(3, 0))


# -- teachers


def test_a_teacher_as_a_model_and_as_its_outputs(event_run: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    few = write_jsonl(tmp_path / "few.jsonl", EVENTS[:1])
    unlabelled = tmp_path / "unlabelled.txt"
    unlabelled.write_text("\n".join(text.text for text in EVENTS[1:]), encoding="utf-8")
    common = {
        "train": few,
        "dev": write_jsonl(tmp_path / "dev.jsonl", EVENTS),
        "schema": SCHEMA,
        "model": str(tiny_encoder),
        "curves": False,
    }
    student = train_extraction(
        "events",
        **common,
        out=tmp_path / "student",
        teacher=event_run,
        unlabelled=unlabelled,
        settings=quick_settings(min_steps=60),
    )
    alone = train_extraction("events", **common, out=tmp_path / "alone", settings=quick_settings(min_steps=20))
    assert student.metrics["event_f1"] == 1.0, "what only the teacher knew was learnt"
    assert alone.metrics["event_f1"] < 0.8
    told = (tmp_path / "student" / "teacher.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["text"] for line in told] == [text.text for text in EVENTS[1:]]
    with pytest.raises(Crash):
        train_extraction(
            "events",
            **common,
            out=tmp_path / "again",
            teacher=tmp_path / "student" / "teacher.jsonl",
            settings=quick_settings(),
            progress=CrashAfter(2),
        )


def test_a_teacher_needs_texts(event_run: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "few.jsonl", EVENTS)
    common = {"train": file, "dev": file, "out": tmp_path / "run", "schema": SCHEMA, "model": str(tiny_encoder)}
    with pytest.raises(InputError, match="--unlabelled"):
        train_extraction("events", **common, teacher=event_run)
    empty = write_jsonl(tmp_path / "empty.jsonl", (AnnotatedText("一句话"),))
    with pytest.raises(DataError, match="none of the schema's events"):
        train_extraction("events", **common, teacher=empty)


# -- curves and settings


def test_curves_are_a_picture(event_run: Path, tmp_path: Path) -> None:
    draw_curves(event_run / "metrics.jsonl", tmp_path / "curves.png", title="收购")
    content = (tmp_path / "curves.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) > 5000


def test_without_matplotlib_the_way_to_install_it_is_told(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    file = write_jsonl(tmp_path / "events.jsonl", EVENTS)
    with pytest.raises(MissingExtraError, match=r"pip install 'ironwok\[plots\]'"):
        train_extraction("events", train=file, out=tmp_path / "run", model=str(tiny_encoder), curves=True)
    assert not (tmp_path / "run").exists(), "told before anything is done"


def test_settings_come_from_a_recipe_and_from_changes(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("epochs = 3\nlearning_rate = 1e-4\n", encoding="utf-8")
    chosen = load_settings(recipe, overrides=["patience=0", "pointer=global"], seed=7)
    assert (chosen.epochs, chosen.learning_rate, chosen.patience) == (3.0, 1e-4, 0)
    assert (chosen.pointer, chosen.seed) == ("global", 7)
    assert [
        load_settings(overrides=[f"calibrate={word}"]).calibrate for word in ("true", "True", "FALSE", "false")
    ] == [
        True,
        True,
        False,
        False,
    ]
    for override, message in (
        ("epoch=3", "no setting 'epoch'"),
        ("epochs=many", "must be of type float"),
        ("seed=1.5", "must be of type int"),
        ("calibrate=1", "must be of type bool"),
        ("calibrate=yes", "must be of type bool"),
        ("patience", "not of the form"),
    ):
        with pytest.raises(RecipeError, match=message):
            load_settings(overrides=[override])
    with pytest.raises(RecipeError, match=r"absent\.toml"):
        load_settings(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0.0}, "epochs is 0.0"),
        ({"patience": -1}, "patience is -1"),
        ({"ema": 1.0}, "ema is 1.0"),
        ({"evaluate_every": 0}, "evaluate_every is 0"),
        ({"max_tokens": 8}, "max_tokens is 8"),
        ({"precision": "fp8"}, "'fp8' is none of"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
    ],
)
def test_refuses_settings_that_cannot_be(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainSettings(**changes)  # pyright: ignore[reportArgumentType]


def test_the_learning_rate_warms_up_and_falls() -> None:
    settings = TrainSettings(warmup=0.1)
    shares = [settings.share(step, 100) for step in range(100)]
    assert shares[0] == 0.1
    assert max(shares) == shares[9] == 1.0
    assert shares[9:] == sorted(shares[9:], reverse=True)
    assert 0.0 < shares[-1] < 0.02


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_recipes_can_be_read(path: Path) -> None:
    assert load_settings(path).epochs > 0


def test_an_event_type_nobody_annotated_does_no_harm(tiny_encoder: Path, tmp_path: Path) -> None:
    wider = Schema(events=(*SCHEMA.events, EventType("合并")))
    assert _train(tmp_path / "run", tiny_encoder, schema=wider, min_steps=4).finished


def test_training_goes_on_from_a_trained_model(event_run: Path, tmp_path: Path) -> None:
    """Types and roles that both schemas have start with what was learnt of them."""
    torch.set_num_threads(1)
    first = SCHEMA.events[0]
    schema = Schema(events=(EventType(first.name, first.roles[:1]), EventType("新增", (Role("对象"),))))
    still = {"learning_rate": 1e-12, "head_learning_rate": 1e-12, "ema": 0.0, "evaluate_every": 1, "epochs": 0.01}
    file = write_jsonl(tmp_path / "events.jsonl", EVENTS)
    with pytest.warns(DataWarning, match="could not be used"):
        result = train_extraction(
            "events",
            train=file,
            dev=file,
            out=tmp_path / "run",
            schema=schema,
            model=str(event_run),
            settings=quick_settings(min_steps=1, **still),
            curves=False,
        )
    options = DecodingOptions(threshold=-1e9, max_nodes=10**6)
    tables = []
    for extractor in (load_extractor(event_run), load_extractor(result.folder)):
        ((_, reading),) = extractor.readings([EVENTS[0].text], options=options)[0].windows
        assert reading.links is not None
        names = [(extractor.classes.spans[node.kind], node.first, node.last) for node in reading.nodes]
        kept = [i for i, (one, *_) in enumerate(names) if one.type == first.name and one.role in (None, "买方")]
        scores = {names[i]: reading.nodes[i].logit for i in kept}
        links = {(names[i], names[j]): reading.links[i, j] for i in kept for j in kept}
        tables.append((scores, links))
    (old, old_links), (new, new_links) = tables
    assert max(old.values()) > 0
    assert new == pytest.approx(old, abs=1e-3)
    assert new_links == pytest.approx(old_links, abs=1e-3)


def test_another_width_of_pointers_starts_with_the_encoder_alone(event_run: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    result = train_tiny(tmp_path, "events", event_run, min_steps=2, evaluate_every=2, head_width=8, learning_rate=1e-12)
    old, new = (load_extractor(folder).model.encoder.state_dict() for folder in (event_run, result.folder))
    for name, value in old.items():
        torch.testing.assert_close(new[name], value)
