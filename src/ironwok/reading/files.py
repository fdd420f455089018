"""Files that outlive an accident: lines appended whole, files known again by their content."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ironwok.errors import OutputError, UnreadableDocumentError
from ironwok.files import json_line, replace_file, writing


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


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """What a file was when it was read. mtime: nanoseconds. sha256: hexadecimal, of the whole content."""

    size: int
    mtime: int
    sha256: str

    @classmethod
    def of(cls, path: Path, *, digest: Callable[[Path], str] | None = None) -> FileIdentity:
        """Raises UnreadableDocumentError."""
        try:
            status = path.stat()
            return cls(status.st_size, status.st_mtime_ns, (digest or sha256_of)(path))
        except OSError as error:
            raise UnreadableDocumentError(f"{path}: cannot be read ({error.strerror or error})") from error

    def still_holds(self, path: Path) -> bool:
        """Whether the file is still the same: by size and time, and where only the time is new, by its content."""
        try:
            status = path.stat()
            # opening a pipe would wait for ever
            if not stat.S_ISREG(status.st_mode) or status.st_size != self.size:
                return False
            return status.st_mtime_ns == self.mtime or sha256_of(path) == self.sha256
        except OSError:
            return False

    def to_dict(self) -> dict[str, Any]:
        return {"size": self.size, "mtime": self.mtime, "sha256": self.sha256}

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> FileIdentity:
        return cls(record["size"], record["mtime"], record["sha256"])


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
