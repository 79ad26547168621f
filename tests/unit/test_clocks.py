"""The clock on the wall is set while applications run: their ages stay as they were."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from binder_deploy.clocks import Clocks, Look, is_ahead, set_right
from binder_deploy.store import Store
from binder_protocol.models import ApplicationStatus
from binder_protocol.service.storage import Database
from tests.support.launches import NOON, a_record

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


class Hands:
    """Both clocks, set by hand."""

    def __init__(self) -> None:
        self.wall, self.steady = NOON, 1000.0

    def clocks(self) -> Clocks:
        return Clocks(lambda: self.wall, lambda: self.steady)

    def go(self, seconds: float, jump: timedelta = timedelta(0)) -> None:
        self.wall += timedelta(seconds=seconds) + jump
        self.steady += seconds


@pytest.mark.parametrize("jump", [3 * HOUR, -3 * HOUR])
def test_a_jump_is_seen_until_it_was_attended_to(jump: timedelta) -> None:
    hands = Hands()
    clocks = hands.clocks()
    clocks.settle(clocks.look())
    hands.go(10, jump)
    clocks.look()
    hands.go(10)
    look = clocks.look()
    assert (look.jump, look.elapsed) == (jump, 20 * SECOND)
    clocks.settle(look)
    hands.go(10)
    assert clocks.look().jump == timedelta(0)
    assert clocks.drift == jump


def test_what_others_attended_to_and_small_steps_are_no_jump() -> None:
    hands = Hands()
    clocks = hands.clocks()
    clocks.settle(clocks.look())
    hands.go(10, 2 * SECOND)
    assert clocks.look().jump == timedelta(0)
    hands.go(10, HOUR)
    clocks.forget()
    assert clocks.look().jump == timedelta(0)


@pytest.mark.parametrize("jump", [3 * HOUR, -3 * HOUR, timedelta(days=400)])
def test_times_move_with_the_clock_so_that_ages_and_ends_stay(jump: timedelta) -> None:
    record = a_record(minutes=30, last_activity=NOON - 20 * 60 * SECOND, extended_until=NOON + HOUR)
    now = NOON + 10 * SECOND + jump
    after = set_right(record, Look(now, jump=jump, elapsed=10 * SECOND))
    assert now - after.created == NOON + 10 * SECOND - record.created
    assert now - after.since == NOON + 10 * SECOND - record.since
    assert (after.last_activity, after.extended_until) == (NOON - 20 * 60 * SECOND + jump, NOON + HOUR + jump)


@pytest.mark.parametrize("jump", [3 * HOUR, -3 * HOUR])
def test_what_was_written_by_the_new_time_stays(jump: timedelta) -> None:
    now = NOON + jump
    record = a_record(minutes=30, last_activity=now - 2 * SECOND)
    after = set_right(record, Look(now, jump=jump, elapsed=10 * SECOND))
    assert after.last_activity == now - 2 * SECOND


def test_what_has_not_happened_yet_happens_now_where_the_clock_was_set_back_unseen() -> None:
    record = a_record(minutes=-180, last_activity=NOON + 3 * HOUR)
    assert is_ahead(record, NOON)
    after = set_right(record, Look(NOON))
    assert (after.created, after.since, after.last_activity) == (NOON, NOON, NOON)
    assert not is_ahead(after, NOON)
    assert set_right(a_record(), Look(NOON)) == a_record()


def test_only_what_takes_a_place_moves(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/deploy.db", "binder_deploy.migrations")
    database.migrate()
    store = Store(database)
    for number in "12":
        store.add(a_record(launch={"identity": number * 32}), most=9)
    ended = "2" * 32
    store.advance(ended, ApplicationStatus.DELETED, "", among=set(ApplicationStatus), now=NOON)
    store.retime(lambda record: set_right(record, Look(NOON + HOUR, jump=HOUR)))

    def since(identity: str) -> datetime:
        return store.get(identity).since

    assert since("1" * 32) == NOON - 60 * SECOND + HOUR
    assert since(ended) == NOON
    database.close()
