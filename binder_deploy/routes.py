"""The front door's routes: what Traefik is told of one application, and where people find it. Pure."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Sequence
from urllib.parse import quote, urlsplit

from binder_deploy.launches import Launch, base_path
from binder_protocol.models import Access

ENTRY_POINT = "web"
PAGES, GUARD, STRIP = "binder-pages@file", "binder-guard@file", "binder-strip@file"
"""Middlewares that binder_control writes into the front door's own configuration."""

_PREFIX = "binder-"
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_CLUSTER_PROVIDERS = ("kubernetes", "kubernetesgateway")
_OF_CLUSTER = re.compile(r"(?:^|-)binder-([0-9a-f]{32})(?:-|$)")
_PRIORITY = 1_000
_FLUSH_INTERVAL = "1ms"
"""How long the front door may keep what an application has sent. By default up to 100 ms, and an answer's head waits
for the first of its body, which a server that writes the two apart sends some 40 ms later (Nagle's algorithm)."""


def router(identity: str) -> str:
    """The name of an application's router and service; Traefik's metrics know it as `…@file`."""
    return f"{_PREFIX}{identity}"


def application_of(router_name: str) -> str | None:
    """The application whose router that is, or None where it is another one's.

    Of a cluster's route Traefik puts the router's name together: from the route's namespace and name, and more.
    """
    name, _, provider = router_name.partition("@")
    if provider == "file":
        return name.removeprefix(_PREFIX) if name.startswith(_PREFIX) else None
    found = _OF_CLUSTER.search(name) if provider in _CLUSTER_PROVIDERS else None
    return None if found is None else found[1]


def middlewares(launch: Launch, *, own_login: bool) -> tuple[str, ...]:
    """What requests pass on their way. Without a login of its own, an application that isn't public is guarded."""
    guarded = launch.access is Access.TOKEN and not own_login
    return (PAGES, *((GUARD,) if guarded else ()), *((STRIP,) if launch.strip_prefix else ()))


def route(identity: str, address: tuple[str, int], through: Sequence[str]) -> str:
    """The text of a file by which Traefik carries `/user/<id>/` to `address`; JSON is YAML.

    The trailing slash in the rule keeps `/user/ab` away from `/user/abc`.
    """
    name, (host, port) = router(identity), address
    carried = {
        "rule": f"PathPrefix(`{base_path(identity)}`)",
        "entryPoints": [ENTRY_POINT],
        "priority": _PRIORITY,
        "middlewares": list(through),
        "service": name,
    }
    balancer = {
        "servers": [{"url": f"http://{host}:{port}"}],
        "responseForwarding": {"flushInterval": _FLUSH_INTERVAL},
    }
    services = {name: {"loadBalancer": balancer}}
    return json.dumps({"http": {"routers": {name: carried}, "services": services}}) + "\n"


def location(front_door: str, identity: str, secret: str) -> str:
    """The address that opens an application, with its token where it has one."""
    return f"{front_door}{base_path(identity)}" + (f"?token={quote(secret, safe='')}" if secret else "")


def as_reached(location: str, *, scheme: str | None, host: str | None) -> str:
    """`location` by the name under which the front door was asked, where it is on loopback: nobody set `public-url`.

    `scheme` and `host` are what the front door says of the request, in headers that it takes from no client.
    """
    given = urlsplit(location)
    if not _is_loopback(given.hostname or "") or host is None or not _HOST.fullmatch(host):
        return location
    return given._replace(scheme="https" if scheme == "https" else "http", netloc=host).geturl()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
