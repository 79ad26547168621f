"""The build service's handlers: one for each operation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Literal
from urllib.parse import quote

import anyio.to_thread
from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from binder_build.builds import Builds
from binder_build.logs.followers import follow
from binder_build.logs.log import LogName, Logs, as_text
from binder_build.planner import Planner
from binder_build.secrets.store import CredentialStore
from binder_protocol.errors import RequestError
from binder_protocol.models import (
    Build,
    BuildRequest,
    BuildStatus,
    Credential,
    CredentialRequest,
    Lock,
    LogLine,
    Plan,
    PlanRequest,
    Sbom,
)
from binder_protocol.service.answers import DEFAULT_LIMIT, Answer, Limit, Offset, Page
from binder_protocol.service.streams import Event, last_event_id, sse

Search = Annotated[str, Query(max_length=200)]
Number = Annotated[int, Query(ge=1, le=2**31)]


class BuildApi:
    """Speaks HTTP's words to `builds`."""

    def __init__(self, builds: Builds, planner: Planner, logs: Logs, credentials: CredentialStore) -> None:
        self._builds = builds
        self._planner = planner
        self._logs = logs
        self._credentials = credentials

    def start(self, request: BuildRequest, http: Request) -> Answer:
        build = self._builds.start(request)
        if build.status.ended or http.state.dialect_2016:
            return Answer(build, status=200)
        return Answer(build, headers={"Location": f"/builds/{quote(build.name)}"})

    def status(self, name: str) -> Build:
        return self._builds.status(name)

    def status_all(
        self,
        status: BuildStatus | None = None,
        search: Search = "",
        limit: Limit = DEFAULT_LIMIT,
        offset: Offset = 0,
    ) -> Page:
        found, total = self._builds.newest(status, search, limit, offset)
        return Page(found, total, offset, limit)

    def history(self, name: str, limit: Limit = DEFAULT_LIMIT, offset: Offset = 0) -> Page:
        found, total = self._builds.history(name, limit, offset)
        return Page(found, total, offset, limit)

    async def logs(
        self,
        name: str,
        http: Request,
        attempt: Number | None = None,
        follow: bool = False,
        format: Literal["json", "text"] | None = None,  # noqa: A002 - a query's parameter
    ) -> Response:
        number = (await anyio.to_thread.run_sync(self._builds.attempt, name, attempt)).number
        log = LogName(name, number)
        if not follow:
            chunks = self._logs.chunks(log)
            if format == "text":
                return StreamingResponse(map(_text, chunks), media_type="text/plain; charset=utf-8")
            return StreamingResponse(map(_json_lines, chunks), media_type="application/x-ndjson")
        if format is not None:
            raise RequestError("a followed log comes as events; leave `format` out")
        return sse(self._followed(log, last_event_id(http.headers)))

    def cancel(self, name: str) -> Build:
        return self._builds.cancel(name)

    def plan(self, request: PlanRequest) -> Plan:
        return self._planner.plan(request)

    def lock(
        self,
        name: str,
        attempt: Number | None = None,
        format: Literal["json", "text"] | None = None,  # noqa: A002 - a query's parameter
    ) -> Lock | Response:
        lock = self._builds.lock(name, attempt)
        if format == "text":
            text = "".join(f"{each}\n" for each in lock.packages)
            return Response(text, media_type="text/plain; charset=utf-8")
        return lock

    def sbom(self, name: str, attempt: Number | None = None) -> Sbom:
        return self._builds.sbom(name, attempt)

    def credentials(self, limit: Limit = DEFAULT_LIMIT, offset: Offset = 0) -> Page:
        found, total = self._credentials.page(limit, offset)
        return Page(found, total, offset, limit)

    def credential_put(self, name: str, request: CredentialRequest) -> Credential:
        return self._credentials.put(name, request)

    def credential_remove(self, name: str) -> Credential:
        return self._credentials.remove(name)

    def _followed(self, log: LogName, after: int) -> AsyncIterator[list[Event]]:
        def ended() -> BuildStatus | None:
            status = self._builds.attempt(log.build, log.attempt).status
            return status if status.ended else None

        return follow(self._logs, log, after, ended)


def _text(lines: list[bytes]) -> str:
    return "".join(f"{as_text(LogLine.model_validate_json(line))}\n" for line in lines)


def _json_lines(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)
