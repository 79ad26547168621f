"""HTTP, in one place: the only module that knows httpx2."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import version
from typing import TypeVar

import httpx2

from binder_client.address import is_loopback
from binder_protocol.errors import (
    AccessError,
    BadResponse,
    BinderError,
    Refused,
    RequestError,
    TimedOut,
    Unavailable,
    error_from,
)

MAX_BODY = 32 * 2**20
"""Bytes of an answer that are read at most; streams have a limit for each line instead."""
MAX_ERROR = 2**20
LONGEST_PAUSE = 10
"""Seconds of Retry-After that are waited for; a server that asks for more gets the error to its caller."""
_MAX_REDIRECTS = 3
_CONNECT_SECONDS = 10
_KEEP_ALIVE_SECONDS = 4  # below uvicorn's 5, or a request may meet a connection that is just being closed
_ORDINARY_PORTS = {"http": 80, "https": 443}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `read_timeout`: seconds between two bytes of the answer, for streams; else the transport's own."""

    method: str
    url: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: object | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    read_timeout: float | None = None


class _Passing(Exception):
    """A failure that may be over when the same request is sent again, after `pause` seconds (True: soon)."""

    def __init__(self, error: BinderError, pause: bool | float = True) -> None:
        super().__init__(error.message)
        self.error = error
        self.pause = pause


class Transport:
    """Sends requests, raises by type what went wrong, and repeats what is safe to repeat. Threads may share one.

    GET requests are sent again, up to `retries` times, when the server can't be reached or says 502 or 503.
    No cookie is kept, no redirect to another host is followed, and the key appears in no message.
    """

    def __init__(
        self,
        key: str | None = None,
        *,
        timeout: float = 30,
        retries: int = 3,
        request_id: Callable[[], str | None] | None = None,
    ) -> None:
        """`timeout` is in seconds, for one whole answer. Raises RequestError for a key that no header can carry."""
        if key is not None and not (key.isascii() and key.isprintable() and key and " " not in key):
            raise RequestError("the API key holds characters that a header can't carry")
        self._headers = {
            "User-Agent": f"binder-client/{version('binder')}",
            "Accept-Encoding": "identity",
        }
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._timeout = timeout
        self._retries = retries
        self._request_id = request_id
        self._clients: dict[bool, httpx2.Client] = {}
        self._lock = threading.Lock()

    def send(self, request: Request) -> Answer:
        """The answer to `request`; raises what the server's error body says, Refused, TimedOut or BadResponse."""
        deadline = time.monotonic() + self._timeout
        with self._answer(request) as response:
            body = _read(response, MAX_BODY, deadline)
            return Answer(response.status_code, response.headers, body)

    @contextmanager
    def stream(self, request: Request) -> Iterator[Iterator[bytes]]:
        """The answer's bytes as they come; errors as for `send`, also while they are read."""
        with self._answer(request) as response:
            yield _chunks(response)

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            client.close()

    @contextmanager
    def _answer(self, request: Request) -> Iterator[httpx2.Response]:
        try:
            response = self._repeated(request) if request.method == "GET" and self._retries else self._open(request)
        except _Passing as passing:
            raise passing.error from passing.__cause__
        try:
            yield response
        finally:
            response.close()

    def _repeated(self, request: Request) -> httpx2.Response:
        try:
            return self._open(request)
        except _Passing as first:
            return self._again(request, first)

    def _again(self, request: Request, first: _Passing) -> httpx2.Response:
        import stamina  # costs 0.1 s, and few processes ever need it

        outcome: _Passing | None = first
        for attempt in stamina.retry_context(
            on=lambda error: isinstance(error, _Passing) and error.pause,
            attempts=self._retries + 1,
            timeout=self._timeout,
            wait_initial=0.1,
            wait_max=2,
            wait_jitter=0.1,
        ):
            with attempt:
                if outcome is not None:  # the first attempt is behind us
                    failure, outcome = outcome, None
                    raise failure
                return self._open(request)
        raise AssertionError("stamina raises when it gives up")

    def _open(self, request: Request) -> httpx2.Response:
        url = httpx2.URL(request.url, params=dict(request.params)) if request.params else httpx2.URL(request.url)
        for _ in range(_MAX_REDIRECTS + 1):
            response = self._send(request, url)
            if response.is_success:
                return response
            try:
                if not response.has_redirect_location:
                    raise _failure(response)
                url = _next_url(request.method, response)
            finally:
                response.close()
        raise BadResponse(f"{_origin(url)} redirects in a circle")

    def _send(self, request: Request, url: httpx2.URL) -> httpx2.Response:
        client = self._client(url)
        timeout = httpx2.Timeout(
            self._timeout,
            connect=min(self._timeout, _CONNECT_SECONDS),
            read=request.read_timeout or self._timeout,
        )
        headers = {"Accept": "application/json", **self._headers, **request.headers}
        if self._request_id is not None and (identity := self._request_id()):
            headers["X-Request-ID"] = identity
        content = None
        if request.body is not None:
            content = json.dumps(request.body, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
            headers["Content-Type"] = "application/json"
        with _translated(url):
            sent = client.build_request(request.method, url, content=content, headers=headers, timeout=timeout)
            return client.send(sent, stream=True)

    def _client(self, url: httpx2.URL) -> httpx2.Client:
        plain = url.scheme == "http" and is_loopback(url.host)
        with self._lock:
            if plain not in self._clients:
                self._clients[plain] = _new_client(plain=plain)
            return self._clients[plain]


def _new_client(*, plain: bool) -> httpx2.Client:
    """`plain`: for http to this machine. It asks no proxy, and does without the CA file, whose reading costs 0.1 s."""
    limits = httpx2.Limits(max_connections=100, max_keepalive_connections=10, keepalive_expiry=_KEEP_ALIVE_SECONDS)
    if plain:
        client = httpx2.Client(trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), limits=limits)
    else:
        direct = {"all://localhost": None, "all://127.0.0.1": None, "all://[::1]": None}
        client = httpx2.Client(limits=limits, mounts=direct)
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


