"""A real Traefik on free ports, as binder-control runs it."""

from __future__ import annotations

import http.client
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from binder_control import frontdoor
from binder_control.certificate import ensure_certificate
from binder_deploy.probe import PAGE_HEADER
from tests.support.eventually import eventually


@dataclass(frozen=True)
class Door:
    """Where Traefik listens, or will."""

    web: int
    metrics: int
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.web}"

    @property
    def metrics_url(self) -> str:
        return f"http://{self.host}:{self.metrics}/metrics"


def free_door(host: str = "127.0.0.1") -> Door:
    """Two ports of that address that nobody listens on just now."""
    with socket.create_server((host, 0)) as web, socket.create_server((host, 0)) as metrics:
        return Door(web.getsockname()[1], metrics.getsockname()[1], host)


@contextmanager
def front_door(
    door: Door, routes: Path, *, urls: Mapping[str, str], ingresses: frontdoor.Ingresses | None = None
) -> Iterator[Door]:
    """Traefik with routes to the services at `urls`, and to what else has a file in the directory `routes`, or an
    Ingress on the cluster of $KUBECONFIG.
    """
    directory = routes.with_name(f"{routes.name}-traefik")
    for each in (routes, directory):
        each.mkdir(parents=True, exist_ok=True)
    static = directory / "traefik.yml"
    (routes / "suite.yml").write_text(frontdoor.dynamic_config(urls, ensure_certificate(directory / "certificate.pem")))
    doors = frontdoor.Doors(f"{door.host}:{door.web}", f"{door.host}:{door.metrics}")
    static.write_text(frontdoor.static_config(doors, routes=routes, ingresses=ingresses))
    with (directory / "traefik.log").open("wb") as log:
        process = subprocess.Popen(frontdoor.command(static), stdout=log, stderr=log)
    try:
        eventually(lambda: _has_routes(door), within=20, what="Traefik's start")
        yield door
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _has_routes(door: Door) -> bool:
    """Whether the routes are read: a moment after its start Traefik knows none, and answers 404 by itself."""
    connection = http.client.HTTPConnection(door.host, door.web, timeout=2)
    try:
        connection.request("GET", "/user/none/")
        answer = connection.getresponse()
        return answer.status != http.client.NOT_FOUND or answer.headers.get(PAGE_HEADER) is not None
    except OSError:
        return False
    finally:
        connection.close()


def answers(location: str | None) -> bool:
    """Whether something other than a failure answers at the address."""
    url = urlsplit(location or "")
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=5)
    try:
        connection.request("GET", url.path)
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()
