"""Enforcement of NetworkPolicies on the cluster of this machine, for as long as a test wants it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster.binary import enforcer
from tests.cluster.layout import Layout
from tests.cluster.processes import Processes
from tests.support.eventually import eventually

ENFORCER = "enforcer"
_CHAIN = "KUBE-ROUTER-FORWARD"


@contextmanager
def enforced(layout: Layout) -> Iterator[None]:
    """Every policy of the cluster holds, those of others, too; afterwards none does, and no rule is left."""
    processes = Processes(layout.pid, layout.log)
    command = [str(enforcer().build()), str(layout.kubeconfig), layout.node, layout.services]
    processes.start(ENFORCER, command)
    try:
        eventually(lambda: _rules() or not processes.alive(ENFORCER), within=30, what="rules")
        assert processes.alive(ENFORCER), processes.log(ENFORCER)
        yield
    finally:
        processes.stop(ENFORCER)
    assert not _rules(), processes.log(ENFORCER)


def _rules() -> bool:
    listed = subprocess.run(["iptables", "-w", "10", "-S", _CHAIN], capture_output=True, check=False, timeout=30)
    return listed.returncode == 0
