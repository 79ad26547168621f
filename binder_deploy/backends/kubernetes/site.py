"""A site: what the operator of a cluster has settled for all applications there. A value, made from the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from binder_deploy.backends.kubernetes.callers import Caller

Json = Mapping[str, Any]
Controller = Literal["traefik", "nginx", "other"]


@dataclass(frozen=True)
class Gateway:
    """The Gateway that HTTPRoutes attach to; `section` is one of its listeners, None is all of them."""

    name: str
    namespace: str | None = None
    section: str | None = None


@dataclass(frozen=True)
class Entrance:
    """How people get in. `gateway`: by an HTTPRoute there instead of an Ingress.

    `controller` is the kind of ingress controller, for what an Ingress says in annotations. `middlewares` is where
    Traefik has ours: None is the file of a front door that binder-control runs, else the namespace of the custom
    resources. `guard_url` is where the controller asks this service whether a request may pass. `annotations` are
    the operator's own.
    """

    controller: Controller = "traefik"
    ingress_class: str | None = None
    host: str | None = None
    tls_secret: str | None = None
    gateway: Gateway | None = None
    middlewares: str | None = None
    guard_url: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Shares:
    """The part of its limits that an application reserves on a node; the rest is there as long as nobody needs it."""

    cpu: float = 0.1
    memory: float = 1.0
    ephemeral_storage: float = 0.1


@dataclass(frozen=True)
class Site:
    """`suite` is this suite's id. Everything lies in `namespace`, or, with `own_namespaces`, each application in one of
    its own. `ephemeral_storage` in bytes, for what says nothing else; `probe_seconds` 0 without a readiness probe.
    `reached_from` may reach applications; those reach the internet and `dns`, of private networks only the `reachable`,
    and none of `cluster_networks`.
    """

    suite: str
    namespace: str = "binder-applications"
    own_namespaces: bool = False
    entrance: Entrance = Entrance()
    shares: Shares = Shares()
    ephemeral_storage: int | None = 10 * 10**9
    pull_secrets: tuple[str, ...] = ()
    pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Json, ...] = ()
    priority_class: str | None = None
    node_lost_seconds: int = 5
    runtime_class: str | None = None
    scheduler: str | None = None
    stop_seconds: int = 2
    probe_seconds: int = 1
    pod_patch: Json = field(default_factory=dict)
    pod_security: Literal["restricted", "any"] = "restricted"
    network_policy: bool = True
    reached_from: tuple[Caller, ...] = ()
    reachable: tuple[str, ...] = ()
    cluster_networks: tuple[str, ...] = ()
    dns: tuple[Caller, ...] = (Caller(namespace="kube-system", labels={"k8s-app": "kube-dns"}),)
