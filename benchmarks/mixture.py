"""Three ways to weigh tasks that are learnt together: plain summing, inverse gradient norms, the minimum-norm point.

    python benchmarks/mixture.py --data DIR [--work DIR] [--seeds 3] [--steps 100]

DIR holds the folders `corpus` and `labelled` that recipes name. A short multi-task stage from the shipped weights, once
for each way and seed: masked words and next-sentence pairs on, five labelled sets of five forms cast as pairs for the
next-sentence head and with a fresh head each. With --shape, from nothing instead. Sets are split here, by a hash of
their text: the shipped weights have learnt from labels of some of them, by the next-sentence head, so that head is not
judged on unseen texts there; the others are new. Held-out text is judged at the end: each head (accuracy, exact spans,
F1 of entities), the next-sentence head on the same sets cast as pairs, masked words, and running next-sentence pairs.
Seeds share their draws over the ways: the last columns are means of differences within a seed, with their standard
error. A run that was killed goes on, one that is done is not done again. Prints a table, then one line of JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import statistics
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from _table import finish, show
from ironwok.errors import IronwokError
from ironwok.models import load_model, resolve_model
from ironwok.text.tokenizer import load_tokenizer
from ironwok.training.corpus import TOKEN_BITS, Packer
from ironwok.training.files import read_lines, read_records
from ironwok.training.labelled import LabelledPool, LabelledTask
from ironwok.training.preparation import labelled_tasks
from ironwok.training.pretrain import pretrain
from ironwok.training.recipe import PretrainRecipe

METHODS = ("sum", "inverse_norm", "min_norm")
# name: file, how a record is told from others, share of records, the keys of the recipe
SETS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "intent": (
        "single/kuake_qic_train",
        "text",
        {
            "form": "single",
            "fields": ["text"],
            "templates": ["{}", "想问的是{}"],
            "labels": {
                name: [name]
                for name in (
                    "治疗方案", "病情诊断", "注意事项", "疾病表述", "就医建议",
                    "功效作用", "后果表述", "医疗费用", "病因分析", "指标解读",
                )
            },
        },
    ),
    "matching": (
        "pairs/lcqmc_dev_as_train",
        "a",
        {"form": "pair", "fields": ["a", "b"], "positive": ["1"], "negative": ["0"]},
    ),
    "choice": (
        "choice/c3_train",
        "passage",
        {"form": "choice", "fields": ["passage", "question", "choices", "answer"]},
    ),
    "reading": (
        "reading/cmrc2018_dev_part",
        "context",
        {"form": "reading", "fields": ["context", "question", "answers"]},
    ),
    "entities": (
        "ner/cluener_train",
        "text",
        {
            "form": "entities",
            "fields": ["text", "entities"],
            "templates": ["{}", "提到了{}"],
            "labels": {
                "name": ["人名"], "company": ["公司"], "organization": ["组织机构"], "government": ["政府机关"],
                "position": ["职位"], "address": ["地址"], "scene": ["景点"], "movie": ["电影"], "game": ["游戏"],
                "book": ["书名"],
            },
        },
    ),
}  # fmt: skip


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with corpus/ and labelled/")
    parser.add_argument("--work", type=Path, default=Path("runs/mixture"), help="where runs and figures are kept")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--shared", choices=("states", "last_block"), default="states")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--tasks", type=int, default=2, help="heads that learn in a step (default: 2)")
    parser.add_argument("--pairs", type=int, default=192, help="held-out examples of each set (default: 192)")
    parser.add_argument("--initial", default="ironwok-small", help="model to start from")
    parser.add_argument(
        "--shape", nargs=3, type=int, metavar=("LAYERS", "WIDTH", "HEADS"), help="start from nothing, with this shape"
    )
    parser.add_argument("--limit", type=int, default=0, help="training records of a set, 0 for all (default: 0)")
    parser.add_argument("--lines", type=int, default=0, help="lines of running text, 0 for all (default: 0)")
    parser.add_argument("--source", default="corpus/ruanyf.txt.xz", help="running text, below --data")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(arguments)


def split_sets(data: Path, work: Path, *, limit: int) -> None:
    """A training and a held-out file of each set: a fifth of its texts, all records of a text on one side.

    limit: so many records for training at most, and a third as many held-out ones; 0 for all.
    """
    for name, (file, key, _) in SETS.items():
        if (work / f"{name}.dev.jsonl").exists():
            continue
        sides: dict[bool, list[str]] = {True: [], False: []}
        for _, record in read_records(data / "labelled" / f"{file}.jsonl.xz"):
            digest = hashlib.blake2b(str(record[key]).encode(), digest_size=4).digest()
            sides[int.from_bytes(digest, "big") % 5 == 0].append(json.dumps(record, ensure_ascii=False))
        sides = {held_out: own[: (limit // 3 if held_out else limit) or None] for held_out, own in sides.items()}
        for held_out, ending in ((False, "train"), (True, "dev")):  # dev last: it says that both are there
            (work / f"{name}.{ending}.jsonl").write_text("\n".join(sides[held_out]) + "\n", encoding="utf-8")


def recipe_of(options: argparse.Namespace, method: str, seed: int) -> PretrainRecipe:
    layers, width, heads = options.shape or (6, 384, 6)
    fast = 5.0 if options.shape else 1.0  # what knows nothing yet learns at other rates
    return PretrainRecipe.model_validate(
        {
            "name": f"{method}-{seed}",
            "seed": seed,
            "precision": "fp32",
            "checkpoint_every": 25,
            "model": {
                "hidden_size": width,
                "num_hidden_layers": layers,
                "num_attention_heads": heads,
                "intermediate_size": 4 * width,
                "hidden_dropout_prob": 0.0,
                "attention_probs_dropout_prob": 0.0,
                "pooling": "matches",
            },
            "sources": [{"name": "text", "files": ["source.txt"], "weight": 1.0}],
            "labelled": [
                {
                    "name": name,
                    "files": [f"{name}.train.jsonl"],
                    "dev": [f"{name}.dev.jsonl"],
                    "weight": 1.0,
                    "heads": True,
                    **keys,
                }
                for name, (_, _, keys) in SETS.items()
            ],
            "pairs": {"kinds": {"next": 0.25, "keyword": 0.25, "labelled": 0.5}, "lengths": [[48, 0.6], [128, 0.4]]},
            "embeddings": {"tokens": 0},
            "mixture": {
                "method": method,
                "shared": options.shared,
                "tasks": options.tasks,
                "tokens": 768,
                "longest": 192,
            },
            "optimizer": {
                "steps": options.steps,
                "tokens_per_batch": 1152,
                "muon_lr": fast * 2e-3,
                "adamw_lr": fast * 3e-4,
                "warmup_steps": 10,
                "alpha_warmup_steps": 40 if options.shape else 0,
                "final": 0.05,
            },
            "evaluation": {"every": options.steps, "pairs": options.pairs},
        }
    )


def judge_pairs(model: Any, tokenizer: Any, tasks: list[LabelledTask], *, count: int) -> dict[str, float]:
    """Accuracy of the next-sentence head on held-out records cast as pairs, as many right as wrong ones."""
    packer, results = Packer(tokenizer), {}
    for task in tasks:
        pool = LabelledPool([LabelledTask(**{**_fields(task), "files": task.dev})], packer)
        generator, right = np.random.default_rng(0), 0
        for number in range(count):
            drawn = None
            while drawn is None:
                drawn = pool.draw(generator, follows=number % 2 == 0, total=189)
            prompt, text = drawn
            text = text[: 189 - len(prompt)]
            first = [tokenizer.cls_token_id, *(text & TOKEN_BITS).tolist(), tokenizer.sep_token_id]
            second = [*(prompt & TOKEN_BITS).tolist(), tokenizer.sep_token_id]
            ids = torch.tensor([first + second])
            segments = torch.tensor([[0] * len(first) + [1] * len(second)])
            with torch.inference_mode():
                logits = model(input_ids=ids, token_type_ids=segments).logits[0]
            right += bool(logits[0] > logits[1]) == (number % 2 == 0)
        results[f"pairs_{task.name}"] = right / count
    return results


def _fields(task: LabelledTask) -> dict[str, Any]:
    return {name: getattr(task, name) for name in LabelledTask.__slots__}


def run_all(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A record for each method and seed, those of earlier calls with the same settings among them."""
    work = options.work
    work.mkdir(parents=True, exist_ok=True)
    split_sets(options.data, work, limit=options.limit)
    if not (work / "source.txt").exists():
        lines = itertools.islice(read_lines(options.data / options.source), options.lines or None)
        (work / "source.txt").write_text("".join(lines), encoding="utf-8")
    path = work / "results.jsonl"
    start = None if options.shape else options.initial
    setting = [options.shared, options.steps, options.tasks, options.pairs, start or options.shape, options.source]
    setting += [options.limit, options.lines]
    kept = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    records = [record for record in kept if record["setting"] == setting]
    done = {(record["method"], record["seed"]) for record in records}
    tokenizer = load_tokenizer(Path(resolve_model(options.initial)))
    for seed in range(1, options.seeds + 1):
        for method in options.methods:
            if (method, seed) in done:
                continue
            recipe, began = recipe_of(options, method, seed), time.process_time()
            digest = hashlib.blake2b(json.dumps(setting).encode(), digest_size=4).hexdigest()
            out = work / f"{digest}-{method}-{seed}"
            result = pretrain(recipe, data=work, out=out, store=work / "store", initial=start, resume=True)
            if not result.finished:
                raise SystemExit(130)
            model = load_model(str(result.folder), head="nsp")
            pairs = judge_pairs(model, tokenizer, labelled_tasks(recipe, work), count=options.pairs)
            seconds = time.process_time() - began
            record = {"setting": setting, "method": method, "seed": seed, "seconds": round(seconds, 1)}
            record |= {"metrics": result.metrics | pairs}
            records.append(record)
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
            heads = {name: round(value, 3) for name, value in result.metrics.items() if name.startswith("head_")}
            print(f"{method} seed {seed}: {seconds:.0f} s {heads}", file=sys.stderr, flush=True)
    return [record for record in records if record["method"] in options.methods and record["seed"] <= options.seeds]


