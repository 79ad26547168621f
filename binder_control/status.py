"""What runs, as a table of values: state, process, time, CPU, memory, health."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from binder_control.programs import Program
from binder_control.suite import Suite
from binder_control.supervisor import ProgramState

_CPU_WINDOW_SECONDS = 0.2


@dataclass(frozen=True)
class Row:
    """One program. `cpu` is in percent of one core, `memory` in bytes; both count the program's children."""

    name: str
    state: str
    pid: int | None = None
    uptime: float | None = None
    cpu: float | None = None
    memory: int | None = None
    healthy: bool | None = None
    health: str = ""


def status(suite: Suite) -> list[Row]:
    """A row for each program. Raises NotRunning."""
    states = suite.states()
    before, since = _usage(states), time.monotonic()
    readiness = suite.readiness([name for name, state in states.items() if state.runs and name in suite.programs])
    time.sleep(max(0.0, since + _CPU_WINDOW_SECONDS - time.monotonic()))
    after, window = _usage(states), time.monotonic() - since
    rows = []
    for name in _order(suite.programs, states):
        state = states[name]
        seen = readiness.get(name)
        used = after.get(name)
        rows.append(
            Row(
                name=name,
                # supervisord says `starting` for the first second of a process, whatever it does already.
                state="running" if state.state == "starting" and seen is not None and seen.ready else state.state,
                pid=state.pid,
                uptime=None if state.started is None else max(0.0, time.time() - state.started),
                cpu=None if used is None or name not in before else _percent(before[name].cpu, used.cpu, window),
                memory=None if used is None else used.memory,
                healthy=None if seen is None else seen.ready,
                health=state.why if state.failed else ("" if seen is None else seen.why),
            )
        )
    return rows


@dataclass(frozen=True)
class _Usage:
    cpu: float
    memory: int


def _usage(states: Mapping[str, ProgramState]) -> dict[str, _Usage]:
    found = {}
    for name, state in states.items():
        if state.pid is None:
            continue
        try:
            process = psutil.Process(state.pid)
            family = [process, *process.children(recursive=True)]
        except psutil.Error:
            continue
        found[name] = _sum(family)
    return found


def _sum(family: list[psutil.Process]) -> _Usage:
    cpu, memory = 0.0, 0
    for process in family:
        try:
            times = process.cpu_times()
            cpu += times.user + times.system
            memory += process.memory_info().rss
        except psutil.Error:
            continue
    return _Usage(cpu, memory)


def _percent(before: float, after: float, seconds: float) -> float:
    return max(0.0, 100 * (after - before) / seconds)


def _order(programs: Mapping[str, Program], states: Mapping[str, ProgramState]) -> list[str]:
    return [*(name for name in programs if name in states), *(name for name in states if name not in programs)]
