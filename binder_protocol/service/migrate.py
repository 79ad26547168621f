"""Migrations by alembic. Imported only where one is due; also a program: JSON with `url` and `migrations` on stdin."""

from __future__ import annotations

import importlib.resources
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from binder_protocol.errors import BadDatabase, BinderError
from binder_protocol.service.storage import Database, version_table

_LOCK_SECONDS = 120
_ADVISORY_LOCK = 0x62696E646572  # "binder"


def upgrade(engine: Engine, migrations: str, *, lock_file: Path | None) -> None:
    """Runs the revisions that are missing, in one transaction. Raises BadDatabase."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "alembic_env"))
    config.set_main_option("version_locations", str(importlib.resources.files(migrations)))
    config.set_main_option("path_separator", "os")
    config.attributes["version_table"] = version_table(migrations)
    try:
        with _one_at_a_time(lock_file), engine.begin() as connection:
            if lock_file is None:
                _wait_for_others(connection)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except (SQLAlchemyError, CommandError) as error:
        raise BadDatabase(f"the schema could not be brought up to date: {error}") from error


def _wait_for_others(connection: Connection) -> None:
    connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'"))
    connection.execute(text(f"SET LOCAL statement_timeout = '{2 * _LOCK_SECONDS}s'"))
    connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))


@contextmanager
def _one_at_a_time(lock_file: Path | None) -> Iterator[None]:
    if lock_file is None:
        yield
        return
    lock = filelock.FileLock(lock_file.with_name(f"{lock_file.name}.migrate"), timeout=_LOCK_SECONDS)
    try:
        with lock:
            yield
    except filelock.Timeout as error:
        raise BadDatabase(f"another process has been migrating the database for {_LOCK_SECONDS} s") from error


def main() -> int:
    """Brings one database up to date; says what is wrong on stderr."""
    job = json.load(sys.stdin)
    database = Database(job["url"], job["migrations"])
    try:
        database.migrate()
    except BinderError as error:
        print(error.message, file=sys.stderr)
        return 1
    finally:
        database.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
