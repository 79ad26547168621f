"""What there is of one kind in the cluster, kept here and kept true by one watch, however many there are.

The library's own informer (kubernetes.informer) falls short of this: it reads its watch without a time limit, so that
a connection which died in silence is noticed by nobody; it keeps whole objects; it tries a refusing server again
without a pause; it waits for its thread without end. Here the server is asked to end each watch soon, and a watch that
neither says anything nor ends is given up. A new one goes on from the version where the last one was; only where the
server has forgotten that version, and now and then as a precaution, all is listed again.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import structlog

from binder_deploy.backends.kubernetes.answers import Denied
from binder_deploy.backends.kubernetes.cluster import Cluster, Json, Stream
from binder_protocol.errors import EngineError

log = structlog.get_logger()

T = TypeVar("T")

WATCH_SECONDS, _SPARE_SECONDS = 25, 5
"""How long the server is asked to keep a watch open, and how much longer its silence is borne."""

_FRESH_SECONDS = 45
_BORNE_SECONDS = 10
_RESYNC_SECONDS = 600
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
_GONE = 410


class Informer(Generic[T]):
    """Objects by namespace and name, each as what `read` makes of it; those of which it makes None are left out.

    `on_change` is called with what was there before and what is now, on the informer's thread. A resource: start() and
    stop() it.
    """

    def __init__(
        self,
        cluster: Cluster,
        path: str,
        selector: str,
        read: Callable[[Json], T | None],
        on_change: Callable[[T | None, T | None], None] | None = None,
    ) -> None:
        self._cluster = cluster
        self._path = path
        self._query = {"labelSelector": selector} if selector else {}
        self._read = read
        self._on_change = on_change
        self._lock = threading.Lock()
        self._known: dict[str, T] = {}
        self._waiting: defaultdict[str, set[threading.Event]] = defaultdict(set)
        self._tried, self._synced = threading.Event(), threading.Event()
        self._stopping = threading.Event()
        self._version: str | None = None
        self._listed = self._alive = -float("inf")
        self._broken = float("inf")
        self._error = EngineError("the cluster was not looked at yet")
        self._stream: Stream | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to watch; a second time does nothing."""
        with self._lock:
            if self._thread is not None or self._stopping.is_set():
                return
            self._thread = threading.Thread(target=self._run, name=f"informer {self._path}", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ends the watch, and every wait."""
        self._stopping.set()
        with self._lock:
            stream, thread = self._stream, self._thread
            waiting = [event for events in self._waiting.values() for event in events]
        if stream is not None:
            stream.close()
        for event in waiting:
            event.set()
        if thread is not None:
            thread.join(5)

    def check(self, seconds: float = 10) -> None:
        """Returns where what is known is true; raises EngineError where the cluster was not heard of lately.

        Begins to watch at the first time.
        """
        self.start()
        self._tried.wait(seconds)
        now = time.monotonic()
        if not self._synced.is_set() or now - self._alive > _FRESH_SECONDS or now - self._broken > _BORNE_SECONDS:
            raise self._error

    def get(self, key: str) -> T | None:
        """What there is of that key."""
        return self._known.get(key)

    def all(self) -> list[T]:
        """All there are."""
        with self._lock:
            return list(self._known.values())

    def wait(self, key: str, wanted: Callable[[T | None], bool], seconds: float) -> T | None:
        """What there is of that key as soon as `wanted` says so of it, or when the time is over."""
        deadline = time.monotonic() + seconds
        event = threading.Event()
        with self._lock:
            self._waiting[key].add(event)
        try:
            while True:
                event.clear()
                found = self._known.get(key)
                left = deadline - time.monotonic()
                if wanted(found) or left <= 0 or self._stopping.is_set():
                    return found
                event.wait(left)
        finally:
            with self._lock:
                self._waiting[key].discard(event)
                if not self._waiting[key]:
                    del self._waiting[key]

    def _run(self) -> None:
        pause = _SHORTEST_PAUSE
        while not self._stopping.is_set():
            try:
                if self._version is None or time.monotonic() - self._listed > _RESYNC_SECONDS:
                    self._list()
                self._follow()
                pause = _SHORTEST_PAUSE
                continue
            except EngineError as error:
                self._error = error
                self._broken = min(self._broken, time.monotonic())
                self._tried.set()
                if isinstance(error, Denied) and error.code == _GONE:
                    self._version = None
                log.warning("the watch was interrupted", path=self._path, error=error.message)
            except Exception:  # nobody else would watch
                self._version = None
                log.exception("watching failed", path=self._path)
            # Not all at once, where many have lost the same server.
            self._stopping.wait(pause * random.uniform(0.5, 1))  # noqa: S311
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _list(self) -> None:
        there = set()
        for page, version in self._cluster.pages(self._path, self._query):  # noqa: B007 - the last one counts
            for each in page:
                there.add(_key(each))
                self._change(_key(each), self._read(each))
        for key in [key for key in self._known if key not in there]:
            self._change(key, None)
        self._version = version
        self._listed = self._alive = time.monotonic()
        self._synced.set()
        self._tried.set()

    def _follow(self) -> None:
        query: dict[str, str | int] = {
            **self._query, "watch": "true", "resourceVersion": self._version or "0", "allowWatchBookmarks": "true",
            "timeoutSeconds": WATCH_SECONDS,
        }  # fmt: skip
        stream = self._cluster.stream(self._path, query, quiet_seconds=WATCH_SECONDS + _SPARE_SECONDS)
        with self._lock:
            self._stream = stream
        if self._stopping.is_set():
            stream.close()
        self._alive, self._broken = time.monotonic(), float("inf")
        for line in stream:
            if line:
                self._take(line)
            self._alive = time.monotonic()
        self._alive = time.monotonic()

    def _take(self, line: bytes) -> None:
        event: Any = json.loads(line)
        kind, found = event["type"], event["object"]
        if kind == "ERROR":
            raise Denied(f"the watch ended: {str(found.get('message'))[:500]}", int(found.get("code") or 500))
        if kind in ("ADDED", "MODIFIED"):
            self._change(_key(found), self._read(found))
        elif kind == "DELETED":
            self._change(_key(found), None)
        self._version = found["metadata"]["resourceVersion"]

    def _change(self, key: str, now: T | None) -> None:
        with self._lock:
            before = self._known.pop(key, None)
            if now is not None:
                self._known[key] = now
            woken = list(self._waiting.get(key, ()))
        for event in woken:
            event.set()
        if self._on_change is not None:
            self._on_change(before, now)


def _key(found: Json) -> str:
    meta = found["metadata"]
    return f"{meta.get('namespace', '')}/{meta['name']}"
