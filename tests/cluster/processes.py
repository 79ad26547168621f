"""Processes that outlive who started them, known by process id and time of start."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Processes:
    """A file per process in `pids`, its output in `logs`. A later process that got the same id is never touched."""

    pids: Path
    logs: Path

    def start(self, name: str, command: Sequence[str]) -> None:
        """Starts it, unless it runs."""
        if self.alive(name):
            return
        with (self.logs / f"{name}.log").open("ab") as log:
            streams: list[tuple[object, ...]] = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
            streams += [(os.POSIX_SPAWN_DUP2, log.fileno(), number) for number in (1, 2)]
            # Not a Popen, which is there to be waited for: this one is to stay.
            pid = os.posix_spawnp(command[0], list(command), os.environ, file_actions=streams, setsid=True)
        (self.pids / name).write_text(f"{pid} {born(pid)}\n")

    def alive(self, name: str) -> bool:
        """Whether the process runs that was started under this name."""
        pid, since = self._recorded(name)
        return since != "" and born(pid) == since

    def any(self) -> bool:
        """Whether any process runs."""
        return any(self.alive(each.name) for each in self.pids.glob("*"))

    def stop(self, name: str, *, within: float = 10) -> None:
        """Asks it to end, and kills it where it hasn't within these seconds. Stopping what doesn't run is fine."""
        pid, since = self._recorded(name)
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            try:
                # The handle is held: from here on this id can't become another process's.
                if since and born(pid) == since:
                    _end(handle, within)
            finally:
                os.close(handle)
        (self.pids / name).unlink(missing_ok=True)

    def log(self, name: str) -> str:
        """The last lines that it printed."""
        with suppress(OSError):
            return (self.logs / f"{name}.log").read_text(errors="replace")[-1500:]
        return ""

    def _recorded(self, name: str) -> tuple[int, str]:
        try:
            pid, since = (self.pids / name).read_text().split()
            return int(pid), since
        except (OSError, ValueError):
            return os.getpid(), ""


def born(pid: int) -> str:
    """When the process was started, in ticks since the machine was; empty where there is none, or a dead one."""
    try:
        # The second field, a name in brackets, may contain anything.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _end(handle: int, within: float) -> None:
    for number, seconds in ((signal.SIGTERM, within), (signal.SIGKILL, 5)):
        signal.pidfd_send_signal(handle, number)
        if select.select([handle], [], [], seconds)[0]:
            return
