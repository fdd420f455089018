"""Fit the weights of the extractive reader, src/ironwok/reader/weights.npz.

    python tools/fit_reader.py --reading cmrc.jsonl.xz drcd.jsonl.xz --corpus CORPUS.txt.xz … --work FOLDER

--reading: JSON Lines (also .xz) of {"context", "question", "answers": [{"text", "start"}]}: CMRC 2018
(ymcui/cmrc2018, CC BY-SA 4.0) and DRCD (DRCKnowledgeTeam/DRCD, CC BY-SA 3.0). Of a file in traditional characters,
two questions of three are brought into simplified ones, with zhconv, which is needed for that alone. --corpus: running
text, a paragraph a line, from which only the frequencies of characters are taken.

A case is a question with twelve contexts: its own and eleven others, drawn. A sixth of the contexts is held out, their
questions are for choosing and for the bounds. Every step leaves its result in --work, and the same command goes on
where it was stopped.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import pickle
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ironwok.nbce.contexts import Context
from ironwok.reader import library as library_module
from ironwok.reader.evidence import FEATURES, candidates, sentence_features
from ironwok.reader.library import Library, Sentence
from ironwok.reader.questions import understand
from ironwok.reader.spans import candidates_in
from ironwok.reader.weights import FILE
from ironwok.results import Span
from ironwok.text.formats.files import open_file
from ironwok.text.sentences import split_sentences

CONTEXTS = 12
_UNSEEN, _LATIN = 9.0, 8.0
_PARAGRAPHS = 120_000  # of a corpus file


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reading", type=Path, nargs="+", required=True)
    parser.add_argument("--corpus", type=Path, nargs="+", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--ranked", type=int, default=1100, help="training cases for the order of sentences")
    parser.add_argument("--held-out", type=int, default=300, help="cases for choosing")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(options.seed)
    # the same contexts come in many cases
    for name in ("terms_of", "split_passages", "split_sentences", "words_of"):
        setattr(library_module, name, functools.lru_cache(50_000)(getattr(library_module, name)))

    rarities = kept(options.work / "rarities.pickle", lambda: character_rarities(options.corpus))
    background = functools.partial(rarity, rarities)
    cases = make_cases(options.reading, options.seed)
    draw = random.Random(options.seed + 1)
    ranked = draw.sample(cases["train"], min(options.ranked, len(cases["train"])))
    held = draw.sample(cases["held out"], min(options.held_out, len(cases["held out"])))
    rows = kept(options.work / "sentences.pickle", lambda: all_ranking_rows(ranked, background))
    held_rows = kept(options.work / "held-sentences.pickle", lambda: all_ranking_rows(held, background))
    spans = kept(options.work / "spans.pickle", lambda: span_rows(cases["train"], background))
    held_spans = kept(options.work / "held-spans.pickle", lambda: span_rows(cases["held out"], background))

    sentences = fit(
        [(row["features"], row["right"].astype(np.float32)) for row in rows if row["right"].any()],
        hidden=16,
        epochs=40,
        seed=options.seed,
    )
    told = [row["right"][int(apply(sentences, row["features"]).argmax())] for row in held_rows]
    print(f"answer sentence first: {np.mean(told):.3f} of {len(told)} held-out cases")
    words = fit(
        [(features, (overlap >= overlap.max() - 1e-6).astype(np.float32)) for features, overlap in spans],
        hidden=64,
        epochs=10,
        seed=options.seed,
    )
    report_spans(words, held_spans)
    line, constant = fit_line(sentences, rows, held_rows)
    characters = "".join(sorted(rarities))
    np.savez(
        FILE,
        **{f"sentences.{name}": value for name, value in sentences.items()},
        **{f"spans.{name}": value for name, value in words.items()},
        line=line,
        constant=np.float32(constant),
        characters=np.array(characters),
        rarities=np.array([round(rarities[one] * 10) for one in characters], dtype=np.uint8),
    )
    print(f"{FILE}: {FILE.stat().st_size:,} bytes")
    return 0


def kept(path: Path, make: Callable[[], Any]) -> Any:
    """What an earlier run left, else what is made now."""
    if not path.exists():
        made = make()
        path.write_bytes(pickle.dumps(made))
    return pickle.loads(path.read_bytes())


def rarity(rarities: dict[str, float], term: str) -> float:
    return _LATIN if term.isascii() else sum(rarities.get(one, _UNSEEN) for one in term)


def character_rarities(paths: Iterable[Path]) -> dict[str, float]:
    """Log of sentences over sentences with the character. Traditional forms count as their simplified ones."""
    from zhconv import convert

    found: Counter[str] = Counter()
    sentences = 0
    for path in paths:
        read = 0
        with open_file(path) as file:
            for line in file:
                for sentence in line.decode().strip().split("。"):
                    if len(sentence) >= 4:
                        found.update(set(sentence[:80]))
                        read += 1
                if read > _PARAGRAPHS:
                    break
        sentences += read
    rarities = {
        one: math.log(sentences / count) for one, count in found.items() if "\u4e00" <= one <= "\u9fff" and count >= 3
    }
    for number in range(0x4E00, 0xA000):
        simple = convert(chr(number), "zh-hans")
        if simple in rarities and rarities.get(chr(number), 99.0) > rarities[simple] + 1:
            rarities[chr(number)] = rarities[simple]
    return {one: round(value, 1) for one, value in rarities.items()}


def make_cases(paths: Sequence[Path], seed: int) -> dict[str, list[dict[str, Any]]]:
    from zhconv import convert

    draw = random.Random(seed)
    cases: dict[str, list[dict[str, Any]]] = {"train": [], "held out": []}
    for path in paths:
        with open_file(path) as file:
            rows = [json.loads(line) for line in file]
        contexts = sorted({row["context"] for row in rows})
        draw.shuffle(contexts)
        cut = len(contexts) // 6
        held = set(contexts[:cut])
        traditional = sum(convert(one, "zh-hans") != one for one in contexts) > len(contexts) / 2
        for number, row in enumerate(rows):
            simplify = traditional and number % 3 != 0

            def plain(text: str, simplify: bool = simplify) -> str:
                return convert(text, "zh-hans") if simplify else text

            own = plain(row["context"])
            if len(own) != len(row["context"]):
                continue  # a phrase was changed for a longer one: places would not fit
            split = "held out" if row["context"] in held else "train"
            pool = contexts[:cut] if split == "held out" else contexts[cut:]
            others = draw.sample(
                [one for one in draw.sample(pool, 2 * CONTEXTS) if one != row["context"]], CONTEXTS - 1
            )
            gold = draw.randrange(CONTEXTS)
            given = [plain(one) for one in others]
            given.insert(gold, own)
            answers = {(plain(one["text"]), one["start"]) for one in row["answers"]}
            answers = sorted(one for one in answers if own.startswith(one[0], one[1]))
            if answers:
                asked = plain(row["question"])
                cases[split].append({"question": asked, "answers": answers, "contexts": given, "gold": gold})
    return cases


def all_ranking_rows(cases: Sequence[dict[str, Any]], background: Callable[[str], float]) -> list[dict[str, Any]]:
    # a fourth of the cases are enough to learn from what an answer is lacking
    return [ranking_rows(case, background, lacking=number % 4 == 0) for number, case in enumerate(cases)]


def ranking_rows(case: dict[str, Any], background: Callable[[str], float], *, lacking: bool) -> dict[str, Any]:
    """Features of all sentences and which are right; lacking: also the features where the right are taken away."""
    question = understand(case["question"])
    found, features = looked_at(case["contexts"], question, background)
    right = np.array(
        [
            context == case["gold"] and any(span.start <= start < span.end for _, start in case["answers"])
            for context, span in found
        ]
    )
    if not lacking:
        return {"features": features, "right": right}
    # without the context of the answer, and without its sentence alone
    far = [text for number, text in enumerate(case["contexts"]) if number != case["gold"]]
    own, start = case["contexts"][case["gold"]], case["answers"][0][1]
    sentence = next(one for one in split_sentences(own) if start < one.end)
    near = [*far, own[: sentence.start] + own[sentence.end :]]
    return {
        "features": features,
        "right": right,
        "far": looked_at(far, question, background)[1],
        "near": looked_at(near, question, background)[1],
    }


def looked_at(contexts: Sequence[str], question: Any, background: Callable[[str], float]) -> tuple[list, np.ndarray]:
    library = Library([Context(text) for text in contexts])
    found, scores = candidates(library, question)
    features = sentence_features(library, question, found, scores, background=background)
    return [(library.passages[number].context, one.span) for number, one in found], features


def span_rows(
    cases: Sequence[dict[str, Any]], background: Callable[[str], float]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of every case the stretches of the sentence that answers: features, and how they overlap the answer (F1)."""
    rows = []
    for case in cases:
        text, place = case["answers"][0]
        inside = split_sentences(case["contexts"][case["gold"]])
        sentence = next((one for one in inside if one.start <= place and place + len(text) <= one.end), None)
        if sentence is None:
            continue
        alone = Sentence(Span(0, len(sentence.text), sentence.text))
        choice = candidates_in(understand(case["question"]), alone, background=background)
        overlap = np.zeros(len(choice.starts))
        for answer, start in case["answers"]:
            begin, end = start - sentence.start, start - sentence.start + len(answer)
            common = np.maximum(0, np.minimum(choice.ends, end) - np.maximum(choice.starts, begin))
            overlap = np.maximum(overlap, 2 * common / (choice.ends - choice.starts + len(answer)))
        if overlap.max(initial=0.0) > 0:
            rows.append((choice.features.astype(np.float16), overlap))
    return rows


