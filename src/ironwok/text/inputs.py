"""What goes into a model around a text: special tokens, how long an input may be, batches of similar length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ironwok.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Where a tokenizer does not say how long an input may be, transformers puts a number of this order.
_NO_LIMIT = 1_000_000


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a tokenizer puts its special tokens: ``before first middle second after``, ``before only after``."""

    pair: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    single: tuple[tuple[int, ...], tuple[int, ...]]

    @property
    def pair_specials(self) -> int:
        return sum(len(part) for part in self.pair)

    @property
    def single_specials(self) -> int:
        return sum(len(part) for part in self.single)


def layout_of(tokenizer: PreTrainedTokenizerBase) -> Layout:
    """Read the layout off the tokenizer by encoding a known pair.

    Raises ModelError when nothing separates the sentences: such input would score at random without any error.
    """
    first, second = "a", "一 b"
    first_ids = tokenizer.encode(first, add_special_tokens=False)
    second_ids = tokenizer.encode(second, add_special_tokens=False)
    pair_ids = tokenizer.encode(first, second)
    single_ids = tokenizer.encode(first)
    start = _find(pair_ids, first_ids, 0)
    middle = -1 if start < 0 else _find(pair_ids, second_ids, start + len(first_ids))
    alone = _find(single_ids, first_ids, 0)
    if start < 0 or alone < 0 or middle <= start + len(first_ids):
        raise ModelError(
            f"the tokenizer {type(tokenizer).__name__} puts no separator between two sentences "
            f"({tokenizer.convert_ids_to_tokens(pair_ids)}): a tokenizer of the BERT kind is needed"
        )
    end = middle + len(second_ids)
    return Layout(
        pair=(tuple(pair_ids[:start]), tuple(pair_ids[start + len(first_ids) : middle]), tuple(pair_ids[end:])),
        single=(tuple(single_ids[:alone]), tuple(single_ids[alone + len(first_ids) :])),
    )


def _find(haystack: list[int], needle: list[int], start: int) -> int:
    size = len(needle)
    return next((i for i in range(start, len(haystack) - size + 1) if haystack[i : i + size] == needle), -1)


def longest_input(tokenizer: PreTrainedTokenizerBase, config: Any) -> int:
    """The tokens that model and tokenizer take, special ones included; 512 where neither says."""
    limits = [getattr(config, "max_position_embeddings", None), tokenizer.model_max_length]
    known = [limit for limit in limits if isinstance(limit, int) and 0 < limit < _NO_LIMIT]
    # RoBERTa counts positions from behind the padding index
    offset = (
        (config.pad_token_id or 0) + 1
        if getattr(config, "model_type", "") in {"roberta", "xlm-roberta", "camembert"}
        else 0
    )
    return min(known) - offset if known else 512


def buckets(lengths: np.ndarray, *, batch_size: int, batch_tokens: int) -> Iterator[np.ndarray]:
    """Batches of indices, the longest first: at most ``batch_size`` rows and ``batch_tokens`` padded tokens each."""
    order = np.argsort(-np.asarray(lengths), kind="stable")
    start = 0
    while start < len(order):
        longest = max(int(lengths[order[start]]), 1)
        size = max(1, min(batch_size, batch_tokens // longest))
        yield order[start : start + size]
        start += size
