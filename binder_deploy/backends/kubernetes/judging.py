"""What is wrong with a cluster for Binder, and what mends it. Pure: what was seen in, findings out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from binder_deploy.backends.kubernetes.answers import Denied, why_not_launched
from binder_deploy.backends.kubernetes.fitting import Node
from binder_deploy.backends.kubernetes.permissions import Need
from binder_protocol.errors import BinderError, EngineError
from binder_protocol.findings import Finding, Verdict

_OLDEST = (1, 29)
_VERSION = re.compile(r"v?(\d+)\.(\d+)")
_FORBIDDEN, _NOT_FOUND = 403, 404
_RIGHTS = "kubectl apply --filename examples/kubernetes/beside.yaml, and docs/kubernetes.md"
_NODES = "a ClusterRole that lists nodes and leases; binder-control works without"


def of_kubeconfig(file: Path | None, problem: OSError | None, mode: int) -> Finding:
    """The file that leads to the cluster; None is the pod's own account."""
    if file is None:
        return Finding("kubeconfig", Verdict.OK, "none: this pod's own account")
    if problem is not None:
        what = f"{file} can't be read: {problem.strerror}"
        return Finding("kubeconfig", Verdict.FAILED, what, "set kubeconfig below [deploy.kubernetes]")
    if mode & 0o077:
        return Finding("kubeconfig", Verdict.WARNING, f"other users can read {file}", f"chmod 600 {file}")
    return Finding("kubeconfig", Verdict.OK, str(file))


def of_server(answer: str | EngineError) -> Finding:
    """The API server: its version, or why it says nothing."""
    if isinstance(answer, EngineError):
        return _failed("API server", answer)
    found = _VERSION.match(answer)
    if found is None or (int(found[1]), int(found[2])) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        what = f"Kubernetes {answer[:40]}: Binder is made for {oldest} and newer"
        return Finding("API server", Verdict.WARNING, what, "upgrade the cluster")
    return Finding("API server", Verdict.OK, f"Kubernetes {answer[:40]}")


def of_rights(missing: Collection[Need], unmet: Collection[Need]) -> Finding:
    """What the account may do: `missing` is needed, `unmet` would be good to have."""
    if missing:
        what = f"the account may not {_verbs(missing)}: applications can't be launched"
        return Finding("rights", Verdict.FAILED, what, _RIGHTS)
    beyond = [need for need in unmet if need[1] not in ("nodes", "leases")]
    if beyond:
        return Finding("rights", Verdict.WARNING, f"the account may not {_verbs(beyond)}", _RIGHTS)
    if unmet:
        what = f"the account may not {_verbs(unmet)}: room and silent nodes are told late or not at all"
        return Finding("rights", Verdict.WARNING, what, _NODES)
    return Finding("rights", Verdict.OK, "all that is needed")


def of_trial(namespace: str, refusal: Denied | None) -> Finding:
    """Whether the namespace takes a pod such as applications have, when it is only tried."""
    if refusal is None:
        return Finding("namespace", Verdict.OK, f"{namespace} takes applications")
    if refusal.code == _NOT_FOUND:
        what = f"there is no namespace {namespace}"
        return Finding("namespace", Verdict.FAILED, what, f"kubectl create namespace {namespace}")
    if "does not support dry run" in refusal.message:
        what = f"{namespace}: a webhook can't be tried without a launch"
        return Finding("namespace", Verdict.WARNING, what, "launch something")
    return _failed("namespace", why_not_launched(refusal))


def of_ingress_class(name: str, refusal: Denied | None) -> Finding:
    """The IngressClass that routes name."""
    if refusal is None:
        return Finding("ingress class", Verdict.OK, name)
    if refusal.code == _FORBIDDEN:
        return Finding("ingress class", Verdict.WARNING, f"the account may not see whether {name} is there", _RIGHTS)
    what = f"there is no IngressClass {name}: nobody carries requests to applications"
    return Finding("ingress class", Verdict.FAILED, what, "kubectl get ingressclasses, and set ingress-class")


def of_nodes(nodes: Iterable[Node] | None) -> Finding:
    """The nodes; None where they can't be seen."""
    if nodes is None:
        return Finding("nodes", Verdict.WARNING, "the account may not see them", _NODES)
    known = list(nodes)
    closed = sorted(each.name for each in known if not each.open)
    if len(closed) == len(known):
        return Finding("nodes", Verdict.FAILED, f"none of {len(known)} takes pods", "kubectl get nodes")
    if closed:
        what = f"{len(closed)} of {len(known)} take no pods: {', '.join(closed[:5])}"
        return Finding("nodes", Verdict.WARNING, what, f"kubectl describe node {closed[0]}")
    return Finding("nodes", Verdict.OK, f"{len(known)} take pods")


def _failed(check: str, error: BinderError) -> Finding:
    return Finding(check, Verdict.FAILED, error.message[:500], "; ".join(error.suggestions))


def _verbs(needs: Iterable[Need]) -> str:
    return ", ".join(f"{verb} {resource}" for verb, resource, _ in needs)
