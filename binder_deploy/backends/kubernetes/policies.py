"""What surrounds applications in a namespace, as values: the namespace itself, and who reaches whom. Pure.

A NetworkPolicy does something only where the cluster's network enforces it; there are networks that take it and do
nothing. Policies add up, so others that select our pods can open more than this one does, never less.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from binder_deploy.backends.kubernetes.site import Site
from binder_deploy.network import REFUSED_NETWORKS
from binder_protocol.labels import APPLICATION

REFUSED_NETWORKS_6 = (
    "::/80",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/32",
    "2002::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
)
"""As REFUSED_NETWORKS: loopback, private, link-local, multicast, and what stands for IPv4 addresses in IPv6.

`::/80` holds `::ffff:0:0/96`, which the API itself refuses to except."""

_WORLD, _WORLD_6 = "0.0.0.0/0", "::/0"
_DNS_PORTS = [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]

Manifest = dict[str, Any]


def namespace(name: str, labels: dict[str, str], *, restricted: bool = True) -> Manifest:
    """A namespace for applications. Where pods are `restricted`, the API server refuses others as well."""
    enforced = {"pod-security.kubernetes.io/enforce": "restricted"} if restricted else {}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {**labels, **enforced}}}


def network_policy(namespace: str, labels: dict[str, str], site: Site, nodes: Iterable[str] = ()) -> Manifest:
    """The policy of a namespace for the pods with these labels: they are reached by the site's callers alone, and
    reach the resolvers and the internet, but neither the cluster nor its `nodes`, which are addresses.
    """
    refused = [*REFUSED_NETWORKS, *REFUSED_NETWORKS_6, *site.cluster_networks, *nodes]
    egress: list[Manifest] = [
        {"to": [_world(_WORLD, refused), _world(_WORLD_6, refused)]},
        *({"to": [each.peer], "ports": _DNS_PORTS} for each in site.dns),
    ]
    if site.reachable:
        egress.append({"to": [{"ipBlock": {"cidr": each}} for each in site.reachable]})
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"binder-{site.suite}", "namespace": namespace, "labels": labels},
        "spec": {
            "podSelector": {
                "matchLabels": labels,
                "matchExpressions": [{"key": APPLICATION, "operator": "Exists"}],
            },
            "policyTypes": ["Ingress", "Egress"],
            # Without anybody a rule would mean everybody.
            "ingress": [{"from": [each.peer for each in site.reached_from]}] if site.reached_from else [],
            "egress": egress,
        },
    }


def _world(cidr: str, refused: Iterable[str]) -> Manifest:
    version = ipaddress.ip_network(cidr).version
    networks = [each for text in refused if (each := ipaddress.ip_network(text)).version == version]
    return {"ipBlock": {"cidr": cidr, "except": [str(each) for each in _outermost(networks)]}}


def _outermost(networks: Iterable[Any]) -> list[Any]:
    """The networks that lie in no other, in their order."""
    found: list[Any] = []
    for each in sorted(networks, key=lambda network: (network.prefixlen, network.network_address)):
        if not any(each.subnet_of(other) for other in found):
            found.append(each)
    return sorted(found)
