"""What a server lets in: sizes, rates, times."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from ironwok.errors import InputError

# clients whose rate is remembered; the one that was silent longest is forgotten first
_MOST_CLIENTS = 10_000


@dataclass(frozen=True, slots=True)
class Limits:
    """body: bytes of a request. texts: in one request; characters: of all of them. labels: in one request. pairs: of a
    window of text with a label in a template, that one request asks to read.

    queue: requests that wait for a model, of each kind; one more gets 429. seconds: that a request may take, waiting
    included; body_seconds: that its headers may take to arrive, and then its body. rate: requests a minute of one
    client, None for any number. batch_texts: texts that are read together; batch_seconds: how long the first of them
    waits for others. answer_tokens: of the longest answer.
    """

    body: int = 4_000_000
    texts: int = 256
    characters: int = 1_000_000
    labels: int = 200
    pairs: int = 200_000
    queue: int = 64
    seconds: float = 60.0
    body_seconds: float = 15.0
    rate: float | None = None
    batch_texts: int = 64
    batch_seconds: float = 0.005
    answer_tokens: int = 512

    def __post_init__(self) -> None:
        for name in ("body", "texts", "characters", "labels", "pairs", "queue", "batch_texts", "answer_tokens"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it is at least 1")
        for name in ("seconds", "body_seconds", "rate"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                option = {"seconds": " (--timeout)", "rate": " (--rate)"}.get(name, "")
                raise InputError(f"{name}{option} is {value}; it has to be above 0")
        if not (math.isfinite(self.batch_seconds) and self.batch_seconds >= 0):
            raise InputError(f"batch_seconds is {self.batch_seconds}; it is at least 0")


class RateLimiter:
    """A bucket of tokens for each client: a minute's worth at once, refilled evenly. rate: requests a minute."""

    def __init__(self, rate: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """Seconds until the client may ask again; 0 where it may now, and then this counts as a request."""
        now = self._clock()
        most = max(self._rate, 1.0)
        level, since = self._buckets.pop(client, (most, now))
        level = min(most, level + (now - since) * self._rate / 60)
        wait = 0.0 if level >= 1 else (1 - level) * 60 / self._rate
        self._buckets[client] = (level - 1 if wait == 0 else level, now)
        while len(self._buckets) > _MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return wait
