"""What the build service counts."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from binder_protocol.models import BuildPhase, BuildStatus

_SECONDS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600)


class BuildMetrics:
    """Builds by outcome, the time that phases take, and the queue."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._builds = Counter("binder_builds", "Builds that ended", ("status", "failure"), registry=registry)
        self._phases = Histogram(
            "binder_build_phase_seconds", "Time that a phase took", ("phase",), buckets=_SECONDS, registry=registry
        )
        self._cached = Counter("binder_builds_cached", "Requests answered by a finished build", registry=registry)
        self._joined = Counter("binder_builds_joined", "Requests that joined a build under way", registry=registry)
        self._queue = Gauge("binder_builds_queued", "Builds that wait", registry=registry)
        self._running = Gauge("binder_builds_running", "Builds that run", registry=registry)

    def watch(self, queued: Callable[[], float], running: Callable[[], float]) -> None:
        """Shows the present lengths."""
        self._queue.set_function(queued)
        self._running.set_function(running)

    def phase(self, phase: BuildPhase, seconds: float) -> None:
        """A phase ended."""
        self._phases.labels(phase.value).observe(seconds)

    def ended(self, status: BuildStatus, failure: str | None) -> None:
        """A build ended, maybe by a failure of that type."""
        self._builds.labels(status.value, failure or "").inc()

    def cached(self) -> None:
        """A request was answered by a build that had finished."""
        self._cached.inc()

    def joined(self) -> None:
        """A request joined a build."""
        self._joined.inc()
