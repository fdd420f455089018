"""Fine-tuning from trained weights against the same architecture from random ones: same data, same steps.

    python benchmarks/tuning.py --data FOLDER [--task afqmc c3 ...] [--model ironwok-small] [--limit 2000] [--work DIR]

FOLDER/labelled and FOLDER/fewclue hold the files that TASKS below names, JSON lines, packed or not. Nothing is chosen
by the development examples: every run makes all of its steps, and they are looked at once, at its end.

limit: training examples a task, drawn in an order that is the same for every limit; 0 for all. dev-limit: development
examples. work: keep the runs here, and go on from there. Prints a table, then one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from _table import carry_out, finish, show
from ironwok.errors import DataError, DataWarning
from ironwok.models import resolve_model
from ironwok.training.files import read_records
from ironwok.training.progress import Silent
from ironwok.training.tuning.judge import DECIDING
from ironwok.training.tuning.settings import load_settings
from ironwok.training.tuning.train import train_tuned

_ENDINGS = ("", ".xz", ".gz", ".bz2", ".zst")


@dataclass(frozen=True, slots=True)
class Task:
    """kind: what `ironwok train` calls it. dev: None for a part of the training file, whole passages of reading.

    seen: what of this the weights in the package learnt from. published: the row of RoFormerV2-small on CLUE, where
    training and development files are the same as there; then whole files alone can be compared.
    limit, settings: what makes the run affordable on one core.
    """

    kind: str
    train: str
    dev: tuple[str, ...] | None
    seen: str
    published: float | None = None
    limit: int = 2000
    settings: tuple[str, ...] = ("epochs=3", "max_tokens=128")
    fields: tuple[tuple[str, str], ...] = ()


TASKS = {
    "smp2019": Task(
        "classify",
        "labelled/single/smp2019_nlu",
        None,
        "nothing",
        settings=("epochs=5", "max_tokens=64"),
        fields=(("label", "domain"),),
    ),
    "chip_ctc": Task("classify", "labelled/single/chip_ctc_train", None, "nothing"),
    "afqmc": Task(
        "pairs",
        "labelled/pairs/afqmc_train",
        ("labelled/pairs/afqmc_dev",),
        "labels of train",
        published=72.39,
        limit=4000,
        settings=("epochs=2", "max_tokens=96"),
    ),
    "ocnli": Task(
        "pairs",
        "labelled/pairs/ocnli_train10k",
        ("fewclue/ocnli/dev_few_all", "fewclue/ocnli/train_few_all"),
        "labels of train",
        limit=4000,
        settings=("epochs=2", "max_tokens=96"),
    ),
    "lcqmc": Task(
        "pairs",
        "labelled/pairs/lcqmc_dev_as_train",
        ("labelled/pairs/lcqmc_test",),
        "labels of train AND dev: not a fair comparison",
        limit=4000,
        settings=("epochs=2", "max_tokens=96"),
    ),
    "kuake_qic": Task(
        "classify", "labelled/single/kuake_qic_train", ("labelled/single/kuake_qic_dev",), "labels of train"
    ),
    "cmrc": Task(
        "reading",
        "labelled/reading/cmrc2018_dev_part",
        None,
        "texts without labels",
        limit=800,
        settings=("epochs=2", "max_tokens=320"),
    ),
    "c3": Task(
        "choice",
        "labelled/choice/c3_train",
        ("labelled/choice/c3_dev",),
        "labels of train",
        published=64.49,
        limit=800,
        settings=("epochs=2", "max_tokens=256"),
    ),
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with labelled/ and fewclue/")
    parser.add_argument("--task", nargs="+", choices=TASKS, default=[one for one in TASKS if one != "lcqmc"])
    parser.add_argument("--model", default="ironwok-small", help="the trained weights")
    parser.add_argument("--limit", type=int, help="training examples a task; 0 for all (default: by task)")
    parser.add_argument("--dev-limit", type=int, default=1000, help="development examples a task; 0 for all")
    parser.add_argument("--seed", type=int, default=0, help="of the draw, the batches and the random weights")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="as in `ironwok train`")
    parser.add_argument("--work", type=Path, help="folder of the runs (default: a temporary one)")
    return parser.parse_args()


def run(options: argparse.Namespace, work: Path) -> None:
    torch.set_num_threads(1)
    figures, rows, notes = {}, [], []
    for name in options.task:
        found = figures[name] = measure(name, options, work / name)
        print(f"{name}: {json.dumps(found)}", file=sys.stderr, flush=True)
        rows.append(
            [
                name,
                found["train"],
                found["dev"],
                found["steps"],
                *(f"{100 * found[which]:.1f} ± {100 * found[f'{which}_error']:.1f}" for which in ("random", "trained")),
                TASKS[name].published if not options.limit and options.limit is not None else None,
                TASKS[name].seen,
            ]
        )
    notes.append("accuracy in percent, of cmrc F1 (its error is an upper bound); the last column: of this task,")
    notes.append(f"what {options.model} had learnt from before")
    columns = ("", "train", "dev", "steps", "from random", "from trained", "V2-small", "seen before")
    show("Fine-tuned: the same steps from random and from trained weights", columns, rows, notes=notes)
    finish(figures)


def measure(name: str, options: argparse.Namespace, work: Path) -> dict[str, Any]:
    task = TASKS[name]
    limit = task.limit if options.limit is None else options.limit
    train, dev = split(task, options.data, limit=limit, dev_limit=options.dev_limit, seed=options.seed)
    work.mkdir(parents=True, exist_ok=True)
    files = {"train": work / "train.jsonl", "dev": work / "dev.jsonl"}
    for which, records in (("train", train), ("dev", dev)):
        text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        files[which].write_text(text, encoding="utf-8")
    overrides = (*task.settings, "patience=0", "evaluations=1", "min_steps=0", *options.set)
    settings = load_settings(task.kind, overrides=overrides, seed=options.seed)
    found: dict[str, Any] = {"train": len(train), "dev": len(dev), "seen": task.seen}
    models = {
        "random": str(random_weights(options.model, work / "random_weights", options.seed)),
        "trained": options.model,
    }
    for which, model in models.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # a label that is in no training example drawn, say
            result = train_tuned(
                task.kind,
                train=files["train"],
                dev=files["dev"],
                out=work / which,
                model=model,
                fields=dict(task.fields),
                settings=settings,
                resume=True,
                curves=False,
                progress=_Lines(f"{name} {which}"),
            )
        value = result.metrics[DECIDING[task.kind]]
        found |= {which: value, f"{which}_error": (value * (1 - value) / len(dev)) ** 0.5, "steps": result.step}
        found[f"{which}_metrics"] = result.metrics
    return found


class _Lines(Silent):
    def __init__(self, name: str) -> None:
        self.name = name

    def stepped(self, step: int, *, total: int, tokens_per_second: float, metrics: dict[str, float]) -> None:
        if step % 20 == 0:
            line = f"{self.name} {step}/{total} {tokens_per_second:.0f} tokens/s loss {metrics['loss']:.3f}"
            print(line, file=sys.stderr, flush=True)


def split(
    task: Task, data: Path, *, limit: int, dev_limit: int, seed: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Training and development records in a drawn order; of one file where there is no other, no passage in both."""
    train = _shuffled(_records(data, [task.train]), seed)
    if task.dev is not None:
        dev = _shuffled(_records(data, task.dev), seed)
        return train[: limit or None], dev[: dev_limit or None]
    passages = sorted({_passage(record) for record in train})
    random.Random(seed).shuffle(passages)
    held = set(passages[: len(passages) // 5])
    dev = [record for record in train if _passage(record) in held]
    rest = [record for record in train if _passage(record) not in held]
    return rest[: limit or None], dev[: dev_limit or None]


def _passage(record: dict[str, Any]) -> str:
    return str(record.get("context", record.get("text")))


def _shuffled(records: Iterable[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    listed = list(records)
    random.Random(seed).shuffle(listed)
    return listed


def _records(data: Path, names: Iterable[str]) -> Iterable[dict[str, Any]]:
    for name in names:
        path = next((found for end in _ENDINGS if (found := data / f"{name}.jsonl{end}").is_file()), None)
        if path is None:
            raise DataError(f"{data / name}.jsonl is not there (nor packed): name the folder of the data with --data")
        for _, record in read_records(path):
            yield record


def random_weights(model: str, folder: Path, seed: int) -> Path:
    """The folder of an encoder as ``model`` is, with the weights that a training from scratch begins with."""
    from transformers import AutoConfig

    from ironwok.models import RoFormerV2ForPreTraining
    from ironwok.models.loading import quiet
    from ironwok.zero_shot.loading import tokenizer_of

    source = resolve_model(model)
    torch.manual_seed(seed)
    with quiet():
        RoFormerV2ForPreTraining(AutoConfig.from_pretrained(source)).save_pretrained(folder)
        tokenizer_of(source).save_pretrained(folder)
    return folder


if __name__ == "__main__":
    sys.exit(carry_out(run, parse()))
