"""Metrics of the service, in Prometheus format."""

from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class ServiceMetrics:
    """Metrics of one service; a separate registry, so that two services in a process do not mix."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        common: Any = {"registry": self._registry, "namespace": "trialtune"}
        self._requests = Counter("requests", "Requests answered.", ["route", "status"], **common)
        self._seconds = Histogram(
            "request_seconds",
            "From the first byte to the last.",
            ["route"],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
            **common,
        )
        self._texts = Counter("texts", "Texts scored.", ["task"], **common)
        self._repeats = Counter("repeated_texts", "Texts answered from the cache.", ["task"], **common)
        self._scoring = Counter("scoring_seconds", "Time spent in the model.", ["task"], **common)
        self._batch = Histogram(
            "batch_texts",
            "Texts scored together.",
            ["task"],
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
            **common,
        )
        self._waiting = Gauge("waiting_texts", "Texts in the queue.", ["task"], **common)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def scored(self, task: str, count: int, seconds: float) -> None:
        """Count a batch."""
        self._texts.labels(task).inc(count)
        self._scoring.labels(task).inc(seconds)
        self._batch.labels(task).observe(count)

    def repeated(self, task: str, count: int) -> None:
        """Count texts answered from the cache."""
        self._repeats.labels(task).inc(count)

    def watch(self, task: str, waiting: Callable[[], int]) -> None:
        """Set a queue's length."""
        self._waiting.labels(task).set_function(waiting)

    def text(self) -> bytes:
        """The exposition format, version 0.0.4."""
        return generate_latest(self._registry)