@contextmanager
def _translated(url: httpx2.URL) -> Iterator[None]:
    """Failures of httpx2 as ours; those that a second attempt may mend as `_Passing`."""
    where = _origin(url)
    try:
        yield
    except httpx2.ConnectTimeout as error:
        raise _Passing(TimedOut(f"{where} can't be reached in time")) from error
    except httpx2.TimeoutException as error:
        raise TimedOut(f"{where} took too long to answer") from error
    except httpx2.ConnectError as error:
        raise _unreachable(where, error) from error
    except (httpx2.NetworkError, httpx2.RemoteProtocolError) as error:
        raise _Passing(Refused(f"{where} broke off the connection")) from error
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
    return _Passing(Refused(f"{where} can't be reached: {error}"))


def _failure(response: httpx2.Response) -> Exception:
    """The error that the answer reports; one that a second attempt may mend as `_Passing`."""
    error = _reported(response)
    wait = response.headers.get("Retry-After", "")
    if wait.isascii() and wait.isdigit():
        error.retry_after = int(wait[:9])
    if response.status_code not in (502, 503):
        return error
    if error.retry_after is None:
        return _Passing(error)
    return _Passing(error, float(error.retry_after)) if error.retry_after <= LONGEST_PAUSE else error


def _reported(response: httpx2.Response) -> BinderError:
    status, where = response.status_code, _origin(response.url)
    try:
        text = _read(response, MAX_ERROR, time.monotonic() + _CONNECT_SECONDS)
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


def _read(response: httpx2.Response, limit: int, deadline: float) -> bytes:
    body = bytearray()
    for chunk in _chunks(response):
        body += chunk
        if len(body) > limit:
            raise BadResponse(f"{_origin(response.url)} answers with more than {limit // 2**20} MiB")
        if time.monotonic() > deadline:
            raise TimedOut(f"{_origin(response.url)} took too long to finish its answer")
    return bytes(body)


def _chunks(response: httpx2.Response) -> Iterator[bytes]:
    try:
        with _translated(response.url):
            yield from response.iter_bytes()
    except _Passing as passing:
        raise passing.error from passing.__cause__


def _next_url(method: str, response: httpx2.Response) -> httpx2.URL:
    """Where a redirect leads; raises BadResponse for another host, and for one that would lose the request's body."""
    here = response.url
    try:
        there = here.join(response.headers["Location"])
    except httpx2.InvalidURL as error:
        raise BadResponse(f"{_origin(here)} redirects to no address") from error
    same = there.host == here.host and (
        (there.scheme, _port(there)) == (here.scheme, _port(here))
        or (here.scheme, _port(here), there.scheme, _port(there)) == ("http", 80, "https", 443)
    )
    if not same or (method != "GET" and response.status_code not in (307, 308)):
        raise BadResponse(
            f"{_origin(here)} redirects to {_origin(there)}, which isn't followed",
            suggestions=["give the server's own address: binder-client login URL"],
        )
    return there


def _port(url: httpx2.URL) -> int | None:
    return url.port or _ORDINARY_PORTS.get(url.scheme)


def _origin(url: httpx2.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}"
