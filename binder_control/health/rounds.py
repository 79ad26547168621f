"""Rounds of checks: each after the other, each result kept, whatever fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import structlog

from binder_control.health.store import ResultStore
from binder_protocol.errors import BinderError, Unavailable
from binder_protocol.models import Health, HealthStatus
from binder_protocol.service.work import Loop

log = structlog.get_logger()


class Rounds:
    """Runs `checks` in their order, on one thread, so that a round never overlaps another. A resource.

    `every` seconds lie between two rounds, `delay` before the first, so that the suite's own start is over by then.
    Of several services on one database one checks: that which `may_run`.
    Nothing that a service or the database answers, or fails to, ends the rounds.
    """

    def __init__(
        self,
        checks: Mapping[str, Callable[[], None]],
        store: ResultStore,
        *,
        may_run: Callable[[], bool],
        every: float,
        delay: float,
        drain_seconds: float,
    ) -> None:
        self._checks = checks
        self._store = store
        self._may_run = may_run
        self._delay = delay
        self._loop = Loop("checks", self._round, every=every, longest=every, drain_seconds=drain_seconds)

    def start(self) -> None:
        """Begins with the delay."""
        self._loop.start()

    def wake(self) -> None:
        """A round begins now, where this service may."""
        self._loop.wake()

    def stop(self) -> bool:
        """Ends after the check that runs; returns whether that was in time."""
        return self._loop.stop()

    def alive(self) -> None:
        """A readiness check: raises Unavailable where the rounds have ended."""
        self._loop.alive()

    def _round(self) -> None:
        stopping = self._loop.stopping
        if not self._may_run():
            return
        if stopping.wait(self._delay):
            return
        self._delay = 0
        for name, check in self._checks.items():
            if stopping.is_set():
                return
            self._keep(_result(name, check))

    def _keep(self, result: Health) -> None:
        log.info("checked", check=result.name, status=result.status.value, seconds=result.seconds, why=result.message)
        try:
            self._store.add(result)
        except Unavailable as error:
            log.warning("a result could not be kept", check=result.name, why=error.message)


def _result(name: str, check: Callable[[], None]) -> Health:
    started = time.monotonic()
    status, message = HealthStatus.RUNNING, None
    try:
        check()
    except BinderError as error:
        status, message = HealthStatus.DOWN, f"{error.type}: {error.message}"
    except Exception as error:  # a fault of ours is a result, too, and must not end the checks
        log.exception("a check failed by itself", check=name)
        status, message = HealthStatus.DOWN, type(error).__name__
    seconds = round(time.monotonic() - started, 3)
    return Health(name=name, status=status, timestamp=datetime.now(UTC), seconds=seconds, message=message)
