"""What a pretraining run is judged by: held-out masked-LM and same-source next-sentence accuracy.

Next-sentence accuracy is always given beside a baseline that knows no language: idf-weighted overlap of the two
parts' tokens. A model that only tells genres apart stays under it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ironwok.training.corpus import TOKEN_BITS, Store
from ironwok.training.masking import mask_whole_words
from ironwok.training.pairs import IS_NEXT, PairBatch

SHORT = 25  # tokens of both parts together: where prompts live


def inputs_of(batch: PairBatch, device: torch.device | str = "cpu") -> dict[str, torch.Tensor]:
    """The model's inputs for a batch, without labels."""
    arrays = {
        "input_ids": batch.input_ids,
        "token_type_ids": batch.token_type_ids,
        "attention_mask": batch.attention_mask,
    }
    return {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}


def token_idf(store: Store, *, vocabulary: int, tokens: int = 4_000_000) -> np.ndarray:
    """Inverse document frequency float64 [V] over units of text, from the training side."""
    frequency = np.zeros(vocabulary)
    stretch = 64  # tokens, about the length of a part
    starts = np.linspace(0, max(len(store.tokens) - stretch, 0), max(tokens // stretch, 1)).astype(np.int64)
    bounds = store.units[store.documents]
    kept = starts[~store.held_out[np.searchsorted(bounds, starts, side="right") - 1]]
    for start in kept:
        frequency[np.unique(store.tokens[start : start + stretch] & TOKEN_BITS)] += 1
    return np.log((len(kept) + 1) / (frequency + 1))


def overlap_scores(batch: PairBatch, idf: np.ndarray) -> np.ndarray:
    """Cosine-like idf-weighted overlap of the tokens of both parts, float64 [B], 0 = nothing in common."""
    scores = np.zeros(len(batch.input_ids))
    for row, (ids, middle, maskable) in enumerate(
        zip(batch.input_ids, batch.second_starts, batch.maskable, strict=True)
    ):
        first = np.unique(ids[:middle][maskable[:middle]])
        second = np.unique(ids[middle:][maskable[middle:]])
        common = np.intersect1d(first, second, assume_unique=True)
        weight = float(np.sqrt((idf[first] ** 2).sum() * (idf[second] ** 2).sum()))
        scores[row] = float((idf[common] ** 2).sum()) / weight if weight else 0.0
    return scores


def best_threshold(scores: np.ndarray, follows: np.ndarray) -> float:
    """The threshold on scores that separates best; fitted on training pairs, used on held-out ones."""
    order = np.argsort(scores)
    sorted_follows = follows[order]
    # accuracy if everything from position i on is called "follows"
    right = np.concatenate([[0], np.cumsum(~sorted_follows)]) + np.concatenate(
        [np.cumsum(sorted_follows[::-1])[::-1], [0]]
    )
    position = int(np.argmax(right))
    bounded = np.concatenate([[-np.inf], scores[order], [np.inf]])
    low, high = bounded[position], bounded[position + 1]
    return float(high if np.isinf(low) else low if np.isinf(high) else (low + high) / 2)


@dataclass(frozen=True, slots=True)
class NextSentenceReport:
    """Accuracy of the model and of the overlap baseline on pairs of one kind, with their number."""

    accuracy: float
    overlap: float
    pairs: int


@torch.inference_mode()
def next_sentence_accuracy(
    model: torch.nn.Module, batches: Sequence[PairBatch], *, idf: np.ndarray, threshold: float, device: torch.device
) -> NextSentenceReport:
    """Accuracy on unmasked pairs; IsNext where its logit is the greater."""
    right, overlap_right, pairs = 0, 0, 0
    for batch in batches:
        logits = model(**inputs_of(batch, device)).seq_relationship_logits
        follows = batch.next_sentence_label == IS_NEXT
        right += int(((logits[:, 0] > logits[:, 1]).cpu().numpy() == follows).sum())
        overlap_right += int(((overlap_scores(batch, idf) > threshold) == follows).sum())
        pairs += len(follows)
    return NextSentenceReport(right / pairs, overlap_right / pairs, pairs)


@torch.inference_mode()
def masked_accuracy(
    model: torch.nn.Module,
    batches: Sequence[PairBatch],
    *,
    device: torch.device,
    rate: float,
    mask_id: int,
    vocabulary: int,
    first_ordinary_id: int,
    seed: int,
) -> tuple[float, float]:
    """(accuracy, mean loss in nats) of masked tokens, whole-word masking with a fixed seed."""
    right, total, loss = 0, 0, 0.0
    for number, batch in enumerate(batches):
        masked, labels = mask_whole_words(
            batch.input_ids,
            batch.continues,
            batch.maskable,
            generator=np.random.default_rng((seed, number)),
            rate=rate,
            mask_id=mask_id,
            vocabulary=vocabulary,
            first_ordinary_id=first_ordinary_id,
        )
        inputs = inputs_of(batch, device) | {"input_ids": torch.from_numpy(masked).to(device)}
        output = model(**inputs, labels=torch.from_numpy(labels).to(device))
        targets = output.labelled_targets
        right += int((output.labelled_logits.argmax(-1) == targets).sum())
        loss += float(output.mlm_loss) * len(targets)
        total += len(targets)
    return right / max(total, 1), loss / max(total, 1)
