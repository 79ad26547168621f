"""Log files of the programs: their last lines, and what comes after, across rotations."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_TAIL_BYTES = 1_048_576
_LONGEST_LINE = 65_536


def tail(file: Path, lines: int) -> list[str]:
    """The last `lines` lines; none where there is no file. Only the last MiB is read."""
    try:
        with file.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            start = max(0, size - _TAIL_BYTES)
            log.seek(start)
            found = deque(log.read(_TAIL_BYTES).splitlines(), maxlen=lines + 1)
    except FileNotFoundError:
        return []
    return [_text(line) for line in found][-lines:] if lines else []


class Follower:
    """Reads what is added to a log file. `new_lines` never waits, and goes on in the next file after a rotation."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._log: IO[bytes] | None = None
        self._rest = b""
        self._open(at_end=True)

    def new_lines(self) -> list[str]:
        """The complete lines that came since the last call."""
        if self._log is None:
            self._open()
        lines = self._read()
        if self._log is not None and self._rotated(self._log):
            # What was written to the old file between the reading and the look has still to be read.
            lines += self._read()
            self._log.close()
            self._open()
            lines += self._read()
        return lines

    def close(self) -> None:
        if self._log is not None:
            self._log.close()

    def _open(self, *, at_end: bool = False) -> None:
        try:
            self._log = self._file.open("rb")
        except FileNotFoundError:
            self._log = None
            return
        if at_end:
            self._log.seek(0, os.SEEK_END)

    def _read(self) -> list[str]:
        if self._log is None:
            return []
        *lines, self._rest = (self._rest + self._log.read(_TAIL_BYTES)).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            lines.append(self._rest)
            self._rest = b""
        return [_text(line) for line in lines]

    def _rotated(self, log: IO[bytes]) -> bool:
        try:
            now = self._file.stat()
        except FileNotFoundError:
            return False
        then = os.fstat(log.fileno())
        return now.st_ino != then.st_ino or now.st_size < log.tell()


def follow(files: dict[str, Path], *, every: float = 0.2) -> Iterator[tuple[str, str]]:
    """Name and line of everything that is added to these files, for ever."""
    followers = {name: Follower(file) for name, file in files.items()}
    try:
        while True:
            for name, follower in followers.items():
                for line in follower.new_lines():
                    yield name, line
            time.sleep(every)
    finally:
        for follower in followers.values():
            follower.close()


def _text(line: bytes) -> str:
    """A line for a terminal: what isn't UTF-8 or is a control character is shown, not obeyed."""
    text = line[:_LONGEST_LINE].decode("utf-8", errors="backslashreplace").rstrip("\r")
    return "".join(each if each == "\t" or each.isprintable() else f"\\x{ord(each):02x}" for each in text)
