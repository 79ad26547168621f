"""Answers that are shared: never older than the question, and few where many ask."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from binder_deploy.sharing import Shared
from binder_protocol.errors import DoesNotExist
from tests.support.eventually import eventually


class Clock:
    """Stands still until it is slept on, and then until it is let go on."""

    def __init__(self) -> None:
        self.time = 0.0
        self.sleeping = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.sleeping.release()
        assert self.go_on.acquire(timeout=20)
        self.time += seconds


def shared(ask: Callable[[str], int], clock: Clock) -> Shared[int]:
    return Shared(ask, at_once=2, per_second=10, now=clock.now, sleep=clock.sleep)


class Counting:
    """Answers with how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, key: str) -> int:
        self.asked.append(key)
        if key == "nothing":
            raise DoesNotExist("there is none")
        return len(self.asked)


def test_a_few_are_asked_at_once_each_for_itself() -> None:
    asking = shared(Counting(), Clock())
    assert [asking.get("a"), asking.get("a"), asking.get("b")] == [1, 2, 3]


@pytest.mark.parametrize("key", ["a", "nothing"])
def test_who_comes_while_the_next_question_waits_shares_its_answer(key: str) -> None:
    clock, ask = Clock(), Counting()
    asking, told = shared(ask, clock), []

    def get() -> None:
        try:
            told.append(str(asking.get(key)))
        except DoesNotExist as error:
            told.append(error.message)

    get()
    get()
    threads = [threading.Thread(target=get) for _ in range(5)]
    for each in threads:
        each.start()
    assert clock.sleeping.acquire(timeout=20)
    eventually(lambda: asking.sharing == 4, within=20, what="the others' coming")
    assert ask.asked == [key] * 2
    clock.go_on.release()
    for each in threads:
        each.join(20)
    assert ask.asked == [key] * 3
    assert len(told) == 7
    assert len(set(told[2:])) == 1


def test_who_comes_after_it_was_asked_asks_anew() -> None:
    clock, answer = Clock(), threading.Semaphore(0)
    asked: list[int] = []

    def ask(_: str) -> int:
        asked.append(len(asked))
        if len(asked) == 3:
            assert answer.acquire(timeout=20)
        return len(asked)

    asking, told = shared(ask, clock), []
    asking.get("a")
    asking.get("a")
    clock.go_on.release(2)
    slow = threading.Thread(target=lambda: told.append(asking.get("a")))
    slow.start()
    eventually(lambda: len(asked) == 3, within=20, what="the third question")
    assert asking.get("a") == 4
    answer.release()
    slow.join(20)
    assert not slow.is_alive()


def test_after_a_pause_it_is_asked_at_once_again() -> None:
    clock = Clock()
    asking = shared(Counting(), clock)
    asking.get("a")
    asking.get("a")
    clock.time = 1.0
    assert asking.get("a") == 3
    assert not clock.sleeping.acquire(blocking=False)
