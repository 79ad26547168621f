"""Where a git server sends its clients: each step is judged before it is taken, and git itself follows none."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from contextlib import suppress
from urllib.parse import urljoin

from binder_build.sources.addresses import AddressPolicy
from binder_build.sources.repository import Repository, parse_repository
from binder_protocol.errors import BadRepoSource, SourceNotFound, SourceUnreachable

MAX_HOPS = 5
_PROBE = "/info/refs?service=git-upload-pack"
_HOP_SECONDS = 10.0


def final_repository(
    repository: Repository, policy: AddressPolicy, *, seconds: float, ca_bundle: str | None = None
) -> Repository:
    """`repository` at the address that its server sends to in the end, at most five hops away.

    Raises `BadRepoSource` for a hop that the policy or the spelling of its address forbids, `SourceNotFound` where the
    way ends at something else than a repository, `SourceUnreachable`.
    """
    deadline = time.monotonic() + seconds
    for _ in range(MAX_HOPS + 1):
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise SourceUnreachable("the repository's server redirects too slowly")
        location = _location(repository, policy, min(remaining, _HOP_SECONDS), ca_bundle)
        if location is None:
            return repository
        repository = _next(repository, location)
    raise SourceUnreachable(f"the repository's server redirects more than {MAX_HOPS} times")


def _next(repository: Repository, location: str) -> Repository:
    target = urljoin(repository.url + _PROBE, location)
    if not target.endswith(_PROBE):
        if not target.lower().startswith(("https://", "http://")):
            raise BadRepoSource("the repository's server redirects to something else than http")
        raise SourceNotFound("the repository's server redirects to a page that is no repository")
    found = parse_repository(target.removesuffix(_PROBE))
    if repository.scheme == "https" and found.scheme != "https":
        raise BadRepoSource("the repository's server redirects from https to an address that isn't safe")
    return found


def _location(repository: Repository, policy: AddressPolicy, seconds: float, ca_bundle: str | None) -> str | None:
    """The Location of the answer; None where it is no redirect."""
    address = policy.addresses(repository.host, repository.port)[0]
    connection = _connect(repository, address, seconds, ca_bundle)
    path = repository.url.split("/", 3)[3]
    # The socket's own timeout starts anew with every byte.
    guard = threading.Timer(seconds, _hang_up, [connection])
    guard.daemon = True
    guard.start()
    try:
        connection.request("GET", f"/{path}{_PROBE}", headers={"User-Agent": "git/2 binder", "Accept": "*/*"})
        answer = connection.getresponse()
        return answer.getheader("Location", "") if answer.status in (301, 302, 303, 307, 308) else None
    except (OSError, http.client.HTTPException):
        raise SourceUnreachable("the repository's server didn't answer") from None
    finally:
        guard.cancel()
        connection.close()


def _hang_up(connection: http.client.HTTPConnection) -> None:
    with suppress(OSError):
        connection.sock.shutdown(socket.SHUT_RDWR)


def _connect(repository: Repository, address: str, seconds: float, ca_bundle: str | None) -> http.client.HTTPConnection:
    """A connection to `address` that speaks to `repository.host`."""
    connection = http.client.HTTPConnection(repository.host, repository.port, timeout=seconds)
    try:
        raw = socket.create_connection((address, repository.port), seconds)
        if repository.scheme == "https":
            context = ssl.create_default_context(cafile=ca_bundle)
            raw = context.wrap_socket(raw, server_hostname=repository.host)
        connection.sock = raw
    except OSError:
        raise SourceUnreachable("the repository's server didn't answer") from None
    return connection
