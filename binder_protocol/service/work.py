"""Work behind the requests: a bounded pool of threads, and loops that survive their own failures."""

from __future__ import annotations

import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable

import structlog

from binder_protocol.errors import QueueFull, Unavailable

log = structlog.get_logger()

Job = Callable[[], object]


class WorkerPool:
    """Runs jobs on `workers` threads, at most `queue_size` waiting. A resource: start() and stop() it.

    A job keeps the context (request id) of who submitted it. A job's exception is logged with its traceback and
    counted in `failures`; it ends neither the thread nor the pool.
    """

    def __init__(self, name: str, *, workers: int, queue_size: int, drain_seconds: float = 10) -> None:
        self.name = name
        self.workers = workers
        self.failures = 0
        self._queue_size = queue_size
        self._jobs: deque[tuple[contextvars.Context, Job]] = deque()
        self._drain_seconds = drain_seconds
        self._changed = threading.Condition()
        self._busy = 0
        self._stopping = False
        self._threads: list[threading.Thread] = []
        self._started = False

    @property
    def waiting(self) -> int:
        """Jobs that no thread has taken yet."""
        return len(self._jobs)

    @property
    def busy(self) -> int:
        """Jobs that run."""
        return self._busy

    def start(self) -> None:
        """Starts the threads; a pool that runs, or was stopped, can't be started again."""
        if self._started:
            raise RuntimeError(f"pool {self.name} was started before")
        self._started = True
        with self._changed:
            self._add_threads()

    def submit(self, job: Job) -> None:
        """Puts `job` at the end of the queue. Raises QueueFull, or Unavailable once the pool stops."""
        with self._changed:
            if self._stopping:
                raise Unavailable(f"{self.name}: the service is stopping")
            if len(self._jobs) >= self._queue_size:
                raise QueueFull(f"{self.name}: {self._queue_size} are waiting already", retry_after=10)
            self._jobs.append((contextvars.copy_context(), job))
            self._add_threads()
            self._changed.notify()

    def stop(self, drain_seconds: float | None = None) -> bool:
        """Takes no more jobs and waits for those that wait and run; returns whether all were done in time."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        deadline = time.monotonic() + (self._drain_seconds if drain_seconds is None else drain_seconds)
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        done = not any(thread.is_alive() for thread in self._threads)
        if not done:
            log.warning("work was left unfinished", pool=self.name, running=self._busy, waiting=self.waiting)
        return done

    def _add_threads(self) -> None:
        # As many as there is work for: a large pool at rest costs nothing.
        while self._started and len(self._threads) < min(self.workers, self._busy + len(self._jobs)):
            name = f"{self.name}-{len(self._threads)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._stopping)
                if not self._jobs:
                    return
                context, job = self._jobs.popleft()
                self._busy += 1
            try:
                context.run(self._run, job)
            finally:
                with self._changed:
                    self._busy -= 1

    def _run(self, job: Job) -> None:
        try:
            job()
        except Exception:  # the loop must go on; nothing else would report it
            self.failures += 1
            log.exception("a job failed", pool=self.name)


class Loop:
    """Calls `step` every `every` seconds on a thread of its own. A resource: start() and stop() it.

    After a failure, logged with its traceback, the next call waits twice as long as the one before, up to
    `longest` seconds; after a success it is back at `every`. A long step should look at `stopping`.
    """

    def __init__(
        self, name: str, step: Callable[[], object], *, every: float, longest: float = 60, drain_seconds: float = 10
    ) -> None:
        self.name = name
        self.stopping = threading.Event()
        self.failures = 0
        self._step = step
        self._every = every
        self._longest = max(longest, every)
        self._drain_seconds = drain_seconds
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts the thread; the first step runs at once."""
        if self._thread is not None:
            raise RuntimeError(f"loop {self.name} was started before")
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """The next step runs now, not when its time has come."""
        self._wake.set()

    def stop(self) -> bool:
        """Ends the loop after the step that runs; returns whether it ended in time."""
        self.stopping.set()
        self._wake.set()
        if self._thread is None:
            return True
        self._thread.join(self._drain_seconds)
        return not self._thread.is_alive()

    def alive(self) -> None:
        """A readiness check: raises Unavailable where the loop doesn't run or fails again and again."""
        if self._thread is None or not self._thread.is_alive():
            raise Unavailable(f"loop {self.name} doesn't run")
        if self.failures >= 3:
            raise Unavailable(f"loop {self.name} failed {self.failures} times in a row")

    def _run(self) -> None:
        while not self.stopping.is_set():
            self._wake.clear()
            try:
                self._step()
                self.failures = 0
            except Exception:  # the loop must go on; nothing else would report it
                self.failures += 1
                log.exception("a loop's step failed", loop=self.name, failures=self.failures)
            self._wake.wait(self._pause())

    def _pause(self) -> float:
        if self.failures == 0:
            return self._every
        return float(min(self._longest, max(self._every, 0.1) * 2 ** min(self.failures, 16)))
