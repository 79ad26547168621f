"""The settings of a cluster: what they come to, and which mistakes are named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from binder_deploy.backends.kubernetes.callers import Caller, caller
from binder_deploy.backends.kubernetes.settings import KubernetesSettings
from binder_deploy.backends.kubernetes.site import Gateway
from binder_deploy.backends.kubernetes.sites import site_of
from binder_deploy.launches import PLACEMENT
from binder_deploy.settings import DeploySettings
from binder_protocol.service.settings import ConfigError, load_settings


def settings(home: Path, text: str, **variables: str) -> DeploySettings:
    (home / "binder.toml").write_text(text)
    return load_settings(DeploySettings, environ={"BINDER_HOME": str(home), **variables})


def test_a_cluster_is_described_in_a_table_of_its_own(tmp_path: Path) -> None:
    loaded = settings(
        tmp_path,
        """
        [deploy]
        backend = "kubernetes"
        [deploy.kubernetes]
        reached-from = ["traefik"]
        node-selector = {pool = "applications"}
        tolerations = [{key = "pool", operator = "Exists"}]
        extended-resources = {"nvidia.com/gpu" = 2}
        gateway = "gateways/public"
        middlewares-namespace = "classroom"
        ephemeral-storage = "1Gi"
        template-placement = ["node-selector"]
        node-lost-seconds = 30
        """,
        BINDER_DEPLOY_KUBERNETES_NAMESPACE="classroom",
    )
    site = site_of(loaded.kubernetes, "feedc0de", guard="http://deploy:8084")
    assert (site.namespace, site.node_selector, site.tolerations) == (
        "classroom", {"pool": "applications"}, ({"key": "pool", "operator": "Exists"},)
    )  # fmt: skip
    assert (site.entrance.gateway, site.entrance.middlewares) == (Gateway("public", "gateways"), "classroom")
    assert (site.entrance.guard_url, site.ephemeral_storage) == ("http://deploy:8084", 2**30)
    assert (loaded.policy.extended, loaded.policy.placement) == ({"nvidia.com/gpu": 2}, {"node-selector"})
    assert site.node_lost_seconds == 30


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("namespce = 'x'", "[deploy.kubernetes] namespce: there is no such setting; did you mean namespace?"),
        ("namespace = 'X'", "[deploy.kubernetes] namespace: 'X' is no name of a namespace"),
        ("reached-from = ['10.0.0.1/8']", "[deploy.kubernetes] reached-from: '10.0.0.1/8' is no network"),
        ("cluster-networks = ['traefik']", "[deploy.kubernetes] cluster-networks: 'traefik' is no network"),
        ("ephemeral-storage = 'much'", "[deploy.kubernetes] ephemeral-storage: an amount of memory is"),
        ("extended-resources = {gpu = 1}", "[deploy.kubernetes] extended-resources: 'gpu' is no extended"),
        ("ingress-controller = 'caddy'", "[deploy.kubernetes] ingress-controller: Input should be 'traefik'"),
        ("template-placement = ['node']", "[deploy.kubernetes] template-placement: Input should be 'node-selector'"),
        ("node-lost-seconds = -1", "[deploy.kubernetes] node-lost-seconds: Input should be greater than or equal to 0"),
        (
            "ingress-url = 'https://traefik'",
            "[deploy.kubernetes] ingress-url: the ingress controller's address must begin",
        ),
        ("guard-url = 'deploy:8084'", "[deploy.kubernetes] guard-url: the guard's address must begin with http"),
        ("gateway = 'a/b/c'", "[deploy.kubernetes] gateway: 'a/b/c' is no name of an object"),
        (
            "gateway = 'public'\nmiddlewares-namespace = 'binder'",
            "an HTTPRoute can name no middleware of another namespace",
        ),
        ("ingress-tls-secret = 'tls'", "ingress-tls-secret needs ingress-host"),
        ("gateway = 'g'\nown-namespaces = true\nmiddlewares-namespace = 'binder-applications'", "must be false"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        settings(tmp_path, f'[deploy]\nbackend = "kubernetes"\n[deploy.kubernetes]\n{text}')


def test_somebody_must_reach_applications() -> None:
    with pytest.raises(ConfigError, match="reached-from: say who may reach applications"):
        site_of(KubernetesSettings(), "feedc0de", guard="http://deploy:8084")
    assert site_of(KubernetesSettings(network_policy=False), "feedc0de", guard="http://deploy:8084").reached_from == ()


def test_extended_resources_are_a_clusters_alone() -> None:
    cluster = KubernetesSettings(extended_resources={"nvidia.com/gpu": 2})
    assert DeploySettings(kubernetes=cluster).policy.extended == {}


def test_all_of_a_placement_is_a_templates_to_say_unless_a_cluster_says_otherwise() -> None:
    assert DeploySettings(backend="kubernetes").policy.placement == PLACEMENT
    elsewhere = DeploySettings(kubernetes=KubernetesSettings(template_placement=[]))
    assert elsewhere.policy.placement == PLACEMENT


@pytest.mark.parametrize(
    ("values", "most"),
    [
        ({"backend": "docker"}, None),
        ({"backend": "docker", "disk": "5G"}, 40 * 10**9),
        ({"backend": "docker", "disk": "5G", "max_disk": "2G"}, 5 * 10**9),
        ({"backend": "kubernetes"}, 40 * 10**9),
        ({"backend": "kubernetes", "kubernetes": KubernetesSettings(ephemeral_storage=None)}, 40 * 10**9),
        ({"backend": "kubernetes", "kubernetes": KubernetesSettings(ephemeral_storage="100G")}, 100 * 10**9),
    ],
)
def test_the_most_disk_is_what_can_be_held_to(values: dict[str, Any], most: int | None) -> None:
    assert DeploySettings(**values).policy.max_disk == most


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("10.0.0.0/24", Caller(network="10.0.0.0/24")),
        ("10.0.0.7", Caller(network="10.0.0.7/32")),
        ("fd00::/8", Caller(network="fd00::/8")),
        ("traefik", Caller(namespace="traefik")),
        (
            "traefik/app=web,example.org/tier=",
            Caller(namespace="traefik", labels={"app": "web", "example.org/tier": ""}),
        ),
    ],
)
def test_callers(text: str, meant: Caller) -> None:
    assert caller(text) == meant


@pytest.mark.parametrize("text", ["", "10.0.0.1/8", "10", "Traefik", "traefik/", "traefik/app", "a/b=c/d=e f", "-a"])
def test_what_is_no_caller(text: str) -> None:
    with pytest.raises(ValueError, match="is no network"):
        caller(text)


def test_a_caller_in_the_words_of_a_policy() -> None:
    found: dict[str, Any] = caller("traefik/app=web").peer
    assert found == {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "traefik"}},
        "podSelector": {"matchLabels": {"app": "web"}},
    }
