"""What handlers return besides a model: a page of a list, or a model with a status and headers of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import parse_qsl, urlencode

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from binder_protocol.models import WireModel

MAX_LIMIT = 1_000
DEFAULT_LIMIT = 100

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="how many at most")]
Offset = Annotated[int, Query(ge=0, le=2**53, description="how many to pass over")]

_JSON = "application/json"


@dataclass(frozen=True)
class Page:
    """A part of a list, and how long the whole is; `offset` and `limit` as they were asked for."""

    items: Sequence[WireModel]
    total: int
    offset: int = 0
    limit: int = DEFAULT_LIMIT


@dataclass(frozen=True)
class Answer:
    """A model with a status other than the operation's, or with headers."""

    body: WireModel
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


Returned = WireModel | Sequence[WireModel] | Page | Answer | Response


def to_response(returned: Returned, status: int, request: Request) -> Response:
    """The response for what a handler returned; fields without a value are absent."""
    if isinstance(returned, Response):
        return returned
    if isinstance(returned, Answer):
        return Response(dump(returned.body), returned.status or status, dict(returned.headers), _JSON)
    if isinstance(returned, WireModel):
        return Response(dump(returned), status, media_type=_JSON)
    page = returned if isinstance(returned, Page) else Page(returned, len(returned), limit=max(len(returned), 1))
    body = b"[" + b",".join(map(dump, page.items)) + b"]"
    return Response(body, status, paging_headers(page, request), _JSON)


def dump(model: WireModel) -> bytes:
    """`model` as JSON, as it goes over the wire."""
    return model.model_dump_json(by_alias=True, exclude_none=True).encode()


def paging_headers(page: Page, request: Request) -> dict[str, str]:
    """The length of the whole, and where its next part is."""
    headers = {"X-Total-Count": str(page.total)}
    following = page.offset + page.limit
    if following < page.total:
        query = dict(parse_qsl(request.url.query)) | {"limit": str(page.limit), "offset": str(following)}
        headers["Link"] = f'<{request.url.path}?{urlencode(query)}>; rel="next"'
    return headers
