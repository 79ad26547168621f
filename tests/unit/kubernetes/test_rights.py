"""The account beside a cluster has the rights that the deploy service needs, and for the front door to read alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from binder_deploy.backends.kubernetes.permissions import missing, needs, wishes
from binder_deploy.backends.kubernetes.site import Site

MANIFEST = Path(__file__).parents[3] / "examples" / "kubernetes" / "beside.yaml"
READING = {"get", "list", "watch"}


def rules() -> list[dict[str, Any]]:
    roles = [each for each in yaml.safe_load_all(MANIFEST.read_text()) if each["kind"] == "Role"]
    return [rule for role in roles for rule in role["rules"]]


def granted() -> set[tuple[str, str, str]]:
    return {
        (verb, resource, group)
        for rule in rules()
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_nothing_is_missing_but_what_a_role_can_not_give() -> None:
    assert missing(rules(), [*needs(Site("s")), *wishes()]) == [("list", "nodes", "")]


def test_what_goes_beyond_is_reading() -> None:
    beyond = granted() - set(needs(Site("s"))) - set(wishes())
    assert {verb for verb, _, _ in beyond} <= READING
    assert {resource for _, resource, _ in beyond} == {"services", "secrets", "ingresses", "endpointslices"}


def test_all_is_in_the_namespace_of_applications_but_a_look_at_nodes_leases() -> None:
    made = list(yaml.safe_load_all(MANIFEST.read_text()))
    places = {each["metadata"].get("namespace", each["metadata"]["name"]) for each in made}
    assert places == {Site("s").namespace, "kube-node-lease"}
    (elsewhere,) = (
        each for each in made if each["kind"] == "Role" and each["metadata"]["namespace"] not in Site("s").namespace
    )
    assert elsewhere["rules"] == [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["list"]}]
    assert not any(each["kind"].startswith("Cluster") for each in made)
