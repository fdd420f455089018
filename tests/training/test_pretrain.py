"""The loop: it learns, it goes on where it was, and it says what is wrong."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_corpus import TOKENIZER, as_text, make_documents, tiny_recipe

from ironwok.errors import (
    CheckpointError,
    CheckpointWarning,
    ConfigError,
    DataError,
    DataWarning,
    OutputError,
    RecipeError,
)
from ironwok.models import RoFormerV2ForPreTraining
from ironwok.text.tokenizer import load_tokenizer
from ironwok.training import run as run_module
from ironwok.training.checkpoints import list_checkpoints, read_state
from ironwok.training.corpus import TOKEN_BITS
from ironwok.training.pretrain import PretrainResult, pretrain
from ironwok.training.stopping import stop_on_signals

GOLDEN = Path(__file__).with_name("golden_losses.json")


class Listening:
    """Keeps what it hears, and calls ``react`` with each event."""

    def __init__(self, react=lambda *event: None) -> None:
        self.heard: list[tuple] = []
        self._react = react

    def _hear(self, *event: Any) -> None:
        self.heard.append(event)
        self._react(*event)

    def busy(self, what, *, done, total, note=""):
        self._hear(what, done, total, note)

    def stepped(self, step, *, total, tokens_per_second, metrics):
        assert tokens_per_second > 0
        self._hear("step", step, total, metrics)

    def evaluated(self, step, metrics):
        self._hear("evaluated", step, metrics)


class StopAt(Listening):
    """Ctrl-C, right after a step."""

    def __init__(self, step: int, number: signal.Signals = signal.SIGINT) -> None:
        super().__init__(lambda *event: os.kill(os.getpid(), number) if event[:2] == ("step", step) else None)


@pytest.fixture
def run(data, store, tmp_path):
    """Pretrains the tiny recipe with changes, on the store that is there already."""

    def start(out: str = "out", *, progress=None, resume=False, initial=None, **changes) -> PretrainResult:
        return pretrain(
            tiny_recipe(**changes),
            data=data,
            out=tmp_path / out,
            store=store.folder,
            resume=resume,
            initial=initial,
            progress=progress,
        )

    return start


@pytest.fixture(scope="module")
def whole(data, store, tmp_path_factory) -> tuple[Path, Listening, PretrainResult]:
    """The tiny recipe run in one go: what it left and what it told. Only to be read."""
    folder, listening = tmp_path_factory.mktemp("whole") / "out", Listening()
    return folder, listening, pretrain(tiny_recipe(), data=data, out=folder, store=store.folder, progress=listening)


def metrics_of(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def steps_of(folder: Path, name: str = "loss") -> list[float]:
    return [line[name] for line in metrics_of(folder) if name in line]


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def assert_same_run(one: Path, two: Path) -> None:
    """Bit for bit the same figures and the same model."""
    assert (one / "metrics.jsonl").read_bytes() == (two / "metrics.jsonl").read_bytes()
    first, second = weights_of(one / "model"), weights_of(two / "model")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_it_learns_what_it_sees_again_and_again(run, tmp_path):
    result = run(
        model={"pooling": "segments"},
        optimizer={"steps": 60, "tokens_per_batch": 1024, "muon_lr": 0.05, "adamw_lr": 0.02},
        pairs={"kinds": {"keyword": 1.0}, "lengths": [[32, 1.0]], "inside": 1.0},
        embeddings={"tokens": 100_000},
        evaluation={"every": 60, "pairs": 64},
        checkpoint_every=60,
    )
    losses = steps_of(tmp_path / "out", "mlm_loss")
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])
    # whether a word is in a text is learnt at once, and carries over to documents never seen
    assert result.metrics["nsp_keyword"] > 0.85


def test_the_loss_curve_is_the_one_that_it_was(run, tmp_path):
    """Regenerate with `python tests/training/make_golden.py` after a change that is meant to change it."""
    golden = json.loads(GOLDEN.read_text())
    run(**golden["changes"])
    for name in ("mlm_loss", "nsp_loss"):
        assert steps_of(tmp_path / "out", name) == pytest.approx(golden[name], rel=1e-3), name


# -- what it leaves and what it tells --


def test_what_a_finished_run_leaves(whole):
    folder, _, result = whole
    assert (result.folder, result.step, result.finished) == (folder / "model", 8, True)
    assert sorted(path.name for path in folder.glob("step-*")) == ["step-000000006", "step-000000008"]
    model, loading = RoFormerV2ForPreTraining.from_pretrained(str(result.folder), output_loading_info=True)  # pyright: ignore[reportGeneralTypeIssues]
    assert not loading["missing_keys"]
    assert model.config.branch_scale == 1.0
    for saved in (result.folder, folder / "step-000000008"):
        assert load_tokenizer(saved).get_vocab() == load_tokenizer(TOKENIZER).get_vocab()

    lines = metrics_of(folder)
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 9))
    evaluations = [line for line in lines if "mlm_accuracy" in line]
    assert [line["step"] for line in evaluations] == [4, 8]
    assert set(evaluations[0]) == {"step", "mlm_accuracy", "mlm_held_out_loss"} | {
        f"{part}_{name}" for part in ("nsp", "overlap") for name in ("full", "short", "near", "heading", "keyword")
    }
    assert result.metrics == pytest.approx({k: v for k, v in evaluations[-1].items() if k != "step"}, abs=1e-6)
    tokens = steps_of(folder, "tokens")
    assert tokens == sorted(tokens)
    assert result.tokens == tokens[-1]
    assert 0.7 * 8 * 768 < result.tokens <= 8 * 768
    assert list((folder / "tensorboard").glob("events*"))


def test_each_thing_is_told_once(whole):
    _, listening, _ = whole
    assert [event[1] for event in listening.heard if event[0] == "step"] == list(range(1, 9))
    # no evaluation is repeated at the end
    assert [event[1] for event in listening.heard if event[0] == "evaluated"] == [4, 8]
    assert sum(event[:2] == ("evaluation", 0) for event in listening.heard) == 2


def test_preparation_is_told_of(data, tmp_path):
    listening = Listening()
    recipe = tiny_recipe(
        tokenizer={"source": "train", "vocab_size": 200, "min_frequency": 2},
        optimizer={"steps": 1},
        embeddings={"tokens": 10_000},
    )
    assert pretrain(recipe, data=data, out=tmp_path / "out", progress=listening).finished
    order = list(dict.fromkeys(event[0] for event in listening.heard))
    work = ["tokenizer", "corpus", "words", "pairs", "embeddings"]
    assert order == [*work, "step", "evaluation", "evaluated", "checkpoint"]
    trained, kept = (load_tokenizer(tmp_path / "out" / name).get_vocab() for name in ("tokenizer", "model"))
    assert trained == kept
    assert 100 < len(trained) <= 200


def test_embeddings_start_from_the_company_that_tokens_keep(run, tmp_path):
    still = {"steps": 1, "muon_lr": 1e-9, "adamw_lr": 1e-9}
    run("with", embeddings={"tokens": 100_000}, optimizer=still)
    run("without", optimizer=still)
    name = "roformer.embeddings.word_embeddings.weight"
    made, drawn = (weights_of(tmp_path / folder / "model")[name] for folder in ("with", "without"))
    assert made.std().item() == pytest.approx(drawn.std().item(), rel=0.05)
    spread = [(rows[5:].norm(dim=1).std() / rows[5:].norm(dim=1).mean()).item() for rows in (made, drawn)]
    assert spread[0] < 0.03 < spread[1]


def test_bf16_follows_fp32(run, whole, tmp_path):
    run("bf16", precision="bf16")
    one, two = (steps_of(folder) for folder in (whole[0], tmp_path / "bf16"))
    assert two == pytest.approx(one, rel=0.02)
    assert two != one
    assert {tensor.dtype for tensor in weights_of(tmp_path / "bf16" / "model").values()} == {torch.float32}


def test_precision_is_picked_once(run, monkeypatch, tmp_path):
    """What is fast differs from machine to machine; a run that moves goes on as it began."""
    precisions = []
    for dtype, steps in ((torch.bfloat16, 1), (torch.float32, 2)):
        monkeypatch.setattr(run_module, "pick_dtype", lambda *_, dtype=dtype: dtype)
        run(precision="auto", optimizer={"steps": steps}, checkpoint_every=1, resume=True)
        precisions.append(read_state(list_checkpoints(tmp_path / "out")[-1])["precision"])
    assert precisions == ["bf16", "bf16"]
    run("other", precision="auto", optimizer={"steps": 1})
    assert read_state(list_checkpoints(tmp_path / "other")[-1])["precision"] == "fp32"


# -- stopping and going on --


def test_a_run_in_parts_is_the_run_in_one(run, whole, tmp_path):
    run("parts", progress=StopAt(2))
    run("parts", resume=True, progress=StopAt(7))
    assert run("parts", resume=True).finished
    assert_same_run(whole[0], tmp_path / "parts")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_soon_and_well(run, tmp_path, number):
    listening = StopAt(5, number)
    before = signal.getsignal(number)
    result = run(progress=listening)
    assert signal.getsignal(number) == before
    assert (result.step, result.finished) == (5, False)
    assert result.folder == tmp_path / "out" / "step-000000005"
    # no evaluation between the signal and the end, which could take minutes; the last one is handed back
    assert [event[0] for event in listening.heard[-2:]] == ["step", "checkpoint"]
    assert "mlm_accuracy" in result.metrics
    RoFormerV2ForPreTraining.from_pretrained(str(result.folder))
    assert not (tmp_path / "out" / "model").exists()


@pytest.mark.parametrize("step", [4, 8])
def test_an_evaluation_cut_short_is_made_up_for(run, whole, tmp_path, step):
    """The last one, too: the run is not finished before it is judged."""

    def react(*event: Any) -> None:
        if event[:2] == ("evaluation", 2) and ("step", step) in [heard[:2] for heard in listening.heard]:
            os.kill(os.getpid(), signal.SIGINT)

    listening = Listening(react)
    result = run("parts", progress=listening)
    assert (result.step, result.finished) == (step, False)
    assert bool(result.metrics) == (step == 8)  # those of step 4
    assert run("parts", resume=True).finished
    assert_same_run(whole[0], tmp_path / "parts")


def test_a_second_signal_does_what_it_always_does():
    asked: list[int] = []
    with stop_on_signals(lambda: asked.append(1)):
        os.kill(os.getpid(), signal.SIGINT)
        assert asked == [1]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert asked == [1]


def test_outside_the_main_thread_signals_are_left_alone():
    before = signal.getsignal(signal.SIGINT)
    inside: list[Any] = []

    def work() -> None:
        with stop_on_signals(lambda: None):
            inside.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert inside == [before]


def test_a_finished_run_goes_on_when_it_is_made_longer(run, whole, tmp_path):
    shutil.copytree(whole[0], tmp_path / "parts")
    again = run("parts", resume=True)
    assert (again.step, again.finished, again.metrics) == (8, True, whole[2].metrics)
    assert_same_run(whole[0], tmp_path / "parts")
    longer = run("parts", resume=True, optimizer={"steps": 10})
    assert (longer.step, longer.finished) == (10, True)
    assert steps_of(tmp_path / "parts")[:8] == steps_of(whole[0])
    assert len(steps_of(tmp_path / "parts")) == 10
    assert steps_of(tmp_path / "parts", "mlm_accuracy")[:2] == steps_of(whole[0], "mlm_accuracy")


def test_a_folder_in_use_is_not_overwritten(whole, data, store):
    before = (whole[0] / "metrics.jsonl").read_bytes()
    with pytest.raises(OutputError, match="holds a run at step-000000008: pass resume"):
        pretrain(tiny_recipe(), data=data, out=whole[0], store=store.folder)
    assert (whole[0] / "metrics.jsonl").read_bytes() == before


def test_resuming_where_nothing_is_begins(run):
    assert run(resume=True, optimizer={"steps": 1}).finished


PLAIN = {"name": "plain", "files": ["plain.txt"], "weight": 0.7}
RECORDS = {"name": "records", "files": ["records.jsonl"], "weight": 0.3}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 4}, "seed was 3, is 4"),
        ({"precision": "bf16"}, "precision was fp32, is bf16"),
        ({"pairs": {"swap": 0.1}, "masking": {"rate": 0.3}}, r"masking\.rate was 0\.15, is 0\.3; pairs\.swap was 0\.5"),
        ({"model": {"hidden_act": "relu"}}, r"model\.hidden_act was None, is relu"),
        ({"sources": [PLAIN]}, "the corpus files or the tokenizer"),
        ({"sources": [{**PLAIN, "weight": 0.5}, RECORDS]}, r"source_weights\.plain was 0\.7, is 0\.5"),
    ],
)
def test_another_recipe_does_not_continue_a_run(whole, data, store, tmp_path, changes, said):
    place = tmp_path / "store" if changes.get("sources") == [PLAIN] else store.folder
    with pytest.raises(CheckpointError, match=said):
        pretrain(tiny_recipe(**changes), data=data, out=whole[0], store=place, resume=True)
    assert len(steps_of(whole[0])) == 8


@pytest.mark.parametrize("damage", ["weights", "optimizers", "state", "cut"])
def test_a_damaged_checkpoint_is_passed_over(run, whole, tmp_path, damage):
    shutil.copytree(whole[0], tmp_path / "parts")
    newest = tmp_path / "parts" / "step-000000008"
    file = newest / {"weights": "model.safetensors", "state": "state.json"}.get(damage, "optimizers.pt")
    content = file.read_bytes()
    match damage:
        case "weights" | "optimizers":
            file.write_bytes(content[:-8] + bytes(8))
        case "state":
            file.write_bytes(content[: len(content) // 2])
        case "cut":
            file.write_bytes(content[:-100])
    with pytest.warns(CheckpointWarning, match=r"step-000000008.*going on from step-000000006"):
        result = run("parts", resume=True)
    assert (result.step, result.finished) == (8, True)
    assert_same_run(whole[0], tmp_path / "parts")


def test_when_all_checkpoints_are_damaged_it_says_so(run, whole, tmp_path):
    shutil.copytree(whole[0], tmp_path / "out")
    for path in (tmp_path / "out").glob("step-*"):
        (path / "model.safetensors").write_bytes(b"nothing")
    with (
        pytest.warns(CheckpointWarning),
        pytest.raises(CheckpointError, match=r"step-000000006: model.safetensors is damaged.*start anew in another"),
    ):
        run(resume=True)


@pytest.mark.parametrize("file", ["model.safetensors", "optimizers.pt", "state.json"])
def test_without_digests_damage_is_found_where_it_shows(run, whole, tmp_path, file):
    shutil.copytree(whole[0], tmp_path / "parts")
    newest = tmp_path / "parts" / "step-000000008"
    state = json.loads((newest / "state.json").read_text())
    del state["files"]
    if file == "state.json":
        del state["tokens"]
    else:
        (newest / file).write_bytes((newest / file).read_bytes()[:3000])
    (newest / "state.json").write_text(json.dumps(state))
    with pytest.warns(CheckpointWarning, match=r"step-000000008.*cannot be"):
        assert run("parts", resume=True).finished
    assert_same_run(whole[0], tmp_path / "parts")


def test_a_checkpoint_of_early_days_continues(run, whole, tmp_path):
    shutil.copytree(whole[0], tmp_path / "parts")
    shutil.rmtree(tmp_path / "parts" / "step-000000008")
    path = tmp_path / "parts" / "step-000000006" / "state.json"
    state = json.loads(path.read_text())
    early = {key: state[key] for key in ("step", "tokens", "fingerprint")}
    fixed, identity = json.loads(early["fingerprint"])
    del fixed["pairs"]["clause_cut"]  # a key that the recipe has got since
    path.write_text(json.dumps({**early, "fingerprint": json.dumps([fixed, identity])}))
    assert run("parts", resume=True).finished
    assert_same_run(whole[0], tmp_path / "parts")


# -- full disks --


def test_a_full_disk_keeps_what_is_there_and_the_run_can_go_on(run, whole, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(*event: Any) -> None:
        if event[:2] == ("step", 5):
            resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))

    try:
        with pytest.raises(OutputError, match=r"step-000000006: cannot be written .*earlier checkpoints are intact"):
            run("parts", progress=Listening(fill))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in (tmp_path / "parts").glob("*step*")] == ["step-000000003"]
    run("parts", resume=True)
    assert_same_run(whole[0], tmp_path / "parts")


def test_torch_save_on_a_full_disk_is_the_same_error(run, tmp_path, monkeypatch):
    def full(*_: Any) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534")

    monkeypatch.setattr(run_module.torch, "save", full)
    with pytest.raises(OutputError, match=r"optimizers\.pt: .*unexpected pos"):
        run()
    assert not list((tmp_path / "out").glob("*step*"))


def test_a_folder_that_cannot_be_made_is_named(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file/out: cannot be made"):
        run("file/out")


# -- where runs start from --


def test_a_run_starts_from_a_model(run, whole, tmp_path):
    first = whole[2].folder
    still = {"steps": 1, "muon_lr": 1e-9, "adamw_lr": 1e-9, "weight_decay": 0.0}
    run("second", initial=first, optimizer=still)
    start, end = weights_of(first), weights_of(tmp_path / "second" / "model")
    assert all(torch.allclose(start[name], end[name], atol=1e-6) for name in start)


def test_a_simpler_pooler_grows(run, store, tmp_path):
    still = {"steps": 1, "muon_lr": 1e-9, "adamw_lr": 1e-9, "weight_decay": 0.0}
    first = run("first", model={"pooling": "segments"}).folder
    run("second", initial=first, model={"pooling": "matches"}, optimizer=still)
    start, end = weights_of(first), weights_of(tmp_path / "second" / "model")
    head = "cls.seq_relationship.weight"
    old, new = start.pop(head), end.pop(head)
    assert torch.allclose(old, new[:, : old.shape[1]], atol=1e-6)
    assert new[:, old.shape[1] :].abs().max() < 1e-6
    assert all(torch.allclose(start[name], end[name], atol=1e-6) for name in start)
    assert end.keys() - start.keys() == {"roformer.pooler.salience", "roformer.pooler.common.weight"}
    salience = end["roformer.pooler.salience"]
    tokens = np.bincount(store.tokens & TOKEN_BITS, minlength=len(salience))
    by_count = [number for number in np.argsort(tokens) if tokens[number]]
    assert salience[by_count[-1]] < salience[by_count[0]], "a frequent word tells more than a rare one"
    assert salience.argmin() in load_tokenizer(first).all_special_ids
    with pytest.raises(CheckpointError, match="has pooling matches, the recipe segments"):
        run("third", initial=tmp_path / "second" / "model", model={"pooling": "segments"})
    with pytest.raises(CheckpointError, match="has pooling first, the recipe matches"):
        run("fourth", initial=run("plain", model={"pooling": "first"}).folder, model={"pooling": "matches"})


def test_a_model_that_does_not_fit_is_no_start(run, whole, tmp_path):
    first = tmp_path / "first"
    shutil.copytree(whole[2].folder, first)
    with pytest.raises(CheckpointError, match="has hidden_size 32, the recipe 64"):
        run("wide", initial=first, model={"hidden_size": 64})
    with pytest.raises(CheckpointError, match="has num_hidden_layers 2, the recipe 3"):
        run("deep", initial=first, model={"num_hidden_layers": 3})
    assert not (tmp_path / "deep" / "store").exists(), "the corpus was read before the start was looked at"
    (first / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors|No such file"):
        run("gone", initial=first)
    (first / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match="its tokenizer is not that of the recipe"):
        run("mute", initial=first)
    with pytest.raises(CheckpointError, match="no such folder; a run starts from a model on this machine"):
        run("none", initial="somebody/some-model")


# -- what can be wrong with data and recipes --


def test_a_corpus_too_small_to_hold_out_from_is_named(tmp_path):
    (tmp_path / "a.txt").write_text(as_text(make_documents(6)), encoding="utf-8")
    recipe = tiny_recipe(sources=[{"name": "one", "files": ["a.txt"], "weight": 1.0}], held_out=0.01)
    with pytest.raises(DataError, match=r"two held-out documents .*\(0 of 6 documents.*raise held_out"):
        pretrain(recipe, data=tmp_path, out=tmp_path / "out")


def test_kinds_that_cannot_be_judged_are_named(tmp_path):
    texts = ["\n".join(paragraphs[1:]) for paragraphs in make_documents(60)]
    (tmp_path / "a.txt").write_text("\n\n".join(texts), encoding="utf-8")
    recipe = tiny_recipe(sources=[{"name": "one", "files": ["a.txt"], "weight": 1.0}], optimizer={"steps": 1})
    with pytest.warns(DataWarning, match="pairs of kind heading are not judged"):
        result = pretrain(recipe, data=tmp_path, out=tmp_path / "out")
    assert "nsp_full" in result.metrics
    assert "nsp_heading" not in result.metrics


def test_a_source_that_gives_nothing_is_named(tmp_path, data):
    shutil.copy(data / "plain.txt", tmp_path / "plain.txt")
    (tmp_path / "empty.txt").write_text("\n\n")
    sources = [PLAIN, {"name": "empty", "files": ["empty.txt"], "weight": 9.0}]
    recipe = tiny_recipe(sources=sources, optimizer={"steps": 1})
    with pytest.warns(DataWarning, match="nothing is drawn from empty"):
        assert pretrain(recipe, data=tmp_path, out=tmp_path / "out").finished


def test_labelled_data_joins_in(data, run):
    records = [{"text": f"采茶人等着春雨{n}", "label": n % 2} for n in range(20)]
    file = data / "labelled.jsonl"
    file.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    task = {
        "name": "task",
        "files": ["labelled.jsonl"],
        "weight": 1.0,
        "form": "single",
        "fields": ["text"],
        "labels": {"0": ["茶园"], "1": ["雪山"]},
    }
    listening = Listening()
    kinds = {"next": 0.3, "labelled": 0.7}
    result = run(labelled=[task], pairs={"kinds": kinds}, optimizer={"steps": 3}, progress=listening)
    assert result.finished
    assert ("pairs", 0, 1, "task") in listening.heard
    assert [name for name in result.metrics if name.startswith("nsp_")] == ["nsp_full", "nsp_short", "nsp_near"]
    with pytest.raises(DataError, match="labelled task task: nothing in"):
        run("other", labelled=[{**task, "files": ["gone.jsonl"]}], pairs={"kinds": kinds})


def test_a_recipe_that_contradicts_itself_fails_before_the_corpus_is_read(data, tmp_path):
    with pytest.raises(ConfigError, match="heads"):
        pretrain(tiny_recipe(model={"num_attention_heads": 5}), data=data, out=tmp_path)
    assert not (tmp_path / "store").exists()


def test_a_gradient_that_is_not_finite_ends_the_run_and_says_what_to_do(run, whole, tmp_path):
    first = tmp_path / "first"
    shutil.copytree(whole[2].folder, first)
    weights = weights_of(first)
    weights["cls.seq_relationship.weight"].fill_(float("inf"))
    save_file(weights, first / "model.safetensors", metadata={"format": "pt"})
    said = r"step 1: the gradient is not finite.*no checkpoint.*lower optimizer\.muon_lr"
    with pytest.raises(RecipeError, match=said):
        run("second", initial=first)
    assert not list((tmp_path / "second").glob("step-*"))
    assert steps_of(tmp_path / "second") == []
