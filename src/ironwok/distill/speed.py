"""How fast and how large: teacher and students by the same measure."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# seconds of answers, at least, behind one figure
_SHORTEST = 0.5
_WARM_UP = 8


def texts_per_second(
    classify: Callable[[Sequence[str]], Any], texts: Sequence[str], *, clock: Callable[[], float]
) -> float:
    """Texts a second of ``classify(texts)``, asked again and again for half a second at least, once at least."""
    classify(texts[:_WARM_UP])
    rounds, start = 0, clock()
    while True:
        classify(texts)
        rounds += 1
        if (spent := clock() - start) >= _SHORTEST:
            return rounds * len(texts) / spent


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread, so that figures are those of one core."""
    if "torch" not in sys.modules:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def bytes_of(model: str | Path) -> int:
    """Size of the weights of a model or a student: its .safetensors and .npz; 0 for what is not a folder here."""
    from ironwok.models.bundled import resolve_model

    folder = Path(resolve_model(str(model)))
    return sum(path.stat().st_size for path in folder.glob("*") if path.suffix in (".safetensors", ".npz"))
