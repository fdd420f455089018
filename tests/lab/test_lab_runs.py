"""Whole runs at the smallest size: data, results on disk, resumption, the page, the command line."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from lab_recipes import masks, norms

from ironwok.cli import language, main
from ironwok.errors import CheckpointError, DataError, InputError, OutputError, RecipeError
from ironwok.lab import runner, stories
from ironwok.lab.corpus import LabData, load_data, prepare_data, split_units
from ironwok.lab.page import write_report
from ironwok.lab.plan import Cell, RunSpec
from ironwok.lab.recipe import DataRecipe, NormsRecipe, TransferRecipe, parse_lab_recipe
from ironwok.lab.runner import execute, load_results, run_lab
from ironwok.lab.sequences import draw_pairs
from ironwok.lab.training import even_rows, masked_batch
from ironwok.nn.block import Residual


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setattr(language, "_current", "en")
    for variable in ("LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="module")
def norms_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("norms")
    run_lab(
        parse_lab_recipe(norms(), source="test"), out=folder, workers=1, device="cpu", command="ironwok lab norms x"
    )
    return folder


@pytest.fixture(scope="module")
def masks_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("masks")
    run_lab(parse_lab_recipe(masks(), source="test"), out=folder, workers=1, device="cpu")
    return folder


# data


def test_stories_are_decided_by_their_seed():
    assert stories.examples("place", count=3, seed=4) == stories.examples("place", count=3, seed=4)
    assert stories.examples("place", count=3, seed=4) != stories.examples("place", count=3, seed=5)


def where_things_are(words: list[str]) -> dict[str, str]:
    """Read a story again: where every thing is, from the sentences alone."""
    person_at: dict[str, str] = {}
    holder: dict[str, str] = {}
    for sentence in " ".join(words).split(" ."):
        said = sentence.split(" , ")[-1].split()
        verb = said[1] if len(said) > 1 else ""
        if verb in stories.GO["go"]:
            person_at[said[0]] = said[-1]
        elif verb in stories.GO["take"]:
            holder[said[3]], person_at[said[0]] = said[0], said[-1]
        elif verb in stories.LEAVE:
            holder[said[3]] = said[-1]
    return {thing: person_at.get(where, where) for thing, where in holder.items()}


def test_the_label_of_place_follows_from_the_story():
    for example in stories.examples("place", count=60, seed=1):
        *story, _, thing, _, first, _, second = example.words
        assert where_things_are(story)[thing] == (first if example.label == "first" else second)


def test_the_label_of_mention_follows_from_the_story():
    for example in stories.examples("mention", count=60, seed=1):
        *story, _, thing, _ = example.words
        assert (thing in story) == (example.label == "yes")


def test_the_label_of_holding_counts_what_was_taken_and_not_left():
    for example in stories.examples("holding", count=60, seed=1):
        taken = sum(word in stories.GO["take"] for word in example.words)
        left = sum(word in stories.LEAVE for word in example.words)
        assert example.label == ("none", "one", "more")[min(taken - left, 2)]


def test_the_label_of_order_names_who_took_first():
    for example in stories.examples("order", count=60, seed=1):
        story, asked = example.words[:-5], (example.words[-3], example.words[-1])
        takers = [story[i - 1] for i, word in enumerate(story) if word in stories.GO["take"]]
        assert takers[0] == asked[0 if example.label == "first" else 1]


@pytest.mark.parametrize("task", sorted(stories.TASKS))
def test_no_label_is_rare(task):
    labels = [example.label for example in stories.examples(task, count=300, seed=0)]
    assert min(labels.count(label) for label in set(labels)) > 30


def test_data_survives_the_disk(tmp_path):
    transfer = TransferRecipe(tasks=["genre"], learning_rates=[1e-3], steps=1, examples=40, test_examples=20)
    data = prepare_data(DataRecipe(tokens=3000, dev_tokens=500, length=16), transfer=transfer)
    data.save(tmp_path)
    back = load_data(tmp_path)
    assert back is not None
    assert back.vocabulary == data.vocabulary
    assert torch.equal(back.train, data.train)
    assert torch.equal(back.tasks["genre"].test.tokens, data.tasks["genre"].test.tokens)
    assert len(data.train) == 3000
    (tmp_path / "data.safetensors").write_bytes(b"torn")
    with pytest.raises(CheckpointError, match="start in another folder"):
        load_data(tmp_path)


def test_text_and_tasks_of_ones_own(tmp_path):
    rows = [f"第{number}条：今天的风从海上来，第{number % 7}号船晚了。" for number in range(400)]
    (tmp_path / "text.txt").write_text("\n".join(rows), encoding="utf-8")
    lines = [json.dumps({"text": row, "label": "even" if number % 2 else "odd"}) for number, row in enumerate(rows)]
    (tmp_path / "task.jsonl").write_text("\n".join([*lines, "no JSON"]), encoding="utf-8")
    recipe = DataRecipe(tokens=6000, dev_tokens=600, length=16, vocabulary=20)
    transfer = TransferRecipe(learning_rates=[1e-3], steps=1, examples=100, test_examples=50)
    skipped: list[str] = []
    data = prepare_data(
        recipe,
        transfer=transfer,
        texts=[tmp_path / "text.txt"],
        tasks={"own": tmp_path / "task.jsonl"},
        on_skip=lambda skip: skipped.append(skip.reason),
    )
    assert len(skipped) == 1
    assert "task.jsonl" in skipped[0]
    assert len(data.vocabulary) == 20
    assert data.tasks["own"].classes == ("even", "odd")
    assert [
        len(split.labels) for split in (data.tasks["own"].train, data.tasks["own"].dev, data.tasks["own"].test)
    ] == [
        100,
        50,
        50,
    ]
    assert len(data.dev) > 300


def test_too_little_text_is_refused(tmp_path):
    (tmp_path / "text.txt").write_text("short", encoding="utf-8")
    with pytest.raises(DataError, match="the lab wants"):
        prepare_data(DataRecipe(), texts=[tmp_path / "text.txt"])
    transfer = TransferRecipe(learning_rates=[1e-3], steps=1)
    with pytest.raises(DataError, match="--task NAME=FILE"):
        prepare_data(DataRecipe(), transfer=transfer, texts=[tmp_path / "text.txt"])


def test_units_of_text():
    assert split_units(" A b\n c", "characters") == ["A", " ", "b", " ", "c"]
    assert split_units("Don't stop, 好。", "words") == ["don", "'", "t", "stop", ",", "好", "。"]


def test_masked_batches_ask_for_what_they_hide_and_for_something_in_each_row():
    rows = even_rows(torch.arange(4, 204), rows=20, length=10)
    inputs, labels = masked_batch(rows, rate=0.15, vocabulary=204, random=np.random.default_rng(0))
    asked = labels != 0
    assert (asked.sum(dim=1) > 0).all()
    assert torch.equal(labels[asked], rows[asked])
    assert torch.equal(inputs[~asked], rows[~asked])
    assert (inputs[asked] == 1).float().mean() > 0.5


@pytest.mark.parametrize(("task", "expected"), [("reverse", lambda row: row[::-1]), ("sort", sorted)])
def test_synthetic_targets_follow_from_their_sources(task, expected):
    group = parse_lab_recipe(masks(), source="test").sequence[0].model_copy(update={"task": task})  # pyright: ignore[reportAttributeAccessIssue]
    empty = LabData(("a",), torch.zeros(1), torch.zeros(1), {})
    source, target = draw_pairs(group, empty, count=8, random=np.random.default_rng(0))
    assert target.tolist() == [expected(row) for row in source.tolist()]


# runs


def test_a_run_leaves_a_file_for_each_trial_and_each_seed(norms_run):
    results = load_results(norms_run)
    assert len(results.sweeps) == 4
    assert len(results.finals) == 6
    first = next(one for one in results.finals if one["spec"]["cell"]["variant"] == "pre")
    assert {"loss", "transfer", "transfer.genre", "transfer.holding", "late_cosine", "late_drop"} <= first[
        "metrics"
    ].keys()
    assert first["curve"]["steps"] == [0, 2, 4]
    assert len(first["probes"]["final"]["square_norms"]) == 3
    untuned = next(one for one in results.finals if one["spec"]["cell"]["group"] == "untuned")
    assert "transfer" not in untuned["metrics"]


def test_the_same_run_gives_the_same_numbers(norms_run):
    results = load_results(norms_run)
    data = load_data(norms_run)
    assert data is not None
    record = results.finals[0]
    again = execute(results.recipe, data, RunSpec.from_dict(record["spec"]))
    assert again["metrics"] == record["metrics"]
    assert again["curve"] == record["curve"]


def test_variants_start_from_the_same_weights_and_text(norms_run):
    data = load_data(norms_run)
    assert data is not None
    starts = set()
    for variant in ("pre", "sandwich"):
        values = norms()
        values["groups"][0]["variants"] = [variant]
        values["claims"] = []
        recipe = parse_lab_recipe(values, source="test")
        record = execute(recipe, data, RunSpec("final", Cell("two", variant, 2), 1, 1e-9, 0.0, 1))
        starts.add(record["probes"]["initial"]["square_norms"][0])
    assert len(starts) == 1


def test_a_group_of_no_steps_is_fine_tuned_from_its_first_weights(tmp_path):
    fresh = {"name": "fresh", "variants": ["pre"], "depths": [2], "steps": 0}
    with pytest.raises(RecipeError, match="0 steps"):
        parse_lab_recipe(norms(groups=[fresh], claims=[]), source="x")
    fresh["fixed"] = {"learning_rate": 1e-3, "warmup": 0.0}
    recipe = parse_lab_recipe(norms(groups=[fresh], claims=[], seeds=[1]), source="x")
    results = run_lab(recipe, out=tmp_path, workers=1, device="cpu")
    (found,) = results.finals
    assert found["curve"]["steps"] == [0]
    assert 0 <= found["metrics"]["transfer"] <= 1
    assert found["probes"]["final"] == found["probes"]["initial"]
    assert "as they were drawn" in write_report(results, tmp_path / "r", figures=False).read_text(encoding="utf-8")


def test_the_warm_up_of_the_branches_is_over_when_fine_tuning_begins(monkeypatch):
    seen: list[set[float]] = []

    def look(_recipe, classifier, _task, **_):
        blocks = classifier.model.stack.blocks.modules()
        seen.append({float(one.branch_scale) for one in blocks if isinstance(one, Residual)})
        return 1.0  # accuracy on dev

    monkeypatch.setattr("ironwok.lab.norms._tune", look)
    # a warm-up as long as the run: its scale is below 1 until the last step
    values = norms(training={"steps": 4, "batch": 2, "evaluations": 1, "alpha_share": 1.0})
    recipe = parse_lab_recipe(values, source="x")
    assert isinstance(recipe, NormsRecipe)
    data = prepare_data(recipe.data, transfer=recipe.transfer)
    execute(recipe, data, RunSpec("final", Cell("two", "post-alpha", 2), 1, 1e-3, 0.0, 4))
    assert seen == [{1.0}, {1.0}]


def test_a_second_start_runs_only_what_is_missing(norms_run, monkeypatch):
    (lost,) = norms_run.glob("runs/final-two-pre-d2-s2.json")
    kept = json.loads(lost.read_text())
    lost.unlink()
    ran: list[str] = []

    def noting(recipe, data, spec, *, device):
        ran.append(spec.name)
        return execute(recipe, data, spec, device=device)

    monkeypatch.setattr(runner, "execute", noting)
    run_lab(parse_lab_recipe(norms(), source="test"), out=norms_run, workers=1, device="cpu")
    assert ran == ["final-two-pre-d2-s2"]
    assert json.loads(lost.read_text())["metrics"] == kept["metrics"]


def test_a_stop_keeps_what_is_finished(tmp_path, monkeypatch):
    done = []

    def stopping(recipe, data, spec, *, device):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(spec.name)
        return execute(recipe, data, spec, device=device)

    monkeypatch.setattr(runner, "execute", stopping)
    recipe = parse_lab_recipe(norms(), source="test")
    with pytest.raises(KeyboardInterrupt):
        run_lab(recipe, out=tmp_path, workers=1, device="cpu")
    assert sorted(path.stem for path in (tmp_path / "runs").iterdir()) == sorted(done)
    assert load_results(tmp_path).meta["sessions"][0]["runs"] == 3


def test_another_recipe_or_other_claims_are_refused_in_the_same_folder(norms_run):
    changed = norms(claims=[])
    with pytest.raises(RecipeError, match="claims differ"):
        run_lab(parse_lab_recipe(changed, source="test"), out=norms_run, workers=1)


def test_a_damaged_result_is_named(tmp_path, norms_run):
    with pytest.raises(OutputError, match="is this a folder that"):
        load_results(tmp_path)
    (tmp_path / "lab.json").write_bytes((norms_run / "lab.json").read_bytes())
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "final-x.json").write_text("{")
    with pytest.raises(OutputError, match="delete it"):
        load_results(tmp_path)


def test_workers_give_what_one_process_gives(tmp_path, masks_run):
    values = masks(sequence=[], seeds=[1])
    run_lab(parse_lab_recipe(values, source="test"), out=tmp_path, workers=2, device="cpu")
    for one in load_results(tmp_path).finals:
        name = RunSpec.from_dict(one["spec"]).name
        assert one["metrics"] == json.loads((masks_run / "runs" / f"{name}.json").read_text())["metrics"]


def test_masks_measure_loss_size_and_rank(masks_run):
    finals = {RunSpec.from_dict(one["spec"]).name: one for one in load_results(masks_run).finals}
    assert len(finals) == 10
    pair = finals["final-reverse-encdec-forward-backward-parameters-d6-s1"]
    single = finals["final-reverse-gpt-d8-s1"]
    assert pair["metrics"]["parameters"] == pytest.approx(single["metrics"]["parameters"], rel=0.1)
    assert [len(one["probes"]["ranks"][-1]["layers"]) for one in (pair, single)] == [3, 8]
    # a causal matrix is never singular
    assert np.isfinite(single["metrics"]["log_determinant"])
    assert finals["final-masked-full-d2-s1"]["probes"]["ranks"][0]["step"] == 0


# the page


def test_the_page_has_every_variant_every_claim_and_its_figures(norms_run, tmp_path):
    page = write_report(load_results(norms_run), tmp_path, prefix="n-").read_text(encoding="utf-8")
    assert "`ironwok lab norms x`" in page
    assert "**pre-below-post**: Pre is below post." in page
    assert re.search(r"\| (supported|contradicted|undecided) \|", page)
    for variant in ("pre", "post-alpha", "post"):
        assert f"| {variant} |" in page
    assert re.search(r"most frequent label has an accuracy of: genre 0\.\d+, holding 0\.\d+\.", page)
    assert "Every tuned variant had 2 trials of 2 steps with seed 1000" in page
    figures = re.findall(r"\]\((n-[\w-]+\.png)\)", page)
    assert figures
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in figures)


def test_the_page_of_masks_draws_ranks(masks_run, tmp_path):
    page = write_report(load_results(masks_run), tmp_path).read_text(encoding="utf-8")
    assert "ranks.png" in page
    assert "This recipe makes no claims." in page
    assert "encdec-forward-backward, parameters" in page


def test_other_seeds_become_a_second_set(norms_run, tmp_path):
    recipe = parse_lab_recipe(norms(seeds=[3, 4]), source="test")
    results = run_lab(recipe, out=norms_run, workers=1, device="cpu")
    assert results.meta["seed_sets"] == [[1, 2], [3, 4]]
    page = write_report(results, tmp_path, figures=False).read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["index.md"]
    assert "Seeds 3, 4" in page
    assert "All seeds" in page


# the command line


def test_the_list_of_recipes(capsys):
    assert main(["lab", "--list"]) == 0
    text = capsys.readouterr().out
    assert "ironwok lab norms norms-laptop" in text
    assert "ironwok lab masks masks-laptop" in text


def test_report_from_the_command_line(capsys, masks_run, tmp_path):
    assert main(["lab", "report", str(masks_run), "--to", str(tmp_path), "--page", "page.md"]) == 0
    assert (tmp_path / "page.md").exists()


def test_running_from_the_command_line(capsys, tmp_path):
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(
        """
        kind = "masks"
        name = "tiny"
        seeds = [1]
        model = { width = 16, heads = 2, feed_forward_width = 16 }
        data = { tokens = 4000, dev_tokens = 600, length = 16 }
        training = { steps = 2, batch = 2, evaluations = 1 }
        sweep = { learning_rates = [1e-3], warmups = [0.0], steps = 1 }
        [[masked]]
        name = "masked"
        variants = ["full", "half-heads"]
        layers = 2
        [[claims]]
        name = "half"
        text = "Half is lower."
        metric = "loss"
        kind = "less"
        left = { group = "masked", variant = "half-heads" }
        right = { group = "masked", variant = "full" }
        """,
        encoding="utf-8",
    )
    out = tmp_path / "out"
    command = ["lab", "masks", str(recipe), "--out", str(out), "--workers", "1", "--device", "cpu", "--seeds", "4-5"]
    assert main(command) == 0
    shown = capsys.readouterr()
    assert "undecided" in shown.out
    assert "tuning: 2 runs" in shown.err
    page = (out / "report" / "index.md").read_text(encoding="utf-8")
    assert "2 seeds, the rule asks for 5" in page
    assert "--seeds 4-5" in page
    assert main(["lab", "norms", str(recipe), "--out", str(out)]) == 1
    assert "ironwok lab masks" in capsys.readouterr().err


def test_seeds_as_one_writes_them():
    from ironwok.cli.lab_runs import read_seeds, read_tasks

    assert read_seeds("1,3, 6-8") == [1, 3, 6, 7, 8]
    for wrong in ("", "a", "5-3", "1-"):
        with pytest.raises(InputError, match="range such as 6-10"):
            read_seeds(wrong)
    with pytest.raises(InputError, match="NAME=FILE"):
        read_tasks(["x"])
