"""Thousands of applications on a cluster whose API server is real and whose nodes are simulated.

    python -m benchmarks.scale [--count 5000] [--clients 16] [--json FILE]

A control plane of its own (tests/cluster/simulated.py) stands beside a registry and a deploy service, each a process of
its own as in production. First the floor: a client that does nothing but create the same objects. Then the same number
of applications is launched, listed, culled and deleted through the deploy service. Ends with 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

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
_KINDS = (
    f"/api/v1/namespaces/{NAMESPACE}/pods",
    f"/api/v1/namespaces/{NAMESPACE}/services",
    f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/ingresses",
)
_MIB = 2**20
_FEW = 100
_REST_SECONDS = 60
_AGE_SECONDS = 60
_LONGEST_SECONDS = 1_800


def floor(cluster: Simulated, count: int) -> float:
    """Applications per second of a plain client; what it made is gone afterwards."""
    command = [sys.executable, "-m", "benchmarks.plain_client", str(cluster.kubeconfig), NAMESPACE, str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_LONGEST_SECONDS)
    for each in _KINDS:
        # All of a kind in one request: who collects what pods own is allowed but 20 requests a second.
        cluster.kubectl("delete", "--raw", each)
    eventually(lambda: not left(cluster), within=_LONGEST_SECONDS, every=1, what="the floor's end")
    return count / float(done.stdout)


def left(cluster: Simulated, kinds: Sequence[str] = _KINDS) -> bool:
    """Whether there is anything yet of what applications are made of."""
    return any(json.loads(cluster.kubectl("get", "--raw", f"{each}?limit=1"))["items"] for each in kinds)


def launch(made: Deploy, count: int, clients: int, results: dict[str, Any], **request: Any) -> list[str]:
    """Launches, and waits until all are deployed."""
    known: list[str] = []
    asker = Statuses(made.client, known)

    def one(_: int) -> None:
        known.append(made.client.deploy.deploy(TEMPLATE, **request).id)

    before = made.count(ApplicationStatus.DEPLOYED)
    began = time.monotonic()
    with asker.asking():
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(one, range(count)))
        results["asked, s"] = time.monotonic() - began
        eventually(
            lambda: made.count(ApplicationStatus.DEPLOYED) - before == count or made.count(ApplicationStatus.FAILED),
            within=_LONGEST_SECONDS, every=0.5, what="the launches",
        )  # fmt: skip
    results["deployed, s"] = time.monotonic() - began
    results["failed"] = made.count(ApplicationStatus.FAILED)
    results["status p50, ms"], results["status p99, ms"] = _percentiles(asker.seconds)
    results["statuses asked"] = len(asker.seconds)
    return known


def _percentiles(seconds: list[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(seconds, n=100)
    return 1_000 * cuts[49], 1_000 * cuts[98]


def requests_of_a_few(cluster: Simulated, folder: Path) -> dict[str, Any]:
    """What the API server is asked for, counted on the way to it: per launch and stop, and in a minute at rest."""
    with api_proxy(cluster.kubeconfig, folder) as proxy, deploy_service(folder / "few", proxy.kubeconfig, _FEW) as made:
        proxy.requests.clear()
        known = launch(made, _FEW, 8, {})
        launching = _taken(proxy)
        time.sleep(_REST_SECONDS)  # at rest means that nothing is asked of it
        resting = _taken(proxy)
        for each in known:
            made.client.deploy.stop(TEMPLATE, each)
        eventually(lambda: not left(cluster), within=120, every=0.5, what="the end of a few")
        stopping = _taken(proxy)
    return {
        "API requests per launch": launching.total() / _FEW, f"to launch {_FEW}": dict(launching),
        "API requests per stop": stopping.total() / _FEW, f"to stop {_FEW}": dict(stopping),
        "API requests in a minute at rest": resting.total(), "at rest": dict(resting),
    }  # fmt: skip


def _taken(proxy: ApiProxy) -> Counter[str]:
    """How often what was asked for since the last time."""
    kinds = Counter(_kind(each) for each in proxy.requests)
    proxy.requests.clear()
    return kinds


def _kind(request: str) -> str:
    method, _, path = request.partition(" ")
    watch = " watch" if "watch=" in path else ""
    words = path.partition("?")[0].split("/")
    return f"{method} {next((each for each in words if each in ('pods', 'services', 'ingresses')), words[-1])}{watch}"


def whole(cluster: Simulated, folder: Path, count: int, clients: int) -> dict[str, Any]:
    """All of them: launched, found again after a restart, listed, culled, deleted."""
    found: dict[str, Any] = {}
    home, most = folder / "home", count + count // 10
    with deploy_service(home, cluster.kubeconfig, most) as made:
        found["memory before, MiB"] = made.memory
        cpu = made.process.cpu_times()
        known = launch(made, count, clients, found)
        spent = made.process.cpu_times()
        found["processor per launch, ms"] = 1_000 * (spent.user + spent.system - cpu.user - cpu.system) / count
        found["memory, MiB"] = made.memory
        found["memory of the API server, MiB"] = psutil.Process(cluster.pids["apiserver"]).memory_info().rss / _MIB
        found["memory of etcd, MiB"] = psutil.Process(cluster.pids["etcd"]).memory_info().rss / _MIB
        found["database rows per application"] = {
            name: rows / count for name, rows in made.rows().items() if rows >= count
        }
        found["database, bytes per application"] = made.database.stat().st_size / count
        began = time.monotonic()
        pages = [made.client.deploy.list(limit=1_000, offset=offset) for offset in range(0, count, 1_000)]
        assert sum(map(len, pages)) == count
        found["listing all, s"] = time.monotonic() - began
    began = time.monotonic()
    with deploy_service(home, cluster.kubeconfig, most) as made:
        found["restart until ready, s"] = time.monotonic() - began
        time.sleep(30)  # three looks of the reconciler
        assert made.count(ApplicationStatus.DEPLOYED) == count, "a restart lost applications"
        found["memory after a restart, MiB"] = made.memory
        found |= _cull(made, count // 10, clients)
        began = time.monotonic()
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(lambda each: made.client.deploy.stop(TEMPLATE, each), known))
        found["stopping all, s"] = time.monotonic() - began
        eventually(lambda: not left(cluster, _KINDS[:1]), within=_LONGEST_SECONDS, every=0.5, what="the pods' end")
        found["until no pod is left, s"] = time.monotonic() - began
        eventually(lambda: not left(cluster), within=_LONGEST_SECONDS, every=0.5, what="the end")
        found["until nothing is left, s"] = time.monotonic() - began
    return found


def _cull(made: Deploy, count: int, clients: int) -> dict[str, float]:
    """Those whose age is over when they are all there: how long until the last is gone."""
    results: dict[str, Any] = {}
    before = made.count(ApplicationStatus.DEPLOYED)
    launch_began = time.monotonic()
    launch(made, count, clients, results, max_age=_AGE_SECONDS * 1_000)
    due = launch_began + _AGE_SECONDS
    eventually(
        lambda: made.count(ApplicationStatus.DEPLOYED) == before, within=_LONGEST_SECONDS, every=0.2, what="culling"
    )
    return {f"culling {count}, s after the first was due": time.monotonic() - due}


def main() -> None:
    """Measures and prints one figure a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5_000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    results: dict[str, Any] = {"applications": given.count}
    with tempfile.TemporaryDirectory(prefix="binder-scale-", dir="/var/tmp") as name:
        folder, nodes = Path(name), given.count * 11 // 10 // PODS_PER_NODE + 2
        with simulated(folder / "cluster", nodes) as cluster:
            cluster.kubectl("create", "namespace", NAMESPACE)
            (folder / "few").mkdir()
            results |= requests_of_a_few(cluster, folder)
            results["plain client, applications/s"] = floor(cluster, given.count)
            results |= whole(cluster, folder, given.count, given.clients)
    results["applications/s"] = given.count / results["deployed, s"]
    results["creation, of the plain client's rate"] = (
        results["applications/s"] / results["plain client, applications/s"]
    )
    report(results, given.json)


def report(results: dict[str, Any], file: Path | None) -> None:
    """Prints them; ends with 1 where a goal is missed."""
    missed = []
    for what, value in results.items():
        goal, better = GOALS.get(what, (None, max))
        if goal is not None and better(value, goal) != value:
            missed.append(what)
        shown = f"{value:.3f}" if isinstance(value, float) else value
        print(f"{what:<56} {shown}{'' if goal is None else f'   (goal: {goal:g})'}")
    if file:
        file.write_text(json.dumps(results, indent=2) + "\n")
    if missed:
        sys.exit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
