"""Nodes that have fallen silent, known before Kubernetes gives them up: by the leases that their kubelets renew.

A kubelet renews its node's lease every ten seconds. Kubernetes waits for 40 or 50 seconds, and takes a pod from its
service and puts a taint on the node only then. Whatever clocks on nodes say: what counts is how long a lease has not
changed, by this process's own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

import structlog

from binder_deploy.backends.kubernetes.cluster import Cluster
from binder_deploy.backends.kubernetes.paths import collection
from binder_protocol.errors import EngineError
from binder_protocol.service.leases import Stillness

log = structlog.get_logger()

SILENT_SECONDS = 30.0
"""Three beats, and short enough to be told within a minute."""

_LOOK_SECONDS = 9.0
_REFUSED_SECONDS = 60.0
_LEASES = collection("coordination.k8s.io/v1", "Lease", "kube-node-lease")


class Heartbeats:
    """Looks at most every few seconds. Where the leases can't be read, nobody is called silent."""

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._clock = clock
        self._lock = threading.Lock()
        self._next = -float("inf")
        self._beats: dict[str, object] = {}
        self._silent: frozenset[str] = frozenset()
        self._stillness: Stillness[str] = Stillness(SILENT_SECONDS, clock)

    def silent(self, nodes: Iterable[str]) -> frozenset[str]:
        """Those of the nodes that were not heard of for SILENT_SECONDS."""
        wanted = {each for each in nodes if each}
        with self._lock:
            if wanted and self._clock() >= self._next:
                self._look(wanted)
            return self._silent & wanted

    def _look(self, wanted: set[str]) -> None:
        pause = _LOOK_SECONDS
        try:
            leases = self._cluster.list(_LEASES, {"resourceVersion": "0"})
        except EngineError as error:
            if self._silent or not self._beats:
                log.info("nodes' leases can't be read", error=error.message)
            self._silent, pause = frozenset(), _REFUSED_SECONDS
        else:
            told = {each["metadata"]["name"]: (each.get("spec") or {}).get("renewTime") for each in leases}
            # The lease of a node that was removed goes with it: then the last beat was the last one.
            self._beats = {**{each: self._beats[each] for each in wanted & self._beats.keys()}, **told}
            self._silent = frozenset(self._stillness.still(self._beats))
        self._next = self._clock() + pause
