#!/usr/bin/env python3
"""How much should the table of words that keep company count beside the next-sentence head? Ask labelled texts.

    python tools/fit_associations.py --model FOLDER --texts FILE.jsonl.xz --words WORDS.toml [--texts … --words …]

FILE holds {"text": …, LABEL: …}; WORDS names LABEL and says which words stand for each label. Texts, labels and words
must be none that the model was trained on, or its head looks better than it is. Fitted are two numbers, by the
likelihood of the right label among all (candidates-contrast), every set counting alike: how much the head counts, and
the table. They are written into the table of FOLDER, and the mean affinity of a text and a wrong label as its offset.
"""

from __future__ import annotations

import argparse
import json
import lzma
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.progress import track
from scipy.optimize import minimize

from ironwok.text.associations import Associations
from ironwok.zero_shot import ScorerOptions, load_scorer
from ironwok.zero_shot.nsp import NSPScorer
from ironwok.zero_shot.pairs import Pair, fill


@dataclass
class Asked:
    """One set: log-odds of the head and affinities float [N, C], the number of the right label int [N]."""

    name: str
    said: np.ndarray
    near: np.ndarray
    truth: np.ndarray

    def right(self, scores_NC: np.ndarray) -> float:
        return float(np.mean(scores_NC.argmax(axis=1) == self.truth))

    def loss(self, logits_NC: np.ndarray) -> float:
        logits_NC = logits_NC - logits_NC.max(axis=1, keepdims=True)
        right_N = logits_NC[np.arange(len(self.truth)), self.truth]
        return float((np.log(np.exp(logits_NC).sum(axis=1)) - right_N).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of a model with a table")
    parser.add_argument("--texts", type=Path, required=True, action="append", help="JSON Lines, also .xz")
    parser.add_argument("--words", type=Path, required=True, action="append", help="TOML: label, template, [words]")
    parser.add_argument("--limit", type=int, default=500, help="so many texts of each, evenly spaced")
    arguments = parser.parse_args()
    scorer = load_scorer("nsp", str(arguments.model), ScorerOptions(associations=False))
    assert isinstance(scorer, NSPScorer)
    table = Associations.load(arguments.model, vocabulary=len(scorer.tokenizer))
    if table is None:
        parser.error(f"{arguments.model} has no table: tools/count_associations.py counts one")
    sets = [
        ask(scorer, table, texts, words, arguments.limit)
        for texts, words in zip(arguments.texts, arguments.words, strict=True)
    ]
    wrong = np.concatenate([np.delete(row, own) for one in sets for row, own in zip(one.near, one.truth, strict=True)])
    offset = float(np.nanmean(wrong))
    for one in sets:
        one.near = np.nan_to_num(one.near - offset)
    head, weight = minimize(
        lambda parts: np.mean([one.loss(parts[0] * one.said + parts[1] * one.near) for one in sets]),
        np.array([1.0, 1.0]),
        method="Nelder-Mead",
    ).x.tolist()
    for one in sets:
        both = head * one.said + weight * one.near
        print(
            f"{one.name}, {len(one.truth)} texts, {one.said.shape[1]} labels: head {one.right(one.said):.1%}, "
            f"table {one.right(one.near):.1%}, both {one.right(both):.1%}"
        )
    print(f"head {head:.3f}, table {weight:.3f}, offset {offset:.4f}")
    replace(table, head=head, weight=weight, offset=offset).save(arguments.model)


def ask(scorer: NSPScorer, table: Associations, texts: Path, words: Path, limit: int) -> Asked:
    asked = tomllib.loads(words.read_text(encoding="utf-8"))
    names = list(asked["words"])
    opener = lzma.open if texts.suffix == ".xz" else open
    with opener(texts, "rt", encoding="utf-8") as file:
        rows = [row for row in map(json.loads, file) if row[asked["label"]] in names]
    rows = [rows[i * len(rows) // limit] for i in range(limit)] if limit < len(rows) else rows
    prompts = fill(asked["template"], asked["words"].values())
    said = np.stack(
        [scorer.score([Pair(row["text"], one) for one in prompts]) for row in track(rows, description=words.stem)]
    )
    first, second = np.divmod(np.arange(said.size), len(names))
    near = table.affinities(
        scorer.encoder.ids, [row["text"] for row in rows], list(asked["words"].values()), first, second
    )
    truth = np.array([names.index(row[asked["label"]]) for row in rows])
    return Asked(words.stem, said, near.reshape(said.shape), truth)


if __name__ == "__main__":
    main()
