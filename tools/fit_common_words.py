#!/usr/bin/env python3
"""Teach the next-sentence head of a model to weigh the words that both segments share, and change nothing else.

    python tools/fit_common_words.py RECIPE --data DIR --store RUN/store --initial RUN/model --out DIR

The model goes from the pooler "segments" to "matches". Pairs are drawn as in training; the encoder reads each once, and
only the few numbers are fitted that are new: how counts of common words are combined, and how much the old score weighs
beside them. The encoder, the masked-LM head and the old pooler stay as they are, bit for bit. What is read is kept
in OUT/pairs.npz, so that a second run goes on from there.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import track
from sklearn.metrics import roc_auc_score
from torch import Tensor

from ironwok.files import replace_file, writing
from ironwok.models import RoFormerV2ForPreTraining
from ironwok.models.bundled import resolve_model
from ironwok.models.loading import read_config
from ironwok.models.poolers import GROWN_FROM, RoFormerV2MatchPooler, grow
from ironwok.text.tokenizer import load_tokenizer
from ironwok.training.corpus import Store
from ironwok.training.evaluation import inputs_of, overlap_scores, token_idf
from ironwok.training.pairs import IS_NEXT, PairBatch, PairSampler
from ironwok.training.preparation import draw_held_out, labelled_pool, make_sampler, pair_options
from ironwok.training.progress import Silent
from ironwok.training.recipe import load_recipe

HELD_OUT_PAIRS = 2048
EPOCHS, ROWS, RATE, DECAY = 30, 256, 3e-3, 0.1
POOLER, HEAD = "roformer.pooler", "cls.seq_relationship.weight"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder that the recipe's files are relative to")
    parser.add_argument("--store", type=Path, required=True, help="tokenized corpus of a run of the recipe")
    parser.add_argument("--initial", required=True, help='model with the pooler "segments"')
    parser.add_argument("--out", type=Path, required=True, help="folder for the new model")
    parser.add_argument("--pairs", type=int, default=16384, help="how many to fit on")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    arguments = parser.parse_args()
    torch.manual_seed(0)

    recipe = load_recipe(arguments.recipe, overrides=[*arguments.overrides, f"evaluation.pairs={HELD_OUT_PAIRS}"])
    folder = Path(resolve_model(arguments.initial))
    tokenizer, store = load_tokenizer(folder), Store(arguments.store)
    options = pair_options(recipe, tokenizer)
    labelled = labelled_pool(recipe, arguments.data, tokenizer, progress=Silent())
    # seeds differ from those of training and of the held-out pairs
    sampler = make_sampler(
        recipe,
        store,
        tokenizer,
        options,
        tokens=recipe.optimizer.tokens_per_batch,
        seed=recipe.seed + 7,
        labelled=labelled,
    )
    idf_V = torch.from_numpy(token_idf(store, vocabulary=len(tokenizer))).float()

    config = read_config(str(folder))
    if GROWN_FROM["matches"] != config.pooling:
        parser.error(
            f'{folder} has the pooler "{config.pooling}"; the layer is fitted beside "{GROWN_FROM["matches"]}"'
        )
    old = RoFormerV2ForPreTraining.from_pretrained(folder, dtype=torch.float32).eval()
    config.pooling = "matches"
    new = RoFormerV2ForPreTraining(config).eval()
    new.load_state_dict(grow(old.state_dict(), "matches"), strict=False)
    pooler = new.roformer.pooler
    assert isinstance(pooler, RoFormerV2MatchPooler)
    pooler.start(idf_V, tokenizer.all_special_ids)

    arguments.out.mkdir(parents=True, exist_ok=True)
    pairs = Pairs.read(old, pooler, batches(sampler, arguments.pairs), arguments.out / "pairs.npz")
    weight, rows_H, scale = fit(pairs)
    with torch.no_grad():
        pooler.common.weight.copy_(weight)
        head = new.cls.seq_relationship.weight
        head[:, : config.hidden_size] *= scale
        head[:, config.hidden_size :] = torch.stack([rows_H, -rows_H]) / 2  # class 0 is IsNext
    target = arguments.out / "model"
    new.half().save_pretrained(target)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy2(folder / name, target / name)

    report: dict[str, Any] = {"pairs": len(pairs.scores_N), "old score counts": scale}
    held_out = draw_held_out(
        recipe, store, tokenizer, options, longest=config.max_position_embeddings, progress=Silent()
    )
    for name, own in held_out.batches.items():
        judged = Pairs.read(old, pooler, own, arguments.out / f"held_out_{name}.npz")
        logits_N = scale * judged.scores_N + torch.tanh(judged.common_NF @ weight.T) @ rows_H
        overlap_N = np.concatenate([overlap_scores(batch, held_out.idf) for batch in own])
        follows_N = judged.follows_N
        report[name] = {
            "old": float(((judged.scores_N > 0) == follows_N).float().mean()),
            "new": float(((logits_N > 0) == follows_N).float().mean()),
            "overlap": held_out.overlap[name],
            "area, old": float(roc_auc_score(follows_N, judged.scores_N)),
            "area, new": float(roc_auc_score(follows_N, logits_N)),
            "area, overlap": float(roc_auc_score(follows_N, overlap_N)),
        }
        print(name, report[name], flush=True)
    replace_file(arguments.out / "report.json", json.dumps(report, indent=2).encode())


def batches(sampler: PairSampler, pairs: int) -> Iterator[PairBatch]:
    drawn = 0
    for step in itertools.count():
        if drawn >= pairs:
            return
        batch = sampler.batch(step)
        drawn += len(batch.input_ids)
        yield batch


@dataclass
class Pairs:
    """Pairs as what is said of them: by the old head float [N], by counting [N, F], and whether they follow [N]."""

    scores_N: Tensor
    common_NF: Tensor
    follows_N: Tensor

    @classmethod
    @torch.no_grad()
    def read(
        cls, model: RoFormerV2ForPreTraining, pooler: RoFormerV2MatchPooler, pairs: Iterable[PairBatch], file: Path
    ) -> Pairs:
        """Let the encoder and the counts look at pairs, or take what ``file`` holds from an earlier run."""
        if not file.exists():
            scores, common, follows = [], [], []
            for batch in track(pairs, description=file.stem):
                inputs = inputs_of(batch)
                logits_N2 = model.cls.seq_relationship(model.roformer(**inputs).pooler_output)
                scores.append(logits_N2[:, 0] - logits_N2[:, 1])
                common.append(pooler.counts(inputs["input_ids"], inputs["token_type_ids"], inputs["attention_mask"]))
                follows.append(torch.from_numpy(batch.next_sentence_label == IS_NEXT))
            arrays = {"scores": scores, "common": common, "follows": follows}
            with writing(file), file.open("wb") as stream:
                np.savez(stream, **{name: torch.cat(parts).numpy() for name, parts in arrays.items()})
        with np.load(file) as arrays:
            return cls(*(torch.from_numpy(arrays[name]) for name in ("scores", "common", "follows")))


def fit(pairs: Pairs) -> tuple[Tensor, Tensor, float]:
    """Weights [H, F] of the layer on the counts, what each of its units adds to the score [H], the old score's part."""
    units = RoFormerV2MatchPooler.beside
    layer = torch.nn.Linear(pairs.common_NF.shape[1], units, bias=False)
    rows_H, scale = torch.nn.Parameter(torch.zeros(units)), torch.nn.Parameter(torch.ones(()))
    mean_F, spread_F = pairs.common_NF.mean(dim=0), pairs.common_NF.std(dim=0)
    constant = spread_F < 1e-6  # "one" stays as it is
    mean_F[constant], spread_F[constant] = 0.0, 1.0
    even_NF, target_N = (pairs.common_NF - mean_F) / spread_F, pairs.follows_N.float()
    optimizer = torch.optim.AdamW([layer.weight, rows_H, scale], lr=RATE, weight_decay=DECAY)
    generator = torch.Generator().manual_seed(0)
    for _ in track(range(EPOCHS), description="fitting"):
        for chosen in torch.randperm(len(target_N), generator=generator).split(ROWS):
            logits_N = scale * pairs.scores_N[chosen] + torch.tanh(layer(even_NF[chosen])) @ rows_H
            loss = F.binary_cross_entropy_with_logits(logits_N, target_N[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():  # even = (features - mean) / spread, and one feature is always 1
        weight = layer.weight / spread_F
        weight[:, constant] -= (weight * mean_F).sum(dim=1, keepdim=True)
    return weight.detach(), rows_H.detach(), float(scale.detach())


if __name__ == "__main__":
    main()
