"""Backends and deploy services on the cluster that tests use, in namespaces of their own."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from binder_client.client import Client
from binder_deploy.backends.kubernetes.backend import KubernetesBackend
from binder_deploy.backends.kubernetes.cluster import Cluster, Json
from binder_deploy.backends.kubernetes.paths import collection, item
from binder_deploy.backends.kubernetes.site import Site
from binder_deploy.main import build_app
from binder_deploy.settings import DeploySettings
from tests.support.cluster import Cluster as TestCluster
from tests.support.deploying import IMAGE, KEY, Templates, settings_for
from tests.support.eventually import eventually
from tests.support.frontdoor import Door
from tests.support.server import running

KINDS = (("v1", "Pod"), ("v1", "Service"), ("networking.k8s.io/v1", "Ingress"), ("apps/v1", "DaemonSet"))


@contextmanager
def kubernetes_backend(kubeconfig: Path, namespace: str, **values: Any) -> Iterator[KubernetesBackend]:
    """A backend as of a suite of its own; what it launched goes with its namespace."""
    site = Site(**{"suite": uuid.uuid4().hex[:16], "namespace": namespace, "stop_seconds": 1, **values})
    backend = KubernetesBackend(Cluster(str(kubeconfig)), site, start_seconds=60)
    try:
        yield backend
    finally:
        backend.close()


@dataclass
class Place:
    """A home and a namespace, in which a deploy service comes and goes. `api` is the administrator's, `image` the base
    image as the nodes know it.
    """

    home: Path
    namespace: str
    api: Cluster
    kubeconfig: Path
    image: str
    templates: Templates = field(default_factory=Templates)

    def settings(self, **values: Any) -> DeploySettings:
        """Settings that make everything happen quickly."""
        given = {"kubeconfig": self.kubeconfig, "namespace": self.namespace, "reached_from": ["10.0.0.0/8"]}
        given |= values.pop("kubernetes", {})
        return settings_for(self.home, Door(1, 1), **{"backend": "kubernetes", "kubernetes": given, **values})

    @contextmanager
    def service(self, **values: Any) -> Iterator[Client]:
        """A deploy service, as long as it is wanted."""
        app = build_app(self.settings(**values), templates=self.templates)
        with running(app) as url, Client(url, KEY) as client:
            yield client

    def there(self, labels: str = "org.binder.application") -> list[Json]:
        """What there is of applications in the namespace."""
        found: list[Json] = []
        for version, kind in KINDS:
            found += self.api.list(collection(version, kind, self.namespace), {"labelSelector": labels})[0]
        return found

    def pods(self) -> list[Json]:
        """The pods of applications."""
        labels = {"labelSelector": "org.binder.application"}
        return self.api.list(collection("v1", "Pod", self.namespace), labels)[0]

    def delete_pod(self, identity: str) -> None:
        """As by `kubectl delete pod --now`."""
        self.api.delete(item("v1", "Pod", self.namespace, f"binder-{identity}"), grace=0)

    def empty(self) -> None:
        """Waits until nothing of applications is left."""
        eventually(lambda: self.there() == [], within=60, every=0.2, what="an empty namespace")


@contextmanager
def a_place(cluster: TestCluster, home: Path) -> Iterator[Place]:
    """A place with the template `server`, for restricted pods."""
    api = Cluster(str(cluster.kubeconfig))
    image = cluster.image(IMAGE)
    with cluster.namespace() as name, contextlib.closing(api):
        cluster.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
        place = Place(home, name, api, cluster.kubeconfig, image)
        place.templates.add("server", image=image)
        yield place
