"""The outermost layer, through which every request goes: its id, its limits, the log line, the last-resort answer.

One pure ASGI middleware instead of five, for each layer costs every request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from time import perf_counter

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from binder_protocol.errors import BinderError, RequestError, RequestTooLarge
from binder_protocol.service import errors, logs
from binder_protocol.service.metrics import Metrics

log = structlog.get_logger()

OPERATION = "binder.operation"
"""The key in a request's scope under which its operation's name stands, once it is routed."""

MAX_HEADERS = 100
MAX_HEADER_BYTES = 32_768
MAX_PATH_BYTES = 4_096
MAX_QUERY_BYTES = 8_192
BODY_SECONDS = 30.0

_ID_HEADER = logs.HEADER.lower().encode()
_QUIET = frozenset({"/healthz", "/readyz", "/metrics", "guard"})


class Edge:
    """Wraps an application. `max_body` is in bytes; `probes` are names of requests that aren't worth a log line."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, max_body: int, probes: Iterable[str] = _QUIET) -> None:
        self._app = app
        self._metrics = metrics
        self._max_body = max_body
        self._probes = frozenset(probes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        request_id = logs.bind_request_id(_header(headers, _ID_HEADER))
        id_header = (_ID_HEADER, request_id.encode())
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), id_header]
            await send(message)

        try:
            refusal = self._refusal(scope, headers)
            if refusal is not None:
                await errors.render(refusal)(scope, receive, send_with_id)
            else:
                scope["path"] = _without_slash(scope["path"])
                body = _declared_body(headers)
                await self._app(scope, self._limited(receive) if body else receive, send_with_id)
        except Exception:  # the last resort: nothing of what happened may reach the caller
            log.exception("a request failed", path=scope["path"], method=scope["method"])
            if not status:
                await errors.render(errors.unexpected(request_id))(scope, receive, send_with_id)
        finally:
            self._record(scope, status, perf_counter() - began)

    def _refusal(self, scope: Scope, headers: list[tuple[bytes, bytes]]) -> BinderError | None:
        if len(headers) > MAX_HEADERS or sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
            return RequestTooLarge("the headers are too many or too long")
        if len(scope["path"]) > MAX_PATH_BYTES or len(scope["query_string"]) > MAX_QUERY_BYTES:
            return RequestTooLarge("the address is too long")
        length = _header(headers, b"content-length")
        if length is not None and not (length.isascii() and length.isdigit()):
            return RequestError("Content-Length is not a number")
        if length is not None and (len(length) > 18 or int(length) > self._max_body):
            return RequestTooLarge(f"a request's body may have {self._max_body} bytes")
        return None

    def _limited(self, receive: Receive) -> Receive:
        """`receive` for a body: counts what comes in, and waits only so long."""
        total = 0
        complete = False
        deadline = asyncio.get_running_loop().time() + BODY_SECONDS

        async def limited() -> Message:
            nonlocal total, complete
            if complete:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise RequestError("the body didn't arrive in time") from None
            total += len(message.get("body", b""))
            if total > self._max_body:
                raise RequestTooLarge(f"a request's body may have {self._max_body} bytes")
            complete = not message.get("more_body", False)
            return message

        return limited

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        operation = scope.get(OPERATION) or "none"
        self._metrics.answered(operation, status, seconds)
        if operation in self._probes and status < 500:
            return
        log.info(
            "request",
            method=scope["method"][:20],
            path=scope["path"][:500],
            status=status or "disconnected",
            ms=round(seconds * 1000, 1),
            operation=operation,
        )


def _header(headers: list[tuple[bytes, bytes]], wanted: bytes) -> str | None:
    for name, value in headers:
        if name == wanted:
            return value.decode("latin-1")
    return None


def _declared_body(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in headers)


def _without_slash(path: str) -> str:
    return path[:-1] if len(path) > 1 and path[-1] == "/" else path
