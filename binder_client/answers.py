"""Answers over HTTP as the client takes them: errors by type, read within limits, redirects on the same host."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from binder_protocol.errors import (
    AccessError,
    BadResponse,
    BinderError,
    Refused,
    TimedOut,
    Unavailable,
    error_from,
)

LONGEST_PAUSE = 10
"""Seconds of Retry-After that are waited for; a server that asks for more gets the error to its caller."""
_MAX_ERROR = 2**20
_ERROR_SECONDS = 10
_ORDINARY_PORTS = {"http": 80, "https": 443}


class Passing(Exception):
    """A failure that may be over when the same request is sent again, after `pause` seconds (True: soon)."""

    def __init__(self, error: BinderError, pause: bool | float = True) -> None:
        super().__init__(error.message)
        self.error = error
        self.pause = pause


@contextmanager
def translated(url: httpx2.URL) -> Iterator[None]:
    """Failures of httpx2 as ours; those that a second attempt may mend as `Passing`."""
    where = origin(url)
    try:
        yield
    except httpx2.ConnectTimeout as error:
        raise Passing(TimedOut(f"{where} can't be reached in time")) from error
    except httpx2.TimeoutException as error:
        raise TimedOut(f"{where} took too long to answer") from error
    except httpx2.ConnectError as error:
        raise _unreachable(where, error) from error
    except (httpx2.NetworkError, httpx2.RemoteProtocolError) as error:
        raise Passing(Refused(f"{where} broke off the connection")) from error
    except httpx2.ProxyError as error:
        raise Refused(
            f"the proxy doesn't lead to {where}: {error}",
            suggestions=["see the variables HTTPS_PROXY, HTTP_PROXY and NO_PROXY"],
        ) from error
    except httpx2.HTTPError as error:
        raise BadResponse(f"{where} doesn't speak HTTP that can be understood: {error}") from error


def _unreachable(where: str, error: httpx2.ConnectError) -> Exception:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return Refused(
            f"{where} shows a certificate that isn't valid here: {error}",
            suggestions=["where the CA is your company's own, name its file in SSL_CERT_FILE"],
        )
    return Passing(Refused(f"{where} can't be reached: {error}"))


def failure(response: httpx2.Response) -> Exception:
    """The error that the answer reports; one that a second attempt may mend as `Passing`."""
    error = _reported(response)
    wait = response.headers.get("Retry-After", "")
    if wait.isascii() and wait.isdigit():
        error.retry_after = int(wait[:9])
    if response.status_code not in (502, 503):
        return error
    if error.retry_after is None:
        return Passing(error)
    return Passing(error, float(error.retry_after)) if error.retry_after <= LONGEST_PAUSE else error


def _reported(response: httpx2.Response) -> BinderError:
    status, where = response.status_code, origin(response.url)
    try:
        text = read(response, _MAX_ERROR, time.monotonic() + _ERROR_SECONDS)
        body = json.loads(text)
    except (BinderError, ValueError, RecursionError):
        body = None
    error = error_from(body, status)
    if not isinstance(error, BadResponse):
        return error
    if status in (401, 403):  # a 2016 server, or a proxy on the way
        return AccessError(f"{where} refuses the request ({status})")
    if status in (502, 503, 504):
        return Unavailable(f"{where} has nothing behind it that answers just now ({status})")
    return BadResponse(f"{where} answers {status} without saying why")


def read(response: httpx2.Response, limit: int, deadline: float) -> bytes:
    body = bytearray()
    for chunk in chunks(response):
        body += chunk
        if len(body) > limit:
            raise BadResponse(f"{origin(response.url)} answers with more than {limit // 2**20} MiB")
        if time.monotonic() > deadline:
            raise TimedOut(f"{origin(response.url)} took too long to finish its answer")
    return bytes(body)


def chunks(response: httpx2.Response) -> Iterator[bytes]:
    try:
        with translated(response.url):
            yield from response.iter_bytes()
    except Passing as passing:
        raise passing.error from passing.__cause__


def next_url(method: str, response: httpx2.Response) -> httpx2.URL:
    """Where a redirect leads; raises BadResponse for another host, and for one that would lose the request's body."""
    here = response.url
    try:
        there = here.join(response.headers["Location"])
    except httpx2.InvalidURL as error:
        raise BadResponse(f"{origin(here)} redirects to no address") from error
    same = there.host == here.host and (
        (there.scheme, _port(there)) == (here.scheme, _port(here))
        or (here.scheme, _port(here), there.scheme, _port(there)) == ("http", 80, "https", 443)
    )
    if not same or (method != "GET" and response.status_code not in (307, 308)):
        raise BadResponse(
            f"{origin(here)} redirects to {origin(there)}, which isn't followed",
            suggestions=["give the server's own address: binder-client login URL"],
        )
    return there


def _port(url: httpx2.URL) -> int | None:
    return url.port or _ORDINARY_PORTS.get(url.scheme)


def origin(url: httpx2.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}"
