"""The logs of builds in the database: there, every service can read what another one writes, and what a dead one wrote.

A log is kept as pieces of its bytes, each under the place where it starts: it reads like the file it comes from.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    delete,
    func,
    insert,
    select,
)

from binder_build.logs.log import LogName
from binder_protocol.errors import Conflict
from binder_protocol.service.storage import Database

_TABLE = Table(
    "build_logs",
    MetaData(),
    Column("build", String(63), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("start", BigInteger, primary_key=True),
    Column("writer", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
)


class LogArchive:
    """One transaction for each method. Writers of one log are numbered: a later one has the last word."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def next_writer(self, name: LogName) -> int:
        """The number of whoever goes on with this log."""
        with self._database.reading() as connection:
            return _last_writer(connection, name) + 1

    def add(self, name: LogName, writer: int, start: int, data: bytes) -> None:
        """Keeps whole lines that begin at `start`, in the place of what is there from that on.

        Raises Conflict where a later writer has written.
        """
        with self._database.session() as connection:
            self._database.take_turn(connection, f"log {name.build}")
            if _last_writer(connection, name) > writer:
                raise Conflict("another service goes on with this log")
            connection.execute(delete(_TABLE).where(_of(name), _TABLE.c.start >= start))
            row = {"build": name.build, "attempt": name.attempt, "start": start, "writer": writer, "data": data}
            connection.execute(insert(_TABLE).values(**row))

    def read(self, name: LogName, start: int) -> bytes:
        """Whole lines from `start` on: the rest of one piece. Empty where there are none yet."""
        pieces = select(_TABLE).where(_of(name), _TABLE.c.start <= start)
        with self._database.reading() as connection:
            row = connection.execute(pieces.order_by(_TABLE.c.start.desc()).limit(1)).one_or_none()
        return b"" if row is None else bytes(row.data)[start - row.start :]

    def keep(self, build: str, newest: int) -> None:
        """Removes the logs of `build` but those of its newest attempts."""
        mine = _TABLE.c.build == build
        numbers = select(_TABLE.c.attempt).where(mine).distinct().order_by(_TABLE.c.attempt.desc())
        with self._database.session() as connection:
            kept = connection.execute(numbers.limit(newest)).scalars().all()
            if len(kept) == newest:
                connection.execute(delete(_TABLE).where(mine, _TABLE.c.attempt < min(kept)))

    def remove(self, build: str) -> None:
        """Removes all logs of a name."""
        with self._database.session() as connection:
            connection.execute(delete(_TABLE).where(_TABLE.c.build == build))


def _of(name: LogName) -> Any:
    return (_TABLE.c.build == name.build) & (_TABLE.c.attempt == name.attempt)


def _last_writer(connection: Connection, name: LogName) -> int:
    last = select(func.coalesce(func.max(_TABLE.c.writer), 0)).where(_of(name))
    return int(connection.execute(last).scalar_one())
