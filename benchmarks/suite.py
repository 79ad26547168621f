"""The whole suite: seconds until it is ready, memory at rest, seconds until a killed service is back.

    python benchmarks/suite.py [--rounds 5] [--rest 10]

Each round starts a suite of its own on free ports with `binder-control start-all`, lets it rest, kills each service
once, and stops it. Needs a Docker engine. Prints medians and, with --check, ends with 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.eventually import eventually
from tests.support.suite import SERVICES, Suite, suite

GOALS = {"start-all, s": 8.0, "memory at rest, MiB": 300.0, "killed to back, s": 3.0}
_MIB = 2**20


def main() -> None:
    """Measures and prints one table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rest", type=float, default=10)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory(prefix="binder-suite-") as name, suite(Path(name) / "home") as each:
            measure(each, options.rest, found)
    for what, numbers in found.items():
        goal = f"   (goal: {GOALS[what]:g})" if what in GOALS else ""
        print(f"{what:<28} median {statistics.median(numbers):8.2f}   all {[round(each, 2) for each in numbers]}{goal}")
    missed = [what for what, goal in GOALS.items() if statistics.median(found[what]) > goal]
    if options.check and missed:
        sys.exit(f"missed: {', '.join(missed)}")


def measure(each: Suite, rest: float, found: dict[str, list[float]]) -> None:
    """One round. The first start makes the databases, so it is told apart from the one on a prepared host."""
    found["first start-all, s"].append(_start(each))
    each.control("stop-all")
    found["start-all, s"].append(_start(each))
    time.sleep(rest)  # at rest means that nothing is asked of it
    whole = 0.0
    for name, pid in {**_pids(each), "supervisord": _supervisord(each)}.items():
        memory = psutil.Process(pid).memory_info().rss / _MIB
        found[f"{name}, MiB"].append(memory)
        whole += memory
    found["memory at rest, MiB"].append(whole)
    for name in SERVICES:
        found["killed to back, s"].append(_killed_to_back(each, name))


def _start(each: Suite) -> float:
    since = time.monotonic()
    done = each.control("start-all")
    assert done.returncode == 0, done.stderr
    return time.monotonic() - since


def _pids(each: Suite) -> dict[str, int]:
    """The services alone: Traefik and the engine are others' programs, and not counted."""
    return {name: row["pid"] for name, row in each.status().items() if name in SERVICES}


def _supervisord(each: Suite) -> int:
    return int((each.home / "control" / "supervisord.pid").read_text())


def _killed_to_back(each: Suite, name: str) -> float:
    os.kill(_pids(each)[name], signal.SIGKILL)
    since = time.monotonic()
    eventually(lambda: _ready(each.ports[name]), within=30)
    return time.monotonic() - since


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    main()
