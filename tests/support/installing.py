"""Binder in a cluster, installed by its chart, with a database and a front door on this machine, the cluster's node."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from binder_client.client import Client
from tests.support.cluster import Cluster
from tests.support.frontdoor import Door

ROOT = Path(__file__).parents[2]
SERVICES = {"registry": 8083, "build": 8082, "deploy": 8084, "health": 8086}
KEY = "a-key-for-tests"
SECRET = "binder-keys"
_CA = Path("/etc/ssl/certs/ca-certificates.crt")
_INSTALL_SECONDS = 120
_LIST = {"apiVersion": "v1", "kind": "List"}


def suite_image(tag: str) -> None:
    """Makes the project's own image, under that name on the Docker engine."""
    command = ["docker", "build", "--quiet", "--build-arg", "BASE=binder-base:latest", "--tag", tag]
    secret = ["--secret", f"id=ca,src={_CA}"] if _CA.exists() else []
    environ = os.environ | {"DOCKER_BUILDKIT": "1"}
    subprocess.run([*command, *secret, str(ROOT)], env=environ, check=True, capture_output=True, timeout=900)


@dataclass
class Installation:
    """The release `name` in `namespace`, whose applications run in the namespace `applications`."""

    cluster: Cluster
    helm: str
    name: str
    namespace: str
    applications: str
    folder: Path

    def kubectl(self, *words: str, given: str | None = None, within: float = 60) -> str:
        """What kubectl prints in Binder's namespace."""
        return self.cluster.kubectl(f"--namespace={self.namespace}", *words, given=given, within=within)

    def install(self, values: Mapping[str, Any]) -> None:
        """Installs it, or brings it to these values, and waits until its services are ready."""
        file = self.folder / "values.json"
        file.write_text(json.dumps(values))
        command = [self.helm, "upgrade", "--install", self.name, str(ROOT / "charts" / "binder"), "--values", str(file)]
        command += ["--namespace", self.namespace, "--kubeconfig", str(self.cluster.kubeconfig)]
        command += ["--wait", f"--timeout={_INSTALL_SECONDS}s"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_INSTALL_SECONDS + 60)
        assert done.returncode == 0, done.stderr[-1_000:] + self.told()

    def uninstall(self) -> None:
        """Removes what the chart made."""
        command = [self.helm, "uninstall", self.name, "--namespace", self.namespace, "--ignore-not-found"]
        command += ["--kubeconfig", str(self.cluster.kubeconfig)]
        subprocess.run(command, capture_output=True, check=True, timeout=120)

    def address(self, service: str) -> str:
        """Where a service answers on the cluster's nodes."""
        ip = self.kubectl("get", "service", f"{self.name}-{service}", "--output=jsonpath={.spec.clusterIP}")
        return f"http://{ip}:{SERVICES[service]}"

    def client(self) -> Client:
        """A client of the services, past the front door."""
        urls = {service: self.address(service) for service in SERVICES}
        return Client(urls["deploy"], KEY, urls=urls)

    def pods(self, service: str) -> dict[str, str]:
        """The names of a service's pods that aren't ending, and their uids."""
        selector = f"--selector=app.kubernetes.io/part-of={self.name},app.kubernetes.io/component={service}"
        found = json.loads(self.kubectl("get", "pods", selector, "--output=json"))["items"]
        return {
            each["metadata"]["name"]: each["metadata"]["uid"]
            for each in found
            if "deletionTimestamp" not in each["metadata"]
        }

    def told(self) -> str:
        """What is to be known of pods that don't get ready."""
        with contextlib.suppress(subprocess.CalledProcessError):
            logs = [self.kubectl("logs", pod, "--tail=20") for service in SERVICES for pod in self.pods(service)]
            return "\n".join([self.kubectl("get", "pods"), self.kubectl("get", "events"), *logs])[-6_000:]
        return ""


@contextmanager
def place(cluster: Cluster, helm: str, folder: Path, database_url: str | None = None) -> Iterator[Installation]:
    """Namespaces that refuse all but restricted pods, with the Secret, and nothing installed yet."""
    with cluster.namespace("install") as namespace, cluster.namespace("install-apps") as applications:
        for each in (namespace, applications):
            cluster.kubectl("label", "namespace", each, "pod-security.kubernetes.io/enforce=restricted")
        made = Installation(cluster, helm, "suite", namespace, applications, folder)
        key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        data = {"api-key": KEY, "credentials-key": key, **({"database-url": database_url} if database_url else {})}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "stringData": data}
        made.kubectl("create", "--filename=-", given=json.dumps(secret))
        try:
            yield made
        finally:
            made.uninstall()


@contextmanager
def builder(cluster: Cluster, image: str, config: str) -> Iterator[str]:
    """The address of BuildKit as examples/kubernetes/buildkitd.yaml runs it, of that image, in a namespace of its own.

    `config` is its buildkitd.toml.
    """
    with cluster.namespace("install-builders") as namespace:
        text = (ROOT / "examples" / "kubernetes" / "buildkitd.yaml").read_text()
        objects = [each for each in yaml.safe_load_all(text) if each["kind"] in ("Service", "Deployment")]
        for each in objects:
            each["metadata"]["namespace"] = namespace
        pod = objects[-1]["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        container["image"] = image
        container["args"].append("--config=/etc/builder/buildkitd.toml")
        container["resources"] = {}
        container["volumeMounts"].append({"name": "config", "mountPath": "/etc/builder"})
        pod["volumes"].append({"name": "config", "configMap": {"name": "config"}})
        data = {"buildkitd.toml": config}
        objects.insert(0, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "config"}, "data": data})
        here = f"--namespace={namespace}"
        cluster.kubectl(here, "create", "--filename=-", given=json.dumps({**_LIST, "items": objects}))
        cluster.kubectl(here, "rollout", "status", "deployment/buildkitd", "--timeout=120s", within=130)
        yield f"tcp://buildkitd.{namespace}.svc:1234"


def values(installation: Installation, image: str, door: Door, **more: Any) -> dict[str, Any]:
    """Values for a cluster without an ingress controller: the front door runs beside it, on the node's address."""
    repository, _, tag = image.rpartition(":")
    cluster = {"reached-from": ["0.0.0.0/0"]}
    return {
        "image": {"repository": repository, "tag": tag},
        "ingress": {"enabled": False},
        "frontDoor": {"middlewares": False, "metricsUrl": door.metrics_url},
        "publicUrl": door.url,
        "deploy": {
            "namespace": installation.applications, "createNamespace": False,
            "settings": {
                "kubernetes": cluster, "front-door-url": door.url, "reconcile-every": 1, "memory": "256M", "cpu": "0.2",
            },
        },
        "build": {"replicas": 0},
        "health": {"settings": {"delay": 3600}},
        **more,
    }  # fmt: skip


def client_command(url: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Calls binder-client, as people do."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("BINDER_")}
    environ |= {"BINDER_URL": url, "BINDER_API_KEY": KEY}
    command = [str(Path(sys.executable).parent / "binder-client"), *words]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
