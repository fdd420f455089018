"""Short pretraining runs, each another than the base in one thing: what masking, batches, rates, pairs are worth.

    python benchmarks/pretraining_trials.py --data DIR --work DIR [--jobs 2] [--only WORDS ...] [--show]

DIR holds the folders that recipes name. The trials are listed in pretraining_trials.toml. Each is a process with one
thread, --jobs at once; what is done stands in --work and is not done again, what was killed goes on. All are judged by
the same held-out text, masks and pairs (1,024 of each kind), and by labels that none has learnt from (--texts of each
set). The base runs once for each seed: its scatter says what a difference is worth, a trial alone says little below
twice of it. --show: only the table of what there is.
Prints a table of differences from the mean of the base, then one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tomllib
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from _table import finish, show
from ironwok.errors import DataError, DataWarning, IronwokError, LongTextWarning
from ironwok.models import load_model
from ironwok.training.checkpoints import write_text_atomically
from ironwok.training.corpus import build_store
from ironwok.training.files import read_records
from ironwok.training.labelled import reach
from ironwok.training.preparation import draw_held_out, find_sources, make_tokenizer, pair_options
from ironwok.training.pretrain import pretrain
from ironwok.training.progress import Silent
from ironwok.training.recipe import PretrainRecipe, load_recipe
from ironwok.zero_shot import ZeroShotClassifier

TRIALS = Path(__file__).with_suffix(".toml")
PAIRS = 1024
LONGEST = 256  # tokens, of held-out rows
HELD_OUT = {
    "mlm_accuracy": "masked",
    "nsp_full": "next, 128",
    "nsp_short": "next, 25",
    "nsp_near": "same document",
    "nsp_heading": "heading",
    "nsp_keyword": "keyword",
}


@dataclass(frozen=True, slots=True)
class Trial:
    """name: as in tables. file: as on disk. tokens: of its training, padding counted.

    overrides: of the recipe, the same ones for all included. weights: of sources. comparable: whether its masked words
    are those of the other trials.
    """

    name: str
    file: str
    tokens: float
    overrides: tuple[str, ...]
    weights: dict[str, float]
    comparable: bool = True


def trials_of(plan: dict[str, Any]) -> list[Trial]:
    """All trials of a plan, those of the base first."""
    named: dict[str, tuple[list[str], dict[str, float], float]] = {}
    for name, overrides in plan["trials"].items():
        named[name] = (overrides, {}, 1.0)
    for name, weights in plan["weights"].items():
        named[name] = ([], weights, 1.0)
    for name, (hidden, layers, heads, share) in plan["shapes"].items():
        shape = {
            "hidden_size": hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "intermediate_size": 4 * hidden,
        }
        named[name] = ([f"model.{key}={value}" for key, value in shape.items()], {}, share)
    for name, size in plan["vocabularies"].items():
        named[name] = (['tokenizer.source="train"', f"tokenizer.vocab_size={size}"], {}, 1.0)
    base = next(iter(plan["trials"]))
    trials = []
    for number, (name, (overrides, weights, share)) in enumerate(named.items()):
        for seed in plan["seeds"] if name == base else plan["seeds"][:1]:
            values = (*plan["set"], *overrides, f"seed={seed}")
            comparable = name not in plan["vocabularies"]
            trials.append(
                Trial(name, f"{number:02d}-{seed}", plan["tokens"] * share, values, weights, comparable=comparable)
            )
    return sorted(trials, key=lambda trial: trial.name != base)


def recipe_of(trial: Trial, plan: dict[str, Any]) -> PretrainRecipe:
    quick = ("evaluation.pairs=64", "evaluation.every=1000000", "checkpoint_every=100")
    recipe = load_recipe(TRIALS.parent / plan["recipe"], overrides=[*trial.overrides, *quick])
    sources = [
        source.model_copy(update={"weight": trial.weights.get(source.name, source.weight)}) for source in recipe.sources
    ]
    steps = round(trial.tokens / recipe.optimizer.tokens_per_batch)
    optimizer = recipe.optimizer.model_copy(update={"steps": steps})
    return recipe.model_copy(update={"sources": sources, "optimizer": optimizer})


def judged(trial: Trial, plan: dict[str, Any], *, data: Path, out: Path, store: Path, texts: int) -> dict[str, float]:
    """Percent right of a trained model: held-out pairs and words by the plan's own recipe, then texts and labels."""
    recipe = load_recipe(TRIALS.parent / plan["recipe"], overrides=[*plan["set"], f"evaluation.pairs={PAIRS}"])
    own = recipe_of(trial, plan)
    sources = find_sources(recipe, data)
    tokenizer = make_tokenizer(own, sources, out, progress=Silent())
    opened = build_store(sources, store, tokenizer=tokenizer, held_out=recipe.held_out)
    options = pair_options(recipe, tokenizer)
    held_out = draw_held_out(recipe, opened, tokenizer, options, longest=LONGEST, progress=Silent())
    model = load_model(str(out / "model"), head="pretraining")
    results = held_out.evaluate(model, device=torch.device("cpu")) or {}
    figures = {name: 100 * value for name, value in results.items() if name in HELD_OUT or name.startswith("overlap_")}
    if not trial.comparable:
        del figures["mlm_accuracy"]
    classifier = ZeroShotClassifier(str(out / "model"), threads=1, max_tokens=128, on_self_check="skip", onnx=False)
    for task in plan["zero_shot"]:
        figures[task["name"]] = 100 * right_share(classifier, task, data=data, texts=texts)
    return figures


