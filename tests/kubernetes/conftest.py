"""What tests with a cluster stand on: a small image."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest

from tests.cluster import images
from tests.support.cluster import Cluster

BUSYBOX = "binder-test-busybox:1"


@pytest.fixture(scope="session")
def busybox(cluster: Cluster) -> Iterator[str]:
    """An image of the Docker engine with busybox in it; `cluster.image` takes it to the cluster."""
    client = docker.from_env()
    repository, tag = BUSYBOX.split(":")
    client.api.import_image_from_data(images.filesystem(), repository=repository, tag=tag)
    yield BUSYBOX
    client.images.remove(BUSYBOX, force=True)
    client.close()
