"""The chart and the base for kustomize: one installation, described twice the same, with the rights it needs."""

from __future__ import annotations

import json
import runpy
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from binder_build.settings import BuildSettings
from binder_control.frontdoor import dynamic_config
from binder_control.services import SERVICES
from binder_deploy.backends.kubernetes.permissions import Need, needs
from binder_deploy.backends.kubernetes.site import Entrance, Gateway, Site
from binder_deploy.settings import DeploySettings
from binder_protocol.service.settings import load_settings
from tests.support.cluster import Cluster

pytestmark = [pytest.mark.helm, pytest.mark.kubernetes, pytest.mark.timeout(1_500)]

ROOT = Path(__file__).parents[2]
SERVER = ("--set", "database=server")
PRELOADS: set[Need] = {(verb, "daemonsets", "apps") for verb in ("create", "delete", "get", "list")}
ROOM: set[Need] = {
    ("list", "resourcequotas", ""),
    ("list", "nodes", ""),
    ("list", "leases", "coordination.k8s.io"),
}
Object = dict[str, Any]


@pytest.fixture(scope="module")
def manifests() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "scripts" / "manifests.py"))


@pytest.fixture(scope="module")
def render(manifests: dict[str, Any], helm_program: str) -> Callable[..., list[Object]]:
    """What Helm makes of the chart with these options, as values."""

    def rendered(*options: str) -> list[Object]:
        return [each for each in yaml.safe_load_all(manifests["rendered"](helm_program, *options)) if each]

    return rendered


def named(objects: list[Object]) -> dict[tuple[str, str, str], Object]:
    """Objects by kind, namespace and name."""
    found = {}
    for each in objects:
        meta = each["metadata"]
        found[each["kind"], meta.get("namespace", ""), meta["name"]] = each
    assert len(found) == len(objects), "two objects of one name"
    return found


def bare(value: Any) -> Any:
    """Without what only Helm says."""
    if isinstance(value, dict):
        of_helm = ("helm.sh/chart", "checksum/config")
        kept = {key: bare(each) for key, each in value.items() if key not in of_helm}
        return {key: each for key, each in kept.items() if not (key == "annotations" and not each)}
    return [bare(each) for each in value] if isinstance(value, list) else value


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    return [each for each in objects if each["kind"] == kind]


def granted(objects: list[Object]) -> list[Need]:
    roles = [*of_kind(objects, "Role"), *of_kind(objects, "ClusterRole")]
    rules = [rule for role in roles for rule in role["rules"]]
    return [
        (verb, resource, group)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]


def test_the_base_for_kustomize_is_what_the_chart_says(manifests: dict[str, Any], helm_program: str) -> None:
    files = {each.name: each.read_text() for each in (ROOT / "kubernetes").glob("*.yaml")}
    assert files.pop("kustomization.yaml")
    assert files == manifests["base"](helm_program), "run: python scripts/manifests.py HELM"


def test_helm_and_kustomize_render_the_same_objects(render: Callable[..., list[Object]], cluster: Cluster) -> None:
    helm = named(bare(render()))
    kustomize = named(list(yaml.safe_load_all(cluster.kubectl("kustomize", str(ROOT / "kubernetes")))))
    assert helm.keys() == kustomize.keys()
    for key, each in helm.items():
        assert bare(each) == bare(kustomize[key]), key


