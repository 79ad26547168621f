"""The kind of route that operations have: what is checked before anything of a request is read."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import parse_qsl

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from binder_protocol import operations
from binder_protocol.errors import AccessError, InvalidTemplate, RequestError
from binder_protocol.operations import Auth, Operation
from binder_protocol.service import edge, errors, json_body
from binder_protocol.service.auth import KeyCheck


def route_class(keys: KeyCheck, public_launch: bool) -> type[APIRoute]:
    """The kind of route that checks the key, the query's names and the content type before anything is read."""
    table = {
        f"{each.section}.{each.name}": (each, _is_open(each.auth, public_launch)) for each in operations.OPERATIONS
    }

    class OperationRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handler = super().get_route_handler()

            async def strict(request: Request) -> Response:
                return await handler(_StrictRequest(request.scope, request.receive))

            return strict

        async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
            scope[edge.OPERATION] = self.name
            known = table.get(self.name)
            if known is not None and scope["method"] in (self.methods or ()):
                operation, is_open = known
                caller = keys.caller(scope["headers"])
                if not (is_open or caller.authorized):
                    raise AccessError
                scope.setdefault("state", {})["dialect_2016"] = caller.dialect_2016
                if scope["query_string"]:
                    _check_query(operation, scope["query_string"])
                if InvalidTemplate in operation.errors:
                    scope[errors.INVALID] = InvalidTemplate
                if operation.request is not None:
                    _check_content_type(scope["headers"])
            await super().handle(scope, receive, send)

    return OperationRoute


class _StrictRequest(Request):
    """Reads its JSON by our rules."""

    async def json(self) -> Any:
        return json_body.parse(await self.body())


def _is_open(auth: Auth, public_launch: bool) -> bool:
    return auth is Auth.OPEN or (auth is Auth.LAUNCH and public_launch)


def _check_query(operation: Operation, query: bytes) -> None:
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50)
    except ValueError:
        raise RequestError("the query can't be read") from None
    seen: set[str] = set()
    for name, _ in pairs:
        if name not in operation.query:
            known = ", ".join(operation.query) or "none"
            raise RequestError(f"there is no query parameter {name[:100]!r} here; known: {known}")
        if name in seen:
            raise RequestError(f"the query parameter {name!r} is given twice")
        seen.add(name)


def _check_content_type(headers: list[tuple[bytes, bytes]]) -> None:
    given = {
        name: value for name, value in headers if name in (b"content-type", b"content-length", b"transfer-encoding")
    }
    if b"transfer-encoding" not in given and given.get(b"content-length", b"0") == b"0":
        return
    kind = given.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != b"application/json":
        raise RequestError("the body must be JSON, sent with Content-Type: application/json")
