"""Steps of set-up: each says what it does and why, and can be done twice without harm."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from binder_control.host.machine import Machine


class Action(Protocol):
    """What a step does, as a value: two plans can be compared."""

    def perform(self, machine: Machine) -> None:
        """Do it; raises HostError."""


@dataclass(frozen=True)
class Step:
    """`name` says what is done ("install Docker"), `reason` why this machine needs it."""

    name: str
    reason: str
    action: Action


Report = Callable[[Step, float | None], None]
"""Told of each step twice: with None when it begins, with its seconds when it is done."""


def run(steps: Iterable[Step], machine: Machine, report: Report) -> None:
    """Do the steps in order, and stop at the first that fails (HostError)."""
    for step in steps:
        report(step, None)
        started = time.monotonic()
        step.action.perform(machine)
        report(step, time.monotonic() - started)
