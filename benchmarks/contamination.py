"""How much of FewCLUE's evaluation texts the texts of a training recipe hold.

    python benchmarks/contamination.py RECIPE... --training FOLDER --data FOLDER [--split dev_few_all]

RECIPE are those of the weights in question; --training is the folder that they were trained with (`--data` of
`ironwok pretrain`), --data the one of benchmarks/fewclue.py. Counts evaluation texts that stand in a training text word
for word, and those of which half of all runs of 13 characters do; spaces, punctuation and case do not count. Running
text and labelled data are told apart: to have read a text is one thing, to have learnt its label another. Prints a
table, then one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from _fewclue import TASKS
from _table import finish, show
from ironwok.errors import IronwokError
from ironwok.text.formats.files import open_file
from ironwok.training.contamination import Overlap, contamination
from ironwok.training.contamination_report import labelled_texts, running_texts
from ironwok.training.preparation import find_sources, labelled_tasks
from ironwok.training.recipe import load_recipe

TEXTS = {
    "bustm": ("sentence1", "sentence2"),
    "ocnli": ("sentence1", "sentence2"),
    "csl": ("abst",),
    "csldcp": ("content",),
    "chid": ("content",),
    "cluewsc": ("text",),
}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="+", type=Path, metavar="RECIPE")
    parser.add_argument("--training", type=Path, required=True, help="folder with the files that the recipes name")
    parser.add_argument("--data", type=Path, required=True, help="folder with a folder for each task of FewCLUE")
    parser.add_argument("--split", default="dev_few_all")
    parser.add_argument("--near", type=float, default=0.5, help="share of a text's windows (default: 0.5)")
    return parser.parse_args(arguments)


def evaluation_texts(folder: Path, split: str) -> dict[str, list[str]]:
    texts = {}
    for task in TASKS:
        path = next(p for p in (folder / task / f"{split}.jsonl", folder / task / f"{split}.jsonl.xz") if p.exists())
        with open_file(path) as file:
            records = [json.loads(line) for line in file.read().decode().split("\n") if line.strip()]
        fields = TEXTS.get(task, ("sentence",))
        texts[task] = [record[field] for record in records for field in fields]
    return texts


def main() -> int:
    options = parse()
    try:
        texts = evaluation_texts(options.data, options.split)
        overlaps: dict[str, list[Overlap]] = {}
        for path in options.recipes:
            recipe = load_recipe(path)
            for kind, read in (
                ("running text", running_texts(find_sources(recipe, options.training))),
                ("labelled data", labelled_texts(labelled_tasks(recipe, options.training))),
            ):
                overlaps[f"{recipe.name}, {kind}"] = contamination(read, texts, near=options.near)
    except IronwokError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    rows = [
        [
            one.name,
            what,
            one.texts,
            one.exact,
            one.near,
            f"{100 * (one.exact + one.near) / one.texts:.1f}%",
            ", ".join(f"{source} {count}" for source, count in one.sources[:3]),
        ]
        for what, found in overlaps.items()
        for one in found
        if one.exact or one.near
    ]
    columns = ["", "recipe", "texts", "word for word", f"{options.near:.0%} of it", "share", "held by"]
    show(f"FewCLUE {options.split}: texts that training held", columns, rows, notes=["tasks not named: none"])
    line = {
        what: {one.name: {"texts": one.texts, "exact": one.exact, "near": one.near} for one in found}
        for what, found in overlaps.items()
    }
    finish({"split": options.split, "near": options.near, "overlap": line})
    return 0


if __name__ == "__main__":
    sys.exit(main())
