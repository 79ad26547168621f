"""Pools and loops: nothing is lost, nothing is unbounded, failures end nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import pytest
from structlog.testing import capture_logs

from binder_protocol.errors import QueueFull, Unavailable
from binder_protocol.service import logs
from binder_protocol.service.work import Loop, WorkerPool
from tests.support.eventually import eventually


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    made = WorkerPool("test", workers=2, queue_size=3)
    made.start()
    yield made
    assert made.stop(5)


def test_every_job_is_done_once(pool: WorkerPool) -> None:
    done: list[int] = []
    for number in range(3):
        pool.submit(partial(done.append, number))
    eventually(lambda: sorted(done) == [0, 1, 2])


def test_a_full_queue_refuses_and_says_when_to_come_back(pool: WorkerPool) -> None:
    gate = threading.Event()
    for _ in range(2):
        pool.submit(lambda: gate.wait(10))
    eventually(lambda: pool.busy == 2)
    for _ in range(3):
        pool.submit(lambda: None)
    with pytest.raises(QueueFull) as caught:
        pool.submit(lambda: None)
    gate.set()
    assert caught.value.retry_after


def test_a_failing_job_is_logged_and_the_next_one_runs() -> None:
    pool = WorkerPool("test", workers=1, queue_size=3)
    ran = threading.Event()

    def fail() -> None:
        raise ZeroDivisionError("on purpose")

    with capture_logs() as records:
        pool.start()
        pool.submit(fail)
        pool.submit(ran.set)
        assert ran.wait(5)
        assert pool.stop(5)
    assert [record["event"] for record in records] == ["a job failed"]
    assert records[0]["exc_info"]
    assert pool.failures == 1


def test_a_stopped_pool_does_what_it_took_and_takes_no_more() -> None:
    pool = WorkerPool("test", workers=1, queue_size=10)
    done: list[int] = []
    for number in range(10):
        pool.submit(partial(done.append, number))
    pool.start()
    assert pool.stop(5)
    assert done == list(range(10))
    with pytest.raises(Unavailable):
        pool.submit(lambda: None)


def test_stopping_waits_no_longer_than_asked() -> None:
    pool = WorkerPool("test", workers=1, queue_size=1)
    gate = threading.Event()
    pool.start()
    pool.submit(lambda: gate.wait(30))
    with capture_logs() as records:
        assert not pool.stop(0.05)
    gate.set()
    assert records[0]["event"] == "work was left unfinished"
    assert pool.stop(5)


def test_a_job_knows_the_request_it_was_submitted_by(pool: WorkerPool) -> None:
    seen: list[str | None] = []
    logs.bind_request_id("request-1")
    pool.submit(lambda: seen.append(logs.request_id()))
    logs.bind_request_id("request-2")
    pool.submit(lambda: seen.append(logs.request_id()))
    eventually(lambda: sorted(map(str, seen)) == ["request-1", "request-2"])


def test_a_loop_survives_its_failures_and_reports_them() -> None:
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps < 4:
            raise ZeroDivisionError("on purpose")

    loop = Loop("test", step, every=0.01, longest=0.05)
    with capture_logs() as records:
        loop.start()
        eventually(lambda: steps >= 5)
        loop.alive()
        assert loop.stop()
    assert [record["failures"] for record in records] == [1, 2, 3]


def test_a_loop_that_always_fails_is_not_alive() -> None:
    def step() -> None:
        raise ZeroDivisionError("on purpose")

    loop = Loop("test", step, every=0.001, longest=0.001)
    with capture_logs():
        loop.start()
        eventually(lambda: loop.failures >= 3)
        with pytest.raises(Unavailable, match="times in a row"):
            loop.alive()
        assert loop.stop()
    with pytest.raises(Unavailable, match="doesn't run"):
        loop.alive()


def test_a_woken_loop_does_not_wait() -> None:
    steps: list[int] = []
    loop = Loop("test", lambda: steps.append(1), every=3600)
    loop.start()
    eventually(lambda: len(steps) == 1)
    loop.wake()
    eventually(lambda: len(steps) == 2)
    assert loop.stop()
