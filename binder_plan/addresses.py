"""Addresses that a repository names: which may be asked during its build, by their spelling alone.

Where they really lead is the network's business; here those that could never be right are refused with their line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from binder_protocol.errors import BadRepoSource, InvalidRepository

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[/\\][^\s'\"<>]*")
_VERSION_CONTROL = re.compile(r"(?:^|[\s@=])(?P<tool>git|hg|svn|bzr)\+(?P<scheme>[A-Za-z0-9-]*)")
_SCHEMES = {"http", "https", "git+http", "git+https", "git+ssh", "ssh"}
_SSH = {"git+ssh", "ssh"}

Allowed = Callable[[str], bool]


def check_addresses(text: str, where: str, allowed: Allowed) -> None:
    """Raises `InvalidRepository`, which names `where` and repeats nothing of `text`, for an address in it."""
    control = _VERSION_CONTROL.search(text)
    if control and (control["tool"] != "git" or control["scheme"].lower() not in {"https", "http", "ssh"}):
        raise InvalidRepository(
            f"{where}: this kind of address can't be fetched", suggestions=("use git+https://host/path@commit",)
        )
    for found in _ADDRESS.finditer(text):
        if not found[0].lower().startswith("file:"):
            _check(found[0], where, allowed)


def _check(address: str, where: str, allowed: Allowed) -> None:
    try:
        parts = urlsplit(address)
        scheme, host, user = parts.scheme.lower(), parts.hostname or "", parts.username
    except ValueError:
        scheme, host, user = "", "", None
    if scheme not in _SCHEMES or "\\" in address or "://" not in address or not host:
        raise InvalidRepository(f"{where}: this is no address of the web", suggestions=("write https://host/path",))
    plain_ssh = scheme in _SSH and parts.password is None
    if user is not None and not plain_ssh:
        raise InvalidRepository(
            f"{where}: the address holds a credential, which everybody who reads the repository could use",
            suggestions=("take it out, and revoke it: it is in the repository's history",),
        )
    if not _is_allowed(host, allowed):
        raise InvalidRepository(
            f"{where}: builds don't get to the host {host[:100]}",
            suggestions=("name a public host", "operator: add it to `allow_hosts`"),
        )


def _is_allowed(host: str, allowed: Allowed) -> bool:
    try:
        return allowed(host)
    except BadRepoSource:
        return False
