"""Who leads: one of several, soon another, and nobody's clock on the wall has a say in it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from binder_protocol.service.leadership import Leadership, lease_of
from binder_protocol.service.leases import TERM_SECONDS, FileLease, RowLease, Stillness, lease_table
from binder_protocol.service.storage import Database

TABLE = lease_table("deploy_leases")


class Clock:
    """A clock that goes forward when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path, database_url: str | None) -> Iterator[Database]:
    made = Database(database_url or f"sqlite:///{tmp_path}/state.db", "binder_deploy.migrations")
    made.migrate()
    with made.session() as connection:
        connection.execute(TABLE.delete())
    yield made
    made.close()


def row(database: Database, holder: str, clock: Clock) -> RowLease:
    return RowLease(database, TABLE, "task", holder, clock=clock)


def test_what_changes_is_never_still_and_what_does_not_is_after_a_while(clock: Clock) -> None:
    stillness: Stillness[str] = Stillness(8, clock)
    for beat in range(20):
        assert stillness.still({"a": beat, "b": 0}) == ({"b"} if beat >= 8 else set())
        clock.now += 1


def test_what_came_back_is_watched_anew(clock: Clock) -> None:
    stillness: Stillness[str] = Stillness(8, clock)
    for values in ({"a": 1}, {"a": 1}, {"a": 1}, {}, {"a": 1}):
        assert stillness.still(values) == set()
        clock.now += 3


def test_what_nobody_saw_for_a_while_is_watched_anew(clock: Clock) -> None:
    stillness: Stillness[str] = Stillness(8, clock)
    stillness.still({"a": 1})
    clock.now += 60
    assert stillness.still({"a": 1}) == set()


def test_a_lease_is_one_holders_until_that_stops_beating(database: Database, clock: Clock) -> None:
    one, other = row(database, "one", clock), row(database, "other", clock)
    assert one.hold()
    for _ in range(20):
        clock.now += 2
        assert one.hold()
        assert not other.hold()
    for _ in range(3):
        clock.now += 2
        assert not other.hold()
    clock.now += 2
    assert other.hold()
    assert not one.hold(), "it finds out as soon as it asks"


def test_a_lease_given_back_is_taken_at_once(database: Database, clock: Clock) -> None:
    one, other = row(database, "one", clock), row(database, "other", clock)
    assert one.hold()
    other.release()
    assert not other.hold(), "what another one holds is not mine to give back"
    one.release()
    assert other.hold()


def test_of_many_that_ask_at_once_one_gets_it(database: Database, clock: Clock) -> None:
    start, results = threading.Barrier(6), []

    def ask(name: str) -> None:
        start.wait()
        results.append(row(database, name, clock).hold())

    threads = [threading.Thread(target=ask, args=(f"t{number}",)) for number in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(results) == [False] * 5 + [True]


def test_a_file_is_locked_by_one_and_free_with_its_end(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/state.db", "binder_deploy.migrations")
    one, other = FileLease(database, "task"), FileLease(database, "task")
    assert one.hold()
    assert one.hold()
    assert not other.hold()
    one.release()
    assert other.hold()
    other.release()


def test_only_the_leader_does_the_work(database: Database, clock: Clock) -> None:
    done: list[str] = []
    leaders = {
        name: Leadership("task", row(database, name, clock), lambda name=name: done.append(f"{name} leads"), clock)  # type: ignore[misc]
        for name in ("one", "other")
    }
    steps = [leader.only(lambda name=name: done.append(name)) for name, leader in leaders.items()]  # type: ignore[misc]
    for _ in range(2):
        for leader in leaders.values():
            leader.step()
        for step in steps:
            step()
    assert done == ["one leads", "one", "one"]


@pytest.mark.postgres
def test_a_leader_that_cannot_renew_stops_before_another_one_begins(postgres: object, clock: Clock) -> None:
    database = Database(postgres.new(), "binder_deploy.migrations")  # type: ignore[attr-defined]
    database.migrate()
    one = Leadership("task", row(database, "one", clock), lambda: None, clock)
    other = Leadership("task", row(database, "other", clock), lambda: None, clock)
    one.step()
    other.step()
    assert (one.leading, other.leading) == (True, False)
    with database.session() as connection:
        connection.execute(text("ALTER TABLE deploy_leases RENAME TO away"))
    clock.now += TERM_SECONDS * 0.75 + 0.01
    one.step()
    assert not one.leading
    with database.session() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO deploy_leases"))
    other.step()
    assert not other.leading
    database.close()


def test_the_lease_of_a_file_is_a_lock_and_that_of_a_server_a_row(database: Database) -> None:
    assert isinstance(lease_of(database, "deploy_leases", "task"), RowLease if database.shared else FileLease)
