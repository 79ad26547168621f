"""An application is worked on by one thread at a time, and waits for one but once."""

from __future__ import annotations

from binder_deploy.waits import Waits


def test_what_is_expected_is_not_expected_twice() -> None:
    waits = Waits()
    assert waits.expect("a")
    assert not waits.expect("a")
    assert waits.expect("b")
    assert waits.busy == {"a", "b"}


def test_what_is_worked_on_is_not_expected() -> None:
    waits = Waits()
    assert waits.expect("a")
    with waits.of("a") as woken:
        assert woken is not None
        assert not waits.expect("a")
        assert waits.busy == {"a"}
    assert waits.busy == frozenset()
    assert waits.expect("a")


def test_what_is_expected_no_more_may_be_again() -> None:
    waits = Waits()
    waits.expect("a")
    waits.expect_no_more("a")
    assert waits.busy == frozenset()
    assert waits.expect("a")


def test_what_is_being_ended_is_busy_meanwhile() -> None:
    waits = Waits()
    with waits.ending("a"):
        assert waits.busy == {"a"}
    assert waits.busy == frozenset()
