"""The Kubernetes cluster that tests use: that of $KUBECONFIG, else the one that tests/cluster makes."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.binary import binary
from tests.cluster.layout import Layout
from tests.cluster.up import Cluster as OwnCluster
from tests.support.apiproxy import ApiProxy, api_proxy

MAKE = "TEST_CLUSTER"
"""Set to `make`, the tests start a cluster where none runs, and stop it at their end."""
REGISTRY = "TEST_REGISTRY"
"""Where images go that the cluster of $KUBECONFIG is to pull: host:port, or host/path."""
_DOCKER = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
_START_SECONDS = 3_600


@dataclass
class Cluster:
    """A cluster that answers. Images pushed to `registry` from this machine are pulled from there by its nodes."""

    kubeconfig: Path
    registry: str
    program: tuple[str, ...]
    _pushed: dict[str, str] = field(default_factory=dict)

    def kubectl(self, *words: str, given: str | None = None, within: float = 60) -> str:
        """What kubectl prints; a CalledProcessError, with its own words in `stderr`, where it fails."""
        command = [*self.program, f"--kubeconfig={self.kubeconfig}", *words]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=True, timeout=within)
        return done.stdout.strip()

    def image(self, name: str) -> str:
        """Pushes an image of the Docker engine, once; its name for the cluster."""
        if name not in self._pushed:
            known = f"{self.registry}/{name.removeprefix('localhost/')}"
            for words in (("tag", name, known), ("push", "--quiet", known), ("rmi", known)):
                subprocess.run(["docker", "-H", _DOCKER, *words], capture_output=True, check=True, timeout=300)
            self._pushed[name] = known
        return self._pushed[name]

    def gone(self, image: str) -> None:
        """Takes an image that was pushed from here away: from the registry, and from the node of our own cluster."""
        place, _, path = image.partition("/")
        repository, _, tag = path.partition(":")
        manifests = f"http://{place}/v2/{repository}/manifests"
        accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
        with urllib.request.urlopen(urllib.request.Request(f"{manifests}/{tag}", headers=accept), timeout=10) as told:
            digest = told.headers["Docker-Content-Digest"]
        taken = urllib.request.Request(f"{manifests}/{digest}", method="DELETE")
        urllib.request.urlopen(taken, timeout=10).close()
        command = ["ctr", "--address", str(Layout().socket), "--namespace", "k8s.io", "images", "rm", image]
        subprocess.run(command, capture_output=True, check=True, timeout=60)

    @contextmanager
    def namespace(self, prefix: str = "binder-test") -> Iterator[str]:
        """A namespace of one's own; whatever is in it goes with it."""
        name = f"{prefix}-{secrets.token_hex(4)}"
        self.kubectl("create", "namespace", name)
        try:
            yield name
        finally:
            with contextlib.suppress(subprocess.CalledProcessError):
                self.kubectl("delete", "pods", "--all", "--force", "--grace-period=0", f"--namespace={name}")
            self.kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")

    def proxy(self, folder: Path, *, expired: bool = False) -> contextlib.AbstractContextManager[ApiProxy]:
        """A way to its API server that can be cut, with a kubeconfig of its own."""
        return api_proxy(self.kubeconfig, folder, expired=expired)


@dataclass
class Found:
    """The cluster, or why there is none; `ours` where these tests started it."""

    cluster: Cluster | None = None
    missing: str = ""
    ours: bool = False

    def stop(self) -> None:
        """Stops it, where these tests started it."""
        if self.ours:
            _run("down")


def find() -> Found:
    """Looks for a cluster that answers. One that has to be made is waited for, however long that takes."""
    named, layout = os.environ.get("KUBECONFIG"), Layout()
    if named:
        registry = os.environ.get(REGISTRY, layout.registries["registry"])
        return _answering(Cluster(Path(named), registry, _program()))
    ours = False
    if os.environ.get(MAKE) == "make":
        ours = not OwnCluster(layout, binary()).running
        done = _run("up", "--fresh")
        if done.returncode:
            _run("down")
            return Found(missing=f"it doesn't start: {done.stderr.strip()[-1500:]}")
    elif not layout.kubeconfig.exists():
        return Found(missing="set KUBECONFIG, or start one: python -m tests.cluster up (docs/kubernetes-tests.md)")
    found = _answering(Cluster(layout.kubeconfig, layout.registries["registry"], (str(binary()), "kubectl")))
    found.ours = ours
    return found


def _answering(cluster: Cluster) -> Found:
    try:
        cluster.kubectl("get", "--raw", "/readyz", "--request-timeout=5s")
    except FileNotFoundError as error:
        return Found(missing=f"there is no {error.filename}")
    except subprocess.CalledProcessError as error:
        return Found(missing=f"the cluster of {cluster.kubeconfig} doesn't answer: {error.stderr.strip()[-300:]}")
    return Found(cluster)


def _program() -> tuple[str, ...]:
    found = shutil.which("kubectl")
    return (found,) if found or not binary().exists() else (str(binary()), "kubectl")


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    # A process of its own: what it starts is to outlive these tests where somebody else uses it.
    command = [sys.executable, "-m", "tests.cluster", *words]
    root = Path(__file__).parents[2]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=_START_SECONDS)
