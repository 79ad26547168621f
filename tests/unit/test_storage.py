"""Storage: transactions that hold, migrations that run once, failures in our words."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import QueuePool

from binder_protocol.errors import BadDatabase, BadQuery, BinderError, NoDatabase
from binder_protocol.service.storage import Database, newest_revision, version_table
from tests.support.eventually import eventually

MIGRATIONS = "binder_registry.migrations"
INSERT = text("INSERT INTO templates (name, newest, created) VALUES (:name, 1, '2026-11-23')")
COUNT = text("SELECT count(*) FROM templates")


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(f"sqlite:///{tmp_path}/deep/state.db", MIGRATIONS)
    made.migrate()
    return made


@pytest.fixture
def either(tmp_path: Path, database_url: str | None) -> Iterator[Database]:
    made = Database(database_url or f"sqlite:///{tmp_path}/state.db", MIGRATIONS)
    made.migrate()
    with made.session() as connection:
        connection.execute(text("DELETE FROM templates"))
    yield made
    made.close()


def count(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.execute(COUNT).scalar_one())


def test_a_session_is_all_or_nothing(either: Database) -> None:
    with suppress(ZeroDivisionError), either.session() as connection:
        connection.execute(INSERT, {"name": "a"})
        raise ZeroDivisionError
    assert count(either) == 0
    with either.session() as connection:
        connection.execute(INSERT, {"name": "a"})
    assert count(either) == 1


def test_a_duplicate_is_told_apart(either: Database) -> None:
    with either.session() as connection:
        connection.execute(INSERT, {"name": "a"})
    with pytest.raises(IntegrityError), either.session() as connection:
        connection.execute(INSERT, {"name": "a"})


def test_reading_does_not_wait_for_a_writer_and_sees_one_picture(either: Database) -> None:
    with either.session() as writing:
        writing.execute(INSERT, {"name": "a"})
        assert count(either) == 0
    with either.reading() as connection:
        before = connection.execute(COUNT).scalar_one()
        with either.session() as writing:
            writing.execute(INSERT, {"name": "b"})
        assert connection.execute(COUNT).scalar_one() == before
    assert count(either) == before + 1


def test_writers_take_turns(either: Database) -> None:
    database = either

    def rename(_: int) -> None:
        with database.session() as connection:
            database.take_turn(connection, "names")
            newest = connection.execute(text("SELECT newest FROM templates")).scalar_one()
            connection.execute(text("UPDATE templates SET newest = :newest"), {"newest": newest + 1})

    with database.session() as connection:
        connection.execute(INSERT, {"name": "a"})
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(rename, range(80)))
    with database.reading() as connection:
        assert connection.execute(text("SELECT newest FROM templates")).scalar_one() == 81


def test_a_writer_that_waits_for_its_turn_holds_no_connection(database: Database) -> None:
    arrived = threading.Barrier(9)

    def write(number: int) -> None:
        arrived.wait(20)
        with database.session() as connection:
            connection.execute(INSERT, {"name": f"t{number}"})

    with ThreadPoolExecutor(8) as pool:
        with database.session() as connection:
            written = [pool.submit(write, number) for number in range(8)]
            arrived.wait(20)
            connection.execute(INSERT, {"name": "first"})
        for each in written:
            each.result(20)
    assert count(database) == 9
    assert isinstance(database.engine.pool, QueuePool)
    assert database.engine.pool.checkedin() == 1


@pytest.mark.parametrize(("method", "error"), [("reading", BadQuery), ("session", BadDatabase)])
def test_a_failure_has_our_type(either: Database, method: str, error: type[BinderError]) -> None:
    with pytest.raises(error), getattr(either, method)() as connection:
        connection.execute(text("SELECT nonsense FROM nowhere"))


def test_a_database_that_is_not_there_has_our_type(tmp_path: Path) -> None:
    with pytest.raises(NoDatabase):
        Database(f"sqlite:///{tmp_path}/none/state.db", MIGRATIONS).ping()


@pytest.mark.postgres
def test_a_server_that_is_not_there_has_our_type() -> None:
    database = Database("postgresql://nobody:secret@127.0.0.1:9/none", MIGRATIONS)
    with pytest.raises(NoDatabase):
        database.ping()


def test_only_the_owner_may_look_into_the_state(database: Database, tmp_path: Path) -> None:
    assert (tmp_path / "deep").stat().st_mode & 0o777 == 0o700


def test_migrations_run_once_whoever_comes_first(tmp_path: Path, database_url: str | None) -> None:
    def migrate(_: int) -> bool:
        database = Database(database_url or f"sqlite:///{tmp_path}/state.db", MIGRATIONS)
        database.migrate()
        due = database.migration_due()
        database.close()
        return due

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(migrate, range(8))) == [False] * 8


def test_migrating_apart_does_the_same_in_another_process(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/state.db", MIGRATIONS)
    database.migrate_apart()
    assert not database.migration_due()
    assert count(database) == 0


def test_a_newer_database_is_left_alone(database: Database) -> None:
    with database.session() as connection:
        connection.execute(text(f"UPDATE {version_table(MIGRATIONS)} SET version_num = '9999'"))
    with pytest.raises(BadDatabase, match="newer"):
        database.migrate()


@pytest.mark.parametrize("package", ["binder_registry", "binder_build", "binder_deploy"])
def test_the_newest_file_is_the_head_of_the_revisions(package: str) -> None:
    migrations = f"{package}.migrations"
    module = pytest.importorskip(migrations)
    environment = Path(__file__).parents[2] / "binder_protocol" / "service" / "alembic_env"
    script = ScriptDirectory(str(environment), version_locations=[str(Path(module.__path__[0]))])
    assert script.get_heads() == [newest_revision(migrations)]


def test_alembic_is_not_loaded_where_nothing_is_due(database: Database) -> None:
    program = (
        "import sys; from binder_protocol.service.storage import Database;"
        f"Database({database.url!r}, {MIGRATIONS!r}).migrate(); sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=30).returncode == 0


def test_a_locked_database_is_waited_for(database: Database, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "deep" / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        done: list[int] = []

        def write() -> None:
            with database.session() as connection:
                connection.execute(INSERT, {"name": "a"})
            done.append(1)

        thread = threading.Thread(target=write)
        thread.start()
        thread.join(0.2)
        assert not done
        other.execute("COMMIT")
        eventually(lambda: done, within=5)
        thread.join()


HOLDS = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("holds", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
print("has ended", flush=True)
"""


