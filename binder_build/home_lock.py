"""The one service at a home: two would take each other's work away."""

from __future__ import annotations

import shutil
from pathlib import Path

import filelock

_WAIT_SECONDS = 10


class HomeLock:
    """Holds the lock of a state directory, and clears what a dead service left in its `work`. A resource."""

    def __init__(self, state: Path, work: Path) -> None:
        self._state = state
        self._work = work
        self._lock = filelock.FileLock(state / "service.lock", thread_local=False)

    def start(self) -> None:
        """Raises RuntimeError where another build service uses this home."""
        self._state.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=_WAIT_SECONDS)
        except filelock.Timeout:
            raise RuntimeError(f"another build service uses {self._state}") from None
        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir(mode=0o700)

    def stop(self) -> None:
        self._lock.release()
