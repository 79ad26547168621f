"""Who is to be woken when something happens to an application: launches under way, and followers of its events."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Claiming(Protocol):
    """What several services agree by on who works on an application; see binder_deploy.claims."""

    def take(self, identity: str) -> bool: ...

    def release(self, identity: str) -> None: ...

    def elsewhere(self) -> frozenset[str]: ...


class Alone:
    """There is no other service."""

    def take(self, _identity: str) -> bool:
        return True

    def release(self, _identity: str) -> None: ...

    def elsewhere(self) -> frozenset[str]:
        return frozenset()


class Waits:
    """Threads that wait for an application, at most one for each; any thread may wake them."""

    def __init__(self, claims: Claiming | None = None) -> None:
        self._claims = claims or Alone()
        self._lock = threading.Lock()
        self._waiting: dict[str, threading.Event] = {}
        self._expected: set[str] = set()
        self._ending: set[str] = set()

    def expect(self, identity: str) -> bool:
        """Notes that a thread will work on the application; False where one will or does already."""
        with self._lock:
            if identity in self._expected or identity in self._waiting:
                return False
            self._expected.add(identity)
            return True

    def expect_no_more(self, identity: str) -> None:
        """No thread will, after all."""
        with self._lock:
            self._expected.discard(identity)

    @contextmanager
    def of(self, identity: str) -> Iterator[threading.Event | None]:
        """The event to wait on, or None where another thread, or another service, works on the same application."""
        with self._here(identity) as event:
            if event is None or not self._claims.take(identity):
                yield None
                return
            try:
                yield event
            finally:
                self._claims.release(identity)

    @contextmanager
    def _here(self, identity: str) -> Iterator[threading.Event | None]:
        with self._lock:
            self._expected.discard(identity)
            taken = identity in self._waiting
            event = self._waiting.setdefault(identity, threading.Event())
        try:
            yield None if taken else event
        finally:
            if not taken:
                with self._lock:
                    del self._waiting[identity]

    @contextmanager
    def ending(self, identity: str) -> Iterator[None]:
        """Meanwhile a thread ends the application, and nobody else needs to."""
        with self._lock:
            self._ending.add(identity)
        try:
            yield
        finally:
            with self._lock:
                self._ending.discard(identity)

    def wake(self, identity: str) -> None:
        """Something happened to the application: look."""
        with self._lock:
            event = self._waiting.get(identity)
        if event is not None:
            event.set()

    def wake_all(self) -> None:
        """Something happened to all of them."""
        with self._lock:
            events = list(self._waiting.values())
        for event in events:
            event.set()

    def on(self, identity: str) -> bool:
        """Whether a thread works on the application."""
        return identity in self._waiting

    @property
    def busy(self) -> frozenset[str]:
        """The applications that a thread works on, or will, or ends just now, here or in another service.

        Raises BadQuery.
        """
        elsewhere = self._claims.elsewhere()
        with self._lock:
            return elsewhere | self._waiting.keys() | self._expected | self._ending


class Feed:
    """Tells coroutines that an application has news; costs nothing where nobody follows."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._followers: defaultdict[str, set[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = defaultdict(set)

    def tell(self, identity: str) -> None:
        """There is news; from any thread."""
        with self._lock:
            followers = list(self._followers.get(identity, ()))
        for loop, event in followers:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    @contextmanager
    def follow(self, identity: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever there is news; the follower clears it before it looks."""
        follower = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._followers[identity].add(follower)
        try:
            yield follower[1]
        finally:
            with self._lock:
                self._followers[identity].discard(follower)
                if not self._followers[identity]:
                    del self._followers[identity]
