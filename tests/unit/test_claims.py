"""Of several deploy services one brings an application up, and another one when that dies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from binder_deploy.claims import CLAIMS, Claims
from binder_deploy.waits import Waits
from binder_protocol.service.leases import BEAT_SECONDS, TERM_SECONDS, lease_table
from binder_protocol.service.storage import Database

WANTED, OTHER = "a" * 32, "b" * 32


class Clock:
    """A clock that goes forward when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def database(tmp_path: Path, database_url: str | None) -> Iterator[Database]:
    made = Database(database_url or f"sqlite:///{tmp_path}/state.db", "binder_deploy.migrations")
    made.migrate()
    with made.session() as connection:
        connection.execute(lease_table("deploy_leases").delete())
        connection.execute(CLAIMS.delete())
    yield made
    made.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def two(database: Database, clock: Clock) -> tuple[Claims, Claims]:
    here, there = Claims(database, clock=clock), Claims(database, clock=clock)
    here.step()
    there.step()
    return here, there


def test_one_of_two_gets_an_application_and_the_other_knows(two: tuple[Claims, Claims]) -> None:
    here, there = two
    assert here.take(WANTED)
    assert not there.take(WANTED)
    assert there.elsewhere() == {WANTED}
    assert here.elsewhere() == frozenset()
    here.release(WANTED)
    assert there.elsewhere() == frozenset()
    assert there.take(WANTED)


def test_a_living_service_keeps_its_claims_and_a_dead_one_loses_them(two: tuple[Claims, Claims], clock: Clock) -> None:
    here, there = two
    assert there.take(WANTED)
    for _ in range(10):
        clock.now += BEAT_SECONDS
        there.step()
        here.step()
        assert here.elsewhere() == {WANTED}
    for _ in range(round(TERM_SECONDS / BEAT_SECONDS)):
        assert not here.take(WANTED)
        clock.now += BEAT_SECONDS
        here.step()
    assert here.elsewhere() == frozenset()
    assert here.take(WANTED)


def test_a_service_that_stops_gives_its_claims_back(two: tuple[Claims, Claims]) -> None:
    here, there = two
    assert here.take(WANTED)
    here.stop()
    assert there.take(WANTED)


def test_a_claim_that_could_not_be_given_back_is_given_back_later(
    two: tuple[Claims, Claims], database: Database
) -> None:
    here, there = two
    assert here.take(WANTED)
    assert here.take(OTHER)
    here._held.discard(WANTED)
    here.step()
    assert there.elsewhere() == {OTHER}


def test_who_works_on_an_application_claims_it_and_others_leave_it_alone(two: tuple[Claims, Claims]) -> None:
    here, there = Waits(two[0]), Waits(two[1])
    with here.of(WANTED) as mine:
        assert mine is not None
        with there.of(WANTED) as theirs:
            assert theirs is None
        assert there.busy == here.busy == {WANTED}
        assert not there.on(WANTED)
    assert there.busy == frozenset()
    with there.of(WANTED) as theirs:
        assert theirs is not None
