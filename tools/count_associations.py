#!/usr/bin/env python3
"""Count which words keep company in running text, and put the table beside a model.

    python tools/count_associations.py --recipe RECIPE.toml --data DIR --store STORE --model FOLDER [--pairs N] …

STORE is the tokenized text of a pretraining run with FOLDER's tokenizer; where it is not there, it is made of the
sources of RECIPE (files relative to DIR). Writes FOLDER/associations.safetensors. `tools/learn_associations.py` makes
the table better, `tools/fit_associations.py` says how much it counts beside the next-sentence head; until then it
counts nothing.
"""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from ironwok.cli.training_watch import TrainingWatch
from ironwok.errors import IronwokError
from ironwok.text.tokenizer import load_tokenizer
from ironwok.training.associations import Counting, count_associations
from ironwok.training.corpus import Store, build_store
from ironwok.training.preparation import find_sources
from ironwok.training.recipe import load_recipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, help="pretraining recipe whose sources are read")
    parser.add_argument("--data", type=Path, default=Path(), help="folder of the recipe's files")
    parser.add_argument("--store", type=Path, required=True, help="tokenized text, of a run or to be made")
    parser.add_argument("--model", type=Path, required=True, help="folder of a model with the same tokenizer")
    for one in fields(Counting):
        parser.add_argument(f"--{one.name}", type=type(one.default), default=one.default)
    arguments = parser.parse_args()
    if arguments.recipe is None and not (arguments.store / "store.json").exists():
        parser.error(f"{arguments.store} holds no tokenized text: name a --recipe to make it of")
    try:
        counting = Counting(**{one.name: getattr(arguments, one.name) for one in fields(Counting)})
        tokenizer = load_tokenizer(arguments.model)
        with TrainingWatch("associations") as progress:
            if arguments.recipe is None:
                store = Store(arguments.store)
            else:
                recipe = load_recipe(arguments.recipe)
                store = build_store(
                    find_sources(recipe, arguments.data),
                    arguments.store,
                    tokenizer=tokenizer,
                    held_out=recipe.held_out,
                    progress=progress,
                )
            table = count_associations(store, tokenizer, counting, progress=progress)
        table.save(arguments.model)
    except IronwokError as error:
        parser.error(str(error))
    print(f"{len(table.pairs):,} pairs beside {table.vocabulary:,} tokens, {table.vectors.shape[1]} numbers each")


if __name__ == "__main__":
    main()
