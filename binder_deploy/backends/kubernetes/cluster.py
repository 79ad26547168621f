"""The API server of a cluster, as far as this service speaks to it. The only home of the `kubernetes` library.

Of the library it takes what is hard to get right: kubeconfig and service accounts, certificates, tokens that are
renewed, proxies. Objects go in and out as plain JSON values: the library's models take ten times as long and as much
memory as what they hold, and drop the fields that they don't know.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import structlog
import urllib3

from binder_deploy.backends.kubernetes.answers import Denied, denied
from binder_protocol.errors import EngineError
from kubernetes import client, config

log = structlog.get_logger()

_ANSWER_BYTES = 128 * 2**20
_LINE_BYTES = 8 * 2**20
_CONNECT_SECONDS = 5.0
_PAGE = 500
_STREAMS = 32
"""Connections that are kept for streams; more may be open, and are closed when they end."""

Json = dict[str, Any]
Query = Mapping[str, str | int]


class Stream:
    """Lines of an answer that comes bit by bit. `close`, from any thread, ends a wait for more."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        """Raises EngineError where the connection breaks, or nothing comes for as long as was agreed on."""
        rest = b""
        try:
            for chunk in self._response.stream(65_536):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from lines
                if len(rest) > _LINE_BYTES:
                    raise EngineError("the API server sent a line without end")
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            if not self._closed.is_set():
                raise _unreachable(error) from error
        finally:
            self._response.close()
        if rest:
            yield rest

    def close(self) -> None:
        self._closed.set()
        with contextlib.suppress(OSError, ValueError, RuntimeError, urllib3.exceptions.HTTPError):
            self._response.shutdown()


class Cluster:
    """Requests to the API server; each waits a bounded time. Raises Denied where the answer is no, EngineError where
    there is none.

    Without `kubeconfig` it is the cluster that this process runs in. Made at the first use, and anew after the
    credentials were refused, for their files may have been renewed.
    """

    def __init__(
        self, kubeconfig: str | None, context: str | None = None, *, answer_seconds: float = 10, connections: int = 32
    ) -> None:
        """At most `connections` requests at once; further ones wait for their turn. Streams don't count."""
        self._kubeconfig = kubeconfig
        self._context = context
        self._answer_seconds = answer_seconds
        self._connections = connections
        self._places = threading.BoundedSemaphore(connections)
        self._lock = threading.Lock()
        self._made: Any = None

    def get(self, path: str, query: Query | None = None) -> Json:
        """The object at `path`."""
        return self._json("GET", path, query)

    def pages(self, path: str, query: Query | None = None) -> Iterator[tuple[list[Json], str]]:
        """All objects at `path`, some at a time, and with each page the version from which a watch goes on."""
        more = ""
        while True:
            page = self._json("GET", path, {**(query or {}), "limit": _PAGE, **({"continue": more} if more else {})})
            meta = page.get("metadata") or {}
            yield page.get("items") or [], str(meta.get("resourceVersion") or "0")
            more = meta.get("continue") or ""
            if not more:
                return

    def list(self, path: str, query: Query | None = None) -> list[Json]:
        """All objects at `path`."""
        return [each for page, _ in self.pages(path, query) for each in page]

    def create(self, path: str, body: Json, query: Query | None = None) -> Json:
        """The object as it was made of `body`."""
        return self._json("POST", path, query, body=body)

    def apply(self, path: str, body: Json, manager: str) -> Json:
        """The object at `path` as it is when it has all that `body` says (server-side apply)."""
        query = {"fieldManager": manager, "force": "true"}
        return self._json("PATCH", path, query, body=body, content_type="application/apply-patch+yaml")

    def delete(self, path: str, *, uid: str | None = None, grace: int | None = None) -> None:
        """Nothing at `path` is fine; with `uid`, so is another object there."""
        options: Json = {"propagationPolicy": "Background"}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        try:
            self._json("DELETE", path, body=options)
        except Denied as error:
            if error.code != 404 and not (error.code == 409 and uid is not None):
                raise

    def stream(self, path: str, query: Query, *, quiet_seconds: float) -> Stream:
        """The lines of the answer; an EngineError of its own where none comes for `quiet_seconds`."""
        response = self._send("GET", path, query, None, "application/json")
        # That there is an answer is seen soon; only its parts may be long in coming.
        if response.connection is not None and response.connection.sock is not None:
            response.connection.sock.settimeout(quiet_seconds)
        return Stream(response)

    def close(self) -> None:
        """Gives back the connections."""
        with self._lock:
            made, self._made = self._made, None
        if made is not None:
            made.rest_client.pool_manager.clear()

    def _json(
        self, method: str, path: str, query: Query | None = None, *, body: Json | None = None,
        content_type: str = "application/json",
    ) -> Json:  # fmt: skip
        try:
            with self._places:
                response = self._send(method, path, query, body, content_type)
                text = response.read(_ANSWER_BYTES + 1)
                response.release_conn()
            value = json.loads(text) if len(text) <= _ANSWER_BYTES else None
        except (urllib3.exceptions.HTTPError, OSError, ValueError, RecursionError) as error:
            raise _unreachable(error) from error
        if not isinstance(value, dict):
            raise EngineError(f"the API server's answer to {method} {path} can't be understood")
        return value

    def _send(self, method: str, path: str, query: Query | None, body: Json | None, content_type: str) -> Any:
        """The answer, of which only the head was read."""
        address = f"{path}?{urlencode(query)}" if query else path
        sent = None if body is None else json.dumps(body)
        for last in (False, True):
            api = self._api()
            headers = {**api.default_headers, "Accept": "application/json", "Content-Type": content_type}
            api.update_params_for_auth(headers, [], ["BearerToken"], path, method, None)
            try:
                # The library's own way to here copies every value of what is sent, and takes half as long again.
                answer = api.rest_client.pool_manager.urlopen(
                    method, f"{api.configuration.host}{address}", body=sent, headers=headers, preload_content=False,
                    timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=self._answer_seconds),
                )  # fmt: skip
            except urllib3.exceptions.ProtocolError as error:
                # A connection that the server gave up while it lay idle. Every request may be repeated: names are ours.
                if last:
                    raise _unreachable(error) from error
            except (urllib3.exceptions.HTTPError, OSError) as error:
                self._forget(api)
                raise _unreachable(error) from error
            else:
                if answer.status < 400:
                    return answer
                if answer.status == 401:
                    self._forget(api)
                raise self._denied(method, path, answer)
        raise AssertionError("unreachable")

    def _denied(self, method: str, path: str, answer: Any) -> Denied:
        try:
            text = answer.read(65_536)
            answer.release_conn()
        except (urllib3.exceptions.HTTPError, OSError):
            text = b""
        return denied(method, path, answer.status, text, answer.headers.get("Retry-After"))

    def _api(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = client.ApiClient(self._configuration())
            return self._made

    def _forget(self, api: Any) -> None:
        with self._lock:
            if self._made is api:
                self._made = None

    def _configuration(self) -> Any:
        made: Any = client.Configuration()
        try:
            if self._kubeconfig is None:
                config.load_incluster_config(made)  # type: ignore[no-untyped-call]
            else:
                config.load_kube_config(self._kubeconfig, self._context, made, persist_config=False)  # type: ignore[no-untyped-call]
        except (config.ConfigException, OSError, ValueError, KeyError, TypeError) as error:
            raise EngineError(
                f"there is no way to the cluster: {error}"[:500],
                suggestions=("set deploy.kubernetes.kubeconfig to a file that kubectl can use, or run in the cluster",),
            ) from error
        made.retries = False
        made.keep_alive = True
        made.connection_pool_maxsize = self._connections + _STREAMS
        return made


def _words(error: Exception) -> str:
    """What kind of failure it is; of certificates also what is wrong with them."""
    _, verifying, why = str(error).partition("certificate verify failed: ")
    if verifying and isinstance(error, urllib3.exceptions.SSLError):
        return f"its certificate is refused: {why[:200]}"
    return type(error).__name__


def _unreachable(error: Exception) -> EngineError:
    return EngineError(
        f"the API server of the cluster doesn't answer: {_words(error)}",
        suggestions=("see that the cluster is there: kubectl get --raw /readyz",),
    )
