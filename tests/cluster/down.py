"""Stopping the cluster: exactly what was started, by process id, and all that it left on the machine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.cluster import machine
from tests.cluster.enforcement import ENFORCER
from tests.cluster.layout import Layout
from tests.cluster.processes import Processes

_REMOVE_SECONDS = 90


def down(layout: Layout, binary: Path, *, remove: bool = False) -> None:
    """Nothing of it runs afterwards. Objects and images stay for the next start, unless they are to be removed, too."""
    processes = Processes(layout.pid, layout.log)
    # The kubelet first: it would start again what is stopped here.
    processes.stop("kubelet")
    if processes.alive("containerd"):
        _call(binary, "cri", str(layout.socket), "remove-all")
    processes.stop(ENFORCER)  # with its rules
    processes.stop("coredns")
    processes.stop("proxy")
    rules = layout.conf / "proxy.yaml"
    if rules.exists():
        _call(binary, "proxy", "--cleanup", f"--config={rules}")
    for name in ("containerd", "scheduler", "controller-manager"):
        processes.stop(name)
    processes.stop("apiserver", within=20)
    for name in ("etcd", *layout.registries):
        processes.stop(name)
    machine.remove_network(layout)
    machine.unmount(layout)
    machine.remove_traces(layout)
    if remove:
        shutil.rmtree(layout.state, ignore_errors=True)
        shutil.rmtree(layout.run, ignore_errors=True)


def _call(binary: Path, *words: str) -> None:
    # What fails here leaves something behind that the steps after it take away.
    if binary.exists():
        subprocess.run([str(binary), *words], capture_output=True, check=False, timeout=_REMOVE_SECONDS)
