"""A look ahead at the files, so that the cost of a run is known before it is paid, and nothing is parsed twice."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from ironwok.results import Skip, Span
from ironwok.text.documents import Document


@dataclass(frozen=True, slots=True)
class CutDocument:
    """A document and its passages."""

    document: Document
    passages: tuple[Span, ...]


Item: TypeAlias = CutDocument | Skip
Opener: TypeAlias = Callable[[str], Iterator[Item]]


@dataclass(slots=True)
class _Source:
    size: int
    items: Iterator[Item] | None = None
    seen: list[Item] = field(default_factory=list)
    passages: int = 0
    characters: int = 0
    ended: bool = False


class ReadAhead:
    """Files to be read, in order; the first of them already looked at.

    open_file: gives what is in a file, lazily. clock: seconds from any origin.
    """

    def __init__(self, files: Sequence[str], open_file: Opener, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._open_file = open_file
        self._clock = clock
        self._sources = {path: _Source(_size(path)) for path in files}

    def look(self, seconds: float) -> None:
        """Read on for about so long, keeping what is read for `items`."""
        end = self._clock() + seconds
        for path, source in self._sources.items():
            for item in self._read(path):
                source.seen.append(item)
                if self._clock() > end:
                    return

    def items(self, path: str) -> Iterator[Item]:
        """What is in a file: first what `look` has seen of it, then the rest. Once per file."""
        source = self._sources[path]
        seen, source.seen = source.seen, []
        return itertools.chain(seen, self._read(path))

    def sample(self) -> list[str]:
        """Texts of the passages that `look` has seen."""
        seen = (item for source in self._sources.values() for item in source.seen)
        return [span.text for item in seen if isinstance(item, CutDocument) for span in item.passages]

    def passages(self) -> tuple[int, bool]:
        """How many passages there are, and whether that is counted or carried over from the files seen so far."""
        sources = self._sources.values()
        known = [source for source in sources if source.passages]
        # three bytes a character where a file is still open: Chinese in UTF-8
        seen_bytes = sum(source.size if source.ended else 3 * source.characters for source in known)
        density = sum(source.passages for source in known) / max(seen_bytes, 1)
        total = sum(
            source.passages if source.ended else max(source.passages, round(source.size * density))
            for source in sources
        )
        return total, all(source.ended for source in sources)

    def _read(self, path: str) -> Iterator[Item]:
        source = self._sources[path]
        if source.items is None:
            source.items = self._open_file(path)
        for item in source.items:
            if isinstance(item, CutDocument):
                source.passages += len(item.passages)
                source.characters += len(item.document.text)
            yield item
        source.ended = True


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:  # the reader will say so, and better
        return 0
