"""Thousands of applications on a cluster whose API server is real and whose nodes are simulated.

    python -m benchmarks.scale [--count 5000] [--clients 16] [--turns 5] [--json FILE]

A control plane of its own (tests/cluster/simulated.py) stands beside a registry and a deploy service, each a process of
its own as in production. They take turns: half of so many applications through the deploy service, then the same
objects by a client that does nothing else (some hundreds are enough to tell its rate), which are removed again, then
the other half; ratios are medians of turns. On both sides one process asks, over connections that stay open, and both
make theirs in one namespace: what a pod costs scheduler and controllers grows with the services there. When all are
launched, they are listed, found again after a restart, culled and deleted. Ends with 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

from benchmarks.plain_client import SELECTOR
from benchmarks.processors import Processors
from benchmarks.scale_service import NAMESPACE, TEMPLATE, Deploy, Statuses, deploy_service
from binder_protocol.models import ApplicationStatus
from tests.cluster.simulated import PODS_PER_NODE, Simulated, simulated
from tests.support.apiproxy import ApiProxy, api_proxy
from tests.support.eventually import eventually

GOALS = {
    "creation, of the plain client's rate": (0.8, max),
    "status p99, ms": (100.0, min),
    "memory, MiB": (400.0, min),
}
_KINDS = ("/api/v1/{}/pods", "/api/v1/{}/services", "/apis/networking.k8s.io/v1/{}/ingresses")
_MIB = 2**20
_FEW = 100
_FLOOR = 500
_REST_SECONDS = 60
_AGE_SECONDS = 60
_LOOKS_SECONDS = 30
_LONGEST_SECONDS = 1_800
_CALM_PERCENT = 15


class Figures(dict[str, Any]):
    """What was found, told as it is found."""

    def __setitem__(self, what: str, value: Any) -> None:
        super().__setitem__(what, value)
        goal, _ = GOALS.get(what, (None, None))
        shown = f"{value:.3f}" if isinstance(value, float) else value
        print(f"{what:<56} {shown}{'' if goal is None else f'   (goal: {goal:g})'}", flush=True)

    def missed(self) -> list[str]:
        """Names of those that aren't as they should be."""
        return [what for what, (goal, better) in GOALS.items() if better(self[what], goal) != self[what]]


def floor(cluster: Simulated, count: int, processes: Mapping[str, psutil.Process]) -> tuple[float, dict[str, float]]:
    """Applications per second of a plain client, and what each took of processors; what it made is gone afterwards."""
    _calm(processes)
    taken = Processors(processes)
    command = [sys.executable, "-m", "benchmarks.plain_client", str(cluster.kubeconfig), NAMESPACE, str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_LONGEST_SECONDS)
    processors = taken.taken(count)
    eventually(lambda: _cleared(cluster), within=_LONGEST_SECONDS, every=1, what="the floor's end")
    _calm(processes)
    return count / float(done.stdout), processors


def _calm(processes: Mapping[str, psutil.Process]) -> None:
    """Returns when the controllers are done with what was before: whoever comes next would pay for it."""
    controllers = processes["controller-manager"]
    eventually(lambda: controllers.cpu_percent(1) < _CALM_PERCENT, within=300, every=0.1, what="the controllers' rest")


def _cleared(cluster: Simulated) -> bool:
    """Deletes all of a kind in one request: who collects what pods own is allowed but 20 requests a second."""
    paths = [f"{each.format(f'namespaces/{NAMESPACE}')}?labelSelector={quote(SELECTOR)}" for each in _KINDS]
    for each in paths:
        with contextlib.suppress(subprocess.CalledProcessError):  # of too many the server leaves some
            cluster.kubectl("delete", "--raw", each)
    return not any(json.loads(cluster.kubectl("get", "--raw", f"{each}&limit=1"))["items"] for each in paths)


