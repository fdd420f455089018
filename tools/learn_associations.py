#!/usr/bin/env python3
"""Make a counted table of words that keep company better, from the running text that it was counted in.

    python tools/learn_associations.py --store STORE --model FOLDER --work RUN [--steps N] …

Reads FOLDER/associations.safetensors, as `tools/count_associations.py` left it, and replaces it. RUN keeps checkpoints:
a run that was stopped goes on where the same command is given again. Afterwards `tools/fit_associations.py` says how
much the table counts beside the next-sentence head.
"""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from ironwok.cli.training_watch import TrainingWatch
from ironwok.errors import IronwokError
from ironwok.text.associations import Associations
from ironwok.text.tokenizer import load_tokenizer
from ironwok.training.association_learning import Learning, learn_associations
from ironwok.training.corpus import Store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True, help="tokenized text that the table was counted in")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model with the table")
    parser.add_argument("--work", type=Path, required=True, help="folder of checkpoints")
    numbers = [one for one in fields(Learning) if one.name != "kinds"]
    for one in numbers:
        name = one.name.replace("_", "-")
        parser.add_argument(f"--{name}", type=type(one.default), default=one.default)
    arguments = parser.parse_args()
    try:
        learning = Learning(**{one.name: getattr(arguments, one.name) for one in numbers})
        table = Associations.load(arguments.model, vocabulary=len(load_tokenizer(arguments.model)))
        if table is None:
            parser.error(f"{arguments.model} has no table: tools/count_associations.py counts one")
        with TrainingWatch("associations") as progress:
            learnt = learn_associations(Store(arguments.store), table, learning, work=arguments.work, progress=progress)
        learnt.save(arguments.model)
    except IronwokError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        parser.exit(130, f"stopped; the same command goes on from the last checkpoint in {arguments.work}\n")
    print(f"{sum(map(len, learnt.runs)):,} words beside {learnt.vocabulary:,} tokens after {learning.steps:,} steps")


if __name__ == "__main__":
    main()
