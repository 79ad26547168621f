"""Which of several deploy services on one database brings an application up: the first to claim it, while it lives."""

from __future__ import annotations

import threading
import time
import uuid

import structlog
from sqlalchemy import Column, MetaData, String, Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from binder_protocol.errors import Unavailable
from binder_protocol.service.leases import BEAT_SECONDS, TERM_SECONDS, Clock, Stillness, lease_table
from binder_protocol.service.storage import Database
from binder_protocol.service.work import Loop

log = structlog.get_logger()

CLAIMS = Table(
    "application_claims",
    MetaData(),
    Column("application", String(32), primary_key=True),
    Column("worker", String(32), nullable=False),
)
_WORKERS = lease_table("deploy_leases")
_PREFIX = "run/"


class Claims:
    """Those of one service among its equals. A resource.

    Each service raises the beat of a row of its own. One whose row has not changed for a lease's term is dead: then
    its claims are void. It is a service's own clock that tells, whatever clocks on walls say.
    """

    def __init__(self, database: Database, *, clock: Clock = time.monotonic) -> None:
        self._database = database
        self._worker = uuid.uuid4().hex
        self._held: set[str] = set()
        self._lock = threading.Lock()
        self._stillness: Stillness[str] = Stillness(TERM_SECONDS, clock)
        self._loop = Loop("claims", self.step, every=BEAT_SECONDS, longest=BEAT_SECONDS)

    def start(self) -> None:
        self.step()
        self._loop.start()

    def stop(self) -> None:
        """What this service began is anybody's now."""
        self._loop.stop()
        try:
            self._bury([self._worker])
        except Unavailable as error:
            log.warning("claims could not be given back; they end by themselves", error=error.message)

    def take(self, identity: str) -> bool:
        """Whether the application is this service's to bring up."""
        with self._lock:
            self._held.add(identity)
        try:
            with self._database.session() as connection:
                connection.execute(insert(CLAIMS).values(application=identity, worker=self._worker))
        except (IntegrityError, Unavailable) as error:
            if isinstance(error, Unavailable):
                log.warning("an application can't be claimed", application=identity, error=error.message)
            with self._lock:
                self._held.discard(identity)
            return False
        return True

    def release(self, identity: str) -> None:
        """It needs this service no longer. Where the database doesn't answer now, it is told later."""
        with self._lock:
            self._held.discard(identity)
        mine = (CLAIMS.c.application == identity) & (CLAIMS.c.worker == self._worker)
        try:
            with self._database.session() as connection:
                connection.execute(delete(CLAIMS).where(mine))
        except Unavailable as error:
            log.warning("a claim is given back later", application=identity, error=error.message)

    def elsewhere(self) -> frozenset[str]:
        """The applications that other services bring up."""
        claimed = select(CLAIMS.c.application).where(CLAIMS.c.worker != self._worker)
        with self._database.reading() as connection:
            return frozenset(connection.execute(claimed).scalars())

    def step(self) -> None:
        """Shows that this service lives, and buries those that don't."""
        try:
            self._beat()
            dead = self._stillness.still(self._others())
            if dead:
                log.warning("another deploy service has died", services=len(dead))
                self._bury(dead)
        except Unavailable as error:
            log.warning("nobody knows whether this service lives", error=error.message)

    def _beat(self) -> None:
        mine = _WORKERS.c.name == _PREFIX + self._worker
        with self._lock:
            held = sorted(self._held)
        with self._database.session() as connection:
            raised = connection.execute(update(_WORKERS).where(mine).values(beat=_WORKERS.c.beat + 1)).rowcount
            if not raised:
                connection.execute(insert(_WORKERS).values(name=_PREFIX + self._worker, holder=self._worker, beat=1))
            given_back = (CLAIMS.c.worker == self._worker) & CLAIMS.c.application.not_in(held)
            connection.execute(delete(CLAIMS).where(given_back))

    def _others(self) -> dict[str, int]:
        others = _WORKERS.c.name.startswith(_PREFIX) & (_WORKERS.c.holder != self._worker)
        with self._database.reading() as connection:
            return {row.holder: row.beat for row in connection.execute(select(_WORKERS).where(others))}

    def _bury(self, workers: set[str] | list[str]) -> None:
        names = [_PREFIX + each for each in workers]
        with self._database.session() as connection:
            connection.execute(delete(_WORKERS).where(_WORKERS.c.name.in_(names)))
            connection.execute(delete(CLAIMS).where(CLAIMS.c.worker.in_(workers)))
