"""The threads that run attempts, and the watch over them: leases, limits of time, orders to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from binder_build.job import Job, Stop
from binder_build.leases import Leases
from binder_build.records import Attempt
from binder_protocol.service.work import Loop

log = structlog.get_logger()

_WATCH_SECONDS = 0.5
_IDLE_SECONDS = 5.0
_AFTER_FAILURE_SECONDS = 2.0
_RENEWALS = 4


class Workers:
    """`count` threads, each with at most one job. A resource; it stops within `drain_seconds`.

    `take_up` is called at the start and now and then: it puts the attempts of dead services back into the queue.
    """

    def __init__(
        self,
        leases: Leases,
        run: Callable[[Job], None],
        take_up: Callable[[], object],
        *,
        count: int,
        lease_seconds: float,
        drain_seconds: float,
    ) -> None:
        self._leases = leases
        self._run = run
        self._take_up = take_up
        self._count = count
        self._renew_every = lease_seconds / _RENEWALS
        self._drain_seconds = drain_seconds
        self._jobs: dict[int, Job] = {}
        self._renewed = 0.0
        self._stopping = False
        self._calls = 0
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._watch = Loop("build-watch", self._look, every=_WATCH_SECONDS)

    @property
    def running(self) -> int:
        """Jobs that run here."""
        return len(self._jobs)

    def start(self) -> None:
        """Takes up what a dead service left, and starts the threads."""
        self._take_up()
        for number in range(self._count):
            thread = threading.Thread(target=self._work, name=f"build-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._watch.start()

    def stop(self) -> None:
        """Stops all jobs; their attempts wait for the next start."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            jobs = list(self._jobs.values())
        for job in jobs:
            job.stop(Stop.STOPPING)
        deadline = time.monotonic() + self._drain_seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._watch.stop()

    def wake(self) -> None:
        """Something waits that may be started."""
        with self._changed:
            self._calls += 1
            self._changed.notify_all()

    def cancel(self, attempt: Attempt) -> threading.Event:
        """Stops that job, if it runs here; the event is set once nothing of it is left."""
        job = self._jobs.get(attempt.id)
        if job is None:
            done = threading.Event()
            done.set()
            return done
        job.stop(Stop.CANCELLED)
        return job.done

    def alive(self) -> None:
        """A readiness check."""
        self._watch.alive()

    def _work(self) -> None:
        while not self._stopping:
            calls = self._calls
            try:
                attempt = self._leases.claim()
            except Exception:  # the thread must go on; nothing else would report it
                log.exception("no attempt can be taken from the queue")
                self._wait(calls, _AFTER_FAILURE_SECONDS)
                continue
            if attempt is None:
                self._wait(calls, _IDLE_SECONDS)
            else:
                self._do(Job(attempt))

    def _do(self, job: Job) -> None:
        with self._changed:
            self._jobs[job.attempt.id] = job
            if self._stopping:
                job.stop(Stop.STOPPING)
        try:
            self._run(job)
        except Exception:  # the thread must go on; the attempt is taken up once its lease has run out
            log.exception("an attempt's end could not be kept", build=job.attempt.name, attempt=job.attempt.number)
        finally:
            with self._changed:
                del self._jobs[job.attempt.id]
            job.done.set()
            self.wake()

    def _wait(self, calls: int, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._calls != calls, seconds)

    def _look(self) -> None:
        jobs = dict(self._jobs)
        for job in jobs.values():
            job.stop_if_overdue()
        now = time.monotonic()
        if jobs:
            for number, reason in self._leases.to_stop(list(jobs)).items():
                jobs[number].stop(Stop(reason))
        if now - self._renewed >= self._renew_every:
            self._renewed = now
            if jobs:
                self._leases.renew(list(jobs))
            if self._take_up():
                self.wake()
