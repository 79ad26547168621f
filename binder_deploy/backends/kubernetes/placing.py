"""Which nodes take a pod: the operator's words and the template's, as one. Pure."""

from __future__ import annotations

from binder_deploy.backends.kubernetes.entrances import Manifest
from binder_deploy.backends.kubernetes.site import Site
from binder_protocol.models import Placement, Toleration


def placed(placement: Placement, site: Site) -> Manifest:
    """That part of a pod's spec."""
    secrets = dict.fromkeys((*site.pull_secrets, *(placement.pull_secrets or ())))
    wanted: Manifest = {
        "imagePullSecrets": [{"name": each} for each in secrets],
        "nodeSelector": {**site.node_selector, **(placement.node_selector or {})},
        "tolerations": [
            *(dict(each) for each in site.tolerations),
            *(_toleration(each) for each in placement.tolerations or ()),
        ],
        "priorityClassName": placement.priority_class or site.priority_class,
        "runtimeClassName": site.runtime_class,
        "schedulerName": site.scheduler,
    }
    return {key: value for key, value in wanted.items() if value}


def _toleration(toleration: Toleration) -> Manifest:
    told = {
        "key": toleration.key,
        "operator": toleration.operator,
        "value": toleration.value,
        "effect": toleration.effect,
        "tolerationSeconds": toleration.toleration_seconds,
    }
    return {key: value for key, value in told.items() if value is not None}
