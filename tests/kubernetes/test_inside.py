"""Binder in a cluster as docs/kubernetes-install.md tells people to install it, word for word where that can be, with
an ingress controller in the cluster, and its network's policies enforced.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
import websocket
import yaml

from binder_client.client import Client
from binder_deploy.probe import PAGE_HEADER
from binder_protocol.models import Access, Application, TemplateSpec
from tests.cluster.enforcement import enforced
from tests.cluster.layout import Layout
from tests.support import buildkit
from tests.support.cluster import Cluster
from tests.support.controller import CLASS, GATEWAY, Controller, controller
from tests.support.deploying import IMAGE, SERVER, python
from tests.support.eventually import eventually
from tests.support.page import ROOT, blocks, programs, typed
from tests.support.targets import Targets, answering, targets

# The first test waits for what has to be compiled.
pytestmark = [pytest.mark.docker, pytest.mark.helm, pytest.mark.kubernetes, pytest.mark.timeout(1_500)]

LAYOUT = Layout()
NAMESPACES = ("binder", "binder-applications", "binder-builders")
POD_REGISTRY = LAYOUT.registries["registry-pods"]
CA = Path("/etc/ssl/certs/ca-certificates.crt")
REPOSITORY = "http://binder-health:8086/binder/health-check.git"
ECHO = (Path(__file__).parents[1] / "docker" / "echo_server.py").read_text()


@dataclass
class Inside:
    """What runs, and how people speak to it: by these variables of a shell, or a client."""

    cluster: Cluster
    door: Controller
    environ: dict[str, str]
    folder: Path
    image: str = ""

    def key(self) -> str:
        found = self.cluster.kubectl("get", "secret", "binder-keys", "-n=binder", "-o=jsonpath={.data.api-key}")
        return typed(f"echo {found} | base64 --decode", self.environ)

    def client(self) -> Client:
        """Through the front door, as people."""
        return Client(self.door.url, self.key())

    def launch(self, client: Client, name: str, **values: Any) -> Application:
        """Launches a template of these values, and waits until it answers."""
        given = {"image": self.image, "command": python(SERVER), **values}
        client.registry.register(TemplateSpec(name=name, **given))
        return client.deploy.wait(name, client.deploy.deploy(name).id, timeout=90)

    def kubectl(self, *words: str, **more: Any) -> str:
        return self.cluster.kubectl(*words, **more)


@pytest.fixture(scope="module")
def node(cluster: Cluster, helm_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    """A cluster with an ingress controller, whose policies hold, and a shell beside it."""
    if cluster.kubeconfig != LAYOUT.kubeconfig:
        pytest.skip("what is on another cluster stays as it is: docs/kubernetes-install.md names its namespaces")
    home = tmp_path_factory.mktemp("inside")
    found = programs(cluster, home)
    (found / "helm").symlink_to(helm_program)
    path = f"{found}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environ = {
        "PATH": path,
        "HOME": str(home),
        "KUBECONFIG": str(cluster.kubeconfig),
        "BINDER_HOME": str(home / ".binder"),
    }
    with enforced(LAYOUT), controller(cluster, "traefik", LAYOUT.address) as door:
        try:
            yield Inside(cluster, door, environ, home)
        finally:
            for name in NAMESPACES:
                with contextlib.suppress(subprocess.CalledProcessError):
                    cluster.kubectl("delete", "pods", "--all", "--force", "--grace-period=0", f"--namespace={name}")
            cluster.kubectl("delete", "namespace", *NAMESPACES, "--ignore-not-found", within=120)
            words = ("delete", "clusterroles,clusterrolebindings", "--selector=app.kubernetes.io/part-of=binder")
            cluster.kubectl(*words)


def here(builder: str) -> dict[str, Any]:
    """What is another on this cluster: no TLS, no volumes, no BuildKit to be pulled, little room."""
    return {
        "storage": {"kind": "emptyDir"},
        "build": {"settings": {"registry-tls": False, "builder-image": builder, "min-free-bytes": 0}},
        "deploy": {
            "settings": {
                "reconcile-every": 1, "memory": "256M", "cpu": "0.2",
                "kubernetes": {"dns": [f"{LAYOUT.address}/32"]},
            }
        },
        "health": {"settings": {"delay": 3600}},
    }  # fmt: skip


@pytest.fixture(scope="module")
def inside(node: Inside) -> Inside:
    """The page, from its first line to its last."""
    images, keys, values, install = blocks("kubernetes-install.md", "From an empty cluster to a launched repository")
    assert [each.language for each in (images, keys, values, install)] == ["sh", "sh", "yaml", "sh"]
    registry = {"registry.example.org": node.cluster.registry}
    behind_a_proxy = {"docker buildx build ": f"docker buildx build --secret id=ca,src={CA} "} if CA.exists() else {}
    typed(images.changed({**registry, **behind_a_proxy}), node.environ | {"HOME": os.environ["HOME"]}, 900)
    typed(keys.changed({}), node.environ)
    (node.folder / "values.yaml").write_text(
        values.changed(
            {
                "registry.example.org": POD_REGISTRY,
                "https://binder.example.org": node.door.url,
                ", host: binder.example.org, tlsSecret: binder-certificate": "",
            }
        )
    )
    with buildkit.made_image(IMAGE) as name:
        builder = POD_REGISTRY + node.cluster.image(name).removeprefix(node.cluster.registry)
    (node.folder / "here.json").write_text(json.dumps(here(builder)))
    files = f"--values {node.folder}/values.yaml --values {node.folder}/here.json"
    changed = {
        "--values values.yaml": files,
        "https://binder.example.org": node.door.url,
        "https://github.com/binder-examples/requirements": f"{REPOSITORY} --json",
    }
    node.image = node.cluster.image(IMAGE)
    (node.folder / "launched").write_text(typed(install.changed(changed), node.environ, 400))
    return node


def test_the_page_leads_from_an_empty_cluster_to_a_launched_repository(inside: Inside) -> None:
    said = (inside.folder / "launched").read_text()
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


@pytest.fixture
def volumes(inside: Inside) -> Iterator[None]:
    """A volume for each claim, of this node's disk, as a StorageClass would bring."""
    made = []
    for name in ("registry", "build", "deploy", "health"):
        place = inside.folder / "volumes" / name
        place.mkdir(parents=True)
        shutil.chown(place, 1000, 1000)
        claim = {"namespace": "binder", "name": f"binder-{name}"}
        spec = {
            "capacity": {"storage": "20Gi"}, "accessModes": ["ReadWriteOnce"], "claimRef": claim,
            "hostPath": {"path": str(place)},
        }  # fmt: skip
        meta = {"name": f"binder-test-{name}"}
        made.append({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": meta, "spec": spec})
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": made})
    inside.folder.chmod(0o755)
    inside.kubectl("create", "--filename=-", given=given)
    try:
        yield
    finally:
        inside.kubectl("delete", "--filename=-", "--wait=false", given=given)


@pytest.mark.usefixtures("volumes")
def test_kustomize_installs_it_too(inside: Inside) -> None:
    typed("helm uninstall binder --namespace binder --wait", inside.environ)
    eventually(lambda: not inside.kubectl("get", "pods", "-n=binder", "-o=name"), within=60, what="an empty namespace")
    overlay = inside.folder / "overlay"
    overlay.mkdir()
    (base,) = (each for each in blocks("kubernetes-install.md", "With kustomize") if each.language == "yaml")
    text = yaml.safe_load((ROOT / "kubernetes" / "config.yaml").read_text())["data"]["binder.toml"]
    for old, new in {
        "http://localhost:8080": inside.door.url,
        '"guard-url" =': f'"ingress-class" = "{CLASS}", "ingress-url" = "http://traefik.traefik", "dns" = ["{LAYOUT.address}/32"], "guard-url" =',
        "[build]": f'[build]\nimages = "registry"\nregistry = "{POD_REGISTRY}/binder"\nregistry-tls = false\n'
        f'base-image = "{POD_REGISTRY}/binder-base:1"\nbuilders = ["tcp://buildkitd.binder-builders:1234"]',
    }.items():
        assert old in text
        text = text.replace(old, new)
    told = base.changed(
        {
            "../binder/kubernetes": os.path.relpath(ROOT / "kubernetes", overlay.resolve()),
            "registry.example.org": POD_REGISTRY,
            "          …": "".join(f"          {line}\n" for line in text.splitlines()).rstrip(),
        }
    )
    (overlay / "kustomization.yaml").write_text(told)
    typed(f"kubectl apply --kustomize {overlay}", inside.environ)
    for name in ("registry", "deploy", "health"):
        inside.kubectl("-n=binder", "rollout", "status", f"deployment/binder-{name}", "--timeout=90s", within=100)
    with inside.client() as client:
        application = inside.launch(client, "by-kustomize")
        assert httpx2.get(application.location or "").status_code == 200
