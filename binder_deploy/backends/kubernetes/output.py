"""What pods print, and what happens to them, as it comes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

from binder_deploy.backends import Line
from binder_deploy.backends.kubernetes.answers import Denied
from binder_deploy.backends.kubernetes.cluster import Cluster, Query, Stream
from binder_deploy.backends.kubernetes.objects import CONTAINER
from binder_deploy.backends.kubernetes.reading import moment
from binder_protocol.errors import EngineError, NoRecord

_QUIET_SECONDS = 60.0
_RETRY_SECONDS = 0.5
_LONGEST_LINE = 65_536
_ALL_BYTES = 32 * 2**20
_HINTS = 10_000
_LOOK_SECONDS = 5.0


class KubernetesLines:
    """A pod's log. A follower whose connection breaks, or says nothing for long, goes on where it was: by the time
    stamps, which the kubelet gives each line in billionths of a second.
    """

    def __init__(
        self, cluster: Cluster, path: str, runs: Callable[[], bool], *, follow: bool, tail: int | None
    ) -> None:
        """`runs` tells whether more may come."""
        self._cluster = cluster
        self._path = path
        self._runs = runs
        self._follow = follow
        self._tail = tail
        self._last = ""
        self._closed = threading.Event()
        self._stream: Stream | None = self._open()

    def __iter__(self) -> Iterator[Line]:
        more = True
        while more and not self._closed.is_set():
            # In this order: what is printed before the end is in what is read after it was seen to have ended.
            more = self._follow and self._runs()
            yield from self._as_far_as_it_goes()
            if more and not self._closed.wait(_RETRY_SECONDS):
                self._reopen()

    def close(self) -> None:
        self._closed.set()
        if self._stream is not None:
            self._stream.close()

    def _as_far_as_it_goes(self) -> Iterator[Line]:
        if self._stream is None:
            return
        try:
            yield from self._lines(self._stream)
        except EngineError:
            if not self._follow:
                raise

    def _reopen(self) -> None:
        try:
            self._stream = self._open()
        except (NoRecord, EngineError):
            self._stream = None

    def _lines(self, stream: Stream) -> Iterator[Line]:
        if self._closed.is_set():
            stream.close()
        for raw in stream:
            stamp, _, text = raw.decode("utf-8", "replace").partition(" ")
            if self._last and stamp <= self._last:
                continue
            self._last = stamp
            yield Line(_readable(text), moment(stamp))

    def _open(self) -> Stream | None:
        """None where there is no log yet. Raises NoRecord where there will be none."""
        query: dict[str, str | int] = {"container": CONTAINER, "timestamps": "true"}
        if self._follow:
            query["follow"] = "true"
        else:
            query["limitBytes"] = _ALL_BYTES
        if self._last:
            query["sinceTime"] = self._last
        elif self._tail is not None:
            query["tailLines"] = self._tail
        return open_log(self._cluster, self._path, query)


def open_log(cluster: Cluster, path: str, query: Query) -> Stream | None:
    """The log at `path`; None where nothing was printed yet. Raises NoRecord."""
    try:
        return cluster.stream(path, query, quiet_seconds=_QUIET_SECONDS)
    except Denied as error:
        if error.code == 404:
            raise NoRecord("nothing is kept of what the application printed") from None
        if error.code == 400:  # its container is not there yet
            return None
        raise


class KubernetesEndings:
    """Hints, put in by the informer. What nobody takes is dropped: what is true is told by `instances`."""

    def __init__(self, check: Callable[[], None], on_close: Callable[[KubernetesEndings], None]) -> None:
        """`check` raises EngineError where the cluster was not heard of lately."""
        self._ids: queue.Queue[str | None] = queue.Queue(_HINTS)
        self._check = check
        self._on_close = on_close
        self._closed = threading.Event()

    def put(self, identity: str | None) -> None:
        try:
            self._ids.put_nowait(identity)
        except queue.Full:
            return

    def __iter__(self) -> Iterator[str]:
        while not self._closed.is_set():
            try:
                identity = self._ids.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                self._check()
                continue
            if identity is not None:
                yield identity

    def close(self) -> None:
        self._closed.set()
        self.put(None)
        self._on_close(self)


def _readable(text: str) -> str:
    return text[:_LONGEST_LINE].rstrip("\r\n").replace("\0", "\N{REPLACEMENT CHARACTER}")
