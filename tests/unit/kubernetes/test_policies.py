"""What a NetworkPolicy lets through, judged address by address as a network that enforces it would."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binder_deploy.backends.kubernetes.callers import caller
from binder_deploy.backends.kubernetes.objects import surroundings
from binder_deploy.backends.kubernetes.site import Site

NODES = ("198.51.100.1", "2001:db8:1::7")
SITE = Site(
    "s", reached_from=(caller("10.1.0.7/32"),), reachable=("10.9.0.0/16",), cluster_networks=("203.0.113.0/24",)
)
ADDRESSES = st.ip_addresses()


def passes(rules: list[dict[str, Any]], side: str, address: str, port: int | None = None) -> bool:
    """Whether a rule lets an address that is no pod's through."""
    return any(
        _holds(peer["ipBlock"], address)
        for rule in rules
        for peer in rule[side]
        if "ipBlock" in peer
        and (port is None or port in [each["port"] for each in rule.get("ports", [{"port": port}])])
    )


def _holds(block: dict[str, Any], text: str) -> bool:
    address = ipaddress.ip_address(text)
    inside = [address in ipaddress.ip_network(each) for each in (block["cidr"], *block.get("except", ()))]
    return inside[0] and not any(inside[1:])


def spec(site: Site = SITE) -> dict[str, Any]:
    (policy,) = surroundings(site, nodes=NODES)
    found: dict[str, Any] = policy["spec"]
    return found


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254", "fd00:ec2::254", "10.96.0.1", "10.244.3.4", "172.17.0.1", "192.168.1.1", "100.64.0.1",
        "127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "198.51.100.1", "203.0.113.77", "2001:db8:1::7", "::1",
        "::", "fe80::1", "fc00::1", "ff02::1", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1",
        "::ffff:169.254.169.254", "::169.254.169.254",
    ],
)  # fmt: skip
def test_applications_reach_neither_cluster_nor_nodes_nor_private_networks(address: str) -> None:
    assert not passes(spec()["egress"], "to", address)


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "198.51.100.2", "2606:4700::1111", "10.9.3.4"])
def test_applications_reach_the_internet_and_what_was_opened(address: str) -> None:
    assert passes(spec()["egress"], "to", address)


@given(ADDRESSES)
def test_nothing_private_is_reached_that_nobody_opened(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    private = address.is_private or address.is_link_local or address.is_multicast or address.is_loopback
    opened = address in ipaddress.ip_network("10.9.0.0/16")
    if private and not opened and not _documentation(address):
        assert not passes(spec()["egress"], "to", str(address))


def _documentation(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Reserved for books: nobody is there."""
    books = (
        "192.0.2.0/24",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "2001:db8::/32",
        "2001::/23",
        "3fff::/20",
        "5f00::/16",
    )
    return any(address in ipaddress.ip_network(each) for each in books)


@given(ADDRESSES)
def test_nobody_but_the_callers_reaches_applications(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    assert passes(spec()["ingress"], "from", str(address)) == (str(address) == "10.1.0.7")


def test_resolvers_are_reached_for_names_alone() -> None:
    site = Site("s", dns=(caller("169.254.20.10/32"),))
    assert passes(spec(site)["egress"], "to", "169.254.20.10", 53)
    assert not passes(spec(site)["egress"], "to", "169.254.20.10", 80)
    (rule,) = [each for each in spec()["egress"] if "ports" in each]
    assert rule["to"][0]["podSelector"] == {"matchLabels": {"k8s-app": "kube-dns"}}


def test_without_a_policy_there_is_none() -> None:
    assert surroundings(Site("s", network_policy=False)) == ()
