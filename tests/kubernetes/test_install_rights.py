"""The deploy service with the account that the chart gives it: enough for its work, and nothing of it can be spared."""

from __future__ import annotations

import contextlib
import json
import runpy
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from binder_deploy.backends.kubernetes.backend import KubernetesBackend
from binder_deploy.backends.kubernetes.cluster import Cluster as Api
from binder_deploy.backends.kubernetes.permissions import Need, needs
from binder_deploy.backends.kubernetes.site import Site
from binder_protocol.errors import BinderError, Unavailable
from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.launches import a_launch

pytestmark = [pytest.mark.helm, pytest.mark.kubernetes, pytest.mark.timeout(1_500)]

ROOT = Path(__file__).parents[2]
NEEDS = needs(Site(suite="s"))
PRELOADS = [(verb, "daemonsets", "apps") for verb in ("create", "delete", "get", "list")]


@dataclass
class Account:
    """The deploy service's account, by its token."""

    cluster: Cluster
    folder: Path
    namespace: str
    objects: list[dict[str, Any]]
    site: Site = field(init=False)

    def __post_init__(self) -> None:
        self.site = Site(suite=uuid.uuid4().hex[:16], namespace=self.namespace)

    def apply(self, objects: list[dict[str, Any]]) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": objects}
        self.cluster.kubectl("apply", "--filename=-", given=json.dumps(items))

    @contextlib.contextmanager
    def without(self, need: Need) -> Iterator[None]:
        """Takes one verb away."""
        self.apply([_without(each, need) for each in self.objects if each["kind"] in ("Role", "ClusterRole")])
        try:
            yield
        finally:
            self.apply(self.objects)

    @contextlib.contextmanager
    def backend(self) -> Iterator[KubernetesBackend]:
        """A new one, which has asked nothing yet."""
        api = Api(str(self.folder / "kubeconfig"))
        backend = KubernetesBackend(api, self.site, start_seconds=20)
        try:
            yield backend
        finally:
            backend.close()


def _without(role: dict[str, Any], need: Need) -> dict[str, Any]:
    verb, resource, group = need
    rules = [
        {**rule, "verbs": [each for each in rule["verbs"] if each != verb]}
        if resource in rule["resources"] and group in rule["apiGroups"]
        else rule
        for rule in role["rules"]
    ]
    return {**role, "rules": [rule for rule in rules if rule["verbs"]]}


@pytest.fixture(scope="module")
def account(cluster: Cluster, helm_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    folder = tmp_path_factory.mktemp("account")
    with cluster.namespace("install-rights") as namespace:
        rendered = runpy.run_path(str(ROOT / "scripts" / "manifests.py"))["rendered"]
        text = rendered(
            helm_program, "--set", f"deploy.namespace={namespace},deploy.createNamespace=false", namespace=namespace
        )
        wanted = ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "ServiceAccount")
        objects = [each for each in yaml.safe_load_all(text) if each and each["kind"] in wanted]
        made = Account(cluster, folder, namespace, objects)
        made.apply(objects)
        try:
            _write_kubeconfig(made)
            yield made
        finally:
            for each in objects:
                if each["kind"].startswith("Cluster"):
                    cluster.kubectl("delete", each["kind"], each["metadata"]["name"])


def _write_kubeconfig(account: Account) -> None:
    token = account.cluster.kubectl("create", "token", "binder-deploy", f"--namespace={account.namespace}")
    config = yaml.safe_load(account.cluster.kubeconfig.read_text())
    config["users"] = [{"name": config["contexts"][0]["context"]["user"], "user": {"token": token}}]
    file = account.folder / "kubeconfig"
    file.touch(mode=0o600)
    file.write_text(json.dumps(config))


def refused(action: Callable[[], object]) -> Callable[[], BinderError | None]:
    """The error that `action` ends with, or None."""

    def ended() -> BinderError | None:
        try:
            action()
        except BinderError as error:
            return error
        return None

    return ended


def test_the_account_is_enough(account: Account) -> None:
    with account.backend() as backend:
        eventually(lambda: refused(backend.ping)() is None, what="rights that are known")


@pytest.mark.parametrize("need", NEEDS, ids=lambda need: f"{need[0]}-{need[1].replace('/', '-')}")
def test_without_one_verb_the_service_is_not_ready_and_names_it(account: Account, need: Need) -> None:
    def asked() -> BinderError | None:
        with account.backend() as backend:
            return refused(backend.ping)()

    with account.without(need):
        error = eventually(asked, what="a refusal")
        assert isinstance(error, Unavailable)
        assert need[0] in error.message
        assert need[1].partition("/")[0] in error.message


@pytest.mark.parametrize("need", PRELOADS, ids=lambda need: f"{need[0]}-{need[1]}")
def test_without_one_verb_no_image_is_brought_to_the_nodes(account: Account, need: Need) -> None:
    def refusal() -> bool:
        with account.backend() as backend:
            error = refused(lambda: backend.preload(f"{account.cluster.registry}/install/none:1"))()
        return error is not None and f"cannot {need[0]} resource" in error.message and "daemonsets" in error.message

    with account.without(need):
        eventually(refusal, within=60, what="a refusal")


def test_without_nodes_or_quotas_less_is_known_of_what_has_a_place(account: Account) -> None:
    def room() -> int | None:
        with account.backend() as backend:
            return backend.room(a_launch(cpu=1, memory=2**20))

    here = f"--namespace={account.namespace}"
    account.cluster.kubectl(here, "delete", "daemonsets", "--all")  # of other tests
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": {"pods": "3"}}}
    account.apply([{**quota, "metadata": {"name": "three", "namespace": account.namespace}}])
    eventually(lambda: room() == 3, within=60, what="the room with all rights")
    with account.without(("list", "resourcequotas", "")):
        eventually(lambda: (room() or 0) > 3, what="that of the nodes alone")
    eventually(lambda: room() == 3)
    account.cluster.kubectl(here, "delete", "resourcequota", "three")
    eventually(lambda: (room() or 0) > 3)
    with account.without(("list", "nodes", "")):
        eventually(lambda: room() is None, what="nothing known")
