"""The queue: whose turn it is, who joins whom, what becomes of a dead service's attempts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binder_build.admission import subject_of, to_join
from binder_build.leases import Leases
from binder_build.queue import Waiting, in_turn, next_to_start, position
from binder_build.records import Attempt, Subject
from binder_build.sources.repository import parse_repository
from binder_build.sources.source import Revision
from binder_build.store import ATTEMPTS, AttemptStore
from binder_protocol.errors import AlreadyBuilding, QueueFull
from binder_protocol.models import BuildPhase, BuildRequest, BuildStatus, Failure
from binder_protocol.service.storage import Database

ONE, OTHER = Revision("1" * 40, None, None), Revision("2" * 40, None, None)
DIED = Failure(type="interrupted", message="died")


def waiting(*owners: str) -> list[Waiting]:
    return [Waiting(number, f"{owner}-{number}", owner) for number, owner in enumerate(owners, 1)]


def test_one_owner_with_many_builds_does_not_hold_up_another() -> None:
    assert [each.id for each in in_turn(waiting("a", "a", "a", "b"), [])] == [1, 4, 2, 3]


def test_what_runs_counts_as_served() -> None:
    running = [Waiting(9, "a-9", "a")]
    assert [each.id for each in in_turn(waiting("a", "b"), running)] == [2, 1]


def test_two_attempts_at_one_name_never_run_at_once() -> None:
    queued = [Waiting(2, "x", "a"), Waiting(3, "y", "a")]
    assert next_to_start(queued, [Waiting(1, "x", "a")]) == queued[1]
    assert next_to_start(queued[:1], [Waiting(1, "x", "a")]) is None


@given(st.lists(st.sampled_from("abc"), max_size=20), st.lists(st.sampled_from("abc"), max_size=5))
def test_everybody_has_one_place_in_the_queue_and_no_owner_is_two_turns_behind(
    queued: list[str], busy: list[str]
) -> None:
    line = waiting(*queued)
    running = [Waiting(100 + number, f"r{number}", owner) for number, owner in enumerate(busy)]
    order = in_turn(line, running)
    assert sorted(each.id for each in order) == [each.id for each in line]
    assert [position(each.id, line, running) for each in order] == list(range(1, len(line) + 1))
    served = {owner: busy.count(owner) for owner in "abc"}
    for number, each in enumerate(order):
        still = {other.owner for other in order[number:]}
        assert served[each.owner] == min(served[owner] for owner in still)
        served[each.owner] += 1


@pytest.fixture
def database(tmp_path: Path, database_url: str | None) -> Iterator[Database]:
    database = Database(database_url or f"sqlite:///{tmp_path / 'state.db'}", "binder_build.migrations")
    database.migrate()
    with database.session() as connection:
        connection.execute(ATTEMPTS.delete())
    yield database
    database.close()


def subject(repository: str = "owner/repo", **request: object) -> Subject:
    given = BuildRequest.model_validate({"repository": repository, **request})
    return subject_of(given, parse_repository(given.repository, given.ref, given.subdir))


def admit(
    store: AttemptStore, of: Subject, revision: Revision | None = ONE, queue_size: int = 9
) -> tuple[Attempt, bool]:
    since = time.time() - 10
    join = lambda present: to_join(present, of, revision)  # noqa: E731
    return store.admit(of, revision, None, queue_size=queue_size, since=since, join=join)


def leases(database: Database, run: str = "first", clock: Callable[[], float] = time.monotonic) -> Leases:
    return Leases(database, place="home", run=run, seconds=8, clock=clock)


def test_the_same_commit_and_settings_join_and_others_do_not(database: Database) -> None:
    store = AttemptStore(database)
    first, new = admit(store, subject())
    assert new
    assert admit(store, subject()) == (first, False)
    assert admit(store, subject(), OTHER)[1]
    assert admit(store, subject(options={"submodules": True}))[1]
    assert [each.number for each in store.history("owner-repo", 10, 0)[0]] == [3, 2, 1]


def test_a_build_that_completes_while_a_request_is_looked_at_answers_it(database: Database) -> None:
    store = AttemptStore(database)
    first, _ = admit(store, subject())
    store.update(first, status=BuildStatus.COMPLETED, end=time.time())
    joined, new = admit(store, subject())
    assert (joined.id, new) == (first.id, False)
    store.update(first, end=time.time() - 60)
    assert admit(store, subject())[1], "one from before is the caller's to judge"


def test_a_request_that_does_not_know_its_commit_joins_only_what_will_learn_it(database: Database) -> None:
    store = AttemptStore(database)
    known, _ = admit(store, subject(), ONE)
    unknown, new = admit(store, subject(), None)
    assert new
    assert admit(store, subject(), None) == (unknown, False)
    assert admit(store, subject(), OTHER) == (unknown, False)
    assert admit(store, subject(), ONE) == (known, False)


def test_force_joins_force_and_refuses_a_build_without_it(database: Database) -> None:
    store = AttemptStore(database)
    admit(store, subject())
    with pytest.raises(AlreadyBuilding):
        admit(store, subject(force="true"))
    other = subject("owner/other", force=True)
    forced, _ = admit(store, other)
    assert admit(store, other) == (forced, False)
    assert admit(store, subject("owner/other")) == (forced, False)


def test_a_full_queue_refuses_and_says_when_to_come_back(database: Database) -> None:
    store = AttemptStore(database)
    admit(store, subject("owner/one"), queue_size=1)
    with pytest.raises(QueueFull) as refused:
        admit(store, subject("owner/two"), queue_size=1)
    assert refused.value.retry_after
    assert not admit(store, subject("owner/one"), queue_size=1)[1], "joining needs no room"


def test_the_queue_and_its_numbers_survive_the_service(database: Database) -> None:
    store = AttemptStore(database)
    for number in range(3):
        admit(store, subject("owner/repo", ref=f"r{number}"))
    again = AttemptStore(database)
    waiting_now, _ = again.turns()
    assert len(waiting_now) == 3
    assert leases(database).claim() is not None


def test_a_dead_services_attempt_waits_again_once_and_then_fails(database: Database) -> None:
    store = AttemptStore(database)
    admit(store, subject())
    first = leases(database)
    claimed = first.claim()
    assert claimed is not None
    assert claimed.status is BuildStatus.RUNNING
    assert first.take_up(restarts=1, failure=DIED) == [], "a living service keeps what it runs"
    second = leases(database, "second")
    (taken,) = second.take_up(restarts=1, failure=DIED)
    assert (taken.status, taken.phase) == (BuildStatus.QUEUED, BuildPhase.QUEUED)
    again = second.claim()
    assert again is not None
    assert (again.id, again.tries) == (claimed.id, 2)
    (lost,) = leases(database, "third").take_up(restarts=1, failure=DIED)
    assert lost.status is BuildStatus.FAILED
    kept = store.find("owner-repo")
    assert kept is not None
    assert kept.failure == DIED
    assert kept.end is not None


def test_a_service_elsewhere_keeps_its_attempts_until_its_lease_runs_out(database: Database) -> None:
    admit(AttemptStore(database), subject())
    elsewhere = Leases(database, place="elsewhere", run="x", seconds=8)
    claimed = elsewhere.claim()
    assert claimed is not None
    now = 0.0
    here = leases(database, clock=lambda: now)
    for _ in range(20):
        elsewhere.renew([claimed.id])
        assert here.take_up(restarts=1, failure=DIED) == []
        now += 1
    for _ in range(7):
        assert here.take_up(restarts=1, failure=DIED) == []
        now += 1
    assert [each.id for each in here.take_up(restarts=1, failure=DIED)] == [claimed.id]
    assert elsewhere.to_stop([claimed.id]) == {claimed.id: "lost"}


def test_what_nobody_could_look_at_for_a_while_is_not_called_dead(database: Database) -> None:
    admit(AttemptStore(database), subject())
    assert Leases(database, place="elsewhere", run="x", seconds=8).claim() is not None
    now = 0.0
    here = leases(database, clock=lambda: now)
    assert here.take_up(restarts=1, failure=DIED) == []
    now = 60
    assert here.take_up(restarts=1, failure=DIED) == [], "the database was away, and the other service, too"


def test_who_lost_an_attempt_has_no_say_in_it_any_more(database: Database) -> None:
    store = AttemptStore(database)
    admit(store, subject())
    lost = leases(database).claim()
    assert lost is not None
    leases(database, "second").take_up(restarts=1, failure=DIED)
    again = leases(database, "second").claim()
    assert again is not None
    store.update(lost, status=BuildStatus.FAILED)
    kept = store.find("owner-repo")
    assert kept is not None
    assert kept.status is BuildStatus.RUNNING


def test_cancelling_ends_what_waits_and_marks_what_runs(database: Database) -> None:
    store = AttemptStore(database)
    admit(store, subject())
    here = leases(database)
    running = here.claim()
    assert running is not None
    queued, _ = admit(store, subject(), OTHER)
    assert {each.id for each in store.ask_cancel("owner-repo")} == {running.id, queued.id}
    newest = store.find("owner-repo")
    assert newest is not None
    assert newest.status is BuildStatus.CANCELLED
    assert here.to_stop([running.id]) == {running.id: "cancelled"}
    (taken,) = leases(database, "second").take_up(restarts=1, failure=DIED)
    assert taken.status is BuildStatus.CANCELLED, "what was to be cancelled isn't started over"


def test_an_orderly_stop_does_not_count_as_a_try(database: Database) -> None:
    admit(AttemptStore(database), subject())
    first = leases(database)
    claimed = first.claim()
    assert claimed is not None
    first.put_back(claimed)
    again = leases(database, "second").claim()
    assert again is not None
    assert again.tries == 1


@pytest.mark.parametrize("words", ["Owner", "repo", "%", "_", "\\"])
def test_search_takes_its_words_as_they_are(database: Database, words: str) -> None:
    store = AttemptStore(database)
    admit(store, subject())
    found, total = store.newest(None, words, 10, 0)
    assert total == len(found) == (words in ("Owner", "repo"))
