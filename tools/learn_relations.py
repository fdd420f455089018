#!/usr/bin/env python3
"""Teach a head how two sentences stand to each other, on the table of words that keep company and labelled pairs.

    python tools/learn_relations.py --sets tools/relations.toml --data DATA --model FOLDER --work RUN [--epochs N] …

FOLDER holds the model with its table (associations.safetensors); relations.safetensors is written beside it. RUN keeps
checkpoints: a run that was stopped goes on where the same command is given again. Prints how many of the pairs that it
was not trained on it answers as labelled.
"""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from ironwok.cli.training_watch import TrainingWatch
from ironwok.errors import IronwokError
from ironwok.text.associations import Associations
from ironwok.text.tokenizer import load_tokenizer
from ironwok.training.relation_learning import RelationLearning, learn_relations, read_sets
from ironwok.zero_shot.encoding import PairEncoder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=Path, required=True, help="TOML: the relations, and labelled pairs of them")
    parser.add_argument("--data", type=Path, required=True, help="folder that the paths of --sets are in")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model with the table")
    parser.add_argument("--work", type=Path, required=True, help="folder of checkpoints")
    parser.add_argument("--without", nargs="*", default=[], metavar="SET", help="sets to judge on, and not to train on")
    for one in fields(RelationLearning):
        parser.add_argument(f"--{one.name.replace('_', '-')}", type=type(one.default), default=one.default)
    arguments = parser.parse_args()
    try:
        learning = RelationLearning(**{one.name: getattr(arguments, one.name) for one in fields(RelationLearning)})
        relations, sets = read_sets(arguments.sets, arguments.data, without=arguments.without)
        tokenizer = load_tokenizer(arguments.model)
        table = Associations.load(arguments.model, vocabulary=len(tokenizer))
        if table is None:
            parser.error(f"{arguments.model} has no table: tools/count_associations.py counts one")
        tokenize = PairEncoder(tokenizer, max_tokens=512, segments=True).ids
        with TrainingWatch("relations") as progress:
            learnt, judged = learn_relations(
                relations, sets, table, tokenize, learning, work=arguments.work, progress=progress
            )
        learnt.save(arguments.model)
    except IronwokError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        parser.exit(130, f"stopped; the same command goes on from the last checkpoint in {arguments.work}\n")
    for one in judged:
        print(f"{one.name}, {one.relation}: {one.right:.1%} of {one.count} right (always the same: {one.majority:.1%})")


if __name__ == "__main__":
    main()
