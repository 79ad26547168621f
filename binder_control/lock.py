"""One change at a time: two people who start the suite at once do one thing after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import filelock

from binder_control.errors import ControlError
from binder_control.paths import Paths

_SECONDS = 120

Report = Callable[[str, str, float | None], None]
"""Told of each step: the program's name, what happened, and the seconds it took."""


@contextmanager
def one_at_a_time(paths: Paths, report: Report) -> Iterator[None]:
    """Holds the lock of a home, after waiting for whoever has it. Raises ControlError where that takes too long."""
    paths.prepare()
    lock = filelock.FileLock(paths.lock)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        report("", "another binder-control is at work; waiting for it", None)
        try:
            lock.acquire(timeout=_SECONDS)
        except filelock.Timeout:
            raise ControlError(
                f"another binder-control has been at work for {_SECONDS} s", "end it, or wait for it, then try again"
            ) from None
    try:
        yield
    finally:
        lock.release()
