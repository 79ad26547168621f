"""What an operator may set of a cluster, below [deploy.kubernetes] or as BINDER_DEPLOY_KUBERNETES_*."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from binder_deploy.backends.kubernetes.callers import caller
from binder_protocol.models import Limits
from binder_protocol.models.quantities import memory_bytes

_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")


def _label(text: str) -> str:
    if not _LABEL.fullmatch(text):
        raise ValueError(f"{text[:64]!r} is no name of a namespace: lower-case letters, digits and hyphens, 63 at most")
    return text


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text[:64]!r} is no name of an object: lower-case letters, digits, hyphens and dots")
    return text


def _gateway(text: str) -> str:
    for part in text.split("/") if text.count("/") < 2 else [text]:
        _name(part)
    return text


Label = Annotated[str, AfterValidator(_label)]
Name = Annotated[str, AfterValidator(_name)]
Share = Annotated[float, Field(ge=0, le=1)]


class KubernetesSettings(BaseModel):
    """Where applications go on a cluster, what they get there, and who reaches them; docs/kubernetes.md has the table.

    `*_request` is the part of its limit that an application reserves. `reached_from` says who may reach applications:
    networks, namespaces, or `namespace/label=value` for pods. `cluster_networks` are public addresses of the cluster's
    own, which applications must not reach. `template_placement` is what of the placement a template may say.
    `node_lost_seconds`: how long an application is left on a node that the cluster has found to be lost.
    `middlewares_namespace` has the front door's middlewares as Traefik's custom resources; without it they are in a
    file of Traefik's, as binder-control writes it. `pod_security = "any"` lets `pod_patch` leave the restricted
    standard.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: Label = "binder-applications"
    own_namespaces: bool = False

    ingress_class: Name | None = None
    ingress_controller: Literal["traefik", "nginx", "other"] = "traefik"
    ingress_annotations: dict[str, str] = {}
    ingress_host: Name | None = None
    ingress_tls_secret: Name | None = None
    gateway: Annotated[str, AfterValidator(_gateway)] | None = None
    gateway_listener: Name | None = None
    middlewares_namespace: Label | None = None
    guard_url: str | None = None
    ingress_url: str | None = None

    network_policy: bool = True
    reached_from: list[str] = []
    cluster_networks: list[str] = []
    dns: list[str] = ["kube-system/k8s-app=kube-dns"]

    cpu_request: Share = 0.1
    memory_request: Share = 1.0
    ephemeral_storage: str | None = "10G"
    ephemeral_storage_request: Share = 0.1
    extended_resources: dict[str, Annotated[int, Field(ge=1, le=1_024)]] = {}

    pull_secrets: list[Name] = []
    pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    node_selector: dict[str, str] = {}
    tolerations: list[dict[str, Any]] = []
    priority_class: Name | None = None
    template_placement: list[Literal["node-selector", "tolerations", "priority-class", "pull-secrets"]] = [
        "node-selector", "tolerations", "priority-class", "pull-secrets",
    ]  # fmt: skip
    node_lost_seconds: int = Field(default=5, ge=0, le=86_400)
    runtime_class: Name | None = None
    scheduler: Name | None = None
    probe_seconds: int = Field(default=1, ge=0, le=300)
    pod_patch: Path | None = None
    pod_security: Literal["restricted", "any"] = "restricted"

    @field_validator("kubeconfig", "pod_patch")
    @classmethod
    def _absolute(cls, file: Path | None) -> Path | None:
        return None if file is None else file.expanduser().absolute()

    @field_validator("ephemeral_storage")
    @classmethod
    def _is_amount(cls, text: str | None) -> str | None:
        if text is not None:
            memory_bytes(text)
        return text

    @field_validator("extended_resources")
    @classmethod
    def _are_extended(cls, resources: dict[str, int]) -> dict[str, int]:
        Limits(extended=resources)
        return resources

    @field_validator("reached_from", "dns", "cluster_networks")
    @classmethod
    def _are_callers(cls, texts: list[str]) -> list[str]:
        for text in texts:
            caller(text)
        return texts

    @field_validator("cluster_networks")
    @classmethod
    def _are_networks(cls, texts: list[str]) -> list[str]:
        for text in texts:
            if caller(text).network is None:
                raise ValueError(f"{text[:64]!r} is no network, such as 203.0.113.0/24")
        return texts

    @field_validator("guard_url")
    @classmethod
    def _is_url(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("the guard's address must begin with http:// or https://")
        return None if url is None else url.rstrip("/")

    @field_validator("ingress_url")
    @classmethod
    def _is_plain_url(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith("http://"):
            raise ValueError("the ingress controller's address must begin with http://: it is asked within the cluster")
        return None if url is None else url.rstrip("/")

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.ingress_tls_secret is not None and self.ingress_host is None:
            raise ValueError("ingress-tls-secret needs ingress-host, the name that the certificate is for")
        elsewhere = self.own_namespaces or self.middlewares_namespace != self.namespace
        if self.gateway is not None and self.middlewares_namespace is not None and elsewhere:
            raise ValueError(
                "an HTTPRoute can name no middleware of another namespace: own-namespaces must be false, and"
                " middlewares-namespace the same as namespace"
            )
        return self
