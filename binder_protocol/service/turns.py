"""Turns: threads that want the same thing get it one after another, in the order in which they came."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

_TICK_SECONDS = 0.5


class Overdue(Exception):
    """The turn didn't come in time."""


class Turns:
    """A lock that is fair. A thread waits a bounded time for it, in which pauses of the whole process hardly count:
    whoever holds it was paused as well.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._taken = False

    @contextmanager
    def turn(self, seconds: float) -> Iterator[None]:
        """Raises Overdue where it doesn't come in that time."""
        self._take(seconds)
        try:
            yield
        finally:
            self._pass_on()

    def _take(self, seconds: float) -> None:
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            called = threading.Event()
            self._waiting.append(called)
        left = seconds
        while left > 0:
            if called.wait(min(_TICK_SECONDS, left)):
                return
            left -= _TICK_SECONDS
        with self._lock:
            if called.is_set():
                return
            self._waiting.remove(called)
        raise Overdue

    def _pass_on(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False
