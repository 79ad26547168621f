"""Build logs: one file of JSON lines for each attempt, with ids from 1 without a gap, that only grows."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import structlog

from binder_build.logs.tail import Tail
from binder_protocol.models import LogLine
from binder_protocol.service.logs import without_credentials
from binder_protocol.service.streams import END, Event

log = structlog.get_logger()

_CHUNK = 256 * 1024
_LONGEST_TEXT = 4_000
_RESERVE = 32 * 1024
_LOOK_SECONDS = 15.0
_UNFIT = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_ID = re.compile(rb'\{"id":([0-9]{1,15})[,}]')


@dataclass(frozen=True, slots=True)
class LogName:
    """Which log: that of one attempt at a build. `build` is a DNS label, and so a plain file name."""

    build: str
    attempt: int


class Logs:
    """All logs below one directory, each at most about `limit` bytes."""

    def __init__(self, directory: Path, *, limit: int) -> None:
        self._directory = directory
        self._limit = limit
        self._lock = threading.Lock()
        self._tails: WeakValueDictionary[LogName, Tail] = WeakValueDictionary()

    def write(self, name: LogName) -> LogWriter:
        """Goes on with a log, or starts it."""
        path = self._path(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return LogWriter(path, self.tail(name), self._limit)

    def tail(self, name: LogName) -> Tail:
        """The growing end of a log, shared by its writer and all who follow it."""
        with self._lock:
            tail = self._tails.get(name)
            if tail is None:
                tail = self._tails[name] = Tail()
            return tail

    def chunk(self, name: LogName, offset: int) -> tuple[list[bytes], int]:
        """Whole lines from `offset` on, some 256 KiB at most, and where the next ones start."""
        try:
            with self._path(name).open("rb") as file:
                file.seek(offset)
                data = file.read(_CHUNK)
        except FileNotFoundError:
            return [], offset
        whole = data[: data.rfind(b"\n") + 1]
        return whole.splitlines(), offset + len(whole)

    def chunks(self, name: LogName) -> Iterator[list[bytes]]:
        """The lines that the log has by now, many at a time."""
        lines, offset = self.chunk(name, 0)
        while lines:
            yield lines
            lines, offset = self.chunk(name, offset)

    def look_seconds(self, _name: LogName) -> float:
        """How often a follower has to look for lines that nobody tells it of."""
        return _LOOK_SECONDS

    def keep(self, build: str, newest: int) -> None:
        """Removes the logs of `build` but those of its newest attempts."""
        with suppress(FileNotFoundError):
            numbers = sorted(int(each.stem) for each in (self._directory / build).iterdir() if each.stem.isdecimal())
            for number in numbers[:-newest]:
                self._path(LogName(build, number)).unlink(missing_ok=True)

    def remove(self, build: str) -> None:
        """Removes all logs of a name."""
        shutil.rmtree(self._directory / build, ignore_errors=True)

    def _path(self, name: LogName) -> Path:
        return self._directory / name.build / f"{name.attempt}.jsonl"


class LogWriter:
    """Writes one log: each line is in the file before anybody is shown it. Threads may share one.

    Output beyond the limit is dropped, as is what the disk has no room for, and the log says so; what tells about the
    build itself (phases, steps, the end) still gets in.
    """

    def __init__(self, path: Path, tail: Tail, limit: int) -> None:
        self._tail = tail
        self._limit = limit
        self._lock = threading.Lock()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size, self._last = _whole_part(self._file)
        self._lost = 0
        self._ended = False

    def add(self, **fields: Any) -> None:
        """Adds a LogLine of these fields; id and time are given to it. Long and unfit text is made fit."""
        with self._lock:
            kind = fields.get("kind", "line")
            if self._ended or (kind == "line" and self._lost and not self._has_room()):
                self._lost += not self._ended
                return
            if kind == "line" and self._size + _RESERVE > self._limit:
                self._lost += 1
                self._put(kind="note", text=f"the log reached its limit of {self._limit} bytes; more output isn't kept")
                return
            self._put(**fields)

    def end(self, status: str, text: str) -> None:
        """Adds the last line. Followers see it even where the disk takes no more."""
        with self._lock:
            if not self._ended:
                self._put(kind="end", status=status, text=text)
                self._ended = True

    def close(self) -> None:
        """Gives the file back."""
        with self._lock:
            os.close(self._file)

    def _has_room(self) -> bool:
        return self._size + _RESERVE <= self._limit

    def _put(self, **fields: Any) -> None:
        if fields.get("text"):
            fields["text"] = fit(fields["text"])
        line = LogLine(id=self._last + 1, time=datetime.now(UTC), **fields)
        data = line.model_dump_json(by_alias=True, exclude_none=True)
        if not self._written(data.encode() + b"\n") and line.kind != "end":
            self._lost += 1
            return
        self._last += 1
        self._tail.add(self._last, event_of(self._last, data, END if line.kind == "end" else "message"))

    def _written(self, data: bytes) -> bool:
        try:
            if os.pwrite(self._file, data, self._size) == len(data):
                self._size += len(data)
                return True
            os.ftruncate(self._file, self._size)
        except OSError as error:
            if not self._lost:
                log.warning("a build's log can't be written", error=str(error))
        return False


def event_of(number: int, data: str, kind: str = "message") -> Event:
    """One line as an event that a follower can resume after."""
    return Event(str(number), kind, data)


def parsed(line: bytes) -> Event:
    """The event that a line of a file stands for."""
    found = _ID.match(line)
    number = int(found[1]) if found else 0
    return event_of(number, line.decode("utf-8", "replace"), END if b'"kind":"end"' in line[:120] else "message")


def fit(text: str) -> str:
    """`text` on one line, of bounded length, without what a terminal or a reader would obey, and without secrets."""
    short = text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"
    return without_credentials(_UNFIT.sub("\ufffd", short))


def as_text(line: LogLine) -> str:
    """A line for people."""
    took = "" if line.seconds is None else f" ({line.seconds:.1f} s)"
    match line.kind:
        case "phase":
            return f"== {line.phase}"
        case "step":
            return f"-- {line.step or line.text}: {line.status}{took}"
        case "note":
            return f"** {line.text}"
        case "end":
            return f"== {line.status}{': ' + line.text if line.text else ''}"
    return line.text


def _whole_part(file: int) -> tuple[int, int]:
    """The length of a log and its last id, after a death in the middle of a line."""
    size = os.fstat(file).st_size
    start = max(0, size - _CHUNK)
    data = os.pread(file, size - start, start)
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) != len(data):
        os.ftruncate(file, start + len(whole))
    lines = whole.splitlines()
    found = _ID.match(lines[-1]) if lines else None
    return start + len(whole), int(found[1]) if found else 0
