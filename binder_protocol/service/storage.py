"""Storage: SQLAlchemy Core over SQLite or PostgreSQL, its errors as ours, its schema by alembic."""

from __future__ import annotations

import importlib.resources
import json
import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func, select, text
from sqlalchemy.engine import URL, make_url

from binder_protocol.errors import BadDatabase, BadQuery
from binder_protocol.service.storage_errors import translated
from binder_protocol.service.turns import Turns

_BUSY_SECONDS = 10.0
_POOL_WAIT_SECONDS = 10
_CONNECT_SECONDS = 5
_SILENT_SECONDS = 10
_STATEMENT_SECONDS = 60
_TURNS = 0x62696E64  # "bind": what tells our turns from other programs' locks
_MIGRATE_SECONDS = 300
_REVISION_FILE = re.compile(r"([0-9]{4})_\w+\.py")


class Database:
    """One database of one service. `migrations` is the package with its alembic revisions, numbered NNNN_words.py.

    `file` is that of SQLite; None where the database is a server.

    Sessions are SQLAlchemy Core connections; the ORM is left out, for it costs each service several MB.
    """

    def __init__(self, url: str, migrations: str, *, busy_seconds: float = _BUSY_SECONDS) -> None:
        """`busy_seconds`: the longest that a transaction waits for others to end theirs."""
        self.url = url
        self.migrations = migrations
        self.file = _sqlite_file(url)
        self.engine = _engine(url, busy_seconds)
        self._busy_seconds = busy_seconds
        # SQLite lets writers try again and again until one comes at the right moment, and forgets who came first.
        self._turns = None if self.file is None else Turns()

    @contextmanager
    def session(self) -> Iterator[Connection]:
        """A transaction that may write: committed at the end, rolled back by an exception.

        On SQLite writers take turns from the first statement on, those of this process in their order. IntegrityError
        passes as it is; every other failure is raised as BadDatabase, with `retry_after` where others were in the
        way for too long; NoDatabase where the database can't be reached.
        """
        turn = nullcontext() if self._turns is None else self._turns.turn(self._busy_seconds)
        with translated(BadDatabase), turn, self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads: one consistent picture, and waits for no writer. Failures are BadQuery."""
        with translated(BadQuery), self._readers.connect() as connection:
            yield connection

    def take_turn(self, connection: Connection, what: str) -> None:
        """Whoever says the same words waits until this transaction has ended. SQLite's writers take turns anyway."""
        if self.shared:
            number = zlib.crc32(f"{self.migrations}:{what}".encode()) - 2**31
            connection.execute(select(func.pg_advisory_xact_lock(_TURNS, number)))

    @property
    def shared(self) -> bool:
        """Whether services on several machines may be at work on it: it is a server, not a file."""
        return self.file is None

    @property
    def _readers(self) -> Engine:
        return self.engine.execution_options(**({**_PICTURE} if self.shared else {"binder_reads": True}))

    def ping(self) -> None:
        """Raises Unavailable where the database doesn't answer."""
        with self.reading() as connection:
            connection.execute(text("SELECT 1"))

    def migration_due(self) -> bool:
        """Whether the schema is older than this program. Raises BadDatabase where it is newer."""
        wanted = newest_revision(self.migrations)
        if self.file is not None and not self.file.exists():
            return True
        present = self._present_revision()
        if present is not None and present > wanted:
            raise BadDatabase(
                f"the database has schema {present}, newer than this program knows ({wanted})",
                suggestions=["start the newer version again, or restore a backup"],
            )
        return present != wanted

    def migrate(self) -> None:
        """Brings the schema up to date; of several processes one does it and the others wait."""
        if self.file is not None:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.migration_due():
            from binder_protocol.service.migrate import upgrade  # alembic's 9 MB only where it has something to do

            upgrade(self.engine, self.migrations, lock_file=self.file)

    def migrate_apart(self) -> None:
        """As `migrate`, but in a process of its own, whose memory is given back."""
        if self.file is not None:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.migration_due():
            return
        job = json.dumps({"url": self.url, "migrations": self.migrations})
        command = [sys.executable, "-m", "binder_protocol.service.migrate"]
        done = subprocess.run(command, input=job, text=True, capture_output=True, timeout=_MIGRATE_SECONDS, check=False)
        if done.returncode != 0:
            raise BadDatabase(f"the schema could not be brought up to date: {done.stderr.strip()[-2000:]}")

    def close(self) -> None:
        """Gives all connections back."""
        self.engine.dispose()

    def _present_revision(self) -> str | None:
        table = version_table(self.migrations)
        with self.reading() as connection:
            if not self.engine.dialect.has_table(connection, table):
                return None
            found = connection.execute(text(f"SELECT max(version_num) FROM {table}")).scalar()  # noqa: S608
        return None if found is None else str(found)


