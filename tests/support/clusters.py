"""Backends on the cluster that tests use, each in a namespace of its own that is gone afterwards."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from binder_deploy.backends.kubernetes.backend import KubernetesBackend
from binder_deploy.backends.kubernetes.cluster import Cluster
from binder_deploy.backends.kubernetes.paths import collection, item
from binder_deploy.backends.kubernetes.site import Site

IMAGE = os.environ.get("BINDER_TEST_CLUSTER_IMAGE", "127.0.0.1:5001/backend/binder-base:1")
"""The base image, where the cluster's nodes find it."""


def cluster() -> Cluster:
    """The cluster of KUBECONFIG."""
    return Cluster(os.environ["KUBECONFIG"])


@contextmanager
def namespace(prefix: str = "backend") -> Iterator[str]:
    """A new namespace."""
    name, api = f"{prefix}-{uuid.uuid4().hex[:8]}", cluster()
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    api.create(
        collection("v1", "Namespace"),
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}},
    )
    try:
        yield name
    finally:
        api.delete(item("v1", "Namespace", None, name))
        api.close()


@contextmanager
def kubernetes_backend(place: str, **values: Any) -> Iterator[KubernetesBackend]:
    """A backend as of a suite of its own; what it launched goes with its namespace."""
    site = Site(**{"suite": uuid.uuid4().hex[:16], "namespace": place, "stop_seconds": 1, **values})
    backend = KubernetesBackend(cluster(), site, start_seconds=60)
    try:
        yield backend
    finally:
        backend.close()
