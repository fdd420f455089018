"""Counters for Prometheus, one registry an app."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

# seconds
_TIMES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """requests by route and status, their seconds, texts and sizes of batches by task, what was turned away and why."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "ironwok_requests", "Requests that were answered.", ("route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "ironwok_request_seconds",
            "Seconds from the request to the end of its answer.",
            ("route",),
            buckets=_TIMES,
            registry=self.registry,
        )
        self.batches = Histogram(
            "ironwok_batch_texts", "Texts that were read together.", ("task",), buckets=_SIZES, registry=self.registry
        )
        self.rejected = Counter("ironwok_rejected", "Requests turned away.", ("reason",), registry=self.registry)
        self.tokens = Counter("ironwok_answer_tokens", "Tokens of answers.", registry=self.registry)
        self._waiting = Gauge(
            "ironwok_queue_requests", "Requests that wait for a model.", ("task",), registry=self.registry
        )

    def watch(self, task: str, waiting: Callable[[], int]) -> None:
        """Report the length of a queue."""
        self._waiting.labels(task).set_function(waiting)

    def text(self) -> bytes:
        return generate_latest(self.registry)
