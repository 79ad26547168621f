"""Logs that several services share: a file while the build runs here, copied into the database as it grows."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from binder_build.logs.archive import LogArchive
from binder_build.logs.log import LogName, Logs, LogWriter
from binder_build.logs.tail import Tail
from binder_protocol.errors import BinderError, Conflict
from binder_protocol.service.work import Loop

log = structlog.get_logger()

_SHIP_SECONDS = 0.5
_PIECE = 256 * 1024
_LOOK_SECONDS = 1.0


class SharedLogs(Logs):
    """What runs here is read from its file and its tail, everything else from the database. A resource.

    Others see a line half a second after it was written, and followers of theirs look once a second. With the death of
    a service the last half second of its logs is lost.
    """

    def __init__(self, directory: Path, archive: LogArchive, *, limit: int) -> None:
        super().__init__(directory, limit=limit)
        self._archive = archive
        self._open: dict[LogName, SharedWriter] = {}
        self._loop = Loop("log-archive", self.ship, every=_SHIP_SECONDS, longest=5)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        """What can't be written now stays unwritten."""
        self._loop.stop()
        self.ship()

    def write(self, name: LogName) -> LogWriter:
        """Goes on with a log, whoever began it. Raises Unavailable where the database doesn't answer."""
        path = self._path(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        size = self._restore(name, path)
        number = self._archive.next_writer(name)

        def ship(start: int, data: bytes) -> None:
            self._archive.add(name, number, start, data)

        def gone() -> None:
            self._forget(name, path)

        writer = SharedWriter(path, self.tail(name), self._limit, shipped=size, ship=ship, gone=gone)
        self._open[name] = writer
        return writer

    def chunk(self, name: LogName, offset: int) -> tuple[list[bytes], int]:
        """Whole lines from `offset` on, some 256 KiB at most, and where the next ones start."""
        if name in self._open:
            return super().chunk(name, offset)
        data = self._archive.read(name, offset)
        return data.splitlines(), offset + len(data)

    def look_seconds(self, name: LogName) -> float:
        """How often a follower has to look for lines that nobody tells it of."""
        return super().look_seconds(name) if name in self._open else _LOOK_SECONDS

    def keep(self, build: str, newest: int) -> None:
        """Removes the logs of `build` but those of its newest attempts."""
        self._archive.keep(build, newest)

    def remove(self, build: str) -> None:
        """Removes all logs of a name."""
        self._archive.remove(build)

    def ship(self) -> None:
        """Copies what is new; whatever the database doesn't take now it is given again."""
        for name, writer in list(self._open.items()):
            try:
                writer.ship()
            except BinderError as error:
                log.warning("a log waits to be kept", build=name.build, attempt=name.attempt, error=error.message)

    def _restore(self, name: LogName, path: Path) -> int:
        size = 0
        with path.open("xb") as file:
            while data := self._archive.read(name, size):
                size += file.write(data)
        return size

    def _forget(self, name: LogName, path: Path) -> None:
        self._open.pop(name, None)
        path.unlink(missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()


class SharedWriter(LogWriter):
    """A writer whose lines are copied by `ship(start, data)`; `gone` is called when all are and it is closed."""

    def __init__(
        self,
        path: Path,
        tail: Tail,
        limit: int,
        *,
        shipped: int,
        ship: Callable[[int, bytes], None],
        gone: Callable[[], None],
    ) -> None:
        super().__init__(path, tail, limit)
        self._shipped = shipped
        self._ship = ship
        self._gone = gone
        self._closed = False
        self._shipping = threading.Lock()

    def ship(self) -> None:
        """Copies what is new. Raises what the database raises."""
        with self._shipping:
            try:
                while data := self._news():
                    self._ship(self._shipped, data)
                    self._shipped += len(data)
            except Conflict:
                self._shipped = self._size  # the log is another service's now
            if self._closed and self._file >= 0:
                super().close()
                self._file = -1
                if not self._ended:
                    self._tail.forget()
                self._gone()

    def close(self) -> None:
        """Copies the rest. Where the database doesn't take it now, it is tried again."""
        self._closed = True
        try:
            self.ship()
        except BinderError as error:
            log.warning("a log waits to be kept", error=error.message)

    def _news(self) -> bytes:
        if self._file < 0:
            return b""
        data = os.pread(self._file, _PIECE, self._shipped)
        return data[: data.rfind(b"\n") + 1]
