"""What unlabelled texts do for labels: accuracy of the table of words alone, by how many texts the labels adapt to.

    python benchmarks/adapting.py --data FOLDER [--model ironwok-small] [--judged 1000] [--draws 3]

FOLDER/labelled/single holds the files that the recipe and tools/words name. Six sets that are not FewCLUE's; the labels
of four of them were learnt by the encoder, of which nothing is used here, and none by the table. Labels adapt to texts
that are not judged, and in the column "themselves" to the judged ones. The rival is scikit-learn's KMeans on the same
vectors of the judged texts, begun at the labels. Prints a table, then one line of JSON.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from _table import carry_out, finish, show
from ironwok.training.files import read_records
from ironwok.zero_shot import load_scorer
from ironwok.zero_shot.adapting import draw_labels
from ironwok.zero_shot.nsp import AssociationScorer

ROOT = Path(__file__).resolve().parent.parent
WORDS = {"smp2019-words": "smp2019_nlu.jsonl.xz", "chip-ctc-words": "chip_ctc_train.jsonl.xz"}
RECIPE = ROOT / "recipes" / "ironwok-small-multitask.toml"
FROM_RECIPE = ("product_category", "news_topic", "medical_intent", "emotion")
COUNTS = (30, 100, 300, 1000)


@dataclass(frozen=True, slots=True)
class Set:
    """texts and their labels' numbers; labels: the words that stand for them."""

    name: str
    texts: list[str]
    truth: np.ndarray
    labels: list[str]


def read_sets(data: Path) -> Iterator[Set]:
    for words, file in WORDS.items():
        about = tomllib.loads((ROOT / "tools" / "words" / f"{words}.toml").read_text(encoding="utf-8"))
        yield read_set(
            words.removesuffix("-words"), [data / "labelled" / "single" / file], about["label"], about["words"]
        )
    for task in tomllib.loads(RECIPE.read_text(encoding="utf-8"))["labelled"]:
        if task["name"] in FROM_RECIPE:
            words = {raw: said if isinstance(said, str) else said[0] for raw, said in task["labels"].items()}
            yield read_set(task["name"], [data / file for file in task["files"]], task.get("label", "label"), words)


def read_set(name: str, files: list[Path], label: str, words: dict[str, str]) -> Set:
    texts, truth = [], []
    numbers = {raw: number for number, raw in enumerate(words)}
    for _, row in (record for file in files for record in read_records(file)):
        value: Any = row
        for step in label.split("."):
            value = value[step]
        if str(value) in numbers and row["text"].strip():
            texts.append(row["text"])
            truth.append(numbers[str(value)])
    return Set(name, texts, np.array(truth), list(words.values()))


def measure(one: Set, scorer: AssociationScorer, *, judged: int, draws: int) -> dict[str, Any]:
    """Percent right: labels as they are, adapted to other texts (mean, deviation), to the judged ones, KMeans."""
    from sklearn.cluster import KMeans

    chosen = np.linspace(0, len(one.texts) - 1, min(judged, len(one.texts) // 2)).round().astype(int)
    others = np.setdiff1d(np.arange(len(one.texts)), chosen)
    others = np.random.default_rng(0).permutation(others)[:20_000]
    table, tokenize = scorer.associations, scorer.tokenize
    labels, truth = table.read(tokenize, one.labels), one.truth[chosen]
    here, there = (table.read(tokenize, [one.texts[number] for number in own]) for own in (chosen, others))

    def right(vectors: np.ndarray) -> float:
        return 100 * float(np.mean((here @ vectors.T).argmax(axis=1) == truth))

    def drawn_to(texts: np.ndarray) -> float:
        return right(draw_labels(texts, labels, [(np.arange(len(texts)), np.arange(len(labels)))]))

    found: dict[str, Any] = {"labels": len(one.labels), "judged": len(chosen), "as they are": right(labels)}
    for count in COUNTS:
        if count < len(there):
            shares = [
                drawn_to(there[np.random.default_rng(seed).choice(len(there), count, replace=False)])
                for seed in range(draws)
            ]
            found[str(count)] = [float(np.mean(shares)), float(np.std(shares))]
    found["all others"] = [len(there), drawn_to(there)]
    found["themselves"] = drawn_to(here)
    means = KMeans(len(labels), init=labels, n_init=1, random_state=0).fit(here).cluster_centers_
    found["KMeans"] = right(means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9))
    return found


def run(options: argparse.Namespace, _: Path) -> None:
    scorer = load_scorer("associations", options.model)
    assert isinstance(scorer, AssociationScorer)
    figures = {
        one.name: measure(one, scorer, judged=options.judged, draws=options.draws) for one in read_sets(options.data)
    }
    rows = []
    for name, found in figures.items():
        counts = ["{:.1f} ± {:.1f}".format(*found[str(count)]) if str(count) in found else None for count in COUNTS]
        all_of_them = "{1:.1f} ({0:,})".format(*found["all others"])
        alone = [f"{found[column]:.1f}" for column in ("themselves", "KMeans")]
        rows.append([name, found["labels"], f"{found['as they are']:.1f}", *counts, all_of_them, *alone])
    columns = ["", "labels", "as they are", *map(str, COUNTS), "all others", "themselves", "KMeans"]
    show("Labels that adapt to unlabelled texts: accuracy in percent, the table alone", columns, rows)
    average = {name: round(float(np.mean([found[name] for found in figures.values()])), 2) for name in _SINGLE}
    finish(average | {"sets": figures})


_SINGLE = ("as they are", "themselves", "KMeans")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with labelled/single")
    parser.add_argument("--model", default="ironwok-small", help="bundled name or folder with a table")
    parser.add_argument("--judged", type=int, default=1000, help="texts of each set that are judged, evenly spaced")
    parser.add_argument("--draws", type=int, default=3, help="draws of each number of texts")
    options = parser.parse_args()
    options.work = None
    return carry_out(run, options)


if __name__ == "__main__":
    sys.exit(main())
