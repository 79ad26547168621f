"""Waiting for builds and applications, and what became of them as an error by type."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from binder_protocol.errors import BuildCancelled, BuildFailed, Conflict, LaunchFailed, TimedOut, error_from
from binder_protocol.models import Application, ApplicationStatus, Build, BuildStatus, Failure

_FIRST_POLL, _POLL_GROWTH = 0.05, 1.2

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Polls:
    """Asking again and again, at growing distances, until something is settled."""

    what: str
    timeout: float
    longest: float

    def until(self, settled: Callable[[T], bool], ask: Callable[[], T]) -> T:
        """The first settled state; raises TimedOut where there is none in time."""
        deadline, pause = time.monotonic() + self.timeout, _FIRST_POLL
        while not settled(state := ask()):
            if time.monotonic() + pause > deadline:
                raise TimedOut(f"{self.what} wasn't done within {self.timeout:g} s; it goes on")
            time.sleep(pause)
            pause = min(pause * _POLL_GROWTH, self.longest)
        return state


def completed(build: Build) -> Build:
    """`build`, which has ended; raises the BuildFailed of its failure, or BuildCancelled."""
    if build.status is BuildStatus.CANCELLED:
        raise BuildCancelled(f"the build {build.name} was cancelled")
    if build.status is BuildStatus.FAILED:
        raise _failed(build.failure, BuildFailed, build.error or f"the build {build.name} failed")
    return build


def deployed(application: Application) -> Application:
    """`application`, which has settled; raises the LaunchFailed of its failure, or Conflict where it was stopped."""
    if application.status is ApplicationStatus.DELETED:
        raise Conflict(f"the application {application.id} was stopped: {application.reason or 'on request'}")
    if application.status is ApplicationStatus.FAILED:
        raise _failed(application.failure, LaunchFailed, f"the application {application.id} failed")
    return application


def _failed(failure: Failure | None, kind: type[BuildFailed | LaunchFailed], words: str) -> Exception:
    if failure is None:
        return kind(words)
    body = {"type": failure.type, "error": failure.message, "suggestions": failure.suggestions}
    error = error_from({**body, "details": {"step": failure.step, "log": failure.log}}, kind.status, among=kind)
    if isinstance(error, kind):
        return error
    return kind(failure.message, suggestions=failure.suggestions, details=error.details)
