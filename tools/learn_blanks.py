#!/usr/bin/env python3
"""Train the head that says which word belongs into a blank, beside a table of words that keep company.

    python tools/learn_blanks.py --store STORE --model FOLDER --work RUN [--steps N] …

STORE is the running text that FOLDER/associations.safetensors was counted in (`tools/count_associations.py` makes it).
Writes FOLDER/blanks.safetensors, and prints how many blanks of held-out documents the head and the table alone fill
rightly, of seven candidates each. RUN keeps checkpoints: a run that was stopped goes on where the same command is given
again. A table that changes needs this head anew.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from _learning import add_numbers, ending_well, load_table, numbers_of

from ironwok.cli.training_watch import TrainingWatch
from ironwok.training.blank_learning import BlankLearning, learn_blanks
from ironwok.training.corpus import Store
from ironwok.zero_shot.blanks import Shape


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True, help="tokenized text that the table was counted in")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model with the table")
    parser.add_argument("--work", type=Path, required=True, help="folder of checkpoints")
    add_numbers(parser, BlankLearning, without=("kinds",))
    add_numbers(parser, Shape, prefix="width-")
    arguments = parser.parse_args()
    with ending_well(parser, arguments.work):
        learning = BlankLearning(**numbers_of(arguments, BlankLearning, without=("kinds",)))
        shape = Shape(**numbers_of(arguments, Shape, prefix="width-"))
        tokenizer, table, tokenize = load_table(arguments.model)
        with TrainingWatch("blanks") as progress:
            learnt, judged = learn_blanks(
                Store(arguments.store),
                table,
                tokenizer,
                tokenize,
                learning,
                shape=shape,
                work=arguments.work,
                progress=progress,
            )
        learnt.save(arguments.model)
    for one in judged:
        print(f"{one.kind}: {one.right:.1%} of {one.count} blanks right (the table alone: {one.before:.1%})")
    print(f"counts {learnt.weight:g} times its products, less {learnt.offset:.3f}")


if __name__ == "__main__":
    main()
