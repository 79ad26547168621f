"""Launching through Binder on a real cluster against a bare pod and service made by one client, taking turns.

    python -m benchmarks.cluster [--rounds 9] [--storm 200] [--json FILE]

Both pods have the same specification, image and readiness probe, and one watch tells when each is Ready. Binder's way
is the whole one: POST to the deploy service through the front door, template from the registry, pod, service, route.
Shown apart: until Binder tells that it is deployed, and until it answers 200 through the front door. Then a storm:
launches at once, more than the node has places. Ratios are of medians. Ends with 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import secrets
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from binder_client.client import Client
from binder_deploy.backends.kubernetes.cluster import Cluster as Api
from binder_deploy.backends.kubernetes.cluster import Json
from binder_deploy.backends.kubernetes.paths import collection, item
from binder_protocol.models import Application, ApplicationStatus, Limits, TemplateSpec
from tests.support.cluster import Cluster, find
from tests.support.deploying import IMAGE, SERVER, python
from tests.support.eventually import eventually
from tests.support.suite import Suite, suite

RATIO, OWN_SECONDS = 1.15, 0.25
QUEUE_SECONDS = 20
DEADLINE_SECONDS = 600
POLL_SECONDS = 0.005


@dataclass
class Ready:
    """When pods of a namespace became Ready, as one watch tells."""

    api: Api
    namespace: str
    times: dict[str, float] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def follow(self) -> None:
        where = collection("v1", "Pod", self.namespace)
        query: dict[str, str | int] = {"watch": "true", "timeoutSeconds": 3_600}
        with contextlib.suppress(Exception):  # it ends with the benchmark
            for line in self.api.stream(where, query, quiet_seconds=3_600):
                pod = json.loads(line)["object"]
                told = (pod.get("status") or {}).get("conditions") or []
                if any(each["type"] == "Ready" and each["status"] == "True" for each in told):
                    with self.changed:
                        self.times.setdefault(pod["metadata"]["name"], time.perf_counter())
                        self.changed.notify_all()

    def wait(self, name: str) -> float:
        with self.changed:
            if not self.changed.wait_for(lambda: name in self.times, DEADLINE_SECONDS):
                raise TimeoutError(name)
            return self.times[name]


@dataclass
class Bench:
    client: Client
    api: Api
    namespace: str
    ready: Ready

    def binder(self) -> tuple[float, float, float, str]:
        """Seconds until Ready, until told, until 200; and the id."""
        began = time.perf_counter()
        asked = self.client.deploy.deploy("bench")
        for event in self.client.deploy.events("bench", asked.id, follow=True):
            if event.status is ApplicationStatus.DEPLOYED:
                break
            if event.status.ended:
                raise RuntimeError(event.message)
        told = time.perf_counter() - began
        location = self.client.deploy.status("bench", asked.id).location or ""
        until_200(location)
        answered = time.perf_counter() - began
        return self.ready.wait(f"binder-{asked.id}") - began, told, answered, asked.id

    def bare(self, pod: Json, service: Json) -> float:
        """Seconds until a pod made with its service is Ready."""
        name = f"bare-{secrets.token_hex(6)}"
        labels = {"bare": name}
        began = time.perf_counter()
        self.api.create(collection("v1", "Pod", self.namespace), {**pod, "metadata": {"name": name, "labels": labels}})
        self.api.create(
            collection("v1", "Service", self.namespace),
            {**service, "metadata": {"name": name}, "spec": {**service["spec"], "selector": labels}},
        )
        took = self.ready.wait(name) - began
        for kind in ("Pod", "Service"):
            self.api.delete(item("v1", kind, self.namespace, name), grace=0)
        return took

    def model(self, identity: str) -> tuple[Json, Json]:
        """The pod and service of an application, as somebody would write them."""
        name = f"binder-{identity}"
        pod = self.api.get(item("v1", "Pod", self.namespace, name))
        service = self.api.get(item("v1", "Service", self.namespace, name))
        spec = {key: value for key, value in pod["spec"].items() if key not in ("nodeName", "volumes", "priority")}
        ports = [{key: each[key] for key in ("name", "port", "targetPort")} for each in service["spec"]["ports"]]
        return (
            {"apiVersion": "v1", "kind": "Pod", "spec": spec},
            {"apiVersion": "v1", "kind": "Service", "spec": {"ports": ports}},
        )


def until_200(location: str) -> None:
    url = urlsplit(location)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=10)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            connection.request("GET", f"{url.path}?{url.query}")
            if connection.getresponse().status == http.client.OK:
                return
        time.sleep(POLL_SECONDS)
    raise TimeoutError(url.path)


@contextlib.contextmanager
def bench(cluster: Cluster, namespace: str) -> Iterator[tuple[Bench, Suite]]:
    """A whole suite beside the cluster."""
    table = f"[deploy.kubernetes]\nnamespace = '{namespace}'\nkubeconfig = '{cluster.kubeconfig}'\n"
    table += "cpu-request = 0.01\nephemeral-storage-request = 0.001\n"  # a small node is to take as many as it can
    common = f"memory = '64M'\nmax-applications = 1000\nqueue-timeout = {QUEUE_SECONDS}\n"
    api = Api(str(cluster.kubeconfig))
    with (
        tempfile.TemporaryDirectory(prefix="binder-cluster-") as home,
        suite(Path(home) / "home", deploy=common + table) as made,
    ):
        started = made.control("start-all", "--backend", "kubernetes")
        if started.returncode:
            raise RuntimeError(started.stderr)
        with Client(made.url, made.key) as client:
            spec = TemplateSpec(
                name="bench", image=cluster.image(IMAGE), command=python(SERVER), limits=Limits(memory="64M")
            )
            client.registry.register(spec)
            ready = Ready(api, namespace)
            threading.Thread(target=ready.follow, daemon=True).start()
            yield Bench(client, api, namespace, ready), made


def measure(made: Bench, rounds: int) -> dict[str, float]:
    """Both ways, taking turns; the first round warms up and isn't counted."""
    found: dict[str, list[float]] = {"bare": [], "ready": [], "told": [], "answered": []}
    *_, first = made.binder()
    pod, service = made.model(first)
    made.client.deploy.stop("bench", first)
    for turn in range(rounds + 1):
        bare = made.bare(pod, service)
        ready, told, answered, identity = made.binder()
        made.client.deploy.stop("bench", identity)
        if turn:
            for name, value in (("bare", bare), ("ready", ready), ("told", told), ("answered", answered)):
                found[name].append(value)
    medians = {name: statistics.median(values) for name, values in found.items()}
    spread = {f"{name}_{kind.__name__}": kind(values) for name, values in found.items() for kind in (min, max)}
    return {"rounds": rounds, "ratio": medians["ready"] / medians["bare"], **medians, **spread}


