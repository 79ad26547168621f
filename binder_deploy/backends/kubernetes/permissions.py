"""What the API server lets this service do, looked at by itself: a missing verb is told before a launch fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any

from binder_deploy.backends.kubernetes.cluster import Cluster
from binder_deploy.backends.kubernetes.site import Site
from binder_protocol.errors import Unavailable

_KNOWN_SECONDS = 60.0

_ELSEWHERE = {"leases": "kube-node-lease", "nodes": ""}

Need = tuple[str, str, str]
"""A verb, on a resource, of an API group."""


def needs(site: Site) -> tuple[Need, ...]:
    """What is needed in the namespace of applications. In namespaces of their own it is needed in all of them."""
    gateway = site.entrance.gateway is not None
    route = ("httproutes", "gateway.networking.k8s.io") if gateway else ("ingresses", "networking.k8s.io")
    found = [(verb, "pods", "") for verb in ("create", "delete", "get", "list", "watch")]
    found.append(("get", "pods/log", ""))
    for resource, group in (("services", ""), route):
        found += [(verb, resource, group) for verb in ("create", "delete", "get")]
    if site.network_policy:
        found += [(verb, "networkpolicies", "networking.k8s.io") for verb in ("create", "patch")]
    if site.own_namespaces:
        found += [(verb, "namespaces", "") for verb in ("create", "delete", "get", "list", "watch")]
    return tuple(found)


def wishes() -> tuple[Need, ...]:
    """What is done without where it isn't granted: preloads, the room on nodes and in quotas, nodes that fall silent.

    Nodes belong to no namespace, and their leases to one of their own.
    """
    preloads = [(verb, "daemonsets", "apps") for verb in ("create", "delete", "get", "list")]
    nodes = (("list", "nodes", ""), ("list", "leases", "coordination.k8s.io"))
    return (*preloads, ("list", "resourcequotas", ""), *nodes)


def missing(rules: Iterable[dict[str, Any]], wanted: Iterable[Need]) -> list[Need]:
    """Those of `wanted` that none of the rules grants."""
    given = list(rules)
    return [need for need in wanted if not any(_grants(rule, need) for rule in given)]


def _grants(rule: dict[str, Any], need: Need) -> bool:
    verb, resource, group = need
    return (
        _has(rule.get("verbs"), verb)
        and _has(rule.get("apiGroups"), group)
        and _has(rule.get("resources"), resource)
        and not rule.get("resourceNames")
    )


def _has(given: list[str] | None, wanted: str) -> bool:
    return given is not None and ("*" in given or wanted in given)


class Permissions:
    """Asks the API server, once in a while."""

    def __init__(self, cluster: Cluster, site: Site) -> None:
        self._cluster = cluster
        self._site = site
        self._lock = threading.Lock()
        self._asked = -float("inf")
        self._missing: list[Need] = []

    def check(self) -> None:
        """Raises Unavailable with the verbs that are missing."""
        with self._lock:
            # What is missing may be granted any moment, and is looked at each time.
            if self._missing or time.monotonic() - self._asked > _KNOWN_SECONDS:
                self._missing = self.missing()
                self._asked = time.monotonic()
            absent = self._missing
        if absent:
            words = ", ".join(f"{verb} {resource}" for verb, resource, _ in absent)
            raise Unavailable(
                f"the cluster doesn't let this service {words} in namespace {self._site.namespace}",
                suggestions=("operator: give the deploy service's account the verbs that docs/kubernetes.md lists",),
            )

    def missing(self) -> list[Need]:
        """What is needed and not granted."""
        # Not every authorizer tells all its rules; about a single verb it must say yes or no.
        return [need for need in missing(self._rules(), needs(self._site)) if not self._may(need)]

    def unmet(self) -> list[Need]:
        """What is done without, for it isn't granted."""
        return [need for need in wishes() if not self._may(need)]

    def _may(self, need: Need) -> bool:
        verb, resource, group = need
        name, _, part = resource.partition("/")
        where = _ELSEWHERE.get(name, self._site.namespace)
        asked = {"namespace": where, "verb": verb, "group": group, "resource": name, "subresource": part}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": asked},
        }
        answer = self._cluster.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
        return bool(answer["status"].get("allowed"))

    def _rules(self) -> list[dict[str, Any]]:
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": self._site.namespace},
        }
        status = self._cluster.create("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review)["status"]
        return list(status.get("resourceRules") or [])
