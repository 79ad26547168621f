"""Limits for the steps of builds: memory, CPU and processes, by control groups on this host's engine.

BuildKit has no limits of its own for RUN steps on the local engine, but puts the group of each below a parent that
it is told. The parent's name is part of what it caches a step by, so there is one for all builds; the groups of
single steps get their limits a tick after they appear, and until then are held by the parent's. This works where the
engine is on this host, manages groups itself (driver cgroupfs) and this process may write them; elsewhere there are
no such limits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
NAME = "binder-build"
_CPU_PERIOD = 100_000


@dataclass(frozen=True, slots=True)
class StepLimits:
    """What one running step may take: bytes, cores, processes; None is no limit."""

    memory: int | None = None
    cpus: float | None = None
    pids: int | None = 8_192

    def times(self, count: int) -> StepLimits:
        """What `count` steps may take together."""
        return StepLimits(
            None if self.memory is None else self.memory * count,
            None if self.cpus is None else self.cpus * count,
            None if self.pids is None else self.pids * count,
        )

    def files(self, *, unified: bool) -> list[tuple[str, str, str]]:
        """The values to write, as controller, file, text; those of a unified hierarchy have no controller."""
        found: list[tuple[str, str, str]] = []
        if self.memory is not None:
            text = str(self.memory)
            if unified:
                found += [("", "memory.max", text), ("", "memory.swap.max", "0")]
            else:
                found += [("memory", "memory.limit_in_bytes", text), ("memory", "memory.memsw.limit_in_bytes", text)]
        if self.cpus is not None:
            quota = str(int(self.cpus * _CPU_PERIOD))
            if unified:
                found.append(("", "cpu.max", f"{quota} {_CPU_PERIOD}"))
            else:
                found += [("cpu", "cpu.cfs_period_us", str(_CPU_PERIOD)), ("cpu", "cpu.cfs_quota_us", quota)]
        if self.pids is not None:
            found.append(("" if unified else "pids", "pids.max", str(self.pids)))
        return found


class StepGroups:
    """The groups of this host's build steps. `root` is where the kernel shows control groups."""

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._unified = (root / "cgroup.controllers").exists()
        self._lock = threading.Lock()
        self._users = 0

    def enter(self, limits: StepLimits, builds: int) -> str | None:
        """The parent for the steps of a build, limited to what `builds` of them may take; None where there is none.

        To be left again with `leave`, whatever was answered.
        """
        with self._lock:
            self._users += 1
            try:
                wanted = limits.times(builds).files(unified=self._unified)
                # Memory alone may not be allowed more than both together, which an earlier limit would forbid.
                lifted = [(controller, file, "-1") for controller, file, _ in wanted if "memsw" in file]
                for controller, file, text in (*lifted, *wanted):
                    (self._root / controller / NAME).mkdir(exist_ok=True)
                    _write(self._root / controller / NAME / file, text)
            except OSError:
                return None
        return f"/{NAME}"

    def apply(self, limits: StepLimits) -> None:
        """Limits the steps that run now; to be called again and again."""
        for controller, file, text in limits.files(unified=self._unified):
            parent = self._root / controller / NAME / "buildkit"
            with suppress(OSError):  # a step that ends takes its group with it
                for step in parent.iterdir():
                    if step.is_dir():
                        _write(step / file, text)

    def processes(self) -> Iterator[list[int]]:
        """The processes of each step that runs now."""
        parent = self._root / ("" if self._unified else "pids") / NAME / "buildkit"
        with suppress(OSError):  # a step that ends takes its group with it
            for step in parent.iterdir():
                if step.is_dir():
                    yield [int(each) for each in (step / "cgroup.procs").read_text().split()]

    def leave(self) -> None:
        """Removes the groups when the last build of this process has left, as far as no other one uses them."""
        with self._lock:
            self._users -= 1
            if self._users:
                return
            deadline = time.monotonic() + 1.0
            places = [self._root / NAME, *(each / NAME for each in self._root.iterdir() if each.is_dir())]
            while (places := [place for place in places if not _removed(place)]) and time.monotonic() < deadline:
                time.sleep(0.02)  # the kernel lets go of a group a moment after its last process


def _write(place: Path, text: str) -> None:
    # Swap is accounted for by some kernels only, and no limit may be below what is in use.
    with suppress(OSError if "sw" in place.name else FileNotFoundError):
        place.write_text(text)


def _removed(place: Path) -> bool:
    try:
        for below in sorted((each for each in place.rglob("*") if each.is_dir()), reverse=True):
            below.rmdir()
        place.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
