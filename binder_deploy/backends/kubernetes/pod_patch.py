"""An operator's strategic-merge patch of every pod: applied as the API server would, and held to what must stay. Pure.

Maps are merged; a value of null takes a key away; a list takes the place of the list before, but for those that merge
by a key: containers by `name`, volume mounts by `mountPath` and so on, as in Kubernetes' own API. Directives (`$patch`
and its like) are not taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from binder_deploy.backends.kubernetes import restricted
from binder_deploy.launches import RESERVED

MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "env": "name",
    "volumes": "name",
    "imagePullSecrets": "name",
    "schedulingGates": "name",
    "resourceClaims": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
}
"""Lists of a pod that merge, and by which key of their members. All others are replaced whole."""

_PARTS = {"metadata", "spec"}
_KEPT_METADATA = ("name", "namespace", "generateName", "ownerReferences", "finalizers")
_KEPT_SPEC = ("restartPolicy", "nodeName")
_KEPT_CONTAINER = ("image", "args", "command", "ports", "readinessProbe")


class PatchRefused(ValueError):
    """The patch can't be used; the message says why."""


def patched(pod: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """The pod after the patch. Raises PatchRefused for what isn't of a patch's form."""
    if not patch:
        return dict(pod)
    return _merged(dict(pod), patch, "")


def check(before: Mapping[str, Any], after: Mapping[str, Any], *, secure: bool) -> None:
    """Raises PatchRefused where a patch changed what an application is known by.

    `secure`: or where it left the restricted pod security standard.
    """
    faults = [*_identity_faults(before, after), *(_security_faults(after) if secure else ())]
    if faults:
        raise PatchRefused("; ".join(faults))


def _merged(value: Mapping[str, Any], patch: Mapping[str, Any], path: str) -> dict[str, Any]:
    merged = dict(value)
    for key, change in patch.items():
        where = f"{path}.{key}" if path else str(key)
        if not isinstance(key, str) or key.startswith("$"):
            raise PatchRefused(f"{where}: directives are not taken; null takes a value away")
        if not path and key not in _PARTS:
            raise PatchRefused(f"{where}: a pod's patch has metadata and spec alone")
        if change is None:
            merged.pop(key, None)
        elif _kind(change) != _kind(merged.get(key, change)) or (key in MERGE_KEYS and not isinstance(change, list)):
            raise PatchRefused(f"{where}: this is not of the kind that stands there in a pod")
        elif isinstance(change, Mapping):
            before = merged.get(key)
            merged[key] = _merged(before if isinstance(before, Mapping) else {}, change, where)
        elif isinstance(change, list) and key in MERGE_KEYS:
            merged[key] = _merged_list(merged.get(key) or [], change, MERGE_KEYS[key], where)
        else:
            merged[key] = change
    return merged


def _merged_list(value: list[Any], patch: list[Any], by: str, path: str) -> list[Any]:
    merged = list(value)
    for change in patch:
        if not isinstance(change, Mapping) or by not in change:
            raise PatchRefused(f"{path}: each member needs its {by}")
        where = f"{path}[{change[by]}]"
        place = next((index for index, each in enumerate(merged) if each.get(by) == change[by]), None)
        if place is None:
            merged.append(_merged({}, change, where))
        else:
            merged[place] = _merged(merged[place], change, where)
    return merged


def _kind(value: object) -> str:
    return "map" if isinstance(value, Mapping) else "list" if isinstance(value, list) else "value"


def _identity_faults(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name, kept, kept_after in _kept(before, after):
        if kept != kept_after:
            yield f"{name} can't be patched: Binder finds and runs the application by it"


def _kept(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    metadata, metadata_after = before["metadata"], after.get("metadata", {})
    for key in _KEPT_METADATA:
        yield f"metadata.{key}", metadata.get(key), metadata_after.get(key)
    labels = metadata_after.get("labels", {})
    for key, value in metadata["labels"].items():
        yield f"label {key}", value, labels.get(key)
    spec, spec_after = before["spec"], after.get("spec", {})
    for key in _KEPT_SPEC:
        yield f"spec.{key}", spec.get(key), spec_after.get(key)
    container, found = spec["containers"][0], (spec_after.get("containers") or [{}])[0]
    for key in ("name", *_KEPT_CONTAINER):
        yield f"the application's {key}", container.get(key), found.get(key)
    variables = {each["name"]: each for each in found.get("env", ()) if each["name"] in RESERVED}
    yield (
        "a variable of Binder's own",
        {each["name"]: each for each in container["env"] if each["name"] in RESERVED},
        variables,
    )


def _security_faults(pod: Mapping[str, Any]) -> Iterator[str]:
    for fault in restricted.faults(pod):
        yield f'{fault}; pod-security = "any" allows it'
