#!/usr/bin/env python3
"""Make a counted table of words that keep company better, from the running text that it was counted in.

    python tools/learn_associations.py --store STORE --model FOLDER --work RUN [--steps N] …

Reads FOLDER/associations.safetensors, as `tools/count_associations.py` left it, and replaces it. RUN keeps checkpoints:
a run that was stopped goes on where the same command is given again. Afterwards `tools/fit_associations.py` says how
much the table counts beside the next-sentence head.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from _learning import add_numbers, ending_well, load_table, numbers_of

from ironwok.cli.training_watch import TrainingWatch
from ironwok.training.association_learning import Learning, learn_associations
from ironwok.training.corpus import Store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True, help="tokenized text that the table was counted in")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model with the table")
    parser.add_argument("--work", type=Path, required=True, help="folder of checkpoints")
    add_numbers(parser, Learning, without=("kinds",))
    arguments = parser.parse_args()
    with ending_well(parser, arguments.work):
        learning = Learning(**numbers_of(arguments, Learning, without=("kinds",)))
        _, table, _ = load_table(arguments.model)
        with TrainingWatch("associations") as progress:
            learnt = learn_associations(Store(arguments.store), table, learning, work=arguments.work, progress=progress)
        learnt.save(arguments.model)
    print(f"{sum(map(len, learnt.runs)):,} words beside {learnt.vocabulary:,} tokens after {learning.steps:,} steps")


if __name__ == "__main__":
    main()
