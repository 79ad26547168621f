"""A node without a kubelet, and pods there that are told to run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from binder_client.client import Client
from binder_deploy.backends.kubernetes.paths import collection, item
from binder_protocol.models import Application
from tests.support.eventually import eventually
from tests.support.places import Place

MINUTE = 60
_LEASES = "coordination.k8s.io/v1"
_TAINT = "binder-test"


@dataclass(frozen=True)
class SilentNode:
    """It says that it is ready when it is told to `beat`, and never by itself. Only what asks for it runs there."""

    place: Place
    name: str

    @property
    def path(self) -> str:
        return item("v1", "Node", None, self.name)

    @property
    def selector(self) -> dict[str, str]:
        """What chooses it."""
        return {_TAINT: self.name}

    @property
    def tolerations(self) -> list[dict[str, str]]:
        """What bears its taint."""
        return [{"key": _TAINT, "operator": "Exists"}]

    @property
    def settings(self) -> dict[str, object]:
        """Those of a deploy service whose applications run there."""
        return {"node_selector": self.selector, "tolerations": self.tolerations}

    @property
    def lease(self) -> str:
        """Where a kubelet shows that it lives."""
        return item(_LEASES, "Lease", "kube-node-lease", self.name)

    def beat(self) -> None:
        """Shows that it lives."""
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        spec = {"holderIdentity": self.name, "leaseDurationSeconds": 40, "renewTime": now}
        meta = {"name": self.name, "namespace": "kube-node-lease"}
        self.place.api.apply(
            self.lease, {"apiVersion": _LEASES, "kind": "Lease", "metadata": meta, "spec": spec}, "test"
        )

    def launched(self, client: Client) -> Application:
        """An application that the scheduler put there, deployed by what a kubelet would have told."""
        asked = client.deploy.deploy("server")
        eventually(lambda: self.place.pods() and self.place.pods()[0]["spec"].get("nodeName"), within=MINUTE)
        self.runs(f"binder-{asked.id}", "application")
        return client.deploy.wait("server", asked.id, timeout=MINUTE)

    def runs(self, pod: str, container: str) -> None:
        """Tells of a pod that it runs, as a kubelet would."""
        running = {"name": container, "ready": True, "state": {"running": {}}, "restartCount": 0}
        running |= {"image": self.place.image, "imageID": self.place.image}
        conditions = [{"type": each, "status": "True"} for each in ("PodScheduled", "ContainersReady", "Ready")]
        started = {"phase": "Running", "conditions": conditions, "containerStatuses": [running]}
        address = {"podIP": "192.0.2.1", "podIPs": [{"ip": "192.0.2.1"}]}
        self.place.put_status(item("v1", "Pod", self.place.namespace, pod), {**started, **address})


@contextmanager
def a_silent_node(place: Place) -> Iterator[SilentNode]:
    """The node, as long as it is wanted."""
    name = f"gone-{place.namespace}"
    node = SilentNode(place, name)
    taint = {"key": _TAINT, "value": name, "effect": "NoSchedule"}
    meta = {"metadata": {"name": name, "labels": {_TAINT: name}}}
    amounts = {"cpu": "8", "memory": "8Gi", "pods": "10", "ephemeral-storage": "100Gi"}
    status = {"allocatable": amounts, "capacity": amounts, "conditions": [{"type": "Ready", "status": "True"}]}
    place.api.create(
        collection("v1", "Node"), {"apiVersion": "v1", "kind": "Node", **meta, "spec": {"taints": [taint]}}
    )
    try:
        place.put_status(node.path, status)
        node.beat()
        yield node
    finally:
        place.api.delete(node.path)
        place.api.delete(node.lease)
