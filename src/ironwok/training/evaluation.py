"""What a pretraining run is judged by: held-out masked-LM and same-source next-sentence accuracy.

Next-sentence accuracy is always given beside a baseline that knows no language: idf-weighted overlap of the two
parts' tokens. A model that only tells genres apart stays under it.
"""

# P pairs, V vocabulary

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch

from ironwok.training.corpus import TOKEN_BITS, Store
from ironwok.training.masking import mask_words
from ironwok.training.pairs import IS_NEXT, PairBatch, PairOptions
from ironwok.training.progress import Progress, Silent

FULL, SHORT = 128, 25  # tokens of both parts together; SHORT is where prompts live
PROMPT = 64
ROWS = 64  # pairs judged at once, at most


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
    count = max(min(tokens, len(store.tokens)) // stretch, 1)
    starts = np.linspace(0, max(len(store.tokens) - stretch, 0), count).astype(np.int64)
    bounds = store.units[store.documents]
    kept = starts[~store.held_out[np.searchsorted(bounds, starts, side="right") - 1]]
    for start in kept:
        frequency[np.unique(store.tokens[start : start + stretch] & TOKEN_BITS)] += 1
    return np.log((len(kept) + 1) / (frequency + 1))


def overlap_scores(batch: PairBatch, idf: np.ndarray) -> np.ndarray:
    """Cosine-like idf-weighted overlap of the tokens of both parts, float64 [P], 0 = nothing in common."""
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
    """The threshold that makes ``scores > threshold`` right most often, float64 [P] against bool [P].

    It lies halfway between two scores, or beyond all of them (minus or plus infinity).
    """
    order = np.argsort(scores, kind="stable")
    ordered, ordered_follows = scores[order], follows[order]
    # right[i]: how many are right if everything from position i on is called "follows"
    right = np.concatenate([[0], np.cumsum(~ordered_follows)]) + np.concatenate(
        [np.cumsum(ordered_follows[::-1])[::-1], [0]]
    )
    bounded = np.concatenate([[-np.inf], ordered, [np.inf]])
    low, high = bounded[:-1], bounded[1:]
    right = np.where(low < high, right, -1)  # no threshold fits between equal scores
    position = int(np.argmax(right))
    if np.isinf(low[position]) or np.isinf(high[position]):
        return float(low[position] if np.isinf(low[position]) else high[position])
    middle = (low[position] + high[position]) / 2
    return float(middle if middle < high[position] else low[position])


def overlap_accuracy(batches: Sequence[PairBatch], idf: np.ndarray) -> float:
    """Accuracy of the baseline: each half of the pairs is judged by the threshold that suits the other half best."""
    scores = np.concatenate([overlap_scores(batch, idf) for batch in batches])
    follows = np.concatenate([batch.next_sentence_label == IS_NEXT for batch in batches])
    half = len(scores) // 2
    right = 0
    for judged, fitted in ((slice(None, half), slice(half, None)), (slice(half, None), slice(None, half))):
        threshold = best_threshold(scores[fitted], follows[fitted])
        right += int(((scores[judged] > threshold) == follows[judged]).sum())
    return right / len(scores)


def held_out_options(options: PairOptions, *, longest: int) -> dict[str, PairOptions]:
    """How held-out pairs are drawn, by the name that they have in metrics.

    full, short: running text in rows of up to FULL or SHORT tokens; near: negatives from the same document where it is
    long enough; heading, keyword: as in training, where the run trains on them. Other negatives come from other
    documents of the same source. longest: the model's limit in tokens.
    """
    kinds = {"full": ("next", FULL), "short": ("next", SHORT), "near": ("next", FULL)}
    kinds |= {kind: (kind, PROMPT) for kind in ("heading", "keyword") if options.kinds.get(kind, 0)}
    return {
        name: PairOptions(
            kinds={kind: 1.0},
            lengths=((min(length, longest), 1.0),),
            same_document=1.0 if name == "near" else 0.0,
            any_source=0.0,
            inside=options.inside,
            templates=options.templates,
            separator=options.separator,
        )
        for name, (kind, length) in kinds.items()
    }


@dataclass(frozen=True, slots=True)
class MaskingOptions:
    """How the held-out tokens are masked: see `ironwok.training.masking.mask_words`."""

    mask_id: int
    vocabulary: int
    first_ordinary_id: int
    rate: float = 0.15
    seed: int = 0


class HeldOut:
    """Held-out pairs and what the baseline makes of them.

    batches: by name (see held_out_options); masked tokens are predicted on those called "full".
    """

    def __init__(self, batches: Mapping[str, Sequence[PairBatch]], *, idf: np.ndarray, masking: MaskingOptions) -> None:
        self.batches, self.masking = dict(batches), masking
        self.idf = idf
        self.overlap = {name: overlap_accuracy(own, idf) for name, own in self.batches.items()}
        self._plan = [(name, number) for name, own in self.batches.items() for number in range(len(own))]

    def evaluate(
        self,
        model: torch.nn.Module,
        *,
        device: torch.device,
        autocast: Callable[[], AbstractContextManager] = nullcontext,
        share: tuple[int, int] = (0, 1),
        total_of: Callable[[torch.Tensor], torch.Tensor] = lambda counts: counts,
        stop: Callable[[], bool] = lambda: False,
        progress: Progress | None = None,
    ) -> dict[str, float] | None:
        """Judge a model, or give up where ``stop`` says so: then None.

        share: (i, n): this process judges every n-th batch from the i-th on; total_of: sums a tensor over processes.
        Returns mlm_accuracy, mlm_held_out_loss (nats), and nsp_NAME, overlap_NAME for each name.
        """
        progress = progress or Silent()
        names = list(self.batches)
        # rows: names, and one for masked tokens; columns: right, judged, summed loss. The last row: was it given up?
        counts = torch.zeros(len(names) + 2, 3, dtype=torch.float64)
        was_training = model.training
        model.eval()
        own = self._plan[share[0] :: share[1]]
        with torch.inference_mode(), autocast():
            for done, (name, number) in enumerate(own):
                if stop():
                    counts[-1, 0] = 1
                    break
                progress.busy("evaluation", done=done, total=len(own), note=name)
                batch = self.batches[name][number]
                counts[names.index(name), :2] += self._next_sentence(model, batch, device)
                if name == "full":
                    counts[len(names)] += self._masked(model, batch, number, device)
        model.train(was_training)
        counts = total_of(counts.to(device)).cpu()
        if counts[-1, 0]:
            return None
        right, judged, loss = counts[len(names)].tolist()
        results = {"mlm_accuracy": right / max(judged, 1), "mlm_held_out_loss": loss / max(judged, 1)}
        for row, name in enumerate(names):
            results[f"nsp_{name}"] = float(counts[row, 0] / counts[row, 1])
            results[f"overlap_{name}"] = self.overlap[name]
        return results

    @staticmethod
    def _next_sentence(model: torch.nn.Module, batch: PairBatch, device: torch.device) -> torch.Tensor:
        """(right, judged) on unmasked pairs; IsNext where its logit is the greater."""
        logits = model(**inputs_of(batch, device)).seq_relationship_logits
        follows = batch.next_sentence_label == IS_NEXT
        right = int(((logits[:, 0] > logits[:, 1]).cpu().numpy() == follows).sum())
        return torch.tensor([right, len(follows)], dtype=torch.float64)

    def _masked(self, model: torch.nn.Module, batch: PairBatch, number: int, device: torch.device) -> torch.Tensor:
        """(right, judged, summed loss in nats) of masked tokens, the same ones each time."""
        masked, labels = mask_words(
            batch.input_ids,
            batch.continues,
            batch.maskable,
            generator=np.random.default_rng((self.masking.seed, number)),
            rate=self.masking.rate,
            mask_id=self.masking.mask_id,
            vocabulary=self.masking.vocabulary,
            first_ordinary_id=self.masking.first_ordinary_id,
        )
        inputs = inputs_of(batch, device) | {"input_ids": torch.from_numpy(masked).to(device)}
        output = model(**inputs, labels=torch.from_numpy(labels).to(device))
        targets = output.labelled_targets
        right = int((output.labelled_logits.argmax(-1) == targets).sum())
        return torch.tensor([right, len(targets), float(output.mlm_loss) * len(targets)], dtype=torch.float64)