def fit(groups: list[tuple[np.ndarray, np.ndarray]], *, hidden: int, epochs: int, seed: int) -> dict[str, np.ndarray]:
    """A network that gives the right ones of every group the greatest part of a softmax over the group."""
    random.Random(seed).shuffle(groups)
    batches = [_flat(groups[place : place + 64]) for place in range(0, len(groups), 64)]
    mean = torch.stack([features.mean(0) for features, _, _ in batches]).mean(0)
    scale = torch.stack([features.std(0) for features, _, _ in batches]).mean(0).clamp(min=0.05)
    torch.manual_seed(seed)
    inner, outer = torch.nn.Linear(len(mean), hidden), torch.nn.Linear(hidden, 1, bias=False)
    drop = torch.nn.Dropout(0.2)
    optimizer = torch.optim.AdamW([*inner.parameters(), *outer.parameters()], lr=0.003, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0.02, epochs * len(batches))
    for _ in range(epochs):
        for features, group, right in batches:
            optimizer.zero_grad()
            scores = outer(drop(torch.relu(inner((features - mean) / scale)))).squeeze(1)
            loss = (_log_sum(scores, group) - _log_sum(scores + right.clamp(min=1e-9).log(), group)).mean()
            loss.backward()
            optimizer.step()
            schedule.step()
    return {
        "mean": mean.numpy(),
        "scale": scale.numpy(),
        "inner": inner.weight.detach().numpy(),
        "bias": inner.bias.detach().numpy(),
        "outer": outer.weight.detach().numpy()[0],
    }


