"""Token embeddings from co-occurrence counts: a start that costs seconds and saves the encoder minutes.

Positive pointwise mutual information of tokens within a window, factorised by a randomised SVD (Levy and Goldberg,
"Neural Word Embedding as Implicit Matrix Factorization"). Tokens that keep the same company start out alike.
"""

from __future__ import annotations

import functools
import operator

import numpy as np
import torch

from ironwok.training.corpus import TOKEN_BITS, Store
from ironwok.training.progress import Progress, Silent

_STRETCH = 1 << 18  # tokens counted at a time


def cooccurrences(
    store: Store, *, vocabulary: int, window: int, tokens: int, seed: int, progress: Progress | None = None
) -> np.ndarray:
    """Symmetric counts float32 [V, V] of tokens at most ``window`` apart, on about ``tokens`` tokens of training text.

    Nearer tokens count more (1 / distance). Whole stretches are sampled; held-out documents are skipped.
    """
    from scipy.sparse import coo_array, csr_array

    bounds = store.units[store.documents]
    starts = np.arange(0, len(store.tokens), _STRETCH)
    generator = np.random.default_rng(seed)
    starts = np.sort(generator.permutation(starts)[: max(tokens // _STRETCH, 1)])
    counts = csr_array((vocabulary, vocabulary), dtype=np.float32)
    for done, start in enumerate(starts):
        (progress or Silent()).busy("embeddings", done=done, total=len(starts), note="co-occurrences")
        end = min(start + _STRETCH, len(store.tokens))
        ids = (store.tokens[start:end] & TOKEN_BITS).astype(np.int32)
        owner = np.searchsorted(bounds, np.arange(start, end), side="right") - 1
        usable = ~store.held_out[owner]
        parts = []
        for distance in range(1, window + 1):
            together = (owner[distance:] == owner[:-distance]) & usable[distance:]
            left, right = ids[:-distance][together], ids[distance:][together]
            weight = np.full(len(left), 1.0 / distance, dtype=np.float32)
            parts.append(coo_array((weight, (left, right)), shape=counts.shape).tocsr())
        counts = functools.reduce(operator.add, parts, counts)
    return (counts + counts.T).toarray()


def ppmi_svd(counts: np.ndarray, *, width: int, std: float, smoothing: float = 0.75, seed: int = 0) -> torch.Tensor:
    """Embeddings float32 [V, width] from co-occurrence counts [V, V].

    std: root mean square of the result; every row gets the same length, as frequency is not meaning. Rows without any
    count are drawn from a normal distribution. smoothing: exponent on the context distribution, against rare contexts.
    """
    generator = torch.Generator().manual_seed(seed)
    counts_VV = torch.from_numpy(counts)
    rows_V1 = counts_VV.sum(dim=1, keepdim=True)
    columns_1V = counts_VV.sum(dim=0, keepdim=True) ** smoothing
    columns_1V = columns_1V / columns_1V.sum().clamp_min(1e-12)
    ratio_VV = (counts_VV / rows_V1.clamp_min(1e-12)) / columns_1V.clamp_min(1e-12)
    ppmi_VV = ratio_VV.clamp_min(1.0).log_()
    left_VK, values_K = _randomised_svd(ppmi_VV, width, generator=generator)
    embeddings_VK = left_VK * values_K.sqrt()
    embeddings_VK = embeddings_VK - embeddings_VK.mean(dim=0)
    norms_V1 = embeddings_VK.norm(dim=1, keepdim=True)
    noise_VK = torch.randn(embeddings_VK.shape, generator=generator)
    embeddings_VK = torch.where(norms_V1 > 1e-6, embeddings_VK / norms_V1.clamp_min(1e-6) * width**0.5, noise_VK)
    return torch.where(rows_V1 > 0, embeddings_VK, noise_VK) * std


def _randomised_svd(
    matrix_VV: torch.Tensor, rank: int, *, generator: torch.Generator, oversampling: int = 32, iterations: int = 3
) -> tuple[torch.Tensor, torch.Tensor]:
    """Leading left singular vectors and values (Halko, Martinsson, Tropp 2011), deterministic given the generator."""
    size = min(rank + oversampling, matrix_VV.shape[1])
    basis_VK = torch.randn(matrix_VV.shape[1], size, generator=generator)
    for _ in range(iterations):
        basis_VK = torch.linalg.qr(matrix_VV @ basis_VK).Q
        basis_VK = torch.linalg.qr(matrix_VV.T @ basis_VK).Q
    left_VK, values_K, _ = torch.linalg.svd(matrix_VV @ basis_VK, full_matrices=False)
    vectors_VK, values_K = left_VK[:, :rank], values_K[:rank]
    if vectors_VK.shape[1] < rank:  # a vocabulary smaller than the width
        padding = rank - vectors_VK.shape[1]
        vectors_VK = torch.nn.functional.pad(vectors_VK, (0, padding))
        values_K = torch.nn.functional.pad(values_K, (0, padding))
    return vectors_VK, values_K
