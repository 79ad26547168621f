"""Binder installed in a cluster as its page says: an ingress controller in the cluster, and policies that hold."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
import websocket

from binder_deploy.probe import PAGE_HEADER
from binder_protocol.models import Access
from tests.support.cluster import Cluster
from tests.support.controller import GATEWAY
from tests.support.deploying import SERVER, python
from tests.support.eventually import eventually
from tests.support.inside import LAYOUT, POD_REGISTRY, Inside, empty, install, overlay, volumes
from tests.support.page import typed
from tests.support.targets import Targets, answering, targets

# The first test waits for what has to be compiled.
pytestmark = [pytest.mark.docker, pytest.mark.helm, pytest.mark.kubernetes, pytest.mark.timeout(1_500)]

ECHO = (Path(__file__).parents[1] / "docker" / "echo_server.py").read_text()


@pytest.fixture(scope="module")
def inside(cluster: Cluster, helm_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    if cluster.kubeconfig != LAYOUT.kubeconfig:
        pytest.skip("what is on another cluster stays as it is: docs/kubernetes-install.md names its namespaces")
    with empty(cluster, helm_program, tmp_path_factory.mktemp("inside")) as made:
        made.told = install(made)
        yield made


def test_the_page_leads_from_an_empty_cluster_to_a_launched_repository(inside: Inside) -> None:
    said = inside.told
    application = json.loads(said[said.index("{") :])
    assert httpx2.get(application["location"], follow_redirects=True, timeout=10).status_code == 200


@pytest.fixture(scope="module")
def addresses() -> Iterator[Targets]:
    with targets() as found:
        yield found


@pytest.fixture(scope="module")
def bystander(inside: Inside) -> Iterator[str]:
    """The namespace of a pod `bystander`, which no policy selects: others in the cluster are like that."""
    with inside.cluster.namespace("bystander") as name:
        here, command = f"--namespace={name}", ["--", *python(SERVER)]
        words = ("run", "bystander", here, f"--image={inside.image}", "--env=PORT=8888", "--command", *command)
        inside.kubectl(*words)
        inside.kubectl(here, "wait", "pod/bystander", "--for=condition=Ready", "--timeout=60s", within=70)
        yield name


def pod_address(inside: Inside, namespace: str, pod: str) -> str:
    return inside.kubectl("get", "pod", pod, f"--namespace={namespace}", "--output=jsonpath={.status.podIP}")


def test_an_ingress_controller_in_the_cluster_lets_in_who_shows_the_token(inside: Inside) -> None:
    with inside.client() as client:
        application = inside.launch(client, "guarded")
        place, _, token = (application.location or "").partition("?")
        assert place == f"{inside.door.url}/user/{application.id}/"
        assert httpx2.get(f"{place}?{token}").status_code == 200
        refused = httpx2.get(place)
        assert (refused.status_code, refused.headers[PAGE_HEADER]) == (403, "no-entry")
        sent = httpx2.get(f"{place}?{token}", headers={"Accept": "text/html"})
        assert (sent.status_code, sent.headers["Location"]) == (302, urlsplit(place).path)
        client.deploy.stop("guarded", application.id)

        def gone() -> bool:
            answer = httpx2.get(place)
            return (answer.status_code, answer.headers.get(PAGE_HEADER)) == (410, "gone")

        eventually(gone, within=30, what="the page in its place")


def test_a_public_application_takes_web_sockets_and_sees_its_own_paths(inside: Inside) -> None:
    with inside.client() as client:
        command = ["/opt/binder/env/bin/python", "-c", ECHO]
        application = inside.launch(client, "echo", command=command, access=Access.PUBLIC)
        url = (application.location or "").replace("http", "ws", 1)
        with contextlib.closing(websocket.create_connection(url, timeout=10)) as open_:
            open_.send("through the cluster")
            assert open_.recv() == "through the cluster"
        client.deploy.stop("echo", application.id)
        application = inside.launch(client, "stripped", access=Access.PUBLIC, strip_prefix=True)
        answer = httpx2.get(f"{inside.door.url}/user/{application.id}/deep?a=1")
        assert (answer.status_code, answer.text.splitlines()[0]) == (200, "/deep?a=1")
        client.deploy.stop("stripped", application.id)


def test_from_inside_an_application_there_is_the_internet_and_nothing_else(
    inside: Inside, addresses: Targets, bystander: str
) -> None:
    with inside.client() as client:
        one, other = inside.launch(client, "one", access=Access.PUBLIC), inside.launch(client, "other")
        apps = "binder-applications"
        forbidden = [
            f"{pod_address(inside, apps, f'binder-{other.id}')}:8888",
            f"{pod_address(inside, bystander, 'bystander')}:8888",
            "binder-deploy.binder.svc.cluster.local:8084", "kubernetes.default.svc.cluster.local:443",
            f"{LAYOUT.address}:{LAYOUT.api_port}", f"{LAYOUT.address}:10250", POD_REGISTRY,
            addresses.metadata, *addresses.private,
        ]  # fmt: skip
        allowed = [addresses.public, f"{LAYOUT.address}:53"]
        pod = f"binder-{one.id}"
        assert answering(inside.cluster, apps, pod, [*forbidden, *allowed]) == {*allowed}
        reached = answering(inside.cluster, bystander, "bystander", [*forbidden[1:], *allowed])
        assert reached == {*forbidden[1:], *allowed} - {forbidden[2]}, "where no policy is, they answer"

        mine = f"{pod_address(inside, apps, pod)}:8888"
        assert answering(inside.cluster, bystander, "bystander", [mine]) == set()
        assert httpx2.get(one.location or "").status_code == 200
        for each in (one, other):
            client.deploy.stop(each.template_name, each.id)


def test_from_inside_binders_own_pods_there_is_what_each_needs(
    inside: Inside, addresses: Targets, bystander: str
) -> None:
    registry, deploy, health = (
        f"binder-{name}:{port}" for name, port in (("registry", 8083), ("deploy", 8084), ("health", 8086))
    )
    api, kubelet = "kubernetes.default.svc.cluster.local:443", f"{LAYOUT.address}:10250"
    door = urlsplit(inside.door.url).netloc
    other = f"{pod_address(inside, bystander, 'bystander')}:8888"
    asked = [registry, deploy, health, api, kubelet, door, other, addresses.metadata, addresses.public]
    reached = {}
    for service in ("registry", "build", "deploy", "health"):
        pod = inside.kubectl("get", "pods", "-n=binder", f"--selector=app.kubernetes.io/component={service}", "-o=name")
        reached[service] = answering(inside.cluster, "binder", pod, asked, python="python")
    assert reached == {
        "registry": set(),
        "build": {registry, deploy, health, api, kubelet, door, other, addresses.public},
        "deploy": {registry, api, door},
        "health": {registry, deploy, door},
    }


@pytest.mark.last(1)
def test_a_gateway_lets_in_as_an_ingress_does(inside: Inside) -> None:
    more = {"deploy": {"settings": {"kubernetes": {"gateway": f"{inside.door.namespace}/{GATEWAY}"}}}}
    (inside.folder / "gateway.json").write_text(json.dumps(more))
    files = " ".join(f"--values {inside.folder}/{name}" for name in ("values.yaml", "here.json", "gateway.json"))
    typed(f"helm upgrade binder charts/binder --namespace binder {files} --wait --timeout 90s", inside.environ)
    with inside.client() as client:
        application = inside.launch(client, "by-gateway")
        place, _, token = (application.location or "").partition("?")
        route = f"httproutes.gateway.networking.k8s.io/binder-{application.id}"
        assert inside.kubectl("get", route, "--namespace=binder-applications", "--output=name")
        assert httpx2.get(f"{place}?{token}").status_code == 200
        assert httpx2.get(place).headers[PAGE_HEADER] == "no-entry"
        client.deploy.stop("by-gateway", application.id)


@pytest.mark.last(2)
def test_kustomize_installs_it_too(inside: Inside) -> None:
    typed("helm uninstall binder --namespace binder --wait", inside.environ)
    eventually(lambda: not inside.kubectl("get", "pods", "-n=binder", "-o=name"), within=60, what="an empty namespace")
    with volumes(inside):
        typed(f"kubectl apply --kustomize {overlay(inside)}", inside.environ)
        for name in ("registry", "deploy", "health"):
            inside.kubectl("-n=binder", "rollout", "status", f"deployment/binder-{name}", "--timeout=90s", within=100)
        with inside.client() as client:
            application = inside.launch(client, "by-kustomize")
            assert httpx2.get(application.location or "").status_code == 200
