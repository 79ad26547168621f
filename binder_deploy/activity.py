"""Activity: when was an application last used? From what passes the front door, and from what Jupyter says of itself.

Traefik counts requests per router, but one only when it is over: a web socket or a long download shows as a connection
to the container that stays open. Idle connections that Traefik keeps for reuse are closed after IDLE_SECONDS, so one
that is there later than that after the last counted request is in use. Of Jupyter's web sockets this isn't believed,
for a forgotten browser tab holds them open; its kernels know better.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from binder_deploy import routes
from binder_deploy.launches import Launch
from binder_protocol.errors import Unavailable

IDLE_SECONDS = 2
"""After which Traefik closes a connection that it doesn't use; written into its configuration."""

_MARGIN_SECONDS = 1
_AHEAD = timedelta(minutes=1)
_COUNTER = re.compile(r'^traefik_router_requests_total\{[^}]*router="([^"]+)"[^}]*\} ([0-9.e+]+)$', re.MULTILINE)
_ESTABLISHED = "01"
_METRICS_BYTES = 64 * 2**20
_STATUS_BYTES = 1 * 2**20
_ASK_SECONDS = 5.0
_MOST_DOORS = 32
_TABLES = ("/proc/net/tcp",)

Address = tuple[str, int]


@dataclass(frozen=True)
class Sample:
    """`at` is in seconds of a clock that never goes back; `requests` are counters, `connected` have one open."""

    at: float
    requests: Mapping[str, float]
    connected: frozenset[str]


@dataclass(frozen=True)
class Track:
    """What is remembered of one application between samples: its counter, and when that last moved."""

    requests: float
    moved: float


def fold(tracks: Mapping[str, Track], sample: Sample, watched: Iterable[str]) -> tuple[dict[str, Track], set[str]]:
    """The tracks after `sample`, and which of the `watched` applications were used since the one before.

    A first sample only sets where counting starts; a counter that is lower than before was set to zero by a restart
    of the front door.
    """
    after: dict[str, Track] = {}
    used: set[str] = set()
    for identity in watched:
        count = sample.requests.get(identity, 0.0)
        before = tracks.get(identity)
        moved = before is not None and count != before.requests and count > 0
        track = Track(count, sample.at if before is None or moved else before.moved)
        lasting = identity in sample.connected and sample.at - track.moved > IDLE_SECONDS + _MARGIN_SECONDS
        if moved or lasting:
            used.add(identity)
        after[identity] = track
    return after, used


def request_counts(metrics: str) -> dict[str, float]:
    """Requests per application, from Traefik's metrics page."""
    counts: dict[str, float] = {}
    for router, value in _COUNTER.findall(metrics):
        identity = routes.application_of(router)
        if identity is not None:
            counts[identity] = counts.get(identity, 0.0) + float(value)
    return counts


def connected_to(table: str) -> set[Address]:
    """The IPv4 addresses to which connections are established, from the text of /proc/net/tcp."""
    found: set[Address] = set()
    for line in table.splitlines()[1:]:
        words = line.split()
        if len(words) > 3 and words[3] == _ESTABLISHED:
            host, _, port = words[2].partition(":")
            octets = reversed(bytes.fromhex(host))  # little-endian, as on every machine that runs Docker
            found.add((".".join(map(str, octets)), int(port, 16)))
    return found


def jupyter_activity(status: object, kernels: object, now: datetime) -> datetime | None:
    """The last activity of a Jupyter server: `now` while a kernel computes. Both are what its API answered.

    Of an activity that is yet to come, because the clock was set back, nobody knows when it was.
    """
    if isinstance(kernels, list) and any(
        isinstance(each, dict) and each.get("execution_state") == "busy" for each in kernels
    ):
        return now
    text = status.get("last_activity") if isinstance(status, dict) else None
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    if moment is None:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None if moment > now + _AHEAD else min(now, moment)


def addresses(host: str, port: int) -> list[str]:
    """All addresses of one family that a host has: IPv4 where there are any. Raises OSError."""
    found = {each[4][0]: each[0] for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    family = socket.AF_INET if socket.AF_INET in found.values() else socket.AF_INET6
    return [str(address) for address, own in found.items() if own is family]


class FrontDoor:
    """Reads what Traefik counts and what the kernel knows of its connections.

    A host with several addresses is several Traefiks, as behind a headless Service; all are asked.
    """

    def __init__(self, metrics_url: str, resolve: Callable[[str, int], list[str]] = addresses) -> None:
        self._url = urlsplit(metrics_url)
        self._resolve = resolve

    def requests(self) -> dict[str, float]:
        """Requests per application since Traefik started. Raises Unavailable, for what one counted may be the use."""
        host, port = self._url.hostname or "127.0.0.1", self._url.port or 80
        try:
            found = self._resolve(host, port)[:_MOST_DOORS]
        except OSError as error:
            raise Unavailable(f"the front door's metrics can't be read: {host} is not known") from error
        counts: dict[str, float] = {}
        for address in found:
            for identity, count in self._requests_at(address, port).items():
                counts[identity] = counts.get(identity, 0.0) + count
        return counts

    def _requests_at(self, host: str, port: int) -> dict[str, float]:
        try:
            with closing(http.client.HTTPConnection(host, port, timeout=_ASK_SECONDS)) as connection:
                connection.request("GET", self._url.path or "/metrics", headers={"Host": self._url.hostname or host})
                response = connection.getresponse()
                text = response.read(_METRICS_BYTES).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"the front door's metrics can't be read: {type(error).__name__}") from error
        if response.status != http.client.OK:
            raise Unavailable(f"the front door's metrics answered {response.status}")
        return request_counts(text)

    def connections(self) -> set[Address]:
        """Where this host has connections to; empty where that can't be seen."""
        found: set[Address] = set()
        for table in _TABLES:
            try:
                found |= connected_to(Path(table).read_text(encoding="ascii"))
            except OSError:
                continue
        return found


def ask_jupyter(launch: Launch, address: Address, now: datetime) -> datetime | None:
    """What the Jupyter server at `address` says of its last activity; None where it says nothing of use."""
    status = _get_json(launch, address, "api/status")
    kernels = _get_json(launch, address, "api/kernels?no_track_activity=1")
    return jupyter_activity(status, kernels, now)


def _get_json(launch: Launch, address: Address, path: str) -> Any:
    try:
        with closing(http.client.HTTPConnection(*address, timeout=_ASK_SECONDS)) as connection:
            headers = {"Authorization": f"token {launch.secret}"} if launch.secret else {}
            connection.request("GET", launch.base_path + path, headers=headers)
            response = connection.getresponse()
            return json.loads(response.read(_STATUS_BYTES)) if response.status == http.client.OK else None
    except (OSError, http.client.HTTPException, ValueError, RecursionError):
        return None
