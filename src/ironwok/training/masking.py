"""Masking for masked-LM training: whole words, or what was measured beside them.

A word of the segmenter is masked as a whole, so that a character cannot be guessed from the rest of its word
(Cui et al., "Pre-Training with Whole Word Masking for Chinese BERT"). Of the chosen tokens 80% become [MASK],
10% a random token, 10% stay.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

IGNORED = -100
MaskingUnit: TypeAlias = Literal["word", "token", "span"]
_JOINED = 0.5  # chance of a word to be of one span with the word before it: spans of two words on average


def mask_words(
    input_ids: np.ndarray,
    continues: np.ndarray,
    maskable: np.ndarray,
    *,
    generator: np.random.Generator,
    rate: float,
    mask_id: int,
    vocabulary: int,
    first_ordinary_id: int,
    row_rate: float = 1.0,
    multiple: int = 1,
    unit: MaskingUnit = "word",
) -> tuple[np.ndarray, np.ndarray]:
    """Mask words, or what ``unit`` names in their place.

    input_ids: int [B, L]. continues: bool [B, L], the token belongs to the word of the token before it.
    maskable: bool [B, L], False for special tokens and padding.
    rate: share of words that are chosen. row_rate: share of rows that are masked at all; the others are left whole,
    as inputs are when the model is used.
    multiple: a few labels are dropped so that their number is a multiple of this (few shapes, as in pairs).
    unit: what is masked or not as a whole: a word; a token, which its word then gives away; or a span of neighbouring
    words, 1 / 2 of them one word long, 1 / 4 two and so on. With "span", rate is a share of spans.
    first_ordinary_id: random tokens are drawn from [first_ordinary_id, vocabulary).
    Returns (masked input_ids, labels), both [B, L]; labels are -100 where nothing was chosen.
    """
    rows, length = input_ids.shape
    if unit == "token":
        continues = np.zeros_like(continues)
    elif unit == "span":
        follows = np.zeros_like(maskable)
        follows[:, 1:] = maskable[:, 1:] & maskable[:, :-1]  # a span does not reach over the end of a part
        continues = continues | (follows & (generator.random((rows, length)) < _JOINED))
    begins = maskable & ~continues
    # Number the words of a row 0, 1, 2 …; each draws one number, which all its tokens share.
    words = np.maximum(np.cumsum(begins, axis=1) - 1, 0)
    draws = np.take_along_axis(generator.random((rows, length)), words, axis=1)
    chosen = maskable & (draws < rate) & (generator.random((rows, 1)) < row_rate)
    fate = np.take_along_axis(generator.random((rows, length)), words, axis=1)
    randoms = generator.integers(first_ordinary_id, vocabulary, size=(rows, length))
    masked = np.where(chosen & (fate < 0.8), mask_id, input_ids)
    masked = np.where(chosen & (fate >= 0.8) & (fate < 0.9), randoms, masked)
    labelled = np.flatnonzero(chosen)
    surplus = generator.permutation(labelled)[: len(labelled) % multiple]
    chosen.reshape(-1)[surplus] = False
    return masked, np.where(chosen, input_ids, IGNORED)
