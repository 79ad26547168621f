"""Hosts by their spelling alone: which could be at large on the internet, and which are of this machine or network."""

from __future__ import annotations

import ipaddress
import re

from binder_protocol.errors import BadRepoSource

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_HOST_LABEL = re.compile(r"[a-z0-9_](?:[-a-z0-9_]{0,61}[a-z0-9_])?")
_NUMBER_LABEL = re.compile(r"\d+|0x[0-9a-f]*")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def check_host(host: str) -> str:
    """`host` in its one plain spelling; `BadRepoSource` for those that only some resolvers understand."""
    host = host.lower()
    if ":" in host or host.startswith("["):
        try:
            if "%" in host:
                raise ValueError("an address of one link alone")
            return str(ipaddress.IPv6Address(host.strip("[]")))
        except ValueError:
            raise BadRepoSource("the address holds no valid host") from None
    labels = host.split(".")
    if len(host) > 253 or not all(_HOST_LABEL.fullmatch(label) for label in labels):
        raise BadRepoSource("the address holds no valid host; one with other letters is written in its xn-- form")
    if _NUMBER_LABEL.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise BadRepoSource("an IPv4 address is written as four decimal numbers") from None
    return host


def is_public(address: Address) -> bool:
    """Whether `address` belongs to the internet at large, and so does the IPv4 address inside an IPv6 one."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return False
        inner = _inner(address)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64 or int(address) >> 32 == 0:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.teredo[1] if address.teredo is not None else None


def may_be_public(host: str) -> bool:
    """Whether `host` could be public, as far as its spelling says: False for private addresses and `localhost`.

    Raises `BadRepoSource` where it is no host's name at all.
    """
    host = check_host(host)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host != "localhost" and not host.endswith((".localhost", ".local", ".internal"))
    return is_public(address)
