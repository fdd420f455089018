"""Fine-tuning on labelled records: it learns, it goes on after a kill to the same numbers, and its models are used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tuning_samples import MONEY, SPORT, quick_settings, records, train_tiny, write

from crashing import Crash, CrashAfter, kill_at_first_checkpoint
from ironwok.cli import main
from ironwok.errors import (
    CheckpointError,
    ConfigError,
    InputError,
    MissingHeadError,
    ModelNotFoundError,
    OutputError,
    RecipeError,
    SchemaChangedError,
)
from ironwok.models import load_model, resolve_model
from ironwok.students import PairClassifier, TunedClassifier, load_classifier, load_student, load_tuned
from ironwok.training import supervised
from ironwok.training.tuning.settings import TuneSettings, load_settings
from ironwok.training.tuning.train import make_network, train_tuned

RECIPES = Path(__file__).resolve().parents[2] / "recipes" / "tuning"


@pytest.mark.parametrize("task", ["classify", "pairs", "choice", "reading"])
def test_learns_what_can_be_learnt(task, tuned_runs):
    folder, result = tuned_runs(task)
    assert result.finished
    assert result.metrics["f1" if task == "reading" else "accuracy"] > 0.9
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert len(losses) == result.step
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) / 2
    assert not list(folder.glob("step-*")), "checkpoints of a finished run are of no use"


# -- the models in use


def test_a_trained_classifier_goes_through_the_door_of_all_classifiers(tuned_runs):
    folder, _ = tuned_runs("classify")
    for place in (folder, folder / "model"):
        classifier = load_classifier(str(place))
        assert isinstance(classifier, TunedClassifier)
        assert classifier.labels == ("体育", "财经")
    found = classifier.classify(["今年主队在里", "什么央行宣布"])
    assert [one.label for one in found] == ["体育", "财经"]
    assert sum(found[0].scores) == pytest.approx(1)
    assert [one.label for one in classifier.classify_iter(iter(["今年主队在里"]))] == ["体育"]
    with pytest.raises(InputError, match="one label a text"):
        classifier.classify(["今年"], multi_label=True)


def test_batches_change_nothing_and_long_texts_are_read_to_their_end(tuned_runs):
    folder, _ = tuned_runs("classify")
    texts = [record["text"] for record in records("classify", 9, seed=3)] + ["今年" * 100 + "央行"]
    one, many = (load_tuned(folder, batch_size=size).decision_function(texts) for size in (1, 64))
    np.testing.assert_allclose(one, many, atol=1e-4)
    long, short = (load_tuned(folder).decision_function(["今年" * 100 + word])[0] for word in ("央行", "今年"))
    assert not np.allclose(long, short), "the last window counts"


def test_the_other_models_answer(tuned_runs):
    pairs = load_tuned(tuned_runs("pairs")[0])
    assert isinstance(pairs, PairClassifier)
    assert pairs.predict([("主队在", "有比赛"), ("央行在", "有比赛")]) == ["1", "0"]
    assert pairs.classify([("主队在", "有比赛")])[0].scores[0] > 0.5
    choice = load_tuned(tuned_runs("choice")[0])
    found = choice.choose("有什么", ["央行", "主队", "利率"], passage="在主队里")
    assert (found.answer, found.choice, len(found.scores)) == (1, "主队", 3)
    with pytest.raises(InputError, match="two or more"):
        choice.choose("有什么", ["央行"])
    marker = load_tuned(tuned_runs("reading")[0])
    context = "今年" * 40 + "在央行里" + "什么" * 40
    marked = marker.answer("什么", context)
    assert marked.span is not None
    assert context[marked.span.start : marked.span.end] == marked.span.text
    assert "央行" in marked.span.text


def test_a_model_of_another_task_does_not_classify(tuned_runs):
    with pytest.raises(CheckpointError, match="ironwok predict"):
        load_student(tuned_runs("pairs")[0])


def test_a_run_leads_to_its_model_and_the_wrong_command_to_the_right_one(tuned_runs, tmp_path, english, capsys):
    folder, _ = tuned_runs("pairs")
    assert resolve_model(folder) == str(folder / "model") == resolve_model(folder / "model")
    pairs = write(tmp_path / "pairs.jsonl", records("pairs", 2))
    assert main(["compare", str(pairs), "--model", str(folder)]) == 1
    assert "ironwok predict --model" in capsys.readouterr().err.replace("\n", " ")
    text = tmp_path / "text.txt"
    text.write_text("甲公司收购乙公司。\n", encoding="utf-8")
    for arguments in (["classify", str(text)], ["classify", str(text), "--labels", "a,b"], ["predict", str(pairs)]):
        assert main([*arguments, "--model", "finance"]) == 1
        assert "`ironwok extract --schema finance`" in capsys.readouterr().err.replace("\n", " ")


def test_a_report_by_a_trained_model_needs_no_labels(tuned_runs, tmp_path, english, capsys):
    folder, _ = tuned_runs("classify")
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a.txt").write_text("今年主队在里\n", encoding="utf-8")
    assert main(["read", str(notes), "--model", str(folder), "--out", str(tmp_path / "report")]) == 0
    (line,) = (tmp_path / "report" / "results.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["labels"] == ["体育", "财经"]
    assert main(["read", str(notes), "--out", str(tmp_path / "other")]) == 2
    assert "ask for something" in capsys.readouterr().err


def test_predict_tells_what_it_cannot_judge_by(tuned_runs, tmp_path, english, capsys):
    folder, _ = tuned_runs("classify")
    first, second, third = records("classify", 3, seed=5)
    asked = [first, {**second, "label": "SPORT"}, {**third, "label": ["体育"]}]
    assert main(["predict", "--model", str(folder), str(write(tmp_path / "a.jsonl", asked))]) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 3
    said = " ".join(captured.err.split())
    assert "1 right answers cannot be used, the first:" in said
    assert "right answers that the model does not know count as wrong: 'SPORT' (1); it knows" in said
    assert "2 with a right answer" in said


def test_transformers_loads_the_folder(tuned_runs):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = tuned_runs("classify")[0] / "model"
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    logits = model.eval()(**tokenizer("今年主队在里", return_tensors="pt")).logits
    assert model.config.id2label[int(logits.argmax())] == "体育"
    np.testing.assert_allclose(
        logits.detach().numpy(), load_tuned(folder).decision_function(["今年主队在里"]), atol=1e-4
    )


def test_a_task_that_is_not_known_is_named(tuned_runs, tmp_path):
    import shutil

    folder = shutil.copytree(tuned_runs("pairs")[0] / "model", tmp_path / "model")
    described = json.loads((folder / "student.json").read_text(encoding="utf-8"))
    (folder / "student.json").write_text(json.dumps(described | {"task": "summaries"}), encoding="utf-8")
    with pytest.raises(CheckpointError, match="fine-tuned for 'summaries'; this version of Ironwok knows classify"):
        load_tuned(folder)


def test_a_damaged_model_says_so(tuned_runs, tmp_path):
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(tuned_runs("classify")[0] / "model", folder)
    (folder / "model.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError):
        load_tuned(folder)
    (folder / "student.json").unlink()
    with pytest.raises(CheckpointError, match="no trained model"):
        load_tuned(folder)


# -- from the command line


@pytest.fixture
def english(monkeypatch):
    from ironwok.cli import language

    monkeypatch.setattr(language, "_current", "en")


def test_train_and_use_from_the_command_line(small_encoder, tmp_path, english, capsys):
    table = tmp_path / "data.csv"
    rows = ["".join(f'"{record["text"]}",{record["label"]}\n') for record in records("classify", 60)]
    table.write_text("评价,归为\n" + "".join(rows), encoding="gb18030")
    out = tmp_path / "run"
    arguments = [
        *("train", "classify", "--train", str(table), "--out", str(out), "--model", str(small_encoder)),
        *("--field", "text=评价", "--field", "label=归为", "--no-curves", "--seed", "1", "--epochs", "1"),
        *("--set", "min_steps=8", "--set", "max_tokens=32"),
    ]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert f"ironwok classify --model {out / 'model'}" in printed.err.replace("\n", "")
    texts = tmp_path / "texts.txt"
    texts.write_text("主队\n央行\n", encoding="utf-8")
    assert main(["classify", "--model", str(out / "model"), str(texts)]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [sorted(record["labels"]) for record in found] == [["体育", "财经"]] * 2
    assert main(["predict", "--model", str(out), str(table)]) == 0, "the fields are those of the training"
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 60
    assert "60 with a right answer: accuracy" in printed.err
    assert main(["predict", "--model", str(out), str(table), "--out", str(out / "result.json")]) != 0
    assert main([*arguments, "--schema", "finance"]) == 2
    assert "--schema is not for classify" in capsys.readouterr().err
    assert main(["train", "events", "--train", "x", "--out", "y", "--field", "a=b"]) == 2
    assert main(["train", "poems", "--train", "x", "--out", "y"]) == 2


@pytest.mark.parametrize("task", ["pairs", "choice", "reading"])
def test_predict_answers_every_record_and_counts(task, tuned_runs, tmp_path, english, capsys):
    folder, _ = tuned_runs(task)
    known = write(tmp_path / "known.jsonl", [*records(task, 12, seed=5), {"nothing": 1}])
    assert main(["predict", "--model", str(folder / "model"), str(known), "--out", str(tmp_path / "a.jsonl")]) == 0
    printed = capsys.readouterr().err
    assert "12 with a right answer" in printed.replace("\n", " ")
    assert "1 records left out" in printed
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["line"] for line in lines] == list(range(1, 13))
    gold = {"pairs": "label", "choice": "answer", "reading": "answers"}[task]
    unknown = [{name: value for name, value in record.items() if name != gold} for record in records(task, 3, seed=5)]
    assert main(["predict", "--model", str(folder), str(write(tmp_path / "unknown.jsonl", unknown))]) == 0
    again = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [{**line, "score": 0, "scores": 0} for line in again] == [
        {**line, "score": 0, "scores": 0} for line in lines[:3]
    ]


def test_a_trained_reader_answers_from_files(tuned_runs, tmp_path, english, capsys):
    file = tmp_path / "notes.txt"
    file.write_text("天气有大幅什么。今年在央行里宣布。\n", encoding="utf-8")
    assert main(["ask", "什么在宣布？", str(file), "--model", str(tuned_runs("reading")[0]), "--json"]) == 0
    (record,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert record["model"] == "extractive"
    evidence = record["sources"][0]["evidence"]
    assert "央行" in evidence["text"]
    assert file.read_text(encoding="utf-8")[evidence["start"] : evidence["end"]] == evidence["text"]
    assert main(["ask", "什么？", str(file), "--model", str(tuned_runs("pairs")[0])]) != 0
    assert "was trained for 'pairs'" in capsys.readouterr().err.replace("\n", " ")


# -- resuming


def _train(folder: Path, encoder: Path, **options):
    """Dropout and two epochs: both must come out the same."""
    return train_tiny(
        folder, "classify", encoder, count=60, **({"min_steps": 9, "evaluate_every": 4, "dropout": 0.1} | options)
    )


def _figures(folder: Path) -> list[str]:
    return (folder / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()


def test_a_killed_run_continues_to_the_same_numbers(small_encoder, tmp_path, monkeypatch):
    """Once killed by the system while it works, once more by a crash right behind a step."""
    here, killed = Path(__file__).parent, tmp_path / "killed"
    statements = (
        f"from test_tuning import _train\n_train(Path({str(killed)!r}), Path({str(small_encoder)!r}), resume=True)"
    )
    kill_at_first_checkpoint(killed / "run", statements, folders=[here, here.parent])
    monkeypatch.setattr(supervised, "_SAVE_EVERY", 0.0)
    with pytest.raises(Crash):
        _train(killed, small_encoder, resume=True, progress=CrashAfter(8))
    result = _train(killed, small_encoder, resume=True)
    whole = tmp_path / "whole"
    assert _train(whole, small_encoder).metrics == result.metrics
    assert _figures(killed) == _figures(whole)
    weights = [load_file(folder / "run" / "model" / "model.safetensors") for folder in (killed, whole)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])
    assert _train(killed, small_encoder, resume=True).metrics == result.metrics, "it is done already"


@pytest.mark.parametrize("seconds", [0.0, 60.0], ids=["with a checkpoint", "killed before the first"])
def test_another_run_is_not_gone_on_with(small_encoder, tmp_path, monkeypatch, seconds):
    monkeypatch.setattr(supervised, "_SAVE_EVERY", seconds)
    with pytest.raises(Crash):
        _train(tmp_path, small_encoder, progress=CrashAfter(2))
    with pytest.raises(OutputError, match="--resume"):
        _train(tmp_path, small_encoder)
    with pytest.raises(CheckpointError, match="batch_size was"):
        _train(tmp_path, small_encoder, resume=True, batch_size=2)
    other = write(
        tmp_path / "other.jsonl", [record | {"label": record["label"] + "类"} for record in records("classify", 60)]
    )
    with pytest.raises(SchemaChangedError, match=r"the labels .*体育.*体育类.*same labels"):
        _train(tmp_path, small_encoder, resume=True, train=other)


def test_a_run_begun_anew_by_resuming_says_what_changed_once_it_has_ended(small_encoder, tmp_path):
    with pytest.raises(Crash):
        _train(tmp_path, small_encoder, progress=CrashAfter(2))
    assert _train(tmp_path, small_encoder, resume=True).finished
    with pytest.raises(CheckpointError, match=r"batch_size was 16, is 2\)"):
        _train(tmp_path, small_encoder, resume=True, batch_size=2)
    others = write(tmp_path / "others.jsonl", records("classify", 40))
    with pytest.raises(CheckpointError, match=r"\(the examples are others\)"):
        _train(tmp_path, small_encoder, resume=True, train=others)


def test_a_gradient_that_is_no_number_ends_the_run(small_encoder, tmp_path):
    wild = {"learning_rate": 1e30, "head_learning_rate": 1e30, "ema": 0.0}
    with pytest.raises(InputError, match=r"gradient is not a number.*lower learning_rate"):
        _train(tmp_path, small_encoder, **wild)
    assert all(np.isfinite(json.loads(line)["loss"]) for line in _figures(tmp_path) if "loss" in json.loads(line))


def test_stops_early_and_keeps_the_best(small_encoder, tmp_path):
    still = {"learning_rate": 1e-12, "head_learning_rate": 1e-12, "weight_decay": 0.0, "ema": 0.0}
    result = _train(tmp_path, small_encoder, min_steps=50, evaluate_every=1, patience=3, **still)
    assert result.finished
    assert result.step < 50
    assert result.best_step <= result.step - 3


def test_the_same_seed_gives_the_same_numbers_and_another_does_not(small_encoder, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        _train(tmp_path / name, small_encoder, seed=seed)
    assert _figures(tmp_path / "a") == _figures(tmp_path / "b") != _figures(tmp_path / "c")


# -- where it begins


def test_multiple_choice_begins_with_what_next_sentence_prediction_learnt(small_encoder):
    network, fresh = make_network("choice", str(small_encoder), labels=(), settings=quick_settings("choice"))
    head = load_model(str(small_encoder), head="nsp").cls.seq_relationship.weight
    torch.testing.assert_close(network.model.classifier.weight[0], head[0] - head[1])
    assert set(fresh) == {"classifier.weight", "classifier.bias"}


def test_a_tuned_model_can_be_tuned_further(tuned_runs, tmp_path):
    folder, _ = tuned_runs("classify")
    _, fresh = make_network(
        "classify", str(folder / "model"), labels=("体育", "财经"), settings=quick_settings("classify")
    )
    assert not fresh
    network, fresh = make_network(
        "classify", str(folder / "model"), labels=("a", "b", "c"), settings=quick_settings("classify")
    )
    assert set(fresh) == {"classifier.weight", "classifier.bias"}
    assert network.model.config.id2label == {0: "a", 1: "b", 2: "c"}


def test_models_that_cannot_begin(tmp_path, small_encoder):
    train = write(tmp_path / "train.jsonl", records("classify", 20))
    with pytest.raises(ModelNotFoundError):
        train_tuned("classify", train=train, out=tmp_path / "a", model="no such model!")
    with pytest.raises(MissingHeadError, match="gplinker"):
        train_tuned("classify", train=train, out=tmp_path / "b", model="finance")
    with pytest.raises(InputError, match="none of classify"):
        train_tuned("poems", train=train, out=tmp_path / "c", model=str(small_encoder))


# -- settings and curves


def test_settings_say_what_is_wrong():
    assert load_settings("reading").max_tokens == 384
    assert load_settings("reading", overrides=["max_tokens=128"]).max_tokens == 128
    # whoever asks for one epoch gets one
    assert load_settings("classify").min_steps == 200
    assert load_settings("classify", epochs=1).min_steps == 0
    assert load_settings("classify", overrides=["epochs=1"]).min_steps == 0
    assert load_settings("classify", overrides=["epochs=1", "min_steps=7"]).min_steps == 7
    with pytest.raises(RecipeError, match="no setting 'learning'"):
        load_settings("classify", overrides=["learning=1"])
    with pytest.raises(RecipeError, match="must be of type int"):
        load_settings("classify", overrides=["batch_size=many"])
    with pytest.raises(ConfigError, match="max_tokens is 4"):
        TuneSettings(max_tokens=4)
    with pytest.raises(ConfigError, match=r"dropout is 1\.5"):
        TuneSettings(dropout=1.5)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_recipes_can_be_read(path):
    load_settings(path.stem, path)
    text = path.read_text(encoding="utf-8")
    assert "ironwok train" in text
    assert f"--recipe recipes/tuning/{path.name}" in text


def test_there_are_recipes_for_the_tasks_of_clue():
    assert {"afqmc", "lcqmc", "ocnli", "c3", "cmrc"} <= {path.stem for path in RECIPES.glob("*.toml")}


def test_curves_are_a_picture(tuned_runs, tmp_path):
    from ironwok.training.extraction.curves import draw_curves, read_curves

    metrics = tuned_runs("classify")[0] / "metrics.jsonl"
    _, scores = read_curves(metrics, scores="accuracy|macro_f1")
    assert [step for step, _ in scores["accuracy"]] == [40, 80, 120]
    draw_curves(metrics, tmp_path / "curves.png", title="train classify", scores="accuracy|macro_f1", called="scores")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_words_of_the_samples_are_apart():
    assert not set(SPORT) & set(MONEY)
