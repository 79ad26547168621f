"""From a row of the table of operations to a call, and from its answer to models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from binder_client.address import path_part
from binder_client.streams import QUIET_SECONDS, Event, follow, lines
from binder_client.transport import Answer, Request, Transport
from binder_protocol.errors import BadResponse, RequestError, error_from
from binder_protocol.models import RequestModel, WireModel
from binder_protocol.operations import Operation

M = TypeVar("M", bound=WireModel)
T = TypeVar("T")
R = TypeVar("R", bound=RequestModel)


class Page(list[M], Generic[M]):
    """A page of a list. `total` is the length of the whole list, `all()` iterates over it from this page on."""

    def __init__(self, items: list[M], total: int, offset: int, fetch: Callable[[int], Page[M]]) -> None:
        super().__init__(items)
        self.total = total
        self._offset = offset
        self._fetch = fetch

    def all(self) -> Iterator[M]:
        """This page's items and, asked for as they are needed, those of the pages behind it."""
        page = self
        while True:
            yield from page
            after = page._offset + len(page)
            if not page or after >= page.total:
                return
            page = self._fetch(after)


class Calls:
    """Carries out operations. `bases` maps each section to the base URL of its service."""

    def __init__(self, transport: Transport, bases: Mapping[str, str]) -> None:
        self._transport = transport
        self._bases = bases

    def one(
        self,
        operation: Operation,
        model: type[M],
        *path: str,
        body: RequestModel | None = None,
        query: Mapping[str, object] | None = None,
    ) -> M:
        """The model that the operation answers."""
        return _parsed(model.model_validate_json, self._send(operation, path, body, query).body)

    def many(self, operation: Operation, model: type[M], *path: str, query: Mapping[str, object]) -> Page[M]:
        """A page of the models that the operation answers."""
        answer = self._send(operation, path, None, query)
        items = _parsed(_list_of(model).validate_json, answer.body)
        total, offset = answer.headers.get("X-Total-Count", ""), query.get("offset")
        start = offset if isinstance(offset, int) else 0
        count = int(total) if total.isdecimal() and len(total) < 16 else start + len(items)
        return Page(
            items, count, start, lambda after: self.many(operation, model, *path, query={**query, "offset": after})
        )

    def records(
        self, operation: Operation, model: type[M], *path: str, follow_up: bool, query: Mapping[str, object]
    ) -> Iterator[M]:
        """The records of a stream, to its present end, or as they come until its last (`follow_up`)."""
        if not follow_up:
            with self._stream(operation, path, query, None) as chunks:
                for line in lines(chunks):
                    if line:
                        yield _parsed(model.model_validate_json, line)
            return
        followed = partial(self._stream, operation, path, {**query, "follow": True})
        for event in follow(followed):
            if event.kind == "error":
                raise _reported(event)
            if event.data and not (event.kind == "end" and event.data == "{}"):
                yield _parsed(model.model_validate_json, event.data)

    def raw(
        self,
        operation: Operation,
        *path: str,
        body: RequestModel | None = None,
        query: Mapping[str, object] | None = None,
    ) -> bytes:
        """The answer's body as it came."""
        return self._send(operation, path, body, query).body

    def _send(
        self,
        operation: Operation,
        path: tuple[str, ...],
        body: RequestModel | None,
        query: Mapping[str, object] | None,
    ) -> Answer:
        content = None if body is None else body.wire()
        request = Request(operation.method, self._url(operation, path), _text(query or {}), content)
        return self._transport.send(request)

    def _stream(
        self, operation: Operation, path: tuple[str, ...], query: Mapping[str, object], last_id: str | None
    ) -> Any:
        followed = bool(query.get("follow"))
        headers = {"Accept": "text/event-stream" if followed else "application/x-ndjson"}
        if last_id is not None:
            headers["Last-Event-ID"] = last_id
        request = Request(
            operation.method,
            self._url(operation, path),
            _text(query),
            headers=headers,
            read_timeout=QUIET_SECONDS if followed else None,
        )
        return self._transport.stream(request)

    def _url(self, operation: Operation, path: tuple[str, ...]) -> str:
        parts = dict(zip(operation.path_parameters, map(path_part, path), strict=True))
        return self._bases[operation.section] + operation.path.format_map(parts)


def request_model(model: type[R], **fields: object) -> R:
    """The request of those fields, without the absent ones; raises RequestError that names the wrong ones."""
    try:
        return model.model_validate({name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        # Only the place and the reason: a field may hold a secret.
        problems = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_input=False)]
        raise RequestError("; ".join(problems[:5])) from None


@cache
def _list_of(model: type[M]) -> TypeAdapter[list[M]]:
    return TypeAdapter(list[model])  # type: ignore[valid-type]


def _parsed(parse: Callable[[str | bytes], T], text: str | bytes) -> T:
    try:
        return parse(text)
    except (ValidationError, RecursionError) as error:
        raise BadResponse("the server's answer isn't what the protocol says") from error


def _reported(event: Event) -> Exception:
    try:
        body = TypeAdapter(dict[str, Any]).validate_json(event.data)
    except ValidationError:
        body = {}
    return error_from(body, 500)


def _text(query: Mapping[str, object]) -> dict[str, str]:
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in query.items()
        if value is not None
    }
