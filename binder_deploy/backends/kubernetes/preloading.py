"""Images are brought to nodes before anybody waits for them: by a DaemonSet for each image, so to nodes that come later
as well.

Its pods run the image itself and do nothing: that needs no other image, keeps this one from being collected, and takes
hardly more than a pod's place. An image without `sleep` can't even do that; then it was brought all the same.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable

from binder_deploy.backends.kubernetes import objects
from binder_deploy.backends.kubernetes.cluster import Cluster, Json
from binder_deploy.backends.kubernetes.making import Maker
from binder_deploy.backends.kubernetes.paths import collection, item
from binder_deploy.backends.kubernetes.pods import Pods
from binder_deploy.backends.kubernetes.reading import PRELOAD, Pod
from binder_deploy.backends.kubernetes.site import Site
from binder_deploy.startup import USER
from binder_protocol.errors import ImageNotFound, Unavailable
from binder_protocol.models import PreloadStatus

_API = "apps/v1"
_MOST = 20
_LOOK_SECONDS = 0.5


class Preloader:
    """The newest images are kept on the nodes, a bounded number of them. `seconds`: the longest that one may take."""

    def __init__(self, cluster: Cluster, site: Site, pods: Pods, maker: Maker, *, seconds: float) -> None:
        self._cluster = cluster
        self._site = site
        self._pods = pods
        self._maker = maker
        self._seconds = seconds

    def preload(self, image: str) -> None:
        """Returns when the image is on every node that takes pods. Raises ImageNotFound where no node gets it."""
        deadline = time.monotonic() + self._seconds
        self._pods.check()
        self._forget_oldest()
        self._maker.ensure(daemon_set(image, self._site))
        while time.monotonic() < deadline:
            status = self._cluster.get(self._path(image)).get("status") or {}
            mine = self._mine(image)
            failure = _failure(mine)
            if failure is not None:
                self._cluster.delete(self._path(image))
                raise failure
            if "observedGeneration" in status:
                there = [each for each in mine if each.pulled or each.instance.failure is not None]
                if len(there) >= int(status.get("desiredNumberScheduled") or 0):
                    return
            time.sleep(_LOOK_SECONDS)
        raise Unavailable(f"the image {image[:200]} is not on every node after {self._seconds:g} s; it goes on")

    def nodes(self, image: str) -> dict[str, PreloadStatus]:
        """How far it is on each node, now."""
        return {each.node: _status(each) for each in self._mine(image) if each.node}

    def _mine(self, image: str) -> list[Pod]:
        mark = _mark(image)
        return [each for each in self._pods.all() if each.preload == mark and not each.leaving]

    def _path(self, image: str) -> str:
        return item(_API, "DaemonSet", self._site.namespace, _name(image, self._site))

    def _forget_oldest(self) -> None:
        where = collection(_API, "DaemonSet", self._site.namespace)
        found = self._cluster.list(where, {"labelSelector": objects.selector(self._site)})
        found.sort(key=lambda each: str(each["metadata"].get("creationTimestamp")), reverse=True)
        for each in found[_MOST - 1 :]:
            self._cluster.delete(item(_API, "DaemonSet", self._site.namespace, each["metadata"]["name"]))


def daemon_set(image: str, site: Site) -> Json:
    """The DaemonSet that brings `image` to the nodes on which this site's applications run. Pure."""
    labels = {**objects.suite_labels(site), PRELOAD: _mark(image)}
    container = {
        "name": "image",
        "image": image,
        "imagePullPolicy": site.pull_policy,
        "command": ["sleep", "infinity"],
        "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"cpu": "50m", "memory": "32Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    placement = {
        "imagePullSecrets": [{"name": each} for each in site.pull_secrets],
        "nodeSelector": dict(site.node_selector),
        "tolerations": [dict(each) for each in site.tolerations],
        "runtimeClassName": site.runtime_class,
    }
    spec = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 0,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        **{key: value for key, value in placement.items() if value},
    }
    return {
        "apiVersion": _API,
        "kind": "DaemonSet",
        "metadata": {"name": _name(image, site), "namespace": site.namespace, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "100%"}},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def _failure(pods: Iterable[Pod]) -> ImageNotFound | None:
    """Why no node gets it; where some do, the others may yet."""
    told = list(pods)
    failures = [each.instance.failure for each in told if isinstance(each.instance.failure, ImageNotFound)]
    if not failures or any(each.pulled for each in told):
        return None
    failure = failures[0]
    assert isinstance(failure, ImageNotFound)
    return failure


def _status(pod: Pod) -> PreloadStatus:
    if pod.pulled:
        return PreloadStatus.COMPLETED
    return PreloadStatus.LOADING if pod.instance.failure is None else PreloadStatus.FAILED


def _mark(image: str) -> str:
    return hashlib.sha256(image.encode()).hexdigest()[:32]


def _name(image: str, site: Site) -> str:
    return f"binder-preload-{hashlib.sha256(f'{site.suite} {image}'.encode()).hexdigest()[:32]}"
