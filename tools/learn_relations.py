#!/usr/bin/env python3
"""Teach a head how two sentences stand to each other, on the table of words that keep company and labelled pairs.

    python tools/learn_relations.py --sets tools/relations.toml --data DATA --model FOLDER --work RUN [--epochs N] …

FOLDER holds the model with its table (associations.safetensors); relations.safetensors is written beside it. RUN keeps
checkpoints: a run that was stopped goes on where the same command is given again. Prints how many of the pairs that it
was not trained on it answers as labelled.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from _learning import add_numbers, ending_well, load_table, numbers_of

from ironwok.cli.training_watch import TrainingWatch
from ironwok.training.relation_learning import RelationLearning, learn_relations, read_sets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=Path, required=True, help="TOML: the relations, and labelled pairs of them")
    parser.add_argument("--data", type=Path, required=True, help="folder that the paths of --sets are in")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model with the table")
    parser.add_argument("--work", type=Path, required=True, help="folder of checkpoints")
    parser.add_argument("--without", nargs="*", default=[], metavar="SET", help="sets to judge on, and not to train on")
    add_numbers(parser, RelationLearning)
    arguments = parser.parse_args()
    with ending_well(parser, arguments.work):
        learning = RelationLearning(**numbers_of(arguments, RelationLearning))
        relations, sets = read_sets(arguments.sets, arguments.data, without=arguments.without)
        _, table, tokenize = load_table(arguments.model)
        with TrainingWatch("relations") as progress:
            learnt, judged = learn_relations(
                relations, sets, table, tokenize, learning, work=arguments.work, progress=progress
            )
        learnt.save(arguments.model)
    for one in judged:
        print(f"{one.name}, {one.relation}: {one.right:.1%} of {one.count} right (always the same: {one.majority:.1%})")


if __name__ == "__main__":
    main()
