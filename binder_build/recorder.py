"""What happens to one attempt, as it is kept: in its row, in its log, in the metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from binder_build.images.progress import Event, Line, Note, StepEnded, StepStarted
from binder_build.job import Job
from binder_build.logs.log import LogWriter
from binder_build.metrics import BuildMetrics
from binder_build.records import Attempt, moment
from binder_build.store import AttemptStore
from binder_protocol.models import BuildPhase, BuildStatus, Failure, PhaseTiming

_SLACK_SECONDS = 10.0
"""What git and the engine are given to end by their own limits: they know more about what took so long."""


class Recorder:
    """Written by the one thread that runs the attempt. Each phase is one transaction, and so is the end."""

    def __init__(self, job: Job, store: AttemptStore, log: LogWriter, metrics: BuildMetrics) -> None:
        self._job = job
        self._store = store
        self._log = log
        self._metrics = metrics
        self._timings = list(job.attempt.timings)
        self._facts: dict[str, Any] = {}
        self.phase_now = BuildPhase.QUEUED

    @property
    def attempt(self) -> Attempt:
        return self._job.attempt

    @contextmanager
    def phase(self, phase: BuildPhase, seconds: float) -> Iterator[None]:
        """Within, the attempt is in `phase`, for at most so long. Raises Cancelled where it was stopped."""
        self._job.allow(seconds + _SLACK_SECONDS)
        self.phase_now = phase
        began, started = time.time(), time.monotonic()
        self._timings.append(PhaseTiming(phase=phase, start_time=moment(began)))
        self._store.update(self.attempt, phase=phase, timings=self._timings, **self._taken())
        self._log.add(kind="phase", phase=phase)
        try:
            yield
        finally:
            took = round(time.monotonic() - started, 3)
            self._timings[-1] = self._timings[-1].model_copy(update={"seconds": took})
            self._metrics.phase(phase, took)

    def learn(self, **facts: Any) -> None:
        """Facts of the attempt; they are kept with the next phase, or with the end."""
        self._facts |= facts

    def note(self, text: str) -> None:
        """Binder's own words, for the log."""
        self._log.add(kind="note", text=text)

    def progress(self, event: Event) -> None:
        """What the engine reports, for the log."""
        match event:
            case StepStarted(step=step):
                self._log.add(kind="step", step=step, text=step, status="started")
            case StepEnded(step=step, status=status, seconds=seconds):
                self._log.add(kind="step", step=step, text=step, status=status, seconds=seconds)
            case Line(step=step, text=text):
                self._log.add(step=step, text=text)
            case Note(text=text):
                self.note(text)

    def end(self, status: BuildStatus, text: str = "", *, failure: Failure | None = None) -> None:
        """Closes the attempt; its log ends with `text`."""
        facts = self._taken() | {"failure": failure, "lease_owner": None, "end": time.time()}
        self._store.update(self.attempt, status=status, phase=BuildPhase.FINISHED, timings=self._timings, **facts)
        self._log.end(status.value, text)
        self._metrics.ended(status, None if failure is None else failure.type)

    def _taken(self) -> dict[str, Any]:
        facts, self._facts = self._facts, {}
        return facts
