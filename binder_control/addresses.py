"""The addresses of this machine."""

from __future__ import annotations

import ipaddress
import socket

import psutil

_FAMILIES = (socket.AF_INET, socket.AF_INET6)


def own_addresses() -> list[str]:
    """Those by which other machines may see this one."""
    listed = psutil.net_if_addrs().values()
    texts = {each.address.partition("%")[0] for addresses in listed for each in addresses if each.family in _FAMILIES}
    found = (ipaddress.ip_address(text) for text in texts)
    return sorted(str(each) for each in found if not each.is_loopback and not each.is_link_local)
