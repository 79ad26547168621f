"""Which nodes take a pod, and when a lost one gives it up: the operator's words and the template's, as one. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from binder_deploy.backends.kubernetes.entrances import Manifest
from binder_deploy.backends.kubernetes.site import Json, Site
from binder_protocol.models import Placement, Toleration

UNREACHABLE, NOT_READY = "node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready"
"""The taints of a node that says nothing more, and of one whose kubelet says that it is not well."""

LEAST_NOT_READY_SECONDS = 30
"""A kubelet that starts again says for some seconds that it is not ready, while what runs there runs on."""

_NO_EXECUTE = "NoExecute"


def placed(placement: Placement, site: Site) -> Manifest:
    """That part of a pod's spec.

    Kubernetes itself lets a pod stay for five minutes on a node that is lost; here it is `node_lost_seconds`, and no
    less than LEAST_NOT_READY_SECONDS while the node still speaks.
    """
    secrets = dict.fromkeys((*site.pull_secrets, *(placement.pull_secrets or ())))
    wanted: Manifest = {
        "imagePullSecrets": [{"name": each} for each in secrets],
        "nodeSelector": {**site.node_selector, **(placement.node_selector or {})},
        # Of the tolerations of one taint the first counts: a template that bears everything bears no lost node longer.
        "tolerations": [
            *_of_lost_nodes(site),
            *(dict(each) for each in site.tolerations),
            *(_toleration(each) for each in placement.tolerations or ()),
        ],
        "priorityClassName": placement.priority_class or site.priority_class,
        "runtimeClassName": site.runtime_class,
        "schedulerName": site.scheduler,
    }
    return {key: value for key, value in wanted.items() if value}


def _of_lost_nodes(site: Site) -> Iterator[Manifest]:
    borne = {UNREACHABLE: site.node_lost_seconds, NOT_READY: max(site.node_lost_seconds, LEAST_NOT_READY_SECONDS)}
    for key, seconds in borne.items():
        if not any(_speaks_of(each, key) for each in site.tolerations):
            yield {"key": key, "operator": "Exists", "effect": _NO_EXECUTE, "tolerationSeconds": seconds}


def _speaks_of(toleration: Json, key: str) -> bool:
    """As the API server sees it before it adds its five minutes: without a key or an effect all are meant."""
    return toleration.get("key") in (None, "", key) and toleration.get("effect") in (None, "", _NO_EXECUTE)


def _toleration(toleration: Toleration) -> Manifest:
    told = {
        "key": toleration.key,
        "operator": toleration.operator,
        "value": toleration.value,
        "effect": toleration.effect,
        "tolerationSeconds": toleration.toleration_seconds,
    }
    return {key: value for key, value in told.items() if value is not None}
