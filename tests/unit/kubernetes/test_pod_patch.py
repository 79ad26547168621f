"""An operator's patch of pods: how it merges, what it may not touch, and how its faults are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from binder_deploy.backends.kubernetes.objects import pod
from binder_deploy.backends.kubernetes.pod_patch import PatchRefused, check, patched
from binder_deploy.backends.kubernetes.settings import KubernetesSettings
from binder_deploy.backends.kubernetes.site import Site
from binder_deploy.backends.kubernetes.sites import site_of
from binder_protocol.service.settings import ConfigError
from tests.support.launches import a_launch

SITE = Site("feedc0de", tolerations=({"key": "a"},), pull_secrets=("one",))


def merged(patch: dict[str, Any]) -> dict[str, Any]:
    before = pod(a_launch(), SITE)
    after = patched(before, patch)
    check(before, after, secure=True)
    return after


def application(**values: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "application", **values}]}}


def test_lists_merge_by_their_keys() -> None:
    after = merged(
        {
            "metadata": {"annotations": {"example.org/team": "maths"}},
            "spec": {
                "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}}],
                "imagePullSecrets": [{"name": "two"}],
                "containers": [
                    {
                        "name": "application",
                        "env": [{"name": "TEAM", "value": "maths"}],
                        "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
                        "resources": {"limits": {"memory": "1Gi"}},
                    }
                ],
            },
        }
    )
    (container,) = after["spec"]["containers"]
    assert container["image"] == "demo:1"
    assert {each["name"] for each in container["env"]} > {"TEAM", "BINDER_TOKEN"}
    assert container["resources"]["limits"] == {"cpu": "1500m", "memory": "1Gi", "ephemeral-storage": "10000000000"}
    assert after["spec"]["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}]
    assert after["metadata"]["annotations"] == {"example.org/team": "maths"}


def test_lists_without_a_key_are_replaced_and_null_takes_away() -> None:
    assert merged({"spec": {"tolerations": [{"key": "b"}]}})["spec"]["tolerations"] == [{"key": "b"}]
    assert "tolerations" not in merged({"spec": {"tolerations": None}})["spec"]
    limits = merged(application(resources={"limits": {"cpu": None}}))["spec"]["containers"][0]["resources"]["limits"]
    assert "cpu" not in limits


def test_a_patch_leaves_what_it_is_put_on_as_it_is() -> None:
    before = pod(a_launch(), SITE)
    again = pod(a_launch(), SITE)
    patched(before, application(env=[{"name": "A", "value": "1"}], resources={"limits": {"cpu": "9"}}))
    assert before == again


def test_another_container_may_stand_beside_the_application() -> None:
    sidecar = {
        "name": "logs",
        "image": "logs:1",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    assert [each["name"] for each in merged({"spec": {"containers": [sidecar]}})["spec"]["containers"]] == [
        "application",
        "logs",
    ]


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ({"metadata": {"name": "x"}}, "metadata.name can't be patched"),
        ({"metadata": {"namespace": "kube-system"}}, "metadata.namespace can't be patched"),
        ({"metadata": None}, "metadata.name can't be patched"),
        ({"metadata": {"labels": None}}, "label app.kubernetes.io/managed-by can't be patched"),
        ({"metadata": {"labels": {"org.binder.application": "x"}}}, "label org.binder.application can't"),
        ({"metadata": {"finalizers": ["example.org/x"]}}, "metadata.finalizers can't be patched"),
        ({"spec": {"restartPolicy": "Always"}}, "spec.restartPolicy can't be patched"),
        ({"spec": {"containers": None}}, "the application's name can't be patched"),
        (application(image="other"), "the application's image can't be patched"),
        (application(args=["x"]), "the application's args can't be patched"),
        (application(env=[{"name": "BINDER_TOKEN", "value": ""}]), "a variable of Binder's own can't be patched"),
        (application(env=None), "a variable of Binder's own can't be patched"),
        (application(env=[{"value": ""}]), "each member needs its name"),
        ({"spec": {"$patch": "delete"}}, "directives are not taken"),
        ({"spec": {"containers": [{"name": "application", "$patch": "delete"}]}}, "directives are not taken"),
        ({"status": {}}, "metadata and spec alone"),
        ({"spec": {"containers": {}}}, "not of the kind"),
        ({"spec": "x"}, "not of the kind"),
        ({"spec": {"volumes": {"name": "x"}}}, "not of the kind"),
    ],
)
def test_what_an_application_is_known_by_stays(patch: dict[str, Any], said: str) -> None:
    with pytest.raises(PatchRefused, match=said):
        merged(patch)


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ({"spec": {"hostNetwork": True}}, "spec.hostNetwork"),
        ({"spec": {"automountServiceAccountToken": True}}, "automountServiceAccountToken must be false"),
        ({"spec": {"enableServiceLinks": None}}, "enableServiceLinks must be false"),
        ({"spec": {"securityContext": {"runAsNonRoot": None}}}, "runAsNonRoot must be true"),
        ({"spec": {"securityContext": None}}, "seccompProfile must be"),
        ({"spec": {"securityContext": {"seccompProfile": {"type": "Unconfined"}}}}, "seccompProfile must be"),
        ({"spec": {"securityContext": {"sysctls": [{"name": "x", "value": "1"}]}}}, "spec.securityContext"),
        ({"spec": {"volumes": [{"name": "etc", "hostPath": {"path": "/etc"}}]}}, "volume etc is a hostPath"),
        (
            {"spec": {"volumes": [{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]}},
            "volume t holds a service account's token",
        ),
        (application(securityContext={"allowPrivilegeEscalation": True}), "allowPrivilegeEscalation must be false"),
        (application(securityContext={"privileged": True}), "must not be privileged"),
        (application(securityContext={"capabilities": {"drop": []}}), "must drop ALL"),
        (application(securityContext={"capabilities": {"add": ["SYS_ADMIN"]}}), "NET_BIND_SERVICE alone"),
        (application(securityContext={"runAsUser": 0}), "runAsUser must not be 0"),
        (application(securityContext={"procMount": "Unmasked"}), "procMount"),
        (application(securityContext=None), "must drop ALL"),
        ({"spec": {"initContainers": [{"name": "root", "image": "x"}]}}, "container root: allowPrivilegeEscalation"),
    ],
)
def test_the_restricted_standard_stays_unless_the_operator_says_so(patch: dict[str, Any], said: str) -> None:
    with pytest.raises(PatchRefused, match=said) as refused:
        merged(patch)
    assert 'pod-security = "any"' in str(refused.value)
    before = pod(a_launch(), SITE)
    check(before, patched(before, patch), secure=False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("spec: [", "it is not valid YAML"),
        ("- a", "it is no map"),
        ("", "it is no map"),
        ("spec: {hostNetwork: true}", "spec.hostNetwork is not restricted"),
        ("!!python/object:os.system {}", "it is not valid YAML"),
        ("a: &a [*a]", "metadata and spec alone"),
        ("# " + "x" * 70_000, "it is larger than"),
        (None, "it can't be read: No such file"),
    ],
)
def test_a_file_that_can_not_be_used_is_told_at_the_start(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "patch.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError, match=rf"pod-patch: {file}: .*{said}"):
        site_of(KubernetesSettings(pod_patch=file, reached_from=["traefik"]), "feedc0de", guard="http://127.0.0.1:8084")


@pytest.mark.parametrize("text", ["spec:\n  hostNetwork: true\n", '{"spec": {"hostNetwork": true}}'])
def test_a_file_is_yaml_or_json(tmp_path: Path, text: str) -> None:
    file = tmp_path / "patch"
    file.write_text(text)
    site = site_of(
        KubernetesSettings(pod_patch=file, pod_security="any", network_policy=False),
        "feedc0de",
        guard="http://127.0.0.1:8084",
    )
    assert pod(a_launch(), site)["spec"]["hostNetwork"] is True