def test_a_writer_that_was_stopped_in_the_middle_makes_others_busy_until_it_goes_on(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/state.db", MIGRATIONS, busy_seconds=0.3)
    database.migrate()
    command = [sys.executable, "-c", HOLDS, str(tmp_path / "state.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        try:
            assert other.stdout.readline() == "holds\n"
            other.send_signal(signal.SIGSTOP)
            with pytest.raises(BadDatabase, match="busy") as refused, database.session() as connection:
                connection.execute(INSERT, {"name": "a"})
            assert (refused.value.status, bool(refused.value.retry_after)) == (503, True)
            assert count(database) == 0
            other.send_signal(signal.SIGCONT)
            other.stdin.write("\n")
            other.stdin.flush()
            assert other.stdout.readline() == "has ended\n"
        finally:
            other.kill()
    with database.session() as connection:
        connection.execute(INSERT, {"name": "a"})
    database.close()


STORM = """
import sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from sqlalchemy import text
from binder_protocol.service.storage import Database

database = Database(sys.argv[1], sys.argv[2], busy_seconds=2)
change = text("UPDATE templates SET newest = newest + 1")

def write(_):
    for _ in range(6):
        with database.session() as connection:
            connection.execute(change)
            time.sleep(0.005)

print("begins", flush=True)
with ThreadPoolExecutor(50) as pool:
    list(pool.map(write, range(50)))
"""


def test_pauses_of_a_process_make_none_of_its_own_writers_fail(database: Database) -> None:
    with database.session() as connection:
        connection.execute(INSERT, {"name": "a"})
    command = [sys.executable, "-c", STORM, database.url, MIGRATIONS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as storm:
        assert storm.stdout is not None
        assert storm.stdout.readline() == "begins\n"
        waiting = threading.Event()
        while storm.poll() is None:
            storm.send_signal(signal.SIGSTOP)
            waiting.wait(0.1)
            storm.send_signal(signal.SIGCONT)
            waiting.wait(0.05)
        assert storm.returncode == 0, storm.stderr and storm.stderr.read()[-1500:]
    with database.reading() as connection:
        assert connection.execute(text("SELECT newest FROM templates")).scalar_one() == 301
