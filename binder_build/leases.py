"""Who runs which attempt: leases that a living service renews, so that a dead one's attempts are taken up again."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from sqlalchemy import or_, select, update

from binder_build.queue import next_to_start
from binder_build.records import Attempt
from binder_build.store import ATTEMPTS, QUEUED, RUNNING, attempt_of, columns_of, turns
from binder_protocol.models import BuildPhase, BuildStatus, Failure
from binder_protocol.service.storage import Database


class Leases:
    """The leases of one run of one service. `place` names what only one service at a time can hold, as its home.

    Whoever starts at a place knows that all leases given there before are void.
    """

    def __init__(self, database: Database, *, place: str, run: str, seconds: float) -> None:
        self._database = database
        self._place = f"{place}#"
        self._owner = f"{place}#{run}"
        self._seconds = seconds

    def claim(self) -> Attempt | None:
        """Starts the attempt whose turn it is, or returns None."""
        with self._database.reading() as connection:
            if next_to_start(*turns(connection)) is None:
                return None
        with self._database.session() as connection:
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
        """The attempts of dead services, as they are now: they wait again, or have ended.

        Those started more than `restarts` times before end with `failure`, those to be cancelled as cancelled.
        """
        at_my_place = ATTEMPTS.c.lease_owner.startswith(self._place, autoescape=True)
        void = at_my_place & (ATTEMPTS.c.lease_owner != self._owner)
        expired = or_(ATTEMPTS.c.lease_until.is_(None), ATTEMPTS.c.lease_until < time.time(), void)
        dead = (ATTEMPTS.c.status == RUNNING, expired)
        with self._database.reading() as connection:
            if connection.execute(select(ATTEMPTS.c.id).where(*dead).limit(1)).first() is None:
                return []
        with self._database.session() as connection:
            found = [attempt_of(row) for row in connection.execute(select(ATTEMPTS).where(*dead))]
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
