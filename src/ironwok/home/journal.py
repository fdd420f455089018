"""What was asked and what came of it: one line of JSON each, appended, on the disk before anything follows from it.

    {"at": "2026-03-01T20:15:02.113+08:00", "id": 7, "event": "asked", "action": "power_on", "origin": "webhook"}
    {"at": ..., "id": 7, "event": "mains", "on": false}
    {"at": ..., "id": 7, "event": "ended", "ending": "confirmed", "reason": "..."}

A line that a power cut tore is left standing and passed over. What was asked and has no end is ended at the next start.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ironwok.errors import OutputError
from ironwok.home.actions import Outcome

log = logging.getLogger(__name__)

# the journal is put aside as NAME.1 when it is larger than this at a start
_MOST_BYTES = 8 << 20


@dataclass(slots=True)
class LeftOver:
    """What the last run left undone. mains_off: it switched the mains off in order to switch them on again."""

    unfinished: dict[int, dict[str, Any]] = field(default_factory=dict)
    mains_off: bool = False


class Journal:
    """The journal in a file; None for one that keeps nothing. wall_clock: the time of day, for the records."""

    def __init__(self, path: Path | None, *, wall_clock: Callable[[], datetime] | None = None) -> None:
        self._path = path
        self._wall_clock = wall_clock or (lambda: datetime.now().astimezone())
        self._file: int | None = None
        self._next = 1
        self.left_over = LeftOver()
        if path is not None:
            self._open(path)

    def asked(self, record: dict[str, Any]) -> int:
        number = self._next
        self._next += 1
        self.note(number, "asked", **record)
        return number

    def note(self, number: int, event: str, **record: Any) -> None:
        if self._path is None:
            return
        stamp = self._wall_clock().isoformat(timespec="milliseconds")
        self._write({"at": stamp, "id": number, "event": event} | record)

    def ended(self, number: int, outcome: Outcome) -> None:
        record = outcome.to_dict()
        self.note(number, "ended", **{key: record[key] for key in record if key not in ("action", "origin")})

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torn = False
            if path.exists():
                for record in read_journal(path):
                    self._remember(record)
                torn = not _ends_well(path)
                if path.stat().st_size > _MOST_BYTES:
                    path.replace(path.with_name(f"{path.name}.1"))
                    torn = False
            # what is said to a projector at home is nobody else's business
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            if torn and path.stat().st_size:
                os.write(self._file, b"\n")
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
        if self.left_over.mains_off:
            # once more: the line that says so may have been put aside, and this run may be killed as well
            self.note(0, "mains", on=False, returns=True)
        for number in self.left_over.unfinished:
            self.note(number, "ended", ending="failed", reason="the program stopped before this was done")

    def _remember(self, record: dict[str, Any]) -> None:
        number = record.get("id")
        if not isinstance(number, int):
            return
        self._next = max(self._next, number + 1)
        if record.get("event") == "asked":
            self.left_over.unfinished[number] = record
        elif record.get("event") == "ended":
            self.left_over.unfinished.pop(number, None)
        elif record.get("event") == "mains":
            self.left_over.mains_off = not record.get("on") and bool(record.get("returns"))

    def _write(self, record: dict[str, Any]) -> None:
        line = json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        if self._file is None:
            raise OutputError(f"{self._path} is closed; nothing can be noted in it any more")
        try:
            view = memoryview(line)
            while view:
                view = view[os.write(self._file, view) :]
            os.fsync(self._file)
        except OSError as error:
            # A full disk must not stop a scene half way: the mains may be off.
            log.error("%s cannot be written: %s; lost: %s", self._path, error.strerror or error, record)


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """The whole records of a journal, in order; lines that were torn are passed over."""
    with path.open("rb") as file:
        for line in file:
            with contextlib.suppress(ValueError):
                record = json.loads(line)
                if isinstance(record, dict):
                    yield record


def _ends_well(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
