"""Binder in the test cluster as docs/kubernetes-install.md tells people to install it, word for word where that can be.

An ingress controller is there, as the page wants it, and the cluster's policies hold.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from binder_client.client import Client
from binder_protocol.models import Application, TemplateSpec
from tests.cluster.enforcement import enforced
from tests.cluster.layout import Layout
from tests.support import buildkit
from tests.support.cluster import Cluster
from tests.support.controller import CLASS, Controller, controller
from tests.support.deploying import IMAGE, SERVER, python
from tests.support.page import ROOT, blocks, programs, typed

LAYOUT = Layout()
NAMESPACES = ("binder", "binder-applications", "binder-builders")
POD_REGISTRY = LAYOUT.registries["registry-pods"]
CA = Path("/etc/ssl/certs/ca-certificates.crt")
REPOSITORY = "http://binder-health:8086/binder/health-check.git"


@dataclass
class Inside:
    """What runs, and how people speak to it: by these variables of a shell, or a client."""

    cluster: Cluster
    door: Controller
    environ: dict[str, str]
    folder: Path
    image: str = ""
    told: str = ""

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


@contextmanager
def empty(cluster: Cluster, helm_program: str, home: Path) -> Iterator[Inside]:
    """A cluster with an ingress controller, whose policies hold, and a shell beside it; nothing is installed yet."""
    found = programs(cluster, home)
    (found / "helm").symlink_to(helm_program)
    path = f"{found}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environ = {"PATH": path, "HOME": str(home), "KUBECONFIG": str(cluster.kubeconfig)}
    environ["BINDER_HOME"] = str(home / ".binder")
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
        "image": {"pullPolicy": "Always"},  # the tag of the page is that of the last time, too
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


def install(node: Inside) -> str:
    """Types the page, from its first line to its last; what the launch told."""
    images, keys, values, launch = blocks("kubernetes-install.md", "From an empty cluster to a launched repository")
    assert [each.language for each in (images, keys, values, launch)] == ["sh", "sh", "yaml", "sh"]
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
    return typed(launch.changed(changed), node.environ, 400)


@contextmanager
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


def overlay(inside: Inside) -> Path:
    """The page's kustomization, with the same settings."""
    made = inside.folder / "overlay"
    made.mkdir()
    (base,) = (each for each in blocks("kubernetes-install.md", "With kustomize") if each.language == "yaml")
    text = yaml.safe_load((ROOT / "kubernetes" / "config.yaml").read_text())["data"]["binder.toml"]
    dns = f'"dns" = ["{LAYOUT.address}/32"]'
    for old, new in {
        "http://localhost:8080": inside.door.url,
        '"guard-url" =': f'"ingress-class" = "{CLASS}", "ingress-url" = "http://traefik.traefik", {dns}, "guard-url" =',
        "[build]": f'[build]\nimages = "registry"\nregistry = "{POD_REGISTRY}/binder"\nregistry-tls = false\n'
        f'base-image = "{POD_REGISTRY}/binder-base:1"\nbuilders = ["tcp://buildkitd.binder-builders:1234"]',
    }.items():
        assert old in text
        text = text.replace(old, new)
    told = base.changed(
        {
            "../binder/kubernetes": os.path.relpath(ROOT / "kubernetes", made.resolve()),
            "registry.example.org": POD_REGISTRY,
            "          …": "".join(f"          {line}\n" for line in text.splitlines()).rstrip(),
        }
    )
    (made / "kustomization.yaml").write_text(told)
    return made
