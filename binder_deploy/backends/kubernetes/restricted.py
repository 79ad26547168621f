"""The restricted pod security standard, as far as it says something of pods such as ours. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_VOLUMES = frozenset(
    ("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret")
)
_SECCOMP = ("RuntimeDefault", "Localhost")
_HOST = ("hostNetwork", "hostPID", "hostIPC")


def faults(pod: Mapping[str, Any]) -> Iterator[str]:
    """What of a pod the standard forbids; and, beyond it, a service account's token, or links to services."""
    spec = pod["spec"]
    for key in _HOST:
        if spec.get(key):
            yield f"spec.{key} is not restricted"
    for key in ("automountServiceAccountToken", "enableServiceLinks"):
        if spec.get(key) is not False:
            yield f"spec.{key} must be false"
    for volume in _maps(spec.get("volumes")):
        yield from _volume_faults(volume)
    common = _map(spec.get("securityContext"))
    if common.get("sysctls") or common.get("runAsUser") == 0:
        yield "spec.securityContext is not restricted"
    for container in (*_maps(spec.get("initContainers")), *_maps(spec.get("containers"))):
        yield from _container_faults(container, common)


def _volume_faults(volume: Mapping[str, Any]) -> Iterator[str]:
    others = volume.keys() - {"name"} - _VOLUMES
    if others:
        yield f"volume {volume.get('name')} is a {min(others)}"
    if any("serviceAccountToken" in each for each in _maps(_map(volume.get("projected")).get("sources"))):
        yield f"volume {volume.get('name')} holds a service account's token"


def _container_faults(container: Mapping[str, Any], common: Mapping[str, Any]) -> Iterator[str]:
    own = _map(container.get("securityContext"))
    capabilities = _map(own.get("capabilities"))
    seccomp = _map(own.get("seccompProfile") or common.get("seccompProfile"))
    required = {
        "allowPrivilegeEscalation must be false": own.get("allowPrivilegeEscalation") is False,
        "it must not be privileged": not own.get("privileged"),
        "capabilities must drop ALL": "ALL" in (capabilities.get("drop") or ()),
        "capabilities may add NET_BIND_SERVICE alone": capabilities.get("add") in (None, [], ["NET_BIND_SERVICE"]),
        "runAsNonRoot must be true": own.get("runAsNonRoot", common.get("runAsNonRoot")) is True,
        "runAsUser must not be 0": own.get("runAsUser") != 0,
        "seccompProfile must be RuntimeDefault or Localhost": seccomp.get("type") in _SECCOMP,
        "procMount must be Default": own.get("procMount", "Default") == "Default",
        "a hostPort is not restricted": not any(each.get("hostPort") for each in _maps(container.get("ports"))),
    }
    for words, kept in required.items():
        if not kept:
            yield f"container {container.get('name')}: {words}"


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _maps(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
