"""Waiting in tests: poll with a deadline, never sleep and hope."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(probe: Callable[[], T], *, within: float = 10, every: float = 0.02, what: str = "") -> T:
    """The first true value of `probe`; an AssertionError of it counts as false. Fails after `within` seconds."""
    deadline = time.monotonic() + within
    last: object = None
    while True:
        try:
            last = value = probe()
            if value:
                return value
        except AssertionError as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"{what or 'it'} did not come true within {within:g} s; last: {last!r}")
        time.sleep(every)
