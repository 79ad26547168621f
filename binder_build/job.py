"""A job: an attempt that runs in this service, which others may stop."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from enum import StrEnum
from typing import TypeVar

from binder_build.process import Cancelled
from binder_build.records import Attempt

T = TypeVar("T")

_TICK_SECONDS = 0.1


class Stop(StrEnum):
    """Why a job was stopped before its end."""

    CANCELLED = "cancelled"
    OVERDUE = "overdue"
    STOPPING = "stopping"
    LOST = "lost"


class Job:
    """`cancel` is set once the work has to stop; `done` once nothing of it is left. The first reason to stop stays."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.cancel = threading.Event()
        self.done = threading.Event()
        self.reason: Stop | None = None
        self._deadline = float("inf")
        self._lock = threading.Lock()

    def stop(self, reason: Stop) -> None:
        """Ends the work as soon as it can be ended."""
        with self._lock:
            self.reason = self.reason or reason
        self.cancel.set()

    def allow(self, seconds: float) -> None:
        """From now on the work may take so long. Raises Cancelled where it was stopped."""
        self.check()
        self._deadline = time.monotonic() + seconds

    def check(self) -> None:
        """Raises Cancelled where the work was stopped."""
        if self.cancel.is_set():
            raise Cancelled

    def wait_for(self, work: Callable[[], T]) -> T:
        """The result of `work`, which can't be stopped; once the job is, Cancelled comes and `work` is left."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 - it is raised again by who waits
                future.set_exception(error)

        threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True).start()
        while True:
            self.check()
            with suppress(TimeoutError):
                return future.result(_TICK_SECONDS)

    def stop_if_overdue(self) -> None:
        """Stops the work where it takes longer than it may."""
        if time.monotonic() > self._deadline:
            self.stop(Stop.OVERDUE)
