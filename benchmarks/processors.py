"""Seconds of a processor that processes take, told apart by name."""

from __future__ import annotations

import os
from collections.abc import Mapping

import psutil


class Processors:
    """What each of the processes has taken since then; `children` are those that this one has waited for."""

    def __init__(self, processes: Mapping[str, psutil.Process]) -> None:
        self._processes = dict(processes)
        self._before = self._now()

    def taken(self, number: int) -> dict[str, float]:
        """Milliseconds for each of so many."""
        now = self._now()
        return {name: round(1_000 * (now[name] - self._before[name]) / number, 1) for name in now}

    def _now(self) -> dict[str, float]:
        found = {}
        for name, process in self._processes.items():
            spent = process.cpu_times()
            found[name] = spent.user + spent.system
        ours = os.times()
        return found | {"children": ours.children_user + ours.children_system}
