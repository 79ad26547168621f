"""Running attempts to an end: whatever happens on the way, the row and the log say how it went."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import structlog

from binder_build.job import Job, Stop
from binder_build.leases import Leases
from binder_build.logs.log import LogName, Logs
from binder_build.metrics import BuildMetrics
from binder_build.pipeline import Adapters, Pipeline
from binder_build.process import Cancelled
from binder_build.recorder import Recorder
from binder_build.records import Attempt, failure_of
from binder_build.store import AttemptStore
from binder_protocol.errors import BinderError, BuildTimeout, Interrupted
from binder_protocol.models import BuildStatus

log = structlog.get_logger()

_INTERRUPTED = Interrupted("the service died in the middle of this build, and once more when it had started over")


class Runner:
    """Runs jobs, each on the thread that calls."""

    def __init__(
        self,
        store: AttemptStore,
        leases: Leases,
        logs: Logs,
        metrics: BuildMetrics,
        adapters: Adapters,
        *,
        restarts: int,
        logs_kept: int,
    ) -> None:
        self._store = store
        self._leases = leases
        self._logs = logs
        self._metrics = metrics
        self._adapters = adapters
        self._restarts = restarts
        self._logs_kept = logs_kept

    def run(self, job: Job) -> None:
        """Takes an attempt to its end, then clears up.

        Raises only where the end can't be kept: the attempt's lease runs out then.
        """
        attempt = job.attempt
        writer = self._logs.write(LogName(attempt.name, attempt.number))
        recorder = Recorder(job, self._store, writer, self._metrics)
        with ExitStack() as afterwards:
            afterwards.callback(self._logs.keep, attempt.name, self._logs_kept)
            afterwards.callback(writer.close)
            if attempt.tries > 1:
                recorder.note("the service died in the middle of this build; it starts over")
            self._run(job, recorder, afterwards)

    def take_up(self) -> bool:
        """Puts the attempts of dead services back into the queue, or ends them; whether there were any."""
        taken = self._leases.take_up(restarts=self._restarts, failure=failure_of(_INTERRUPTED))
        for attempt in taken:
            log.warning("a build was cut short", build=attempt.name, attempt=attempt.number, now=attempt.status.value)
            if attempt.status.ended:
                self._close_log(attempt, "" if attempt.failure is None else attempt.failure.message)
                self._metrics.ended(attempt.status, None if attempt.failure is None else attempt.failure.type)
        return bool(taken)

    def cancelled_in_queue(self, attempt: Attempt) -> None:
        """Ends the log of an attempt that was cancelled while it waited."""
        self._close_log(replace(attempt, status=BuildStatus.CANCELLED), "")
        self._metrics.ended(BuildStatus.CANCELLED, None)

    def _close_log(self, attempt: Attempt, text: str) -> None:
        writer = self._logs.write(LogName(attempt.name, attempt.number))
        writer.end(attempt.status.value, text)
        writer.close()

    def _run(self, job: Job, recorder: Recorder, afterwards: ExitStack) -> None:
        try:
            pipeline = Pipeline(self._adapters, job, recorder)
            afterwards.callback(pipeline.clean)
            pipeline.run()
            recorder.end(BuildStatus.COMPLETED)
        except Cancelled:
            self._stopped(job, recorder)
        except BinderError as error:
            # What the engine says when it is interrupted differs; the reason is ours to tell.
            if job.reason is not None:
                self._stopped(job, recorder)
            else:
                _failed(recorder, error)
        except Exception:  # a fault of ours must end the attempt, too
            log.exception("a build failed in a way nobody foresaw", build=job.attempt.name, attempt=job.attempt.number)
            _failed(recorder, BinderError("the service failed in a way nobody foresaw; its log says how"))

    def _stopped(self, job: Job, recorder: Recorder) -> None:
        match job.reason:
            case Stop.CANCELLED:
                recorder.end(BuildStatus.CANCELLED)
            case Stop.OVERDUE:
                _failed(recorder, BuildTimeout(f"{recorder.phase_now} took longer than it may"))
            case Stop.STOPPING:
                recorder.note("the service stops; the build starts over when it is back")
                self._leases.put_back(job.attempt)
            case Stop.LOST:
                log.warning("another service took a build", build=job.attempt.name, attempt=job.attempt.number)


def _failed(recorder: Recorder, error: BinderError) -> None:
    recorder.end(BuildStatus.FAILED, error.message, failure=failure_of(error))