def left(cluster: Simulated, kinds: Sequence[str] = _KINDS) -> bool:
    """Whether there is anything yet of what applications are made of."""
    paths = [each.format(f"namespaces/{NAMESPACE}") for each in kinds]
    return any(json.loads(cluster.kubectl("get", "--raw", f"{each}?limit=1"))["items"] for each in paths)


def launch(made: Deploy, count: int, clients: int, asker: Statuses, *words: str) -> float:
    """Launches so many more, and waits until all are deployed; seconds."""
    before = made.count(ApplicationStatus.DEPLOYED)
    with asker.asking():
        began = made.launch(count, clients, asker.known, *words)
        eventually(
            lambda: made.count(ApplicationStatus.DEPLOYED) - before == count or made.count(ApplicationStatus.FAILED),
            within=_LONGEST_SECONDS, every=0.2, what="the launches",
        )  # fmt: skip
    assert not made.count(ApplicationStatus.FAILED), "launches failed"
    return time.monotonic() - began


def requests_of_a_few(
    cluster: Simulated, folder: Path, found: Figures, *, few: int = _FEW, rest: float = _REST_SECONDS
) -> None:
    """What the API server is asked for, counted on the way to it: per launch and stop, and while it is at rest."""
    with api_proxy(cluster.kubeconfig, folder) as proxy, deploy_service(folder / "few", proxy.kubeconfig, few) as made:
        proxy.requests.clear()
        asker = Statuses(made.url, made.key)
        launch(made, few, 8, asker)
        _tell("per launch", found, proxy, few)
        time.sleep(rest)  # at rest means that nothing is asked of it
        _tell(f"in {rest:g} s at rest", found, proxy, 1)
        for each in asker.known:
            made.client.deploy.stop(TEMPLATE, each)
        eventually(lambda: not left(cluster), within=120, every=0.5, what="the end of a few")
        _tell("per stop", found, proxy, few)


def _tell(what: str, found: Figures, proxy: ApiProxy, number: int) -> None:
    """Tells how often what was asked for since the last time."""
    kinds = Counter(_kind(each) for each in proxy.requests)
    proxy.requests.clear()
    found[f"API requests {what}"] = kinds.total() / number
    found[f"API requests {what}, by kind"] = {kind: round(count / number, 2) for kind, count in kinds.items()}


def _kind(request: str) -> str:
    method, _, path = request.partition(" ")
    watch = " watch" if "watch=" in path else ""
    words = path.partition("?")[0].split("/")
    return f"{method} {next((each for each in words if each in ('pods', 'services', 'ingresses')), words[-1])}{watch}"


