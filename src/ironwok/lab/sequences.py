"""Input and output pairs: two synthetic tasks of known difficulty, and the continuation of text."""

# B batch, K source tokens, L target tokens

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ironwok.lab.corpus import LabData
from ironwok.lab.models import PAD, SEPARATOR, SPECIAL
from ironwok.lab.recipe import SequenceGroup


def vocabulary_size(group: SequenceGroup, data: LabData) -> int:
    return len(data.vocabulary) if group.task == "continue" else len(SPECIAL) + group.symbols


def chance_loss(group: SequenceGroup, data: LabData) -> float:
    """Nats a token of somebody who knows the symbols and no more; the floor of "reverse" and "sort" is 0."""
    return math.log(vocabulary_size(group, data))


def draw_pairs(
    group: SequenceGroup, data: LabData, *, count: int, random: np.random.Generator, dev: bool = False
) -> tuple[Tensor, Tensor]:
    """(sources int64 [B, K], targets int64 [B, L]).

    "reverse" and "sort": uniform symbols; the target follows from the source without any doubt. "continue": rows of
    the text, of the dev stream with ``dev``.
    """
    if group.task == "continue":
        stream = data.dev if dev else data.train
        whole = group.source_length + group.target_length
        begins = random.integers(len(stream) - whole, size=count)
        rows = torch.stack([stream[begin : begin + whole] for begin in begins])
        return rows[:, : group.source_length], rows[:, group.source_length :]
    symbols = torch.from_numpy(random.integers(group.symbols, size=(count, group.source_length))) + len(SPECIAL)
    target = symbols.flip(1) if group.task == "reverse" else symbols.sort(dim=1).values
    return symbols, target


def as_one_row(source_BK: Tensor, target_BL: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For one stack: (inputs [B, K + L], labels [B, K + L], prefix lengths [B]).

    Inputs are source, separator, and the target without its last token; the label of the separator is the first token
    of the target. Labels of the source are PAD, which the loss leaves out. The separator belongs to the prefix.
    """
    texts = len(source_BK)
    separator = torch.full((texts, 1), SEPARATOR, dtype=source_BK.dtype, device=source_BK.device)
    inputs = torch.cat([source_BK, separator, target_BL[:, :-1]], dim=1)
    labels = torch.cat([torch.full_like(source_BK, PAD), target_BL], dim=1)
    lengths = torch.full((texts,), source_BK.shape[1] + 1, dtype=torch.int64, device=source_BK.device)
    return inputs, labels, lengths


def shifted(target_BL: Tensor) -> Tensor:
    """What a decoder is given: a separator, then the target without its last token."""
    first = torch.full_like(target_BL[:, :1], SEPARATOR)
    return torch.cat([first, target_BL[:, :-1]], dim=1)


def layer_products(
    *, width: int, feed_forward_width: int, source: int, target: int, encoder: int, decoder: int
) -> tuple[int, int]:
    """(parameters, multiplications for one pair) of encoder and decoder layers, embeddings left out.

    With ``decoder`` layers alone (encoder=0) it is a single stack over source and target together.
    """
    attention, inner = 4 * width * width, 2 * width * feed_forward_width
    if encoder == 0:
        length = source + target
        return decoder * (attention + inner), decoder * (length * (attention + inner) + 2 * length**2 * width)
    # cross-attention: queries and output for the target, keys and values for the source
    parameters = encoder * (attention + inner) + decoder * (2 * attention + inner)
    products = encoder * (source * (attention + inner) + 2 * source**2 * width)
    products += decoder * (
        target * (attention + attention // 2 + inner)
        + source * (attention // 2)
        + 2 * target**2 * width
        + 2 * target * source * width
    )
    return parameters, products
