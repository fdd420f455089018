"""Files known again by their content."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ironwok.errors import UnreadableDocumentError


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
