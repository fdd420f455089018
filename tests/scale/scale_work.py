"""Work whose answers one can check by eye, with rows that refuse and rows that kill."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ironwok.errors import ModelError
from ironwok.scale.plan import Part
from ironwok.scale.rows import Row, rows_of
from ironwok.scale.storage import Storage


@dataclass(frozen=True)
class Counting:
    """The length of a text. A text with "refuse" is refused, one with "kill" kills its process.

    pause: seconds a row takes. broken: what is wrong with the model.
    """

    documents: ClassVar[bool] = False

    pause: float = 0.0
    broken: str = ""

    def settings(self) -> dict[str, Any]:
        return {"work": "count"}

    def load(self) -> Counting:
        if self.broken:
            raise ModelError(self.broken)
        return self

    def rows(self, part: Part, storage: Storage) -> Any:
        return rows_of(part, storage)

    def columns(self) -> list[tuple[str, Any]]:
        import pyarrow as pa

        return [("length", pa.int64())]

    def answer(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        for row in rows:
            if "refuse" in row.text:
                raise ValueError(f"cannot count {row.text}")
        time.sleep(self.pause * len(rows))
        for row in rows:
            if "kill" in row.text:
                os.kill(os.getpid(), signal.SIGKILL)
        return [{"length": len(row.text)} for row in rows]
