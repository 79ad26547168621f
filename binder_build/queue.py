"""Whose turn it is: pure decisions about the attempts that wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Waiting:
    """One attempt that waits, or runs: what it builds, and on whose account."""

    id: int
    name: str
    owner: str


def in_turn(waiting: Iterable[Waiting], running: Iterable[Waiting]) -> list[Waiting]:
    """`waiting` in the order in which they will start.

    Owners take turns: an owner's second one waits until everybody else's first one was served, however early it came.
    What already runs counts as served. Among equals the oldest is first.
    """
    served = Counter(each.owner for each in running)
    ranked: list[tuple[int, int, Waiting]] = []
    for each in sorted(waiting, key=lambda each: each.id):
        ranked.append((served[each.owner], each.id, each))
        served[each.owner] += 1
    return [each for _, _, each in sorted(ranked, key=lambda rank: rank[:2])]


def next_to_start(waiting: Iterable[Waiting], running: Sequence[Waiting]) -> Waiting | None:
    """The one whose turn it is. Two attempts at one name never run at once: the later one's template must win."""
    busy = {each.name for each in running}
    return next((each for each in in_turn(waiting, running) if each.name not in busy), None)


def position(attempt: int, waiting: Iterable[Waiting], running: Iterable[Waiting]) -> int | None:
    """The place of `attempt` in the queue, from 1; None where it doesn't wait."""
    order = [each.id for each in in_turn(waiting, running)]
    return order.index(attempt) + 1 if attempt in order else None
