"""Files that outlive an accident: lines appended whole, files replaced whole."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ironwok.errors import OutputError


def cache_folder() -> Path:
    """$IRONWOK_CACHE, else $XDG_CACHE_HOME/ironwok, else ~/.cache/ironwok."""
    if named := os.environ.get("IRONWOK_CACHE"):
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "ironwok"


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
        try:
            with new.open("wb") as file:
                file.writelines([data] if isinstance(data, bytes) else data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, path)
        except BaseException:
            new.unlink(missing_ok=True)  # on a full disk the half of a file would take the room of what comes next
            raise


def check_writable(path: Path) -> None:
    """Raises OutputError where `replace_file` could not write."""
    new = path.with_name(f".{path.name}.new")
    with writing(path):
        new.touch()
        new.unlink()


class LineLog:
    """A JSONL file that only grows while a run lasts. `load` leaves out a line that was begun when the run died."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = None

    def load(self) -> list[dict[str, Any]]:
        """The records, in order. Raises OutputError for a whole line that is no JSON object."""
        if not self.path.exists():
            return []
        with writing(self.path):
            lines = self.path.read_bytes().split(b"\n")
        # what follows the last line feed is nothing, or a line that was being written
        return [self._record(line, number) for number, line in enumerate(lines[:-1], 1)]

    def keep(self, lines: Iterable[bytes]) -> None:
        """Let the file hold exactly these lines."""
        replace_file(self.path, lines)

    def append(self, records: Iterable[Any]) -> None:
        """Write records so that they are on the disk when this returns."""
        data = b"".join(json_line(record) for record in records)
        if not data:
            return
        with writing(self.path):
            if self._file is None:
                self._file = self.path.open("ab", buffering=0)
            view = memoryview(data)
            while view:
                # a raw write may take a part, and then the disk is full
                view = view[self._file.write(view) :]
            os.fsync(self._file.fileno())

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _record(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise OutputError(
                f"{self.path}, line {number} is damaged: pass --fresh (fresh=True) to read everything anew"
            )
        return record
