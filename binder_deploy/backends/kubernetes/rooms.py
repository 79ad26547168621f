"""The cluster's nodes and quotas, looked at when somebody wants to know, and remembered for a moment."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable

from binder_deploy.backends.kubernetes import fitting
from binder_deploy.backends.kubernetes.answers import Denied
from binder_deploy.backends.kubernetes.cluster import Cluster, Json
from binder_deploy.backends.kubernetes.fitting import Node
from binder_deploy.backends.kubernetes.paths import collection
from binder_deploy.backends.kubernetes.reading import Pod
from binder_deploy.backends.kubernetes.site import Site

_KNOWN_SECONDS = 10.0
_FORBIDDEN = 403


class Rooms:
    """What an account without the right to see nodes or quotas doesn't see, doesn't count."""

    def __init__(self, cluster: Cluster, site: Site) -> None:
        self._cluster = cluster
        self._site = site
        self._lock = threading.Lock()
        self._looked = -float("inf")
        self._nodes: list[Node] = []
        self._quotas: list[Json] = []

    def room(self, pod: Json, pods: Iterable[Pod]) -> int | None:
        """How many more such pods have a place, beside those that there are; None where nothing is known."""
        nodes, quotas = self._look()
        taken: defaultdict[str, Counter[str]] = defaultdict(Counter)
        waiting = 0
        for each in pods:
            waiting += not each.node
            taken[each.node].update(each.requests)
        there = [max(0, fitting.room(pod, nodes, taken) - waiting)] if nodes else []
        allowed = fitting.allowed(pod, quotas)
        return min([*there, *([] if allowed is None else [allowed])], default=None)

    def never(self, pod: Json) -> bool:
        """Whether no node that there is would have room for the pod, even if nothing else ran."""
        return fitting.fits_nowhere(pod, self._look()[0])

    def node_addresses(self) -> list[str]:
        """The addresses of the nodes."""
        return [address for each in self._look()[0] for address in each.addresses]

    def _look(self) -> tuple[list[Node], list[Json]]:
        with self._lock:
            if time.monotonic() - self._looked > _KNOWN_SECONDS:
                self._nodes = [fitting.node(each) for each in self._list("Node", None)]
                # Of applications in namespaces of their own each has a quota of its own.
                quotas = not self._site.own_namespaces
                self._quotas = self._list("ResourceQuota", self._site.namespace) if quotas else []
                self._looked = time.monotonic()
            return self._nodes, self._quotas

    def _list(self, kind: str, namespace: str | None) -> list[Json]:
        try:
            return self._cluster.list(collection("v1", kind, namespace))
        except Denied as error:
            if error.code != _FORBIDDEN:
                raise
            return []
