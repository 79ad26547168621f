"""Follows the endings of instances while the service runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from binder_deploy.backends import Backend, Endings
from binder_protocol.errors import EngineError

log = structlog.get_logger()

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0


class Watcher:
    """Follows the backend's endings on a thread of its own. A resource."""

    def __init__(self, backend: Backend, on_ending: Callable[[str], None], on_return: Callable[[], None]) -> None:
        """`on_return` is called when watching begins, and begins again after the backend was away."""
        self.watching_since: float | None = None
        """By the clock that only goes forward."""
        self._backend = backend
        self._on_ending = on_ending
        self._on_return = on_return
        self._endings: Endings | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._endings is not None:
            self._endings.close()
        self._thread.join(5)

    def _run(self) -> None:
        pause = _SHORTEST_PAUSE
        while not self._stopping.is_set():
            try:
                self._endings = self._backend.endings()
                self.watching_since = time.monotonic()
                pause = _SHORTEST_PAUSE
                self._on_return()
                for identity in self._endings:
                    self._on_ending(identity)
            except EngineError as error:
                log.warning("the engine is away", error=error.message)
            except Exception:  # nobody else would watch
                log.exception("watching failed")
            finally:
                self.watching_since = None
                if self._endings is not None:
                    self._endings.close()
            self._stopping.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
