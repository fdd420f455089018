#!/usr/bin/env python3
"""Fit how much the head for blanks counts beside the table of words, and how sure both together are.

    python tools/fit_blanks.py --model FOLDER --blanks FILE

FILE is JSON Lines as `ironwok fill` takes them (text with ____, a list of candidates), with the right word of each text
in a field "answer": blanks in texts that FOLDER was not trained on, best of another kind than those, as that is where a
head is led astray. What makes the right words likeliest is written into FOLDER/blanks.safetensors.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from _learning import ending_well, load_table

from ironwok.errors import DataError, IronwokError
from ironwok.training.files import read_records
from ironwok.zero_shot.blanks import Blanks
from ironwok.zero_shot.tasks import Cloze

SHARES = np.arange(0.0, 1.01, 0.1)
WEIGHTS = np.arange(2.0, 41.0)
LEAST = 100


def read(file: Path) -> list[tuple[Cloze, int]]:
    """Blanks with the number of the right candidate. Raises DataError for a record without one."""
    found = []
    for line, record in read_records(file):
        try:
            text, candidates, answer = record["text"], record["candidates"], record["answer"]
            if not isinstance(candidates, list):
                raise DataError(f"candidates is {candidates!r:.60}: a list is needed")
            candidates = tuple(candidates)
            found.append((Cloze(text, candidates), candidates.index(answer)))
        except (KeyError, TypeError, ValueError, IronwokError) as error:
            raise DataError(
                f"{file}:{line}: no text with a blank, candidates and their right answer ({error})"
            ) from error
    if len(found) < LEAST:
        raise DataError(f"{file} has {len(found)} blanks: at least {LEAST} are needed, or chance is fitted")
    return found


def likelihood(products: list[np.ndarray], right: list[int], weight: float) -> float:
    """Mean logarithm of the probability of the right candidates."""
    raised = [weight * one for one in products]
    return float(np.mean([one[place] - np.logaddexp.reduce(one) for one, place in zip(raised, right, strict=True)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of the model with table and head")
    parser.add_argument("--blanks", type=Path, required=True, help="JSON Lines: text with ____, candidates, answer")
    arguments = parser.parse_args()
    with ending_well(parser):
        _, table, tokenize = load_table(arguments.model)
        blanks = Blanks.load(arguments.model, table, tokenize)
        if blanks is None:
            parser.error(f"{arguments.model} has no head for blanks: tools/learn_blanks.py trains one")
        items = read(arguments.blanks)
        right = [place for _, place in items]
        sides = [(one.text[: one.place.start], one.text[one.place.end :]) for one, _ in items]
        alone = [replace(blanks, share=share) for share in (0.0, 1.0)]  # the table, the head
        parts = [
            [
                one.words(item.candidates) @ context
                for (item, _), context in zip(items, one.contexts(sides), strict=True)
            ]
            for one in alone
        ]
        best = (-np.inf, 1.0, 1.0, 0.0)
        for share in SHARES:
            products = [(1 - share) * table + share * head for table, head in zip(*parts, strict=True)]
            rightly = np.mean([one.argmax() == place for one, place in zip(products, right, strict=True)])
            offset = float(np.mean([(one[place] + one.mean()) / 2 for one, place in zip(products, right, strict=True)]))
            likely, weight = max((likelihood(products, right, weight), float(weight)) for weight in WEIGHTS)
            print(f"head {share:.1f}: {rightly:.1%} right, {weight:g} times the products, log-likelihood {likely:.3f}")
            best = max(best, (likely, float(share), weight, offset))
        _, share, weight, offset = best
        replace(blanks, share=share, weight=weight, offset=offset).save(arguments.model)
    print(f"share {share:.1f}, weight {weight:g}, offset {offset:.3f}, by {len(items):,} blanks")


if __name__ == "__main__":
    main()
