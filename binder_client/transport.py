"""HTTP, in one place: this module and `answers` are all that knows httpx2."""

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

import httpx2

from binder_client.address import is_loopback
from binder_client.answers import Passing, chunks, failure, next_url, origin, read, translated
from binder_protocol.errors import BadResponse, Refused, RequestError

MAX_BODY = 32 * 2**20
"""Bytes of an answer that are read at most; streams have a limit for each line instead."""
_MAX_REDIRECTS = 3
_CONNECT_SECONDS = 10
_KEEP_ALIVE_SECONDS = 4  # below uvicorn's 5, or a request may meet a connection that is just being closed


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
            body = read(response, MAX_BODY, deadline)
            return Answer(response.status_code, response.headers, body)

    @contextmanager
    def stream(self, request: Request) -> Iterator[Iterator[bytes]]:
        """The answer's bytes as they come; errors as for `send`, also while they are read."""
        with self._answer(request) as response:
            yield chunks(response)

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
        except Passing as passing:
            raise passing.error from passing.__cause__
        try:
            yield response
        finally:
            response.close()

    def _repeated(self, request: Request) -> httpx2.Response:
        try:
            return self._open(request)
        except Passing as first:
            return self._again(request, first)

    def _again(self, request: Request, first: Passing) -> httpx2.Response:
        import stamina  # costs 0.1 s, and few processes ever need it

        outcome: Passing | None = first
        for attempt in stamina.retry_context(
            on=lambda error: isinstance(error, Passing) and error.pause,
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
                    raise failure(response)
                url = next_url(request.method, response)
            finally:
                response.close()
        raise BadResponse(f"{origin(url)} redirects in a circle")

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
        with translated(url):
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
        client = _outward(limits, direct)
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


def _outward(limits: httpx2.Limits, mounts: Mapping[str, None]) -> httpx2.Client:
    """A client that follows the environment. Raises Refused where the environment names what can't be used."""
    try:
        return httpx2.Client(limits=limits, mounts=mounts)
    except OSError as error:
        raise Refused(
            f"the certificates of CAs can't be read: {error.strerror or error}",
            suggestions=["see the variables SSL_CERT_FILE and SSL_CERT_DIR"],
        ) from error
    except (ValueError, httpx2.InvalidURL, ImportError):  # their messages may hold the proxy's password
        raise Refused(
            "the proxy that the environment names can't be used",
            suggestions=["see the variables HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY"],
        ) from None