@pytest.mark.parametrize(
    "options",
    [
        [],
        [*SERVER, "--set", "registry.replicas=2,build.replicas=2,deploy.replicas=2,health.replicas=2"],
        ["--set", "storage.kind=hostPath,storage.hostPath=/srv/binder,networkPolicies.enabled=false"],
        ["--set", "storage.kind=emptyDir,build.registryLogin=login,ingress.host=b.example,ingress.tlsSecret=cert"],
        ["--set", "deploy.settings.kubernetes.own-namespaces=true"],
    ],
    ids=["default", "server", "host-path", "empty-dir", "own-namespaces"],
)
def test_the_api_server_takes_every_object(
    render: Callable[..., list[Object]], cluster: Cluster, namespace: str, options: list[str]
) -> None:
    where = f"deploy.namespace={namespace},deploy.createNamespace=false"
    # Middlewares are Traefik's own objects, which this cluster knows nothing of.
    here = ["--set", f"{where},frontDoor.middlewares=false", "--namespace", namespace]
    objects = json.dumps({"apiVersion": "v1", "kind": "List", "items": render(*options, *here)})
    made = cluster.kubectl("apply", "--dry-run=server", "--validate=strict", "--filename=-", given=objects)
    assert made.count("server dry run") == len(render(*options, *here))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ("deploy.replcas=1", "replcas"),
        ("deploy.replicas=two", "replicas"),
        ("registry.replicas=2", "need a database that they share"),
        ("settings.api-key=secret", "settings"),
        ("storage.kind=hostPath", "name a directory of the node"),
        ("publicUrl=somewhere", "publicUrl"),
        ("networkPolicies.egress.apiServer.ports={0}", "ports"),
        ("networkPolicies.egress.database.networks={db.example}", "networks"),
    ],
)
def test_values_that_can_not_work_are_refused(render: Callable[..., list[Object]], values: str, words: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        render("--set", values)
    assert words in refused.value.stderr


@pytest.mark.parametrize(
    ("options", "site"),
    [
        ([], Site(suite="s")),
        (["--set", "deploy.settings.kubernetes.network-policy=false"], Site(suite="s", network_policy=False)),
        (
            ["--set", "deploy.settings.kubernetes.gateway=front/door"],
            Site(suite="s", entrance=Entrance(gateway=Gateway("door", "front"))),
        ),
    ],
    ids=["ingress", "open", "gateway"],
)
def test_rights_are_those_that_are_used_and_no_more(
    render: Callable[..., list[Object]], options: list[str], site: Site
) -> None:
    given = granted(render(*options))
    assert len(given) == len(set(given))
    assert set(given) == {*needs(site), *PRELOADS, *ROOM}


def test_builders_are_made_only_where_pods_are_to_build(render: Callable[..., list[Object]]) -> None:
    assert not [each for each in render() if each["metadata"].get("namespace") == "binder-builders"]
    objects = render("--set", "build.settings.builder-pods=2")
    (role,) = [each for each in of_kind(objects, "Role") if each["metadata"]["namespace"] == "binder-builders"]
    assert {resource for rule in role["rules"] for resource in rule["resources"]} == {
        "deployments", "configmaps", "pods", "pods/exec",
    }  # fmt: skip
    told = {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]["automountServiceAccountToken"]
        for each in of_kind(objects, "Deployment")
    }
    assert [name for name, mounted in told.items() if mounted] == ["binder-build", "binder-deploy"]


def test_only_the_deploy_service_speaks_to_the_cluster_and_nothing_reaches_a_socket_of_the_node(
    render: Callable[..., list[Object]],
) -> None:
    for each in of_kind(render(), "Deployment"):
        pod = each["spec"]["template"]["spec"]
        mine = each["metadata"]["labels"]["app.kubernetes.io/component"] == "deploy"
        assert pod["automountServiceAccountToken"] is mine
        assert not any("hostPath" in volume for volume in pod["volumes"])
        assert not any(pod.get(name) for name in ("hostNetwork", "hostPID", "hostIPC"))


def test_the_middlewares_of_the_cluster_are_those_of_the_front_door_beside_it(
    render: Callable[..., list[Object]],
) -> None:
    beside = json.loads(dynamic_config({"deploy": "http://binder-deploy.binder.svc:8084"}))["http"]["middlewares"]
    found = {each["metadata"]["name"]: each["spec"] for each in of_kind(render(), "Middleware")}
    assert found["binder-pages"]["errors"].pop("service")["name"] == beside["binder-pages"]["errors"].pop("service")
    assert found == beside


