"""What doctor says of a cluster: what was seen in, findings with what mends them out."""

from __future__ import annotations

from pathlib import Path

import pytest

from binder_deploy.backends.kubernetes import judging
from binder_deploy.backends.kubernetes.answers import denied
from binder_deploy.backends.kubernetes.fitting import Node
from binder_deploy.backends.kubernetes.permissions import wishes
from binder_protocol.errors import EngineError
from binder_protocol.findings import Finding

FILE = Path("/etc/binder/kubeconfig")
NODES = [Node(name, name != "b", {}, {}, (), ()) for name in "abc"]
UNTRIED = "admission webhook x does not support dry run"
LEASES = ("list", "leases", "coordination.k8s.io")


def refusal(code: int, words: str) -> judging.Denied:
    return denied("POST", "/api/v1/pods", code, f'{{"message": "{words}"}}'.encode(), None)


@pytest.mark.parametrize(
    ("finding", "verdict", "what", "mend"),
    [
        (judging.of_kubeconfig(None, None, 0), "ok", "account", ""),
        (judging.of_kubeconfig(FILE, None, 0o100600), "ok", str(FILE), ""),
        (judging.of_kubeconfig(FILE, None, 0o100644), "warning", "other users", f"chmod 600 {FILE}"),
        (judging.of_kubeconfig(FILE, OSError(2, "No such file"), 0), "failed", "No such file", "kubeconfig"),
        (judging.of_server("v1.34.4"), "ok", "v1.34.4", ""),
        (judging.of_server("v1.30.1-gke.2"), "ok", "v1.30.1", ""),
        (judging.of_server("v1.21.0"), "warning", "1.29 and newer", "upgrade"),
        (judging.of_server("nonsense"), "warning", "nonsense", "upgrade"),
        (judging.of_server(EngineError("it doesn't answer", suggestions=["look"])), "failed", "doesn't answer", "look"),
        (judging.of_rights([], []), "ok", "all", ""),
        (judging.of_rights([("create", "pods", "")], [LEASES]), "failed", "create pods", "beside.yaml"),
        (judging.of_rights([], wishes()), "warning", "create daemonsets", "beside.yaml"),
        (judging.of_rights([], [LEASES]), "warning", "list leases", "ClusterRole"),
        (judging.of_trial("apps", None), "ok", "apps", ""),
        (judging.of_trial("apps", refusal(404, "namespaces not found")), "failed", "no namespace apps", "create"),
        (judging.of_trial("apps", refusal(403, "exceeded quota: q")), "failed", "exceeded quota: q", "Quota"),
        (judging.of_trial("apps", refusal(400, UNTRIED)), "warning", "webhook", "launch"),
        (judging.of_ingress_class("own", None), "ok", "own", ""),
        (judging.of_ingress_class("own", refusal(404, "not found")), "failed", "no IngressClass own", "ingress-class"),
        (judging.of_ingress_class("own", refusal(403, "forbidden")), "warning", "may not see", "docs"),
        (judging.of_nodes(None), "warning", "may not see", "ClusterRole"),
        (judging.of_nodes([]), "failed", "none of 0", "kubectl"),
        (judging.of_nodes(NODES[1:2]), "failed", "none of 1", "kubectl"),
        (judging.of_nodes(NODES), "warning", "1 of 3 take no pods: b", "describe node b"),
        (judging.of_nodes(NODES[:1]), "ok", "1 take", ""),
    ],
)  # fmt: skip
def test_each_fault_says_what_mends_it(finding: Finding, verdict: str, what: str, mend: str) -> None:
    assert finding.verdict.value == verdict
    assert what in finding.what
    assert mend in finding.mend
    assert bool(finding.mend) == (verdict != "ok")
