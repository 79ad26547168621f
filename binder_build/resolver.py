"""What a ref means now, asked once for everybody who wants to know at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass

from binder_build.process import Cancelled
from binder_build.repository import Repository
from binder_build.source import Revision

Ask = Callable[[Repository, str | None, threading.Event], Revision]
"""Asks the repository's server, with the named credential, until the event is set. Raises BinderError or Cancelled."""

_WORKERS = 8
_MOST_WAITING = 256


@dataclass(frozen=True, slots=True)
class _Question:
    url: str
    ref: str | None
    subdir: str | None
    credential: str | None


class Resolver:
    """A resource. Answers within the caller's time, or not at all; the server's errors are the caller's."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: dict[_Question, Future[Revision]] = {}
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="resolve")

    def start(self) -> None:
        """Nothing is needed: threads come with the questions."""

    def stop(self) -> None:
        """Ends the questions under way."""
        self._stopping.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def resolve(self, repository: Repository, credential: str | None, *, within: float) -> Revision | None:
        """The revision, or None where it isn't known after `within` seconds."""
        future = self._question(repository, credential)
        if future is None:
            return None
        try:
            return future.result(within)
        except (TimeoutError, CancelledError, Cancelled):
            return None

    def _question(self, repository: Repository, credential: str | None) -> Future[Revision] | None:
        question = _Question(repository.url, repository.ref, repository.subdir, credential)
        with self._lock:
            future = self._open.get(question)
            if future is not None:
                return future
            if len(self._open) >= _MOST_WAITING or self._stopping.is_set():
                return None
            future = self._open[question] = self._pool.submit(self._ask, repository, credential, self._stopping)
        future.add_done_callback(lambda _: self._close(question))
        return future

    def _close(self, question: _Question) -> None:
        with self._lock:
            self._open.pop(question, None)
