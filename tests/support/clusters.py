"""Backends and deploy services on the cluster that tests use, each in a namespace of its own, gone afterwards."""

from __future__ import annotations

import os
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
from tests.support.deploying import KEY, Templates, settings_for
from tests.support.eventually import eventually
from tests.support.frontdoor import Door
from tests.support.server import running

IMAGE = os.environ.get("BINDER_TEST_CLUSTER_IMAGE", "127.0.0.1:5001/backend/binder-base:1")
"""The base image, where the cluster's nodes find it."""

KINDS = (("v1", "Pod"), ("v1", "Service"), ("networking.k8s.io/v1", "Ingress"), ("apps/v1", "DaemonSet"))


@contextmanager
def cluster() -> Iterator[Cluster]:
    """The cluster of KUBECONFIG, as its administrator."""
    api = Cluster(os.environ["KUBECONFIG"])
    try:
        yield api
    finally:
        api.close()


@contextmanager
def namespace(prefix: str = "backend") -> Iterator[str]:
    """A new namespace, for restricted pods."""
    name = f"{prefix}-{uuid.uuid4().hex[:8]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    with cluster() as api:
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        api.create(collection("v1", "Namespace"), made)
        try:
            yield name
        finally:
            api.delete(item("v1", "Namespace", None, name))


@contextmanager
def kubernetes_backend(place: str, **values: Any) -> Iterator[KubernetesBackend]:
    """A backend as of a suite of its own; what it launched goes with its namespace."""
    site = Site(**{"suite": uuid.uuid4().hex[:16], "namespace": place, "stop_seconds": 1, **values})
    backend = KubernetesBackend(Cluster(os.environ["KUBECONFIG"]), site, start_seconds=60)
    try:
        yield backend
    finally:
        backend.close()


@dataclass
class Place:
    """A home and a namespace, in which a deploy service comes and goes. `api` is the administrator's."""

    home: Path
    namespace: str
    api: Cluster
    templates: Templates = field(default_factory=Templates)

    def settings(self, **values: Any) -> DeploySettings:
        """Settings that make everything happen quickly."""
        given = {"kubeconfig": os.environ["KUBECONFIG"], "namespace": self.namespace, "reached_from": ["10.0.0.0/8"]}
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
def cluster_place(home: Path) -> Iterator[Place]:
    """A place with the template `server`."""
    with namespace() as name, cluster() as api:
        place = Place(home, name, api)
        place.templates.add("server", image=IMAGE)
        yield place
