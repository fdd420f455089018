from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ironwok.text.documents import Document, ReadOptions, Skip, read_file

NOTICE = (
    "社区图书馆从本周六起延长开放时间，晚上九点以前都可以借书还书。为了方便下班以后才有空的居民，馆里还添了二十个座位。"
)
LETTER = (
    "The reading room stays open until nine from this Saturday on. Twenty more seats were added by the windows, "
    "and the children's corner has moved downstairs so that nobody needs to climb."
)


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., tuple[list[Document], list[Skip]]]:
    """Write bytes under a name, read the file, give what came out: documents and skips."""

    def write_and_read(name: str, data: bytes | str, **options: Any) -> tuple[list[Document], list[Skip]]:
        path = tmp_path / name
        path.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)
        items = list(read_file(path, options=ReadOptions(**options)))
        return [item for item in items if isinstance(item, Document)], [
            item for item in items if isinstance(item, Skip)
        ]

    return write_and_read


@pytest.fixture
def read_one(read: Callable[..., tuple[list[Document], list[Skip]]]) -> Callable[..., Document]:
    def only(name: str, data: bytes | str, **options: Any) -> Document:
        documents, skips = read(name, data, **options)
        assert skips == []
        (document,) = documents
        return document

    return only


@pytest.fixture
def skip_of(read: Callable[..., tuple[list[Document], list[Skip]]]) -> Callable[..., Skip]:
    """For a file that gives nothing but the reason why."""

    def only(name: str, data: bytes | str, **options: Any) -> Skip:
        documents, skips = read(name, data, **options)
        assert documents == []
        (skip,) = skips
        return skip

    return only
