"""Trains the student of `ironwok home`: sentences of the grammar in, student.npz out. A minute on one core.

    python tools/train_home_student.py

Thresholds are set on benchmarks/home/tuning_commands.tsv, which nothing is trained on; nothing here looks at
benchmarks/home/spoken_commands.tsv. Needs scikit-learn (the extra "dev").
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from ironwok.home.understanding.features import features_of, tokens_of
from ironwok.home.understanding.grammar import REFUSE, sample
from ironwok.home.understanding.student import Student, known_grams

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "src" / "ironwok" / "home" / "understanding" / "student.npz"
TUNING = ROOT / "benchmarks" / "home" / "tuning_commands.tsv"

# a false act costs more than a question: so many wrong acts in a hundred refusals are allowed on the tuning sentences
MOST_FALSE_ACTS = 0.0


def matrix(sentences: list[str], fewest: int) -> tuple[csr_matrix, np.ndarray]:
    """Features of all sentences, and the n-grams that at least so many sentences have, in the order of the columns."""
    found = [features_of(tokens_of(sentence)) for sentence in sentences]
    every, counts = np.unique(np.concatenate(found), return_counts=True)
    grams = every[counts >= fewest]
    rows = [known_grams(grams, row) for row in found]
    pointers = np.cumsum([0, *(len(row) for row in rows)])
    values = np.concatenate([np.full(len(row), 1 / np.sqrt(max(len(row), 1))) for row in rows])
    return csr_matrix((values, np.concatenate(rows), pointers), shape=(len(rows), len(grams))), grams


def read_tsv(path: Path) -> list[tuple[str, str]]:
    lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return [(cells[1], cells[0]) for cells in lines]


def vocabulary_of(pairs: list[tuple[str, str]]) -> dict[str, frozenset[str]]:
    """Tokens of every class; what was seen once in a thousand draws is no part of its vocabulary."""
    counts: dict[str, Counter[str]] = {}
    for sentence, label in pairs:
        counts.setdefault(label, Counter()).update(set(tokens_of(sentence)))
    return {
        label: frozenset(word for word, n in one.items() if n >= 2) for label, one in counts.items() if label != REFUSE
    }


def decide(student: Student, sentence: str) -> tuple[str, float, float, float]:
    guess = student.guess(sentence)
    (first, best), (second, next_best) = guess.ranking[:2]
    return first, best, (1.0 if second == REFUSE else best - next_best), guess.coverage


def tune(student: Student, pairs: list[tuple[str, str]]) -> tuple[float, float, float, float, float]:
    """Bounds that act right most often, among those with the fewest false acts. Returns them with both shares."""
    decisions = [(label, *decide(student, sentence)) for sentence, label in pairs]
    commands = [one for one in decisions if one[0] != REFUSE]
    refused = [one for one in decisions if one[0] == REFUSE]
    best: tuple[tuple[float, ...], tuple[float, float, float]] | None = None
    for threshold, margin, coverage in itertools.product(
        np.arange(0.3, 0.96, 0.05), (0.1, 0.15, 0.2), np.arange(0.5, 1.01, 0.05)
    ):

        def acts(one: tuple, threshold=threshold, margin=margin, coverage=coverage) -> bool:
            _, first, score, gap, covered = one
            return first != REFUSE and score >= threshold and gap >= margin and covered >= coverage

        right = sum(acts(one) and one[0] == one[1] for one in commands) / len(commands)
        wrong = sum(acts(one) and one[0] != one[1] for one in commands) / len(commands)
        false = sum(acts(one) for one in refused) / len(refused)
        # of equally good ones the strictest
        key = (-max(false, MOST_FALSE_ACTS), round(right - wrong, 4), threshold, coverage, margin)
        if best is None or key > best[0]:
            best = key, (threshold, margin, coverage)
            shares = right, false
    assert best is not None
    return *best[1], *shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--strength", type=float, default=30.0, help="inverse regularisation")
    parser.add_argument("--fewest", type=int, default=8, help="sentences that an n-gram must be in")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    pairs = list(sample(seed=arguments.seed))
    features, grams = matrix([sentence for sentence, _ in pairs], arguments.fewest)
    labels = np.array([label for _, label in pairs])
    model = LogisticRegression(C=arguments.strength, max_iter=150, tol=1e-5)
    model.fit(features, labels)
    print(f"{model.n_iter_[0]} iterations")
    classes = tuple(map(str, model.classes_))
    # 8 bits a weight: a third of a megabyte instead of more than one
    scale = np.abs(model.coef_).max(axis=1) / 127
    weights = np.round(model.coef_ / scale[:, None]).astype(np.int8)
    bias = model.intercept_.astype(np.float32)
    words = vocabulary_of(pairs)
    quantised = weights.astype(np.float32) * scale.astype(np.float32)[:, None]
    student = Student(classes, grams, quantised, bias, words, threshold=0, margin=0, coverage=0)
    tuning = read_tsv(TUNING)
    threshold, margin, coverage, right, false = tune(student, tuning)
    held_out = list(sample(seed=arguments.seed + 1, commands=150, refused=1500))
    agree = np.mean([student.guess(sentence).ranking[0][0] == label for sentence, label in held_out])
    print(f"{len(pairs)} sentences, {len(grams)} n-grams; other draws of the grammar: {agree:.4f} right")
    bounds = f"threshold {threshold:.2f}, margin {margin:.2f}, coverage {coverage:.2f}"
    print(f"tuning: {bounds}: {right:.3f} acted on, {false:.3f} false acts")
    np.savez_compressed(
        arguments.out,
        classes=np.array(classes),
        grams=grams,
        weights=weights,
        scale=scale.astype(np.float32),
        bias=bias,
        bounds=np.array([threshold, margin, coverage]),
        **{f"words_{name}": np.array("\n".join(sorted(tokens))) for name, tokens in words.items()},
    )
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
