"""Threads of one process that write to one SQLite file take turns before they ask SQLite for theirs."""

from __future__ import annotations

import threading

from binder_protocol.errors import BadDatabase


class Turns:
    """One thread after the other; each waits at most `seconds`, then BadDatabase.

    SQLite lets a writer ask again after pauses of up to 100 ms, in which others overtake it, and meanwhile each holds a
    connection: with some hundred threads that launch, most of what was taken was for opening those.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=self._seconds):
            raise BadDatabase("the database is busy")

    def __exit__(self, *_: object) -> None:
        self._lock.release()
