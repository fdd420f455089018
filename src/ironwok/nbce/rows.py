"""Keys and values of a batch of rows, right-aligned, so that rows can be dropped, joined and continued.

Every layer keeps all positions, also in models with sliding windows: their masks cut what is too far back. That costs
memory over a bounded cache and buys one layout for every architecture.
"""

# R rows, H heads of keys and values, L positions (padding on the left), D width of a head

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer


@dataclass(frozen=True, slots=True)
class Rows:
    """What the model has read so far, row by row.

    layers: keys and values of each layer, [R, H, L, D]; None where a layer shares those of another. mask: bool [R, L],
    True where there is a token. positions: int64 [R], of the token that comes next.
    """

    layers: tuple[tuple[Tensor, Tensor] | None, ...]
    mask: Tensor
    positions: Tensor

    def __len__(self) -> int:
        return self.mask.shape[0]

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for pair in self.layers if pair is not None for tensor in pair)

    def select(self, rows: Sequence[int]) -> Rows:
        """These rows, in this order, without the columns in which none of them has a token. Copies."""
        index = torch.tensor(list(rows), dtype=torch.long, device=self.mask.device)
        mask = self.mask[index]
        first = int(mask.any(dim=0).int().argmax())
        layers = tuple(None if pair is None else _map(pair, lambda x: x[index, :, first:]) for pair in self.layers)
        return Rows(layers, mask[:, first:].contiguous(), self.positions[index])

    def without_last(self, count: int) -> Rows:
        """The rows as they were ``count`` tokens before; views."""
        layers = tuple(None if pair is None else _map(pair, lambda x: x[:, :, :-count]) for pair in self.layers)
        return Rows(layers, self.mask[:, :-count], self.positions - count)

    def cache(self) -> DynamicCache:
        """A cache that continues these rows and leaves them as they are."""
        cache = DynamicCache()
        for number, pair in enumerate(self.layers):
            if pair is not None:
                # an update concatenates into new tensors, it never writes into these
                cache.update(pair[0], pair[1], number)
        return cache


def stack(parts: Sequence[Rows]) -> Rows:
    """All rows of the parts, one below the other, padded on the left to the longest."""
    if len(parts) == 1:
        return parts[0]
    longest = max(part.mask.shape[1] for part in parts)
    layers: list[tuple[Tensor, Tensor] | None] = []
    for pairs in zip(*(part.layers for part in parts), strict=True):
        held = [pair for pair in pairs if pair is not None]
        keys, values = ([_to_length(pair[which], longest, dim=-2) for pair in held] for which in (0, 1))
        layers.append((torch.cat(keys), torch.cat(values)) if held else None)
    mask = torch.cat([_to_length(part.mask, longest, dim=-1) for part in parts])
    return Rows(tuple(layers), mask, torch.cat([part.positions for part in parts]))


def side_by_side(rows: Rows) -> Rows:
    """All rows as one, one behind the other: what comes next sees all of them, and stands behind the longest.

    Each keeps the positions that it was read with: Parallel Context Windows (Ratner et al. 2023, arXiv 2212.10947).
    """
    held = rows.mask.reshape(-1)

    def flat(x: Tensor) -> Tensor:
        return x.transpose(1, 2).reshape(-1, x.shape[1], x.shape[3])[held].transpose(0, 1).unsqueeze(0).contiguous()

    layers = tuple(None if pair is None else _map(pair, flat) for pair in rows.layers)
    return Rows(layers, held[held].unsqueeze(0), rows.positions.max().unsqueeze(0))


def from_cache(cache: DynamicCache, mask: Tensor, positions: Tensor) -> Rows:
    layers: list[tuple[Tensor, Tensor] | None] = []
    for layer in cache.layers:
        assert isinstance(layer, DynamicLayer), "the engine admits no model with another memory"
        held = layer.keys is not None and layer.values is not None
        layers.append((layer.keys, layer.values) if held else None)  # pyright: ignore[reportArgumentType]
    return Rows(tuple(layers), mask, positions)


def _map(pair: tuple[Tensor, Tensor], change) -> tuple[Tensor, Tensor]:
    return change(pair[0]), change(pair[1])


def _to_length(x: Tensor, length: int, *, dim: int) -> Tensor:
    missing = length - x.shape[dim]
    return pad(x, (0, 0, missing, 0) if dim == -2 else (missing, 0)) if missing else x
