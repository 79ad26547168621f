"""Metrics: one registry per service object, in the words of Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from binder_protocol.service.work import WorkerPool

CONTENT_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """What a service counts. Services add their own counters to `registry`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "binder_requests", "Requests answered", ("operation", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "binder_request_seconds", "Time to answer", ("operation",), buckets=_SECONDS, registry=self.registry
        )
        self._waiting = Gauge("binder_jobs_waiting", "Jobs in the queue", ("pool",), registry=self.registry)
        self._busy = Gauge("binder_jobs_running", "Jobs that run", ("pool",), registry=self.registry)
        self._failures = Gauge("binder_jobs_failed", "Jobs that raised", ("pool",), registry=self.registry)

    def answered(self, operation: str, status: int, seconds: float) -> None:
        """Counts one answer."""
        self._requests.labels(operation, status).inc()
        self._seconds.labels(operation).observe(seconds)

    def watch(self, pool: WorkerPool) -> None:
        """Shows `pool`'s queue and threads."""
        self._waiting.labels(pool.name).set_function(lambda: pool.waiting)
        self._busy.labels(pool.name).set_function(lambda: pool.busy)
        self._failures.labels(pool.name).set_function(lambda: pool.failures)

    def page(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)