def right_share(classifier: ZeroShotClassifier, task: dict[str, Any], *, data: Path, texts: int) -> float:
    """Share of texts whose likeliest label is theirs, of texts that are spread over the file."""
    phrases = dict(task["labels"])
    asked = [(record["text"], reach(record, task["label"])) for _, record in read_records(data / task["file"])]
    asked = [(text, phrases[label]) for text, label in asked if label in phrases]
    if not asked:
        raise DataError(f"{data / task['file']}: no record with one of the labels {', '.join(phrases)}")
    asked = asked[:: max(len(asked) // texts, 1)][:texts]
    texts_alone, labels = [text for text, _ in asked], list(phrases.values())
    found = classifier.classify(texts_alone, labels=labels, template=task["template"], overflow="truncate")
    return mean(one.label == label for one, (_, label) in zip(found, asked, strict=True))


def carry_out(trial: Trial, plan: dict[str, Any], *, data: Path, work: Path, texts: int) -> None:
    """Train and judge one trial in this process."""
    torch.set_num_threads(1)
    out = work / trial.file
    store = work / "store" if trial.comparable else out / "store"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # sources that hold what an earlier one has
        result = pretrain(recipe_of(trial, plan), data=data, out=out, resume=True, store=store)
    if result.finished:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LongTextWarning)  # their beginning is enough
            figures = judged(trial, plan, data=data, out=out, store=store, texts=texts)
        record = {"name": trial.name, "file": trial.file, "tokens": result.tokens, "figures": figures}
        write_text_atomically(work / f"{trial.file}.json", json.dumps(record, ensure_ascii=False))


def report(trials: list[Trial], plan: dict[str, Any], work: Path) -> None:
    done = [json.loads((work / f"{t.file}.json").read_text()) for t in trials if (work / f"{t.file}.json").exists()]
    base = next(iter(plan["trials"]))
    columns = {**HELD_OUT, **{task["name"]: task["name"] for task in plan["zero_shot"]}}
    seeds = [record["figures"] for record in done if record["name"] == base]
    if not seeds:
        raise DataError(f"{work}: no run of the base is done yet, which the others are compared with")
    middle = {name: mean(figures[name] for figures in seeds) for name in columns}
    scatter = {name: stdev(f[name] for f in seeds) if len(seeds) > 1 else None for name in columns}
    overlap = {name: seeds[0].get(f"overlap_{name[4:]}") if name.startswith("nsp_") else None for name in columns}
    rows: list[list[Any]] = [[f"{base}, {len(seeds)} seeds", *(f"{middle[name]:.1f}" for name in columns)]]
    rows.append(
        ["their standard deviation", *(None if (s := scatter[name]) is None else f"{s:.1f}" for name in columns)]
    )
    rows.append(["overlap of tokens", *(None if (o := overlap[name]) is None else f"{o:.1f}" for name in columns)])
    for record in done:
        if record["name"] != base:
            figures = record["figures"]
            rows.append(
                [record["name"], *(f"{figures[n] - middle[n]:+.1f}" if n in figures else None for n in columns)]
            )
    show("Percent right; below the base, differences from its mean", ["trial", *columns.values()], rows)
    finish({"base": middle, "standard_deviation": scatter, "runs": done})


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that the recipe's files are relative to")
    parser.add_argument("--work", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--jobs", type=int, default=1, help="trials at once, with one thread each")
    parser.add_argument("--only", nargs="+", metavar="WORDS", help="only trials with one of these in their names")
    parser.add_argument("--texts", type=int, default=300, help="texts of each labelled set")
    parser.add_argument("--show", action="store_true", help="only the table of what is done")
    parser.add_argument("--trial", help=argparse.SUPPRESS)  # what a process of its own is told
    options = parser.parse_args(arguments)
    plan = tomllib.loads(TRIALS.read_text(encoding="utf-8"))
    trials = trials_of(plan)
    try:
        if options.trial:
            trial = next(t for t in trials if t.file == options.trial)
            carry_out(trial, plan, data=options.data, work=options.work, texts=options.texts)
            return 0
        if not options.show:
            options.work.mkdir(parents=True, exist_ok=True)
            if failed := run_all(trials, options):
                print(f"error: {', '.join(failed)} failed; what they said stands above", file=sys.stderr)
                return 1
        report(trials, plan, options.work)
    except IronwokError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def run_all(trials: list[Trial], options: argparse.Namespace) -> list[str]:
    """Run what is asked for and not done, some at once; the names of those that failed."""
    wanted = [t for t in trials if not options.only or any(words in t.name for words in options.only)]
    waiting = [trial for trial in wanted if not (options.work / f"{trial.file}.json").exists()]
    fixed = ["--data", str(options.data), "--work", str(options.work), "--texts", str(options.texts)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}

    def run(trial: Trial) -> str | None:
        command = [sys.executable, __file__, *fixed, "--trial", trial.file]
        code = subprocess.run(command, env=environment, check=False).returncode
        print(
            f"{trial.name} ({trial.file}): {'done' if code == 0 else f'failed with {code}'}",
            file=sys.stderr,
            flush=True,
        )
        return trial.name if code else None

    with ThreadPoolExecutor(options.jobs) as pool:
        return [name for name in pool.map(run, waiting) if name is not None]


if __name__ == "__main__":
    sys.exit(main())