def storm(made: Bench, number: int) -> dict[str, float]:
    """So many launches at once: what became of them, and what is left after they were stopped."""
    began = time.perf_counter()
    with ThreadPoolExecutor(16) as pool:
        asked = list(pool.map(lambda _: made.client.deploy.deploy("bench"), range(number)))
    taken = time.perf_counter() - began

    def settled() -> list[Application] | None:
        now = [made.client.deploy.status("bench", each.id) for each in asked]
        return now if all(each.status.ended or each.status is ApplicationStatus.DEPLOYED for each in now) else None

    ended = eventually(settled, within=DEADLINE_SECONDS, every=1, what="the end of all launches") or []
    took = time.perf_counter() - began
    became = Counter(each.failure.type if each.failure else each.status.value for each in ended)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda each: made.client.deploy.stop("bench", each.id), asked))
    labels = {"labelSelector": "org.binder.application"}
    kinds = (("v1", "Pod"), ("v1", "Service"), ("networking.k8s.io/v1", "Ingress"))

    def left() -> int:
        return sum(len(made.api.list(collection(*kind, made.namespace), labels)) for kind in kinds)

    eventually(lambda: left() == 0, within=DEADLINE_SECONDS, every=1, what="an empty namespace")
    return {"asked": number, "asking": taken, "seconds": took, **became}


def main() -> None:
    """Measures, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--storm", type=int, default=200)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = find()
    if found.cluster is None:
        sys.exit(found.missing)
    with found.cluster.namespace("backend") as namespace, bench(found.cluster, namespace) as (made, _):
        launch = measure(made, given.rounds)
        stormed = storm(made, given.storm) if given.storm else {}
    print("seconds, median (min-max)")
    for name, what in (
        ("bare", "bare pod and service, until Ready"), ("ready", "Binder, until Ready"),
        ("told", "Binder, until told"), ("answered", "Binder, until 200 through the front door"),
    ):  # fmt: skip
        print(f"{what:<42} {launch[name]:.3f} ({launch[f'{name}_min']:.3f}-{launch[f'{name}_max']:.3f})")
    own = launch["ready"] - launch["bare"]
    print(f"ratio {launch['ratio']:.3f} (goal {RATIO}), our own {own * 1000:.0f} ms (goal {OWN_SECONDS * 1000:.0f})")
    print(f"storm: {stormed}")
    if given.json:
        given.json.write_text(json.dumps({"launch": launch, "storm": stormed}, indent=2) + "\n")
    lost = bool(stormed) and sum(value for name, value in stormed.items() if name not in ("asking", "seconds")) != (
        2 * stormed["asked"]
    )
    sys.exit(int(launch["ratio"] > RATIO or own > OWN_SECONDS or lost))


if __name__ == "__main__":
    main()