def spread(values: list[float]) -> tuple[float, float]:
    """Mean and standard error."""
    return statistics.fmean(values), statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")


def figures_of(metrics: dict[str, float]) -> dict[str, float]:
    """What the table shows, in percent: each head, each set as pairs, both means, running text."""
    figures = {f"head: {name}": 100 * metrics[f"head_{name}"] for name in SETS}
    figures["head: mean"] = statistics.fmean(figures.values())
    pairs = {f"next sentence: {name}": 100 * metrics[f"pairs_{name}"] for name in SETS}
    figures |= pairs
    figures["next sentence: mean"] = statistics.fmean(pairs.values())
    figures["masked words"] = 100 * metrics["mlm_accuracy"]
    figures["running next sentence"] = 100 * metrics["nsp_full"]
    return figures


def main() -> int:
    options = parse()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    try:
        records = run_all(options)
    except IronwokError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    by_method = {
        method: {record["seed"]: figures_of(record["metrics"]) for record in records if record["method"] == method}
        for method in options.methods
    }
    first = options.methods[0]
    rows, line = [], {}
    for name in next(iter(by_method[first].values())):
        row, line[name] = [name], {}
        for method, by_seed in by_method.items():
            mean, error = spread([own[name] for own in by_seed.values()])
            row.append(f"{mean:.1f} ± {error:.1f}")
            line[name][method] = [round(mean, 2), round(error, 2)]
        for method in options.methods[1:]:
            mean, error = spread([own[name] - by_method[first][seed][name] for seed, own in by_method[method].items()])
            row.append(f"{mean:+.1f} ± {error:.1f}")
            line[name][f"{method} - {first}"] = [round(mean, 2), round(error, 2)]
        rows.append(row)
    seconds = {
        method: round(statistics.fmean(record["seconds"] for record in records if record["method"] == method), 1)
        for method in options.methods
    }
    start = f"a random {options.shape}" if options.shape else options.initial
    show(
        f"Mixtures: {options.steps} steps from {start}, {options.seeds} seeds, held-out percent",
        ["", *options.methods, *(f"{method} - {first}" for method in options.methods[1:])],
        rows,
        notes=["mean ± standard error over seeds", f"processor seconds a run: {seconds}"],
    )
    finish({"benchmark": "mixture", "settings": records[0]["setting"], "seeds": options.seeds, "seconds": seconds,
            "results": line})  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
