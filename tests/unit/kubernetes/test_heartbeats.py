"""Which nodes are called silent, and when."""

from __future__ import annotations

from typing import Any

import pytest

from binder_deploy.backends.kubernetes.heartbeats import SILENT_SECONDS, Heartbeats
from binder_protocol.errors import EngineError


class Leases:
    """An API server that knows nothing but leases, and a clock."""

    def __init__(self, **beats: int) -> None:
        self.beats, self.now, self.asked, self.away = dict(beats), 0.0, 0, False

    def list(self, path: str, query: object = None) -> list[dict[str, Any]]:
        self.asked += 1
        if self.away:
            raise EngineError
        return [{"metadata": {"name": name}, "spec": {"renewTime": beat}} for name, beat in self.beats.items()]

    def heartbeats(self) -> Heartbeats:
        return Heartbeats(self, lambda: self.now)  # type: ignore[arg-type]


def passes(leases: Leases, known: Heartbeats, seconds: int, *beating: str) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    for _ in range(seconds):
        leases.now += 1
        for name in beating:
            leases.beats[name] += 1
        found = known.silent(["a", "b", "unknown", ""])
    return found


def test_what_beats_no_more_is_silent_until_it_beats_again() -> None:
    leases = Leases(a=1, b=1)
    known = leases.heartbeats()
    assert passes(leases, known, 60, "a", "b") == frozenset()
    assert passes(leases, known, 45, "a") == {"b"}
    assert passes(leases, known, 10, "a", "b") == frozenset()
    assert leases.asked <= 1 + 115 / 9


def test_a_lease_that_went_with_its_node_beats_no_more() -> None:
    leases = Leases(a=1, b=1)
    known = leases.heartbeats()
    passes(leases, known, 20, "a", "b")
    del leases.beats["b"]
    assert passes(leases, known, 45, "a") == {"b"}


@pytest.mark.parametrize("away", [True, False])
def test_of_what_can_not_be_read_nothing_is_said(away: bool) -> None:
    leases = Leases(a=1, b=1)
    known = leases.heartbeats()
    assert passes(leases, known, round(2 * SILENT_SECONDS)) == {"a", "b"}
    leases.away = away
    assert passes(leases, known, 20) == (frozenset() if away else {"a", "b"})
