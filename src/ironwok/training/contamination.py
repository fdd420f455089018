"""How much of an evaluation set a training set holds: word for word, or nearly.

A zero-shot figure means little where the model has read the very texts that it is judged on. Both sides are folded
alike (compatibility forms, case, no spaces or punctuation) and compared by runs of ``WINDOW`` characters, the length
commonly used for such reports (GPT-3's took 13 words, arXiv 2005.14165, appendix C; a Chinese character says about as
much as a word of English).
"""

# N characters, W windows

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ironwok.errors import InputError

WINDOW = 13
# where evaluation sets keep their texts, unless a recipe says otherwise
FIELDS = ("text", "sentence", "sentence1", "sentence2", "a", "b", "context", "passage", "question", "content", "abst")
_BASE = np.uint64(1_000_003)  # of a polynomial hash modulo 2^64
_BLOCK = 2_000_000  # characters compared at once


@dataclass(frozen=True, slots=True)
class Overlap:
    """What the training texts hold of one evaluation set.

    texts: how many there are. exact: texts that stand in a training text as a whole. near: other texts of which at
    least the asked-for share of windows stands in training texts. sources: how many of both each training source
    holds, the most first; a text may be held by several.
    """

    name: str
    texts: int
    exact: int
    near: int
    sources: tuple[tuple[str, int], ...]


def fold(text: str) -> str:
    """Letters and digits alone, in compatibility form and lower case."""
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())


def window_hashes(text: str, width: int) -> np.ndarray:
    """A hash of each run of ``width`` characters, uint64 [N - width + 1]; of the whole text where it is shorter."""
    points = np.frombuffer(text.encode("utf-32-le", errors="surrogatepass"), dtype=np.uint32).astype(np.uint64)
    if not len(points):
        return np.zeros(0, dtype=np.uint64)
    width = min(width, len(points))
    count = len(points) - width + 1
    hashes = np.zeros(count, dtype=np.uint64)
    for place in range(width):  # wraps around at 2^64, as it should
        hashes = hashes * _BASE + points[place : place + count] + np.uint64(1)
    return hashes


class _Set:
    """One evaluation set: its windows, and which of them were met in which source."""

    def __init__(self, name: str, texts: Sequence[str], width: int) -> None:
        self.name = name
        folded = [fold(text) for text in texts]
        # a text shorter than a window can only be compared with whole training texts
        self.short = {text for text in folded if 0 < len(text) < width}
        self.texts = folded
        self.windows = [window_hashes(text, width) if len(text) >= width else None for text in folded]
        longer = [windows for windows in self.windows if windows is not None]
        self.known = np.unique(np.concatenate(longer)) if longer else np.zeros(0, dtype=np.uint64)


def contamination(
    training: Iterable[tuple[str, str]],
    evaluation: Mapping[str, Sequence[str]],
    *,
    width: int = WINDOW,
    near: float = 0.5,
) -> list[Overlap]:
    """Compare training texts, as (source, text), with evaluation sets, as name -> texts.

    A text shorter than ``width`` counts as exact where a training text is the same, and is never near. One pass over
    the training texts; memory grows with the evaluation sets alone. Raises InputError for a width or share that
    cannot be.
    """
    if width < 1 or not 0 < near <= 1:
        raise InputError(f"width is {width} and near is {near}: a width of 1 or more and a share over 0, up to 1")
    sets = [_Set(name, texts, width) for name, texts in evaluation.items()]
    known = np.unique(np.concatenate([one.known for one in sets])) if sets else np.zeros(0, dtype=np.uint64)
    short = set().union(*(one.short for one in sets)) if sets else set()
    met: dict[str, np.ndarray] = {}
    met_short: dict[str, set[str]] = {}
    for source, block in _blocks(training):
        met_short.setdefault(source, set()).update(short.intersection(block))
        seen = met.setdefault(source, np.zeros(len(known), dtype=bool))
        # a mark that folding leaves nowhere keeps windows from reaching over two texts
        hashes = window_hashes("\n".join(block), width)
        places = np.searchsorted(known, hashes)
        places[places == len(known)] = 0
        if len(known):
            seen[places[known[places] == hashes]] = True
    return [_judge(one, known, met, met_short, near) for one in sets]


def _blocks(training: Iterable[tuple[str, str]]) -> Iterable[tuple[str, list[str]]]:
    """Folded texts of one source, so many that NumPy has something to do."""
    current, block, size = "", [], 0
    for source, text in training:
        if block and (source != current or size > _BLOCK):
            yield current, block
            block, size = [], 0
        current = source
        block.append(fold(text))
        size += len(text)
    if block:
        yield current, block


def _judge(
    one: _Set, known: np.ndarray, met: Mapping[str, np.ndarray], met_short: Mapping[str, set[str]], near: float
) -> Overlap:
    exact = close = 0
    sources: Counter[str] = Counter()
    for text, windows in zip(one.texts, one.windows, strict=True):
        if windows is None:
            holders = [source for source, texts in met_short.items() if text in texts]
            exact += bool(holders)
        else:
            places = np.searchsorted(known, windows)
            shares = {source: float(seen[places].mean()) for source, seen in met.items()}
            holders = [source for source, share in shares.items() if share >= near]
            # every window of it in one source: the text stands there, but for a chance the size of a hash collision
            whole = any(share == 1.0 for share in shares.values())
            exact += whole
            close += bool(holders) and not whole
        sources.update(holders)
    return Overlap(one.name, len(one.texts), exact, close, tuple(sources.most_common()))
