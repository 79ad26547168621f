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
    namespace, slash, rest = text.partition("/")
    pairs = [each.partition("=") for each in rest.split(",")] if slash else []
    # An address that is wrong would pass for a namespace of digits.
    named = _NAMESPACE.fullmatch(namespace) and not namespace.isdigit()
    if not named or not all(
        _LABEL.fullmatch(key) and equals and _VALUE.fullmatch(value) for key, equals, value in pairs
    ):
        raise ValueError(
            f"{text[:64]!r} is no network (10.0.0.0/24), no namespace (traefik) and no pods of one (traefik/app=web)"
        )
    return Caller(namespace=namespace, labels={key: value for key, _, value in pairs})
