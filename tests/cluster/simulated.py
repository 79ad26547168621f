"""A real control plane without a node of its own: KWOK plays the part of as many nodes as are asked for."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.binary import build, kwok
from tests.cluster.layout import Layout
from tests.cluster.up import Cluster
from tests.support.processes import free_port

PODS_PER_NODE = 110
_ANNOTATION = "kwok.x-k8s.io/node"
_STAGES = ("pod/fast", "node/fast", "node/heartbeat-with-lease")


@dataclass(frozen=True)
class Simulated:
    """`pids` are those of the control plane's processes."""

    kubeconfig: Path
    program: tuple[str, ...]
    pids: dict[str, int]

    def kubectl(self, *words: str, given: str | None = None) -> str:
        """What kubectl prints; a CalledProcessError where it fails."""
        command = [*self.program, f"--kubeconfig={self.kubeconfig}", *words]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=True, timeout=120)
        return done.stdout.strip()


@contextmanager
def simulated(folder: Path, nodes: int) -> Iterator[Simulated]:
    """Its data lies in `folder`, its ports are free ones; nothing of it stays but `folder`."""
    layout = Layout(
        folder, folder / "run", address="127.0.0.1",
        api_port=free_port(), etcd_port=free_port(), etcd_peer_port=free_port(),
    )  # fmt: skip
    program = build()
    cluster = Cluster(layout, program)
    try:
        cluster.up_without_node()
        pids = {name: cluster.pid(name) for name in ("etcd", "apiserver", "controller-manager", "scheduler")}
        made = Simulated(layout.kubeconfig, (str(program), "kubectl"), pids)
        items = [_node(number) for number in range(nodes)]
        made.kubectl("create", "--filename=-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        with _kwok(folder, layout.kubeconfig) as pids["kwok"]:
            yield made
    finally:
        cluster.down_without_node()


@contextmanager
def _kwok(folder: Path, kubeconfig: Path) -> Iterator[int]:
    program = kwok()
    command = [
        str(program.build()), f"--kubeconfig={kubeconfig}", "--manage-all-nodes=false",
        f"--manage-nodes-with-annotation-selector={_ANNOTATION}=fake", "--node-lease-duration-seconds=40",
        *(f"--config={each}" for each in _stages(program.sources)),
    ]  # fmt: skip
    with (folder / "kwok.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield process.pid
        assert process.poll() is None, (folder / "kwok.log").read_text()[-2000:]
    finally:
        process.terminate()
        process.wait(10)


def _stages(sources: Path) -> list[Path]:
    """What pods and nodes go through, as the module brings it."""
    command = ["go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok"]
    done = subprocess.run(command, cwd=sources, capture_output=True, text=True, check=True, timeout=120)
    root = Path(done.stdout.strip()) / "kustomize/stage"
    files = [file for each in _STAGES for file in sorted((root / each).glob("*.yaml"))]
    return [file for file in files if file.name != "kustomization.yaml"]


def _node(number: int) -> dict[str, Any]:
    name = f"simulated-{number}"
    room = {"cpu": "64", "memory": "512Gi", "ephemeral-storage": "1Ti", "pods": str(PODS_PER_NODE)}
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    return {
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {_ANNOTATION: "fake"}},
        "status": {"allocatable": room, "capacity": room},
    }  # fmt: skip
