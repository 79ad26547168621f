"""Notices that the builder of a running build is gone, which buildx doesn't: it would wait for ever.

Its driver for Kubernetes overlooks that the connection into a pod has ended (docker/buildx#556, mended in 2026).
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from binder_build.process import end_group
from binder_build.registry.connections import Connections
from binder_protocol.errors import EngineError

_EVERY_SECONDS = 5.0
_ANSWER_SECONDS = 20.0
_MAX_WORDS = 65_536
_HOST = re.compile(rb"^ *org\.mobyproject\.buildkit\.worker\.hostname: +(\S+)", re.M)

Ask = Callable[[], subprocess.Popen[bytes]]


class Successors:
    """Tells by a builder's host name, which is its pod's, that another pod has taken its place.

    `ask` starts a command that prints what buildx knows of the builder; nobody waits for it.
    """

    def __init__(self, ask: Ask, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._asking: subprocess.Popen[bytes] | None = None
        self._next = 0.0
        self._host: bytes | None = None

    def check(self) -> None:
        """To be called again and again. Raises EngineError once it is another pod than at first."""
        now = self._clock()
        if self._asking is None:
            if now >= self._next:
                self._asking, self._next = self._ask(), now + _ANSWER_SECONDS
        elif self._asking.poll() is not None or now >= self._next:
            found = _HOST.search(self._answer())
            self._next = now + _EVERY_SECONDS
            if found is not None and self._host not in (None, found[1]):
                raise EngineError("the builder's pod is another one than before")
            if found is not None:
                self._host = found[1]

    def close(self) -> None:
        """Ends what is being asked."""
        if self._asking is not None:
            self._answer()

    def _answer(self) -> bytes:
        """What the command has said so far; it is over then."""
        asking, self._asking = self._asking, None
        if asking is None or asking.stdout is None:
            return b""
        ended = asking.poll() is not None
        with asking.stdout:
            said = asking.stdout.read(_MAX_WORDS) if ended else b""
        end_group(asking)
        return said


@contextmanager
def watched(pid: int, ask: Ask | None) -> Iterator[Callable[[], None]]:
    """What is to be called while buildx, the process `pid`, builds. `ask` is for a builder that is one pod."""
    connections = Connections(pid)
    successors = None if ask is None else Successors(ask)

    def check() -> None:
        connections.check()
        if successors is not None:
            successors.check()

    try:
        yield check
    finally:
        if successors is not None:
            successors.close()