def version_table(migrations: str) -> str:
    """The table that holds the schema's revision; services may share one database."""
    return f"{migrations.partition('.')[0]}_schema"


def newest_revision(migrations: str) -> str:
    """The number of the newest revision in the package; they are numbered in their order."""
    versions = importlib.resources.files(migrations)
    numbers = [found[1] for each in versions.iterdir() if (found := _REVISION_FILE.fullmatch(each.name))]
    return max(numbers)


_PICTURE = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


def _address(url: str) -> URL:
    """The URL with the one driver that is there for it, for people write postgresql://."""
    parsed = make_url(url)
    if parsed.drivername in ("postgres", "postgresql"):
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def _sqlite_file(url: str) -> Path | None:
    parsed = _address(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    if not parsed.database or parsed.database == ":memory:":
        raise ValueError("the database must be a file, for several threads share it")
    return Path(parsed.database)


def _engine(url: str, busy_seconds: float) -> Engine:
    address, milliseconds = _address(url), round(busy_seconds * 1_000)
    if address.get_backend_name() != "sqlite":
        return _postgres(address, milliseconds)
    engine = create_engine(address, pool_size=24, max_overflow=40, pool_timeout=_POOL_WAIT_SECONDS, pool_use_lifo=True)
    event.listen(engine, "connect", partial(_prepare_sqlite, milliseconds))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _postgres(address: URL, milliseconds: int) -> Engine:
    # A server that is gone without a word is noticed by the kernel; that one waits for an answer, not for ever.
    silent = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
    engine = create_engine(
        address, pool_size=5, max_overflow=20, pool_timeout=_POOL_WAIT_SECONDS, pool_pre_ping=True,
        connect_args={
            "connect_timeout": _CONNECT_SECONDS, "tcp_user_timeout": _SILENT_SECONDS * 1_000,
            "application_name": "binder", **silent,
        },
    )  # fmt: skip
    event.listen(engine, "connect", partial(_prepare_postgres, milliseconds))
    return engine


def _prepare_postgres(milliseconds: int, connection: Any, _record: object) -> None:
    # Not as options of the connection: poolers between us and the server refuse those.
    connection.execute(
        f"SET lock_timeout = {milliseconds}; SET statement_timeout = {_STATEMENT_SECONDS * 1_000};"
        f"SET idle_in_transaction_session_timeout = {_STATEMENT_SECONDS * 1_000}"
    )
    connection.commit()
    from psycopg.types.string import StrDumper

    class Text(StrDumper):
        """PostgreSQL's texts hold no NUL. What names nothing there shall be not found, as in SQLite, and no fault."""

        def dump(self, obj: str) -> bytes:
            return obj.replace("\0", "\ufffd").encode()

    connection.adapters.register_dumper(str, Text)


def _prepare_sqlite(milliseconds: int, connection: Any, _record: object) -> None:
    connection.isolation_level = None  # BEGIN is ours: the module's own comes too late for a consistent picture
    for pragma in (
        f"busy_timeout = {milliseconds}",
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
        "cache_size = -512",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that turns from reading to writing fails at once when another one wrote meanwhile.
    reads = connection.get_execution_options().get("binder_reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
