"""The growing end of a log, in memory: written from a thread, read by any number of followers on the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Iterator

from binder_protocol.service.streams import Event

_MOST_EVENTS = 2_000
_MOST_BYTES = 2**20
_GATHER = 0.02
_GATHER_EACH = 0.0002
_LONGEST_GATHER = 0.2


class Tail:
    """The newest events. A writer pays for one wake-up of the loop however many follow; they share the events.

    What comes within some hundredths of a second (the more, the more follow) is handed out together, for each piece
    costs a send for every follower.
    """

    def __init__(self) -> None:
        self._events: deque[tuple[int, Event]] = deque()
        self._bytes = 0
        self._last = 0
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news: asyncio.Event | None = None
        self._followers = 0
        self._waking = False
        self._shared: tuple[int, int, list[Event]] = (0, 0, [])

    def add(self, number: int, event: Event) -> None:
        """Appends an event; its number is one more than the last one's."""
        with self._lock:
            self._events.append((number, event))
            self._bytes += len(event.data)
            self._last = number
            while len(self._events) > 1 and (len(self._events) > _MOST_EVENTS or self._bytes > _MOST_BYTES):
                self._bytes -= len(self._events.popleft()[1].data)
            if self._loop is None or self._waking:
                return
            self._waking = True
            loop = self._loop
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody follows any more
            loop.call_soon_threadsafe(self._gather)

    def forget(self) -> None:
        """From now on memory can't tell: somebody else goes on with the log."""
        with self._lock:
            self._events.clear()
            self._bytes = 0
            self._shared = (0, 0, [])

    def after(self, number: int) -> list[Event] | None:
        """The events behind that number; None where memory can't tell, and the file has to."""
        with self._lock:
            if not self._events:
                return None
            if number >= self._last:
                return []
            if self._events[0][0] > number + 1:
                return None
            if self._shared[:2] != (number, self._last):
                self._shared = (number, self._last, [event for each, event in self._events if each > number])
            return self._shared[2]

    @contextlib.contextmanager
    def followed(self) -> Iterator[None]:
        """Within, `wait` hears of news. Only on one event loop."""
        with self._lock:
            self._loop = asyncio.get_running_loop()
            self._news = self._news or asyncio.Event()
            self._followers += 1
        try:
            yield
        finally:
            with self._lock:
                self._followers -= 1
                if not self._followers:
                    self._loop, self._news = None, None

    async def wait(self, number: int, seconds: float) -> bool:
        """Waits for an event behind that number, at most so long; whether there is one."""
        news = self._news
        assert news is not None
        if number < self._last:
            return True
        try:
            async with asyncio.timeout(seconds):
                await news.wait()
        except TimeoutError:
            return False
        return True

    def _gather(self) -> None:
        pause = min(_LONGEST_GATHER, _GATHER + _GATHER_EACH * self._followers)
        asyncio.get_running_loop().call_later(pause, self._wake)

    def _wake(self) -> None:
        with self._lock:
            self._waking = False
            news, self._news = self._news, asyncio.Event() if self._followers else None
        if news is not None:
            news.set()
