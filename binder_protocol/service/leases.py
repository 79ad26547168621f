"""Leases: what one of several equal services holds as long as it lives. None of it goes by anybody's clock on the wall.

On a database that is a server a lease is a row whose `beat` its holder raises again and again. Whoever wants it watches
by a clock of its own that only goes forward: a row that has not changed for the lease's term has lost its holder. On
SQLite, which serves one machine, it is a lock on a file: the kernel gives it back in the moment its holder dies.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from typing import Generic, Protocol, TypeVar

import filelock
from sqlalchemy import BigInteger, Column, MetaData, String, Table, insert, select, update
from sqlalchemy.exc import IntegrityError

from binder_protocol.service.storage import Database

K = TypeVar("K", bound=Hashable)
Clock = Callable[[], float]

TERM_SECONDS = 8.0
"""After so long without a beat a holder counts as dead."""
BEAT_SECONDS = TERM_SECONDS / 4


def lease_table(name: str) -> Table:
    """The table of a service's leases; its migrations make it."""
    return Table(
        name,
        MetaData(),
        Column("name", String(63), primary_key=True),
        Column("holder", String(255)),
        Column("beat", BigInteger, nullable=False),
    )


class Stillness(Generic[K]):
    """Since when each of several values has not changed, as far as this process saw.

    It has to look again and again: what happened while it could not, because the database was away, nobody knows.
    """

    def __init__(self, seconds: float, clock: Clock = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._seen: dict[K, tuple[object, float]] = {}
        self._looked = float("-inf")

    def still(self, values: Mapping[K, object]) -> set[K]:
        """Those that are as they were `seconds` ago. What is not among `values` is forgotten."""
        now = self._clock()
        before = self._seen if now - self._looked <= self._seconds / 2 else {}
        self._looked = now
        self._seen = {
            key: before[key] if key in before and before[key][0] == value else (value, now)
            for key, value in values.items()
        }
        return {key for key, (_, since) in self._seen.items() if now - since >= self._seconds}


class Lease(Protocol):
    """`hold` takes it, or holds it for another term; whether that worked. `release` gives it to whoever comes next."""

    def hold(self) -> bool: ...

    def release(self) -> None: ...


class FileLease:
    """A lock on a file beside the database of one machine."""

    def __init__(self, database: Database, name: str) -> None:
        assert database.file is not None
        self._lock = filelock.FileLock(database.file.with_name(f"{database.file.name}.{name}"), thread_local=False)

    def hold(self) -> bool:
        if not self._lock.is_locked:
            try:
                self._lock.acquire(blocking=False)
            except filelock.Timeout:
                return False
        return True

    def release(self) -> None:
        self._lock.release()


class RowLease:
    """A row of `table`. `holder` names this process among all that may want the lease."""

    def __init__(
        self,
        database: Database,
        table: Table,
        name: str,
        holder: str,
        *,
        seconds: float = TERM_SECONDS,
        clock: Clock = time.monotonic,
    ) -> None:
        self._database = database
        self._table = table
        self._name = name
        self._holder = holder
        self._stillness: Stillness[str] = Stillness(seconds, clock)

    def hold(self) -> bool:
        """Raises Unavailable where the database doesn't answer."""
        mine = self._table.c.name == self._name
        try:
            with self._database.session() as connection:
                row = connection.execute(select(self._table).where(mine).with_for_update()).one_or_none()
                if row is None:
                    connection.execute(insert(self._table).values(name=self._name, holder=self._holder, beat=1))
                    return True
                dead = self._stillness.still({self._name: (row.holder, row.beat)})
                if row.holder not in (None, self._holder) and not dead:
                    return False
                connection.execute(update(self._table).where(mine).values(holder=self._holder, beat=row.beat + 1))
        except IntegrityError:
            return False  # another one came first
        return True

    def release(self) -> None:
        mine = (self._table.c.name == self._name) & (self._table.c.holder == self._holder)
        with self._database.session() as connection:
            connection.execute(update(self._table).where(mine).values(holder=None))
