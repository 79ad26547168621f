"""The connections of a program, which tell that it has lost whom it talks to.

A pool keeps one that nobody uses for another minute and a half. psutil is known here alone in this package.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

from binder_protocol.errors import EngineError

_EVERY_SECONDS = 1.0
_PATIENCE_SECONDS = 5.0


class Connections:
    """Those of the process and its children, looked at about once a second while it runs."""

    def __init__(
        self,
        pid: int,
        *,
        count: Callable[[int], int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`count` tells how many there are now."""
        self._pid = pid
        self._count = count or established
        self._clock = clock
        self._next = 0.0
        self._alone: float | None = None
        self._had_some = False

    def check(self) -> None:
        """Raises EngineError once the process had connections, and for five seconds has had none."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + _EVERY_SECONDS
        if self._count(self._pid):
            self._had_some, self._alone = True, None
        elif self._had_some:
            self._alone = now if self._alone is None else self._alone
            if now - self._alone >= _PATIENCE_SECONDS:
                raise EngineError("the connection to the builder has ended")


def established(pid: int) -> int:
    """How many TCP connections the process and its children hold; none where it has ended."""
    try:
        process = psutil.Process(pid)
        everybody = [process, *process.children(recursive=True)]
        found = [each for one in everybody for each in one.net_connections("tcp")]
    except psutil.Error:
        return 0
    return sum(each.status == psutil.CONN_ESTABLISHED for each in found)
