#!/usr/bin/env python3
"""Count which words keep company in the running text of a pretraining run, and put the table beside a model.

    python tools/count_associations.py --store RUN/store --model FOLDER [--pairs N] [--width N]

Writes FOLDER/associations.safetensors. Afterwards `tools/fit_associations.py` says how much it counts beside the
next-sentence head; until then it counts nothing.
"""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from ironwok.cli.training_watch import TrainingWatch
from ironwok.text.tokenizer import load_tokenizer
from ironwok.training.associations import Counting, count_associations
from ironwok.training.corpus import Store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True, help="tokenized corpus of a pretraining run")
    parser.add_argument("--model", type=Path, required=True, help="folder of a model with the same tokenizer")
    for one in fields(Counting):
        parser.add_argument(f"--{one.name}", type=type(one.default), default=one.default)
    arguments = parser.parse_args()
    counting = Counting(**{one.name: getattr(arguments, one.name) for one in fields(Counting)})
    with TrainingWatch("associations") as progress:
        table = count_associations(Store(arguments.store), load_tokenizer(arguments.model), counting, progress=progress)
    table.save(arguments.model)
    print(f"{len(table.pairs):,} pairs beside {table.vocabulary:,} tokens, {table.vectors.shape[1]} numbers each")


if __name__ == "__main__":
    main()
