"""binder-control on a host beside the cluster: everything as on one machine, but that applications are pods."""

from __future__ import annotations

import base64
import ipaddress
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from binder_client.client import Client
from binder_control.addresses import own_addresses
from binder_protocol.models import TemplateSpec
from tests.support.cluster import Cluster
from tests.support.deploying import IMAGE, SERVER, python
from tests.support.eventually import eventually
from tests.support.suite import Suite, suite

pytestmark = [pytest.mark.kubernetes, pytest.mark.docker]
MANIFEST = Path(__file__).parents[2] / "examples" / "kubernetes" / "beside.yaml"


@pytest.fixture(scope="module")
def place(cluster: Cluster) -> Iterator[str]:
    """The namespace of applications."""
    with cluster.namespace("objects") as name:
        yield name


@pytest.fixture(scope="module")
def account(cluster: Cluster, place: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of the account that operators are told to make, with its rights and no others."""
    cluster.kubectl("apply", "--filename=-", given=MANIFEST.read_text().replace("binder-applications", place))
    secret = ("get", "secret", "binder-token", f"--namespace={place}", "--output=jsonpath={.data.token}")
    token = eventually(lambda: cluster.kubectl(*secret), within=20, what="the account's token")
    known = json.loads(cluster.kubectl("config", "view", "--minify", "--flatten", "--raw", "--output=json"))
    user = {"name": "binder", "user": {"token": base64.b64decode(token).decode()}}
    file = tmp_path_factory.mktemp("account") / "kubeconfig"
    file.write_text(json.dumps({**known, "users": [user], "contexts": [_as_user(known["contexts"][0])]}))
    yield file
    cluster.kubectl("delete", "role,rolebinding", place, "--namespace=kube-node-lease")


def _as_user(context: dict[str, Any]) -> dict[str, Any]:
    return {**context, "context": {**context["context"], "user": "binder"}}


@pytest.fixture(scope="module")
def beside(account: Path, place: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    table = f"[deploy.kubernetes]\nnamespace = '{place}'\nkubeconfig = '{account}'\n"
    with suite(tmp_path_factory.mktemp("beside") / "home", deploy=f"memory = '256M'\n{table}") as found:
        started = found.control("start-all", "--backend", "kubernetes")
        assert started.returncode == 0, started.stderr
        yield found


def test_a_template_is_launched_opened_and_stopped(beside: Suite, cluster: Cluster, place: str) -> None:
    with Client(beside.url, beside.key) as client:
        spec = TemplateSpec(name="server", image=cluster.image(IMAGE), command=python(SERVER))
        client.registry.register(spec)
        application = client.deploy.wait("server", client.deploy.deploy("server").id, timeout=60)
        assert application.location is not None
        assert application.location.startswith(f"{beside.url}/user/{application.id}/?token=")
        assert httpx2.get(application.location).status_code == 200
        assert httpx2.get(application.location.partition("?")[0]).status_code == 403

        pods = json.loads(cluster.kubectl("get", "pods", "-o", "json", f"--namespace={place}"))["items"]
        assert [each["metadata"]["labels"]["org.binder.application"] for each in pods] == [application.id]

        # Who reaches applications is settled before the first one is there: this machine, where the front door is.
        (policy,) = json.loads(cluster.kubectl("get", "networkpolicies", "-o", "json", f"--namespace={place}"))["items"]
        callers = [ipaddress.ip_network(each["ipBlock"]["cidr"]) for each in policy["spec"]["ingress"][0]["from"]]
        assert {each.num_addresses for each in callers} == {1}
        assert {str(each.network_address) for each in callers} & set(own_addresses())

        client.deploy.stop("server", application.id)
        kinds = "pods,services,ingresses.networking.k8s.io"
        wanted = ("get", kinds, "-o", "name", f"--namespace={place}", "-l", f"org.binder.application={application.id}")
        eventually(lambda: cluster.kubectl(*wanted) == "", within=60, what="the end of all that was the application's")


def test_every_command_knows_of_the_cluster_until_stop_all(beside: Suite, place: str) -> None:
    restarted = beside.control("restart", "front-door")
    assert restarted.returncode == 0, restarted.stderr
    static = json.loads((beside.home / "control" / "traefik.yml").read_text(encoding="utf-8"))
    assert static["providers"]["kubernetesIngress"]["namespaces"] == [place]


def test_where_the_cluster_can_not_be_reached_nothing_is_started_and_nothing_remembered(tmp_path: Path) -> None:
    table = f"[deploy.kubernetes]\nkubeconfig = '{tmp_path / 'none'}'\n"
    with suite(tmp_path / "home", deploy=table, control="start-seconds = 5\n") as found:
        started = found.control("start-all", "--backend", "kubernetes")
        assert started.returncode == 1
        assert "deploy" in started.stderr
        assert not (found.home / "control" / "backend").exists()
