"""Plain text: the decoded file, character by character; line ends stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ironwok.text.formats.files import read_text
from ironwok.text.formats.values import Document, ReadOptions, Skip


def read_plain(path: Path, options: ReadOptions) -> Iterator[Document | Skip]:
    decoded = read_text(path, options)
    yield Document(path=str(path), text=decoded.text, encoding=decoded.encoding, replaced=decoded.replaced)
