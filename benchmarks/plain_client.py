"""The floor of benchmarks.scale: a client that does nothing but create the objects of applications.

    python -m benchmarks.plain_client KUBECONFIG NAMESPACE COUNT [--threads 32] [--prefix floor]

Pod, then the service and the route that it owns: the very objects of the deploy service, over connections that stay
open. Prints seconds until all are there and run.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

from binder_deploy.backends.kubernetes.objects import INSTANCE, objects, owned
from binder_deploy.backends.kubernetes.paths import collection
from binder_deploy.backends.kubernetes.site import Entrance, Site
from binder_deploy.launches import Launch
from tests.support.apiproxy import Upstream, upstream

SUITE = "floor"
SELECTOR = f"{INSTANCE}={SUITE}"
"""What tells its objects from others of the namespace."""


class Creator:
    """One connection."""

    def __init__(self, where: Upstream, site: Site) -> None:
        self._site = site
        self._connection = http.client.HTTPSConnection(where.host, where.port, context=where.identified, timeout=60)

    def create(self, number: int, prefix: str) -> None:
        """One application's objects."""
        wanted = objects(launch(f"{prefix}{number:0{32 - len(prefix)}x}"), self._site)
        uid = str(self._post(wanted.pod)["metadata"]["uid"])
        for each in (wanted.service, wanted.route):
            self._post(owned(each, uid))

    def await_running(self) -> None:
        """Returns when none of its pods waits any more."""
        pods = collection("v1", "Pod", self._site.namespace)
        path = f"{pods}?labelSelector={quote(SELECTOR)}&fieldSelector=status.phase!=Running&limit=1"
        while self._get(path)["items"]:
            time.sleep(0.2)

    def _get(self, path: str) -> dict:  # type: ignore[type-arg]
        self._connection.request("GET", path)
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status == 200, text[:500]
        found: dict = json.loads(text)  # type: ignore[type-arg]
        return found

    def _post(self, manifest: dict) -> dict:  # type: ignore[type-arg]
        path = collection(manifest["apiVersion"], manifest["kind"], manifest["metadata"]["namespace"])
        self._connection.request("POST", path, json.dumps(manifest), {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status == 201, text[:500]
        made: dict = json.loads(text)  # type: ignore[type-arg]
        return made


def launch(identity: str) -> Launch:
    """As one of the benchmark's template."""
    return Launch(
        id=identity, template="bench", revision=1, image="registry.test/bench:1", token="t" * 32,
        command=("serve",), memory=2**28, cpu=100, pids=64, cull_timeout=3_600_000,
    )  # fmt: skip


def create(kubeconfig: Path, namespace: str, count: int, threads: int, prefix: str) -> float:
    """Seconds until all are created, and their pods run: a cluster that lags behind is not faster for it."""
    where, numbers = upstream(kubeconfig), itertools.count()
    entrance = Entrance(controller="nginx", guard_url="http://127.0.0.1:8084")
    site, lock = Site(suite=SUITE, namespace=namespace, entrance=entrance), threading.Lock()

    def work() -> None:
        creator = Creator(where, site)
        while True:
            with lock:
                number = next(numbers)
            if number >= count:
                return
            creator.create(number, prefix)

    began = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        for each in [pool.submit(work) for _ in range(threads)]:
            each.result()
    Creator(where, site).await_running()
    return time.monotonic() - began


def main() -> None:
    """Creates and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kubeconfig", type=Path)
    parser.add_argument("namespace")
    parser.add_argument("count", type=int)
    parser.add_argument("--threads", type=int, default=32)
    parser.add_argument("--prefix", default="f")
    given = parser.parse_args()
    print(f"{create(given.kubeconfig, given.namespace, given.count, given.threads, given.prefix):.2f}")


if __name__ == "__main__":
    main()
