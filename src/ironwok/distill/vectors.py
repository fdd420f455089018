"""Vectors of texts, block by block on the disk: after the teacher they take longest of all that a distillation does."""

# N texts, D width

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ironwok.errors import OutputError
from ironwok.files import LineLog, json_line, writing
from ironwok.progress import progress_bar

VECTORS = ".vectors.f16"
BLOCKS = ".vectors.jsonl"

# texts that are embedded together, always the same ones: a text's neighbours change the last digits of its vector
_BLOCK = 512


def text_vectors(
    embedder: Any,
    texts: Sequence[str],
    *,
    folder: Path,
    settings: Mapping[str, Any],
    fresh: bool = False,
    progress: bool = False,
) -> NDArray[np.float16]:
    """Vectors [N, D] of ``embedder.embed``, kept in the folder, so that a run that was killed goes on after them.

    settings: all that shapes a vector but the texts, as plain JSON. With other settings, or from the first block of
    other texts on, what an earlier run kept is made anew: unlike labels it can be, and nobody wrote into it. fresh: all
    of it is.

    Raises OutputError where the folder cannot be written.
    """
    log, path = LineLog(folder / BLOCKS), folder / VECTORS
    digests = [_digest(texts[start : start + _BLOCK]) for start in range(0, len(texts), _BLOCK)]
    head = {"settings": json.loads(json.dumps(dict(settings)))}
    earlier = [] if fresh else _earlier(log, path, head, digests)
    log.keep(json_line(record) for record in (head, *earlier))
    size = sum(record["bytes"] for record in earlier)
    try:
        with writing(path), path.open("ab") as file, progress_bar("encode", total=len(texts), shown=progress) as tell:
            file.truncate(size)
            tell(min(len(earlier) * _BLOCK, len(texts)))
            for number in range(len(earlier), len(digests)):
                block = texts[number * _BLOCK : (number + 1) * _BLOCK]
                data = np.ascontiguousarray(embedder.embed(block), dtype="<f2").tobytes()
                file.write(data)
                file.flush()
                # last: a block that is noted is there; the end of one that is not is cut off by the next run
                log.append([{"digest": digests[number], "texts": len(block), "bytes": len(data)}])
                tell(len(block))
    finally:
        log.close()
    with writing(path):
        return np.fromfile(path, dtype="<f2").astype(np.float16).reshape(len(texts), -1)


def _earlier(log: LineLog, path: Path, head: Mapping[str, Any], digests: Sequence[str]) -> list[dict[str, Any]]:
    """Notes of the blocks at the beginning that can stay."""
    try:
        first, *notes = log.load()
    except (OutputError, ValueError):  # damaged, or empty
        return []
    return list(_same(notes, digests, path)) if first == head and path.exists() else []


def _same(notes: Sequence[dict[str, Any]], digests: Sequence[str], path: Path) -> Iterator[dict[str, Any]]:
    room = path.stat().st_size
    for note, digest in zip(notes, digests, strict=False):
        size = note.get("bytes")
        if note.get("digest") != digest or not isinstance(size, int) or size > room:
            return
        room -= size
        yield note


def _digest(texts: Sequence[str]) -> str:
    told = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        told.update(len(data).to_bytes(8, "little"))
        told.update(data)
    return told.hexdigest()
