"""The deploy service's handlers: one for each operation."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response

from binder_deploy.applications import Applications
from binder_deploy.output import Output
from binder_deploy.preloads import Preloads
from binder_deploy.records import Record, application
from binder_deploy.routes import as_reached
from binder_protocol.models import (
    Application,
    ApplicationStatus,
    Capacity,
    ExtendRequest,
    LaunchRequest,
    Preload,
)
from binder_protocol.service.answers import DEFAULT_LIMIT, Limit, Offset, Page
from binder_protocol.service.auth import KeyCheck
from binder_protocol.service.streams import last_event_id

Status = Annotated[ApplicationStatus | None, Query()]
Format = Literal["json", "text"]


class DeployApi:
    """Speaks HTTP's words to the use cases."""

    def __init__(self, applications: Applications, output: Output, preloads: Preloads, key: SecretStr | None) -> None:
        self._applications = applications
        self._output = output
        self._preloads = preloads
        self._keys = KeyCheck(key)

    def deploy(self, request: LaunchRequest, http: Request) -> Application:
        return self._shown(self._applications.launch(request, anonymous=not self._has_key(http)), http)

    def status(self, template: str, id: str, http: Request) -> Application:  # noqa: A002  the protocol's own name
        return self._shown(self._applications.of(template, id), http)

    def status_all(
        self, template: str, http: Request, status: Status = None, limit: Limit = DEFAULT_LIMIT, offset: Offset = 0
    ) -> Page:
        return self._page(template, status, limit, offset, http)

    def list(self, http: Request, status: Status = None, limit: Limit = DEFAULT_LIMIT, offset: Offset = 0) -> Page:
        return self._page(None, status, limit, offset, http)

    def stop(self, template: str, id: str, http: Request) -> Application:  # noqa: A002
        self._applications.of(template, id)
        return self._shown(self._applications.end(id), http)

    def extend(self, template: str, id: str, request: ExtendRequest, http: Request) -> Application:  # noqa: A002
        self._applications.of(template, id)
        return self._shown(self._applications.extend(id, request.milliseconds), http)

    async def logs(
        self,
        template: str,
        id: str,  # noqa: A002
        http: Request,
        follow: bool = False,
        format: Format = "json",  # noqa: A002
    ) -> Response:
        return await self._output.logs(template, id, follow=follow, text=format == "text", after=_after(http))

    async def events(
        self,
        template: str,
        id: str,  # noqa: A002
        http: Request,
        follow: bool = False,
        format: Format = "json",  # noqa: A002
    ) -> Response:
        return await self._output.events(template, id, follow=follow, text=format == "text", after=_after(http))

    def preload(self, template: str) -> Preload:
        return self._preloads.preload(template)

    def preload_status(self, template: str) -> Preload:
        return self._preloads.status(template)

    def capacity(self) -> Capacity:
        return self._applications.capacity()

    def _page(self, template: str | None, status: Status, limit: int, offset: int, http: Request) -> Page:
        found, total = self._applications.store.search(template=template, status=status, limit=limit, offset=offset)
        return Page([self._shown(each, http) for each in found], total, offset, limit)

    def _shown(self, record: Record, http: Request) -> Application:
        # An id is in its application's address, which people share; it must not be enough to learn the token.
        shown = application(record, may_open=record.anonymous or self._has_key(http))
        if shown.location is None:
            return shown
        scheme, host = http.headers.get("x-forwarded-proto"), http.headers.get("x-forwarded-host")
        return shown.model_copy(update={"location": as_reached(shown.location, scheme=scheme, host=host)})

    def _has_key(self, http: Request) -> bool:
        return self._keys.caller(http.scope["headers"]).authorized


def _after(http: Request) -> int:
    return last_event_id(http.headers)
