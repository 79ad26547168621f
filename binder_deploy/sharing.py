"""One answer for all who came before it was asked for: many launches of one template take few requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")

_AT_ONCE, _PER_SECOND = 16, 10.0
_MOST_KEYS = 1_000


class Shared(Generic[T]):
    """What `ask` says of a key, never older than the call that it is given to: nothing is kept.

    Of each key so many questions are asked at once, then so many a second; whoever comes while the next one has to wait
    shares its answer, an exception as well. `sharing`: how often that was.
    """

    def __init__(
        self, ask: Callable[[str], T], *, at_once: int = _AT_ONCE, per_second: float = _PER_SECOND,
        now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        self._ask = ask
        self._ahead = at_once / per_second
        self._every = 1 / per_second
        self._now, self._sleep = now, sleep
        self._lock = threading.Lock()
        self._next: dict[str, Future[T]] = {}
        self._due: dict[str, float] = {}
        self.sharing = 0

    def get(self, key: str) -> T:
        """Raises what `ask` does."""
        with self._lock:
            coming = self._next.get(key)
            if coming is not None:
                self.sharing += 1
            else:
                mine, pause = Future[T](), self._pause(key)
                if pause > 0:
                    self._next[key] = mine
        if coming is not None:
            return coming.result()
        if pause > 0:
            self._sleep(pause)
            with self._lock:
                del self._next[key]  # whoever comes from now on asks anew
        try:
            mine.set_result(self._ask(key))
        except Exception as error:  # noqa: BLE001 - whoever shares it would wait for ever
            mine.set_exception(error)
        return mine.result()

    def _pause(self, key: str) -> float:
        """How long the next question has to wait; it is counted."""
        now = self._now()
        if len(self._due) > _MOST_KEYS:
            self._due = {each: due for each, due in self._due.items() if due > now}
        due = max(self._due.get(key, 0.0), now) + self._every
        self._due[key] = due
        return max(0.0, due - now - self._ahead)
