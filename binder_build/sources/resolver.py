"""What a ref means now, asked once for everybody who wants to know at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass

from binder_build.process import Cancelled
from binder_build.sources.repository import Repository
from binder_build.sources.source import Revision

Ask = Callable[[Repository, str | None, threading.Event], Revision]
"""Asks the repository's server, with the named credential, until the event is set. Raises BinderError or Cancelled."""

_WORKERS = 8
_MOST_OPEN = 256


@dataclass(frozen=True, slots=True)
class _Topic:
    url: str
    ref: str | None
    subdir: str | None
    credential: str | None


@dataclass(slots=True)
class _Question:
    answer: Future[Revision]
    nobody_waits: threading.Event
    waiting: int = 0


class Resolver:
    """A resource. Answers within the caller's time, or not at all; the server's errors are the caller's."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._stopped = False
        self._open: dict[_Topic, _Question] = {}
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="resolve")

    def start(self) -> None:
        """Nothing is needed: threads come with the questions."""

    def stop(self) -> None:
        """Ends the questions under way."""
        with self._lock:
            self._stopped = True
            for question in self._open.values():
                question.nobody_waits.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def resolve(self, repository: Repository, credential: str | None, *, within: float) -> Revision | None:
        """The revision, or None where it isn't known after `within` seconds. What nobody waits for is asked no more."""
        topic = _Topic(repository.url, repository.ref, repository.subdir, credential)
        question = self._join(topic, repository)
        if question is None:
            return None
        try:
            return question.answer.result(within)
        except (TimeoutError, CancelledError, Cancelled):
            return None
        finally:
            self._leave(topic, question)

    def _join(self, topic: _Topic, repository: Repository) -> _Question | None:
        with self._lock:
            question = self._open.get(topic)
            if question is None:
                if len(self._open) >= _MOST_OPEN or self._stopped:
                    return None
                nobody_waits = threading.Event()
                answer = self._pool.submit(self._ask, repository, topic.credential, nobody_waits)
                question = self._open[topic] = _Question(answer, nobody_waits)
            question.waiting += 1
            return question

    def _leave(self, topic: _Topic, question: _Question) -> None:
        with self._lock:
            question.waiting -= 1
            if (question.answer.done() or not question.waiting) and self._open.get(topic) is question:
                del self._open[topic]
            if not question.waiting:
                question.nobody_waits.set()