def launches(cluster: Simulated, made: Deploy, given: argparse.Namespace, found: Figures) -> list[str]:
    """Turn by turn, all of them; their ids."""
    found["memory before, MiB"] = made.memory
    asker, each, before = Statuses(made.url, made.key), given.count // given.turns, made.processor
    processes = {name: psutil.Process(pid) for name, pid in cluster.pids.items()} | made.processes
    processes["benchmark"] = psutil.Process()
    binder, plain = [], []
    for turn in range(1, given.turns + 1):
        taken = Processors(processes)
        seconds = launch(made, each // 2, given.clients, asker)
        found[f"turn {turn}, processor ms for each"] = taken.taken(each // 2)
        rate, found[f"turn {turn}, processor ms for each of the plain client"] = floor(
            cluster, min(each, _FLOOR), processes
        )
        seconds += launch(made, each - each // 2, given.clients, asker)
        binder.append(each / seconds)
        plain.append(rate)
        found[f"turn {turn}, applications/s (plain client)"] = f"{binder[-1]:.1f} ({plain[-1]:.1f})"
    found["applications/s"], found["plain client, applications/s"] = statistics.median(binder), statistics.median(plain)
    found["creation, of the plain client's rate"] = statistics.median(a / b for a, b in zip(binder, plain, strict=True))
    found["processor per launch, ms"] = 1_000 * (made.processor - before) / given.count
    cuts = statistics.quantiles(asker.seconds, n=100)
    found["status p50, ms"], found["status p99, ms"] = 1_000 * cuts[49], 1_000 * cuts[98]
    found["memory, MiB"] = made.memory
    for name in ("apiserver", "etcd", "controller-manager", "scheduler"):
        found[f"memory of {name}, MiB"] = psutil.Process(cluster.pids[name]).memory_info().rss / _MIB
    rows = made.rows()
    found["database rows per application"] = {name: count / given.count for name, count in rows.items() if count > 1}
    found["database, bytes per application"] = made.database.stat().st_size / given.count
    began = time.monotonic()
    assert sum(1 for _ in made.client.deploy.list(limit=1_000).all()) == given.count
    found["listing all, s"] = time.monotonic() - began
    return asker.known


def culling(made: Deploy, count: int, clients: int, found: Figures) -> None:
    """So many more, whose age is over when they are all there: how long until the last is gone."""
    before = made.count(ApplicationStatus.DEPLOYED)
    due = time.monotonic() + _AGE_SECONDS
    launch(made, count, clients, Statuses(made.url, made.key), f"--max-age={_AGE_SECONDS * 1_000}")
    found[f"launching {count} more, s"] = time.monotonic() + _AGE_SECONDS - due
    eventually(
        lambda: made.count(ApplicationStatus.DEPLOYED) == before, within=_LONGEST_SECONDS, every=0.2, what="culling"
    )
    found[f"culling {count}, s after the first was due"] = time.monotonic() - due


def ends(cluster: Simulated, made: Deploy, known: list[str], clients: int, found: Figures) -> None:
    """All are stopped."""
    began, before = time.monotonic(), made.processor
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(lambda each: made.client.deploy.stop(TEMPLATE, each), known))
    found["stopping all, s"] = time.monotonic() - began
    eventually(lambda: not left(cluster, kinds=_KINDS[:1]), within=_LONGEST_SECONDS, every=0.5, what="the pods' end")
    found["until no pod is left, s"] = time.monotonic() - began
    found["processor per stop, ms"] = 1_000 * (made.processor - before) / len(known)
    eventually(lambda: not left(cluster), within=_LONGEST_SECONDS, every=0.5, what="the end")
    found["until nothing is left, s"] = time.monotonic() - began


def whole(cluster: Simulated, folder: Path, given: argparse.Namespace, found: Figures) -> None:
    """All of them, from the first launch to the last end."""
    home, most = folder / "home", given.count + given.count // 10
    with deploy_service(home, cluster.kubeconfig, most) as made:
        known = launches(cluster, made, given, found)
    began = time.monotonic()
    with deploy_service(home, cluster.kubeconfig, most) as made:
        found["restart until ready, s"] = time.monotonic() - began
        time.sleep(_LOOKS_SECONDS)  # in which the reconciler passes three times
        assert made.count(ApplicationStatus.DEPLOYED) == given.count, "a restart lost applications"
        found["memory after a restart, MiB"] = made.memory
        culling(made, given.count // 10, given.clients, found)
        ends(cluster, made, known, given.clients, found)


def main() -> None:
    """Measures and prints one figure a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5_000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.count % given.turns:
        parser.error("--count is no multiple of --turns")
    found = Figures(applications=given.count)
    with tempfile.TemporaryDirectory(prefix="binder-scale-", dir="/var/tmp") as name:
        folder = Path(name)
        room = given.count + given.count // 10 + given.count // given.turns
        with simulated(folder / "cluster", room // PODS_PER_NODE + 2) as cluster:
            cluster.kubectl("create", "namespace", NAMESPACE)
            whole(cluster, folder, given, found)
            requests_of_a_few(cluster, folder, found)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    if found.missed():
        sys.exit(f"missed: {', '.join(found.missed())}")


if __name__ == "__main__":
    main()
