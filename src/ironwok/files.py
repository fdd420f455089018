"""Files written so that an accident leaves the old one or the new one, never a part."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ironwok.errors import OutputError


def json_line(record: Any) -> bytes:
    """One line of JSON in UTF-8. Half a surrogate pair, which UTF-8 cannot hold, becomes the JSON escape of itself."""
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Trouble with the disk inside the block becomes an OutputError that names the file."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error


def replace_file(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Put new content in the place of a file at once: whoever looks sees the old or the new, never a part."""
    new = path.with_name(f".{path.name}.new")
    with writing(path):
        with new.open("wb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
