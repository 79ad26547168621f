"""Traefik as an ingress controller inside the cluster: what its users apply, with an image of the wheel's program."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tarfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import yaml

from binder_control.frontdoor import program
from tests.cluster.modules import GATEWAY_API, TRAEFIK, module
from tests.support.cluster import Cluster

CLASS = "traefik"
GATEWAY = "front"
_REPOSITORY = "binder-test-traefik"
_RIGHTS = "docs/content/reference/dynamic-configuration/kubernetes-{}-rbac.yml"
_DEFINITIONS = "docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml"
_PORTS = {"web": 8000, "metrics": 9100}
_SERVICE_PORTS = {"web": 80, "metrics": 9100}
_ARGUMENTS = (
    *(f"--entrypoints.{name}.address=:{port}" for name, port in _PORTS.items()),
    "--global.checknewversion=false", "--global.sendanonymoususage=false", "--log.level=INFO",
    "--metrics.prometheus=true", "--metrics.prometheus.entrypoint=metrics",
    "--metrics.prometheus.addrouterslabels=true",
    "--providers.kubernetesingress=true", f"--providers.kubernetesingress.ingressclass={CLASS}",
    "--providers.kubernetesingress.throttleduration=20ms", "--providers.providersthrottleduration=20ms",
    "--providers.kubernetescrd=true", "--providers.kubernetescrd.allowcrossnamespace=true",
    "--providers.kubernetesgateway=true", "--providers.kubernetesingress.allowemptyservices=true",
)  # fmt: skip


@dataclass(frozen=True)
class Controller:
    """It runs in `namespace`, as the Service `traefik`; people come in at `url`, on the node."""

    namespace: str
    url: str


@contextmanager
def controller(cluster: Cluster, namespace: str, node: str, *more: str) -> Iterator[Controller]:
    """An ordinary installation, with the custom resources of Traefik and of the Gateway API; `more` are arguments."""
    objects = [*definitions(), *_installation(namespace, _image(cluster), more)]
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    try:
        cluster.kubectl("create", "namespace", namespace)
        cluster.kubectl("apply", "--server-side", "--filename=-", given=given, within=120)
        cluster.kubectl("apply", "--filename=-", given=json.dumps(_gateway(namespace)))
        here = f"--namespace={namespace}"
        cluster.kubectl(here, "rollout", "status", "deployment/traefik", "--timeout=90s", within=100)
        port = cluster.kubectl(here, "get", "service", "traefik", "--output=jsonpath={.spec.ports[0].nodePort}")
        yield Controller(namespace, f"http://{node}:{port}")
    finally:
        cluster.kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=false")
        cluster.kubectl("delete", "--ignore-not-found", "--filename=-", given=given, within=120)


def definitions() -> list[dict[str, Any]]:
    """The custom resources, as their projects publish them."""
    files = [module(TRAEFIK) / _DEFINITIONS, *sorted((module(GATEWAY_API) / "config/crd/standard").glob("*s.yaml"))]
    read = [each for file in files for each in yaml.safe_load_all(file.read_text())]
    return [each for each in read if each and each["kind"] == "CustomResourceDefinition"]


def _installation(namespace: str, image: str, more: tuple[str, ...]) -> list[dict[str, Any]]:
    labels, meta = {"app.kubernetes.io/name": "traefik"}, {"name": "traefik", "namespace": namespace}
    container = {
        "name": "traefik", "image": image, "command": ["/traefik", *_ARGUMENTS, *more],
        "ports": [{"name": name, "containerPort": port} for name, port in _PORTS.items()],
        "readinessProbe": {"tcpSocket": {"port": "web"}, "periodSeconds": 1},
    }  # fmt: skip
    pod = {
        "serviceAccountName": "traefik", "enableServiceLinks": False,
        "securityContext": {"runAsUser": 1000, "runAsNonRoot": True}, "containers": [container],
    }  # fmt: skip
    deployment = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    ports = [{"name": name, "port": port, "targetPort": name} for name, port in _SERVICE_PORTS.items()]
    service = {"type": "NodePort", "selector": labels, "ports": ports}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        *_rights(namespace),
        {
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": CLASS},
            "spec": {"controller": "traefik.io/ingress-controller"},
        },
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": service},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": deployment},
    ]  # fmt: skip


def _rights(namespace: str) -> list[dict[str, Any]]:
    """Traefik's own ClusterRoles, for this account."""
    found = []
    for provider in ("crd", "gateway"):
        for each in yaml.safe_load_all((module(TRAEFIK) / _RIGHTS.format(provider)).read_text()):
            if each["kind"] == "ClusterRoleBinding":
                each["subjects"] = [{"kind": "ServiceAccount", "name": "traefik", "namespace": namespace}]
            found.append(each)
    return found


def _gateway(namespace: str) -> dict[str, Any]:
    api = "gateway.networking.k8s.io/v1"
    listener = {
        "name": "web", "protocol": "HTTP", "port": _PORTS["web"], "allowedRoutes": {"namespaces": {"from": "All"}},
    }  # fmt: skip
    spec = {"gatewayClassName": CLASS, "listeners": [listener]}
    items = [
        {
            "apiVersion": api, "kind": "GatewayClass", "metadata": {"name": CLASS},
            "spec": {"controllerName": "traefik.io/gateway-controller"},
        },
        {"apiVersion": api, "kind": "Gateway", "metadata": {"name": GATEWAY, "namespace": namespace}, "spec": spec},
    ]  # fmt: skip
    return {"apiVersion": "v1", "kind": "List", "items": items}


def _image(cluster: Cluster) -> str:
    """The program alone, in the cluster's registry: packed once, for that takes longer than all else."""
    with program().open("rb") as file:
        tag = hashlib.file_digest(file, "sha256").hexdigest()[:12]
    if _there(cluster.registry, tag):
        return f"{cluster.registry}/{_REPOSITORY}:{tag}"
    client = docker.from_env()
    try:
        client.api.import_image_from_data(_archive(program()), repository=_REPOSITORY, tag=tag)
        return cluster.image(f"{_REPOSITORY}:{tag}")
    finally:
        client.images.remove(f"{_REPOSITORY}:{tag}", force=True)
        client.close()


def _there(registry: str, tag: str) -> bool:
    host, _, path = registry.partition("/")
    url = f"http://{host}/v2/{path + '/' if path else ''}{_REPOSITORY}/manifests/{tag}"
    asked = urllib.request.Request(url, method="HEAD", headers={"Accept": "*/*"})
    with contextlib.suppress(OSError), urllib.request.urlopen(asked, timeout=5):
        return True
    return False


def _archive(file: Path) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        entry = tarfile.TarInfo("traefik")
        entry.size, entry.mode = file.stat().st_size, 0o755
        with file.open("rb") as program_file:
            tar.addfile(entry, program_file)
    return made.getvalue()
