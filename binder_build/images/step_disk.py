"""What running steps write to their images, seen from this host: BuildKit has no limit for it. One that writes too much
is ended.

A step's changes lie in the upper directory of the overlay that its processes have as their root. Cache mounts, which
outlive the step, are not counted.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from binder_build.images.cgroup import StepGroups

_EVERY_SECONDS = 2.0
_REST = 20  # a look is followed by a rest of so many times what it took


class StepDisk:
    """The steps of `groups`. May be asked by several threads."""

    def __init__(self, groups: StepGroups, proc: Path = Path("/proc")) -> None:
        self._groups = groups
        self._proc = proc
        self._lock = threading.Lock()
        self._due = 0.0
        self._ended = 0

    def hold(self, limit: int, images: Path) -> None:
        """Ends the steps that have written more than `limit` bytes; to be called again and again.

        `images` is the engine's directory.
        """
        if not self._lock.acquire(blocking=False):
            return
        try:
            began = time.monotonic()
            if began < self._due:
                return
            for processes in self._groups.processes():
                upper = self._upper(processes, images)
                if upper is not None and written(upper, limit) > limit:
                    self._ended += 1
                    _end(processes)
            now = time.monotonic()
            self._due = now + max(_EVERY_SECONDS, _REST * (now - began))
        finally:
            self._lock.release()

    def took_one(self) -> bool:
        """Whether a step was ended here that no earlier call told of."""
        with self._lock:
            self._ended, found = max(0, self._ended - 1), self._ended > 0
            return found

    def _upper(self, processes: Iterable[int], images: Path) -> Path | None:
        for process in processes:
            with suppress(OSError):  # it has ended
                found = upper_of((self._proc / str(process) / "mountinfo").read_text())
                if found is not None:
                    return images / "overlay2" / found
        return None


def upper_of(mountinfo: str) -> str | None:
    """The upper directory of the root; one that isn't absolute begins in the directory of all layers (proc(5))."""
    for line in mountinfo.splitlines():
        mount, _, file_system = line.partition(" - ")
        words = file_system.split()
        if len(words) == 3 and words[0] == "overlay" and mount.split()[4] == "/":
            options = dict(each.partition("=")[::2] for each in words[2].split(","))
            return options.get("upperdir")
    return None


def written(directory: Path, most: int) -> int:
    """The bytes on the disk of all that is in `directory`; counted until they are more than `most`."""
    total, waiting, linked = 0, [str(directory)], set()
    while waiting and total <= most:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:  # what is there goes away again
            for entry in entries:
                with suppress(OSError):
                    facts = entry.stat(follow_symlinks=False)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif facts.st_nlink > 1:
                        if facts.st_ino in linked:
                            continue
                        linked.add(facts.st_ino)
                    total += facts.st_blocks * 512
    return total


def _end(processes: Iterable[int]) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
