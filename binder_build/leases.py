"""Who runs which attempt: leases that a living service renews, so that a dead one's attempts are taken up again."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import select, update

from binder_build.queue import next_to_start
from binder_build.records import Attempt
from binder_build.store import ATTEMPTS, QUEUED, RUNNING, attempt_of, columns_of, turns
from binder_protocol.models import BuildPhase, BuildStatus, Failure
from binder_protocol.service.leases import Clock, Stillness
from binder_protocol.service.storage import Database


class Leases:
    """The leases of one run of one service. `place` names what only one service at a time can hold, as its home.

    A lease has run out when its row has not changed for `seconds` by the clock of whoever looks, so that a service
    whose clock is wrong loses nothing.
    Whoever starts at a place knows that all leases given there before are void.
    """

    def __init__(
        self, database: Database, *, place: str, run: str, seconds: float, clock: Clock = time.monotonic
    ) -> None:
        self._database = database
        self._place = f"{place}#"
        self._owner = f"{place}#{run}"
        self._seconds = seconds
        self._stillness: Stillness[int] = Stillness(seconds, clock)

    def claim(self) -> Attempt | None:
        """Starts the attempt whose turn it is, or returns None."""
        with self._database.reading() as connection:
            if next_to_start(*turns(connection)) is None:
                return None
        with self._database.session() as connection:
            self._database.take_turn(connection, "queue")
            chosen = next_to_start(*turns(connection))
            if chosen is None:
                return None
            row = connection.execute(
                update(ATTEMPTS)
                .where(ATTEMPTS.c.id == chosen.id, ATTEMPTS.c.status == QUEUED)
                .values(
                    status=RUNNING,
                    phase=BuildPhase.FETCHING.value,
                    tries=ATTEMPTS.c.tries + 1,
                    lease_owner=self._owner,
                    lease_until=time.time() + self._seconds,
                )
                .returning(*ATTEMPTS.c)
            ).one_or_none()
            return None if row is None else attempt_of(row)

    def renew(self, attempts: Collection[int]) -> None:
        """Holds these for another while."""
        with self._database.session() as connection:
            mine = update(ATTEMPTS).where(ATTEMPTS.c.id.in_(attempts), ATTEMPTS.c.lease_owner == self._owner)
            connection.execute(mine.values(lease_until=time.time() + self._seconds))

    def to_stop(self, attempts: Collection[int]) -> dict[int, str]:
        """Which of these have to stop, and why: `cancelled`, or `lost` where another service took them."""
        columns = (ATTEMPTS.c.id, ATTEMPTS.c.cancelling, ATTEMPTS.c.lease_owner)
        with self._database.reading() as connection:
            rows = connection.execute(select(*columns).where(ATTEMPTS.c.id.in_(attempts))).all()
        lost = {row.id: "lost" for row in rows if row.lease_owner != self._owner}
        return {row.id: "cancelled" for row in rows if row.cancelling} | lost

    def put_back(self, attempt: Attempt) -> None:
        """The attempt waits again, as if it had never been started: the service stops in good order."""
        with self._database.session() as connection:
            again = {
                "tries": attempt.tries - 1,
                "status": QUEUED,
                "phase": BuildPhase.QUEUED.value,
                "lease_owner": None,
            }
            mine = (ATTEMPTS.c.id == attempt.id, ATTEMPTS.c.lease_owner == self._owner)
            connection.execute(update(ATTEMPTS).where(*mine).values(**again))

    def take_up(self, *, restarts: int, failure: Failure) -> list[Attempt]:
        """The attempts of dead services, as they are now: they wait again, or have ended. To be called often.

        Those started more than `restarts` times before end with `failure`, those to be cancelled as cancelled.
        """
        columns = (ATTEMPTS.c.id, ATTEMPTS.c.lease_owner, ATTEMPTS.c.lease_until)
        with self._database.reading() as connection:
            running = connection.execute(select(*columns).where(ATTEMPTS.c.status == RUNNING)).all()
        leases = {row.id: (row.lease_owner, row.lease_until) for row in running}
        dead = self._stillness.still(leases) | {row.id for row in running if self._is_void(row.lease_owner)}
        return self._end({each: leases[each] for each in dead}, restarts, failure) if dead else []

    def _is_void(self, owner: str | None) -> bool:
        return owner is None or (owner.startswith(self._place) and owner != self._owner)

    def _end(self, dead: Mapping[int, tuple[str, float]], restarts: int, failure: Failure) -> list[Attempt]:
        """Of several services that do this at once one finds each attempt as it was."""
        wanted = select(ATTEMPTS).where(ATTEMPTS.c.id.in_(dead), ATTEMPTS.c.status == RUNNING)
        with self._database.session() as connection:
            rows = connection.execute(wanted.order_by(ATTEMPTS.c.id).with_for_update()).all()
            found = [attempt_of(row) for row in rows if (row.lease_owner, row.lease_until) == dead[row.id]]
            taken = [replace(each, **_fate(each, restarts, failure)) for each in found]
            for each in taken:
                facts = {"status": each.status, "phase": each.phase, "end": each.end, "failure": each.failure}
                values = columns_of(facts) | {"lease_owner": None}
                connection.execute(update(ATTEMPTS).where(ATTEMPTS.c.id == each.id).values(**values))
        return taken


def _fate(attempt: Attempt, restarts: int, failure: Failure) -> dict[str, Any]:
    if not attempt.cancelling and attempt.tries <= restarts:
        return {"status": BuildStatus.QUEUED, "phase": BuildPhase.QUEUED}
    ended = {"phase": BuildPhase.FINISHED, "end": time.time()}
    if attempt.cancelling:
        return ended | {"status": BuildStatus.CANCELLED}
    return ended | {"status": BuildStatus.FAILED, "failure": failure}
