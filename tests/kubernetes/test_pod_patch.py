"""A patch of pods comes to what the cluster's own tools make of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from binder_deploy.backends.kubernetes.objects import pod
from binder_deploy.backends.kubernetes.pod_patch import patched
from binder_deploy.backends.kubernetes.site import Site
from tests.support.cluster import Cluster
from tests.support.launches import a_launch

pytestmark = pytest.mark.kubernetes


def test_a_patch_merges_as_kubectl_does(cluster: Cluster, tmp_path: Path) -> None:
    """kubectl puts some lists in another order, which means the same."""
    before = pod(a_launch(environment={"A": "1"}), Site("s", pull_secrets=("one",), tolerations=({"key": "a"},)))
    patch = {
        "metadata": {"annotations": {"x": "y"}},
        "spec": {
            "tolerations": [{"key": "b"}],
            "nodeSelector": {"a": "b"},
            "imagePullSecrets": [{"name": "two"}],
            "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["a"]}],
            "topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}],
            "volumes": [{"name": "v", "emptyDir": {}}],
            "securityContext": {"supplementalGroups": [1, 2], "runAsGroup": None},
            "containers": [
                {"name": "other", "image": "other"},
                {
                    "name": "application",
                    "env": [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}],
                    "ports": [{"containerPort": 1}],
                    "volumeMounts": [{"name": "v", "mountPath": "/v"}],
                    "resources": {"limits": {"cpu": None, "memory": "1Gi"}},
                    "securityContext": {"capabilities": {"drop": ["KILL"]}},
                },
            ],
        },
    }
    file, changes = tmp_path / "pod.json", tmp_path / "patch.json"
    file.write_text(json.dumps(before))
    changes.write_text(json.dumps(patch))
    command = ("patch", "--local", "--type=strategic", "--output=json")
    theirs = cluster.kubectl(*command, f"--filename={file}", f"--patch-file={changes}")
    assert _sorted(patched(before, patch)) == _sorted(json.loads(theirs))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(each) for key, each in value.items()}
    if isinstance(value, list):
        return sorted((_sorted(each) for each in value), key=lambda each: json.dumps(each, sort_keys=True))
    return value
