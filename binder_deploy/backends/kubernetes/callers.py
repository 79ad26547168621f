"""Who may speak to applications, or whom they may: a network, a namespace, or some pods of a namespace. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_NAMESPACE = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_LABEL = re.compile(r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


@dataclass(frozen=True)
class Caller:
    """Either a `network`, or the pods of a `namespace` that have all these `labels`."""

    network: str | None = None
    namespace: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def peer(self) -> dict[str, Any]:
        """The caller in the words of a NetworkPolicy."""
        if self.network is not None:
            return {"ipBlock": {"cidr": self.network}}
        peer: dict[str, Any] = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}}}
        if self.labels:
            peer["podSelector"] = {"matchLabels": dict(self.labels)}
        return peer


def caller(text: str) -> Caller:
    """`10.0.0.0/24`, `traefik`, or `traefik/app=traefik,tier=web`. Raises ValueError for anything else."""
    try:
        return Caller(network=str(ipaddress.ip_network(text)))
    except ValueError:
        pass
    namespace, _, rest = text.partition("/")
    labels = dict(_label(each) for each in rest.split(",")) if rest else {}
    # An address that is wrong would pass for a namespace of digits.
    if not _NAMESPACE.fullmatch(namespace) or namespace.isdigit() or (_ and not labels):
        raise _unknown(text)
    return Caller(namespace=namespace, labels=labels)


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not _LABEL.fullmatch(name) or not _VALUE.fullmatch(value):
        raise _unknown(text)
    return name, value


def _unknown(text: str) -> ValueError:
    return ValueError(
        f"{text[:64]!r} is no network (10.0.0.0/24), namespace (traefik) or pods of one (traefik/app=web)"
    )
