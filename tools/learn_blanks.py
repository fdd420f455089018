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
from dataclasses import fields
from pathlib import Path

from ironwok.cli.training_watch import TrainingWatch
from ironwok.errors import IronwokError
from ironwok.text.associations import Associations
from ironwok.text.tokenizer import load_tokenizer
from ironwok.training.blank_learning import BlankLearning, learn_blanks
from ironwok.training.corpus import Store
from ironwok.zero_shot.blanks import Shape
from ironwok.zero_shot.encoding import PairEncoder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True, help="tokenized text that the table was counted in")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model with the table")
    parser.add_argument("--work", type=Path, required=True, help="folder of checkpoints")
    numbers = [one for one in fields(BlankLearning) if one.name != "kinds"]
    for one in numbers:
        parser.add_argument(f"--{one.name.replace('_', '-')}", type=type(one.default), default=one.default)
    for one in fields(Shape):
        parser.add_argument(f"--width-{one.name}", type=int, default=one.default)
    arguments = parser.parse_args()
    try:
        learning = BlankLearning(**{one.name: getattr(arguments, one.name) for one in numbers})
        shape = Shape(**{one.name: getattr(arguments, f"width_{one.name}") for one in fields(Shape)})
        tokenizer = load_tokenizer(arguments.model)
        table = Associations.load(arguments.model, vocabulary=len(tokenizer))
        if table is None:
            parser.error(f"{arguments.model} has no table: tools/count_associations.py counts one")
        tokenize = PairEncoder(tokenizer, max_tokens=512, segments=True).ids
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
    except IronwokError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        parser.exit(130, f"stopped; the same command goes on from the last checkpoint in {arguments.work}\n")
    for one in judged:
        print(f"{one.kind}: {one.right:.1%} of {one.count} blanks right (the table alone: {one.before:.1%})")
    print(f"counts {learnt.weight:g} times its products, less {learnt.offset:.3f}")


if __name__ == "__main__":
    main()
