"""Starting the cluster. Each part that is there already stays as it is."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.cluster import config, images, machine, pki
from tests.cluster.components import COREDNS_RIGHTS, commands
from tests.cluster.layout import Layout
from tests.cluster.processes import Processes
from tests.support.eventually import eventually

_READY = '{.status.conditions[?(@.type=="Ready")].status}/{.spec.taints}'
_SECONDS = 120


class Cluster:
    """The cluster of one layout, run by one binary."""

    def __init__(self, layout: Layout, binary: Path) -> None:
        self._layout = layout
        self._binary = binary
        self._processes = Processes(layout.pid, layout.log)
        self._commands = commands(layout, binary)

    @property
    def running(self) -> bool:
        """Whether every process of it runs."""
        return all(self._processes.alive(name) for name in self._commands)

    def up(self, *, fresh: bool = False) -> None:
        """Returns when pods can be made. With `fresh`, one that wasn't running begins without objects."""
        if fresh and not self._processes.any():
            for folder in self._layout.objects:
                shutil.rmtree(folder, ignore_errors=True)
        self._prepare()
        machine.add_network(self._layout)
        self._start("etcd", *self._layout.registries, "containerd", "apiserver")
        self._import_images()
        self._start_control_plane()
        self._start("kubelet", "proxy")
        self._kubectl(
            "apply", "--filename=-", given=json.dumps({"kind": "List", "apiVersion": "v1", "items": COREDNS_RIGHTS})
        )
        self._start("coredns")
        self._wait("kubelet", self._ready)
        died = [name for name in self._commands if not self._processes.alive(name)]
        if died:
            raise RuntimeError(f"{died[0]} ended: {self._processes.log(died[0])}")

    def up_without_node(self) -> None:
        """The control plane alone, for nodes that are simulated; it makes nothing of this machine but processes."""
        self._prepare()
        self._start_control_plane()
        self._wait("controller-manager", lambda: self._kubectl("get", "serviceaccount", "default", "--output=name"))

    def down_without_node(self) -> None:
        """Ends the processes of `up_without_node`."""
        for name in ("scheduler", "controller-manager", "apiserver", "etcd"):
            self._processes.stop(name)

    def pid(self, name: str) -> int:
        """The process id of a component that runs."""
        return int((self._layout.pid / name).read_text().split()[0])

    def restart(self, name: str) -> None:
        """Ends a component without a word, and starts it anew."""
        os.kill(self.pid(name), signal.SIGKILL)
        self._processes.stop(name)
        self._start(name)

    def _start_control_plane(self) -> None:
        self._start("etcd", "apiserver")
        self._wait("apiserver", lambda: self._kubectl("get", "--raw", "/readyz") == "ok")
        self._start("controller-manager", "scheduler")

    def _prepare(self) -> None:
        layout = self._layout
        for name in ("log", "pid", "pki", "conf", "registry"):
            (layout.state / name).mkdir(parents=True, exist_ok=True)
        layout.run.mkdir(parents=True, exist_ok=True)
        pki.make(layout)
        write(config.files(layout), mode=0o644)
        write(config.kubeconfigs(layout), mode=0o600)

    def _start(self, *names: str) -> None:
        for name in names:
            self._processes.start(name, self._commands[name])

    def _import_images(self) -> None:
        ctr = ["ctr", "--address", str(self._layout.socket), "--namespace", "k8s.io"]
        self._wait("containerd", lambda: _output([*ctr, "version"]))
        there = _output([*ctr, "images", "list", "--quiet"]).split()
        for name, archive in images.archives().items():
            if name not in there:
                _output([*ctr, "images", "import", "-"], given=archive, check=True)

    def _ready(self) -> bool:
        node = self._kubectl("get", "node", self._layout.node, f"--output=jsonpath={_READY}")
        return node == "True/" and "default" in self._kubectl("get", "serviceaccount", "default", "--output=name")

    def _kubectl(self, *words: str, given: str | None = None) -> str:
        """What it prints; nothing where it fails."""
        command = [str(self._binary), "kubectl", f"--kubeconfig={self._layout.kubeconfig}", "--request-timeout=10s"]
        return _output([*command, *words], given=None if given is None else given.encode())

    def _wait(self, name: str, probe: Callable[[], object]) -> None:
        """Until it answers or ends; its log tells why it doesn't."""

        def answers_or_ended() -> bool:
            return bool(probe()) or not self._processes.alive(name)

        try:
            eventually(answers_or_ended, within=_SECONDS, every=0.1, what=f"{name}'s start")
            assert self._processes.alive(name), f"{name} ended"
        except AssertionError as error:
            raise RuntimeError(f"{error}\n{self._processes.log(name)}") from None


def write(files: Mapping[Path, str], *, mode: int) -> None:
    """Writes them, each as a whole."""
    for file, text in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(file.name + ".new")
        fresh.touch(mode=mode)
        fresh.write_text(text)
        fresh.replace(file)


def _output(command: list[str], *, given: bytes | None = None, check: bool = False) -> str:
    done = subprocess.run(command, input=given, capture_output=True, check=False, timeout=60)
    if check and done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr.decode(errors='replace')[-500:]}")
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""
