"""The clock on the wall may be set while applications run: their times are set with it, so that their ages stay true.

How long something took within this process is measured by a clock that only goes forward. What must outlive a process,
the times in records, is by the clock on the wall, which people and other programs go by, too. When that one jumps, the
records move along: what was used five minutes ago was used five minutes ago by the new time as well. A machine that was
suspended looks like a jump: nobody could use anything meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from binder_deploy.records import Record

TOLERANCE = timedelta(seconds=5)
"""What is less is no jump: clocks are kept right by small steps."""


def _wall() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Look:
    """`now` is the time on the wall, `jump` how far that was set since the look before, `elapsed` how long that is.

    `steady` is the same moment by the clock that only goes forward.
    """

    now: datetime
    steady: float = 0.0
    jump: timedelta = timedelta(0)
    elapsed: timedelta = timedelta(0)


class Clocks:
    """Compares the clock on the wall with the one that only goes forward. `drift` is the sum of all jumps."""

    def __init__(self, wall: Callable[[], datetime] = _wall, steady: Callable[[], float] = time.monotonic) -> None:
        self.drift = timedelta(0)
        self._wall = wall
        self._steady = steady
        self._before: Look | None = None

    def look(self) -> Look:
        """What happened since the last look that was settled; nothing at the first one."""
        now, steady = self._wall(), self._steady()
        if self._before is None:
            return Look(now, steady)
        elapsed = timedelta(seconds=steady - self._before.steady)
        jump = now - self._before.now - elapsed
        return Look(now, steady, jump if abs(jump) > TOLERANCE else timedelta(0), elapsed)

    def settle(self, look: Look) -> None:
        """What it told was attended to."""
        self.drift += look.jump
        self._before = look

    def forget(self) -> None:
        """Others have looked meanwhile, and attended to what there was."""
        self._before = None


def is_ahead(record: Record, now: datetime) -> bool:
    """Whether something of it has not happened yet, by this clock: it was set back while nobody looked."""
    past = (record.created, record.since, record.last_activity)
    return any(each is not None and each > now + TOLERANCE for each in past)


def set_right(record: Record, look: Look) -> Record:
    """The record with its times by the clock as it is now.

    What was written since the look before may have been written before the jump or after it: what can be of the new
    time is taken to be.
    """

    def moved(moment: datetime) -> datetime:
        fresh = look.now - look.elapsed - TOLERANCE <= moment <= look.now
        return moment if fresh else min(moment + look.jump, look.now)

    active, extended = record.last_activity, record.extended_until
    return replace(
        record,
        created=moved(record.created),
        since=moved(record.since),
        last_activity=None if active is None else moved(active),
        extended_until=None if extended is None else extended + look.jump,
    )
