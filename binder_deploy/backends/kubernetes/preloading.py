"""Images are brought to nodes before anybody waits for them: by a DaemonSet for each image and placement, so to nodes
that come later as well, and to those alone on which such applications may run.

Its pods run the image itself and do nothing: that needs no other image, keeps this one from being collected, and takes
hardly more than a pod's place. An image without `sleep` can't even do that; then it was brought all the same.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable

from binder_deploy.backends.kubernetes import objects
from binder_deploy.backends.kubernetes.cluster import Cluster, Json
from binder_deploy.backends.kubernetes.making import Maker
from binder_deploy.backends.kubernetes.paths import collection, item
from binder_deploy.backends.kubernetes.pods import Pods
from binder_deploy.backends.kubernetes.reading import PRELOAD, Pod
from binder_deploy.backends.kubernetes.site import Site
from binder_deploy.launches import Launch
from binder_deploy.startup import USER
from binder_protocol.errors import ImageNotFound, Unavailable
from binder_protocol.models import Access, Placement, PreloadStatus

_API = "apps/v1"
_SET = "org.binder.preload-set"
_MOST = 20
_LOOK_SECONDS = 0.5
_WHERE = ("imagePullSecrets", "nodeSelector", "affinity", "tolerations", "runtimeClassName")
"""What of an application's pod says where it may run and how its image comes there."""


class Preloader:
    """The newest images are kept on the nodes, a bounded number of them. `seconds`: the longest that one may take."""

    def __init__(self, cluster: Cluster, site: Site, pods: Pods, maker: Maker, *, seconds: float) -> None:
        self._cluster = cluster
        self._site = site
        self._pods = pods
        self._maker = maker
        self._seconds = seconds

    def preload(self, image: str, placement: Placement | None = None) -> None:
        """Returns when the image is on every node that takes applications of that placement. Raises ImageNotFound where
        no node gets it.
        """
        deadline = time.monotonic() + self._seconds
        self._pods.check()
        self._forget_oldest()
        wanted = daemon_set(image, placement or Placement(), self._site)
        path = item(_API, "DaemonSet", self._site.namespace, wanted["metadata"]["name"])
        self._maker.ensure(wanted)
        while time.monotonic() < deadline:
            status = self._cluster.get(path).get("status") or {}
            mine = [each for each in self._mine(image) if each.name.startswith(wanted["metadata"]["name"])]
            failure = _failure(mine)
            if failure is not None:
                self._cluster.delete(path)
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

    def _forget_oldest(self) -> None:
        where = collection(_API, "DaemonSet", self._site.namespace)
        found = self._cluster.list(where, {"labelSelector": objects.selector(self._site)})
        found.sort(key=lambda each: str(each["metadata"].get("creationTimestamp")), reverse=True)
        for each in found[_MOST - 1 :]:
            self._cluster.delete(item(_API, "DaemonSet", self._site.namespace, each["metadata"]["name"]))


def daemon_set(image: str, placement: Placement, site: Site) -> Json:
    """The DaemonSet that brings `image` to the nodes on which applications of that placement run at this site. Pure."""
    where = _where(image, placement, site)
    name = f"binder-preload-{_hash(f'{site.suite} {image}', json.dumps(where, sort_keys=True))}"
    labels = {**objects.suite_labels(site), PRELOAD: _mark(image), _SET: name}
    container = {
        "name": "image",
        "image": image,
        "imagePullPolicy": site.pull_policy,
        "command": ["sleep", "infinity"],
        "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"cpu": "50m", "memory": "32Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
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
        **where,
    }
    return {
        "apiVersion": _API,
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": site.namespace, "labels": labels},
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


def _where(image: str, placement: Placement, site: Site) -> Json:
    """As an application's own pod has it, the operator's patch included."""
    sample = Launch(
        id="0" * 32, template="preload", revision=0, image=image, token="", access=Access.PUBLIC, memory=1, cpu=1,
        pids=1, cull_timeout=1, placement=placement,
    )  # fmt: skip
    spec = objects.pod(sample, site)["spec"]
    return {key: spec[key] for key in _WHERE if spec.get(key)}


def _mark(image: str) -> str:
    return _hash(image)


def _hash(*texts: str) -> str:
    return hashlib.sha256(" ".join(texts).encode()).hexdigest()[:32]