def test_the_settings_that_are_rendered_are_settings(
    render: Callable[..., list[Object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = "deploy.settings.max-applications=5000,ingress.className=traefik,ingress.host=b.example"
    more = ["--set", f"{given},build.settings.allow-hosts={{git.example}}"]
    (config,) = of_kind(render(*SERVER, *more), "ConfigMap")
    file = tmp_path / "binder.toml"
    file.write_text(config["data"]["binder.toml"])
    loaded = {each.name: load_settings(each.settings_class(), file=file, environ={}) for each in SERVICES}
    deploy = loaded["deploy"]
    assert isinstance(deploy, DeploySettings)
    assert (deploy.max_applications, deploy.instance) == (5_000, "binder.binder")
    assert deploy.kubernetes.ingress_class == "traefik"
    assert isinstance(loaded["build"], BuildSettings)
    assert loaded["build"].allow_hosts == ["binder-health:8086", "git.example"]
    assert deploy.registry_url == "http://binder-registry:8083"


def test_no_key_is_in_what_is_rendered(render: Callable[..., list[Object]]) -> None:
    assert of_kind(render(*SERVER), "Secret") == []


def egress(objects: list[Object]) -> dict[str, list[Object]]:
    """The rules of what each service reaches."""
    policies = of_kind(objects, "NetworkPolicy")
    return {each["metadata"]["name"]: each["spec"]["egress"] for each in policies}


def networks(rules: list[Object], port: int) -> list[Object]:
    """The blocks of addresses that rules of that port open."""
    opened = [rule for rule in rules if any(each["port"] == port for each in rule.get("ports", []))]
    return [peer["ipBlock"] for rule in opened for peer in rule.get("to", []) if "ipBlock" in peer]


def test_no_service_reaches_where_clouds_tell_machines_of_themselves(render: Callable[..., list[Object]]) -> None:
    rules = egress(render(*SERVER))
    opened = [peer["ipBlock"] for each in rules.values() for rule in each for peer in rule.get("to", [])
              if "ipBlock" in peer]  # fmt: skip
    assert {each["cidr"] for each in opened} == {"0.0.0.0/0", "::/0"}
    for each in opened:
        assert each["except"] == (["169.254.0.0/16"] if "." in each["cidr"] else ["fd00:ec2::254/128", "fe80::/10"])


def test_the_registry_reaches_names_and_its_database_alone(render: Callable[..., list[Object]]) -> None:
    assert len(egress(render())["binder-registry"]) == 1
    given = "networkPolicies.egress.database.networks={10.1.0.5/32},networkPolicies.egress.database.port=6432"
    names, database = egress(render(*SERVER, "--set", given))["binder-registry"]
    assert {each["port"] for each in names["ports"]} == {53}
    assert database == {"ports": [{"port": 6432}], "to": [{"ipBlock": {"cidr": "10.1.0.5/32"}}]}


def test_the_api_server_and_the_front_door_are_where_the_values_say(render: Callable[..., list[Object]]) -> None:
    given = "networkPolicies.egress.apiServer.networks={10.1.0.1/32},publicUrl=https://b.example:8443"
    rules = egress(render("--set", given, "--set", "frontDoor.metricsUrl=http://traefik.traefik:9100/metrics"))
    assert networks(rules["binder-deploy"], 6443) == [{"cidr": "10.1.0.1/32"}]
    for name in ("binder-deploy", "binder-health"):
        assert len(networks(rules[name], 8443)) == len(networks(rules[name], 9100)) == 2
    assert networks(rules["binder-health"], 6443) == []
    assert networks(egress(render("--set", "publicUrl=https://b.example"))["binder-health"], 443)


def test_policies_of_what_services_reach_can_be_left_out(render: Callable[..., list[Object]]) -> None:
    policies = of_kind(render("--set", "networkPolicies.egress.enabled=false"), "NetworkPolicy")
    assert {tuple(each["spec"]["policyTypes"]) for each in policies} == {("Ingress",)}
    assert not any("egress" in each["spec"] for each in policies)
