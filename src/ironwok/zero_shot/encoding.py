"""Token sequences for pairs: each text and each prompt is tokenized once, pairs are put together from the pieces.

Batches are bucketed: pairs sorted by length, padded to the longest of their batch only, the order restored afterwards.
"""

# B batch, L tokens

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ironwok.errors import TextTooLongError
from ironwok.results import Span
from ironwok.text.inputs import layout_of
from ironwok.text.tokenizer import encode_texts, replace_surrogates
from ironwok.text.windows import windows_for

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

# Fewer tokens of the text than this beside a prompt, and the model judges the prompt alone.
SMALLEST_ROOM = 8

# No token of a known tokenizer covers less than a byte, and no character takes more than four.
_TOKENS_PER_CHARACTER = 4


Item = TypeVar("Item")

# Told how many more pairs are done.
Progress = Callable[[int], None]


class PairEncoder:
    """Tokenizes texts and prompts, assembles pairs, cuts texts into windows.

    max_tokens: the longest input, special tokens included.
    segments: whether the model tells the first sentence from the second by segment ids 0 and 1.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, max_tokens: int, segments: bool) -> None:
        self.tokenizer = tokenizer
        self.layout = layout_of(tokenizer)
        self.max_tokens = max_tokens
        self.segments = segments

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text without special tokens."""
        if not texts:
            return []
        # as encode_texts does it, but without the offsets, which cost more than the ids
        return self.tokenizer(
            [replace_surrogates(text) for text in texts],
            add_special_tokens=False,
            split_special_tokens=True,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )["input_ids"]  # pyright: ignore[reportReturnType]

    def ids_and_offsets(self, texts: Sequence[str]) -> list[tuple[list[int], list[tuple[int, int]]]]:
        """Token ids with half-open character offsets of each text, without special tokens."""
        return encode_texts(self.tokenizer, texts)

    def pair(self, first: Sequence[int], second: Sequence[int]) -> tuple[list[int], int]:
        """Ids of ``[CLS] first [SEP] second [SEP]`` and where the second segment begins."""
        before, middle, after = self.layout.pair
        ids = [*before, *first, *middle]
        return [*ids, *second, *after], len(ids)

    def single(self, ids: Sequence[int]) -> tuple[list[int], int]:
        """Ids of ``[CLS] text [SEP]``; there is no second segment."""
        before, after = self.layout.single
        whole = [*before, *ids, *after]
        return whole, len(whole)

    def room(self, prompt_tokens: int, *, limit: int, specials: int, prompt: str) -> int:
        """Tokens left for the text beside a prompt. Raises TextTooLongError when the prompt leaves next to none."""
        room = limit - specials - prompt_tokens
        if room < SMALLEST_ROOM:
            raise TextTooLongError(
                f"the prompt {prompt:.40}… has {prompt_tokens} tokens and leaves {max(room, 0)} of {limit} to "
                f"the text, at least {SMALLEST_ROOM} are needed: shorten the label or its description"
            )
        return room

    def windows(self, text: str, *, room: int) -> list[Span]:
        """Cut a text into pieces of at most ``room`` tokens; a text that fits is one piece, whole."""
        if len(text) * _TOKENS_PER_CHARACTER <= room:
            return [Span(0, len(text), text)]
        spans = [window.span for window in windows_for(text, self.tokenizer, max_tokens=room)]
        return spans if len(spans) > 1 else [Span(0, len(text), text)]

    def batch(self, rows: Sequence[tuple[list[int], int]], device: Any) -> dict[str, torch.Tensor]:
        """Pad rows of (ids, start of the second segment) to model inputs [B, L], int64."""
        import torch

        longest = max(len(ids) for ids, _ in rows)
        shape = (len(rows), longest)
        input_ids_BL = np.full(shape, self.tokenizer.pad_token_id or 0, dtype=np.int64)
        attention_mask_BL = np.zeros(shape, dtype=np.int64)
        token_type_ids_BL = np.zeros(shape, dtype=np.int64)
        for row, (ids, second) in enumerate(rows):
            input_ids_BL[row, : len(ids)] = ids
            attention_mask_BL[row, : len(ids)] = 1
            token_type_ids_BL[row, second : len(ids)] = 1
        inputs = {"input_ids": input_ids_BL, "attention_mask": attention_mask_BL}
        if self.segments:
            inputs["token_type_ids"] = token_type_ids_BL
        return {name: torch.from_numpy(array).to(device) for name, array in inputs.items()}


def unique(items: Sequence[Item]) -> tuple[list[Item], np.ndarray]:
    """The distinct items in order of first appearance, and for each item the index of its like."""
    places: dict[Any, int] = {}
    inverse = np.fromiter((places.setdefault(item, len(places)) for item in items), dtype=np.int64, count=len(items))
    return list(places), inverse