def _flat(groups: list[tuple[np.ndarray, np.ndarray]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    features = np.concatenate([one for one, _ in groups]).astype(np.float32)
    group = np.repeat(np.arange(len(groups)), [len(one) for one, _ in groups])
    right = np.concatenate([one for _, one in groups])
    return torch.from_numpy(features), torch.from_numpy(group), torch.from_numpy(right)


def _log_sum(scores: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
    """Log of the sum of exponentials within each group."""
    count = int(group[-1]) + 1
    top = torch.full((count,), -1e9).scatter_reduce(0, group, scores.detach(), "amax")
    return top + torch.zeros(count).index_add(0, group, (scores - top[group]).exp()).log()


def apply(network: dict[str, np.ndarray], features: np.ndarray) -> np.ndarray:
    standard = (features.astype(np.float32) - network["mean"]) / network["scale"]
    return np.maximum(standard @ network["inner"].T + network["bias"], 0) @ network["outer"]


def report_spans(network: dict[str, np.ndarray], rows: list[tuple[np.ndarray, np.ndarray]]) -> None:
    overlap, likely = [], []
    for features, own in rows:
        scores = apply(network, features)
        part = np.exp(scores - scores.max())
        overlap.append(own[int(scores.argmax())])
        likely.append(1 / part.sum())
    overlaps, likelies = np.array(overlap), np.array(likely)
    exact = (overlaps > 0.999).mean()
    print(f"words of the right sentence: F1 {overlaps.mean():.3f}, exact {exact:.3f}, {len(rows)} held-out questions")
    for bound in (0.2, 0.3, 0.4, 0.5):
        over = likelies >= bound
        touched = (overlaps[over] > 0).mean()
        print(f"  sure at {bound}: {over.mean():.2f} of them, F1 {overlaps[over].mean():.3f}, touching {touched:.3f}")


def fit_line(
    sentences: dict[str, np.ndarray], rows: list[dict[str, Any]], held: list[dict[str, Any]]
) -> tuple[np.ndarray, float]:
    """Log-odds that the best sentence answers: a line in its features, against the best ones of texts that do not."""

    def best(given: list[dict[str, Any]], name: str) -> np.ndarray:
        listed = [one[name] for one in given if len(one.get(name, ()))]
        return np.stack([one[int(apply(sentences, one).argmax())] for one in listed]).astype(np.float32)

    names = ("features", "far", "near")
    features = torch.from_numpy(np.concatenate([best(rows, name) for name in names]))
    counts = [len(best(rows, name)) for name in names]
    target = torch.cat([torch.full((count,), float(place == 0)) for place, count in enumerate(counts)])
    # as much weight on those with an answer as on those without
    weight = torch.where(target > 0, 1.0, counts[0] / (counts[1] + counts[2]))
    mean, scale = features.mean(0), features.std(0).clamp(min=0.05)
    line = torch.zeros(len(FEATURES), requires_grad=True)
    constant = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.LBFGS([line, constant], max_iter=200)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        scores = ((features - mean) / scale) @ line + constant
        loss = torch.nn.functional.binary_cross_entropy_with_logits(scores, target, weight=weight)
        loss = loss + 1e-3 * (line**2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    plain = (line / scale).detach().numpy()
    offset = float(constant.detach() - (mean / scale) @ line.detach())
    log_odds = {name: best(held, name) @ plain + offset for name in names}
    for bound in (-1.0, 0.0, 1.0):
        told = ", ".join(f"{name} {np.mean(values < bound):.3f}" for name, values in log_odds.items())
        print(f"doubted under log-odds {bound}, held out (with answer, without context, without sentence): {told}")
    return plain, offset


if __name__ == "__main__":
    sys.exit(main())
