"""Where the front door asks this service: for the guard's decision, and for pages in an application's place."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import urlsplit

import anyio.to_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from binder_deploy import guard, pages
from binder_deploy.launches import base_path
from binder_deploy.pages import Page
from binder_deploy.store import Store
from binder_protocol.service.edge import OPERATION

GUARD_PATH = "/guard"
UNREACHABLE_PATH = "/unreachable"
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_REMEMBERED = 10_000


class FrontDoorRoutes:
    """Tokens never change, so those that were asked for are remembered: a request of a guarded application costs no
    look into the database, and no thread.
    """

    def __init__(self, store: Store, starting: Callable[[str], bool]) -> None:
        """`starting` says whether that application is being started by this process; it must not block."""
        self._store = store
        self._starting = starting
        self._secrets: OrderedDict[str, str] = OrderedDict()

    def router(self) -> APIRouter:
        """The routes; none of them is reached through the front door's API paths."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route(GUARD_PATH, self.guard, methods=_METHODS)
        router.add_api_route(f"{guard.NGINX_GUARD_PATH}/{{identity}}", self.nginx_guard, methods=_METHODS)
        router.add_api_route(UNREACHABLE_PATH, self.unreachable, methods=_METHODS)
        router.add_api_route("/user/{identity}", self.page, methods=_METHODS)
        router.add_api_route("/user/{identity}/{rest:path}", self.page, methods=_METHODS)
        return router

    async def guard(self, request: Request) -> Response:
        """Traefik's forwardAuth: 2xx lets the request pass, everything else is the answer."""
        headers = request.headers
        uri = headers.get("x-forwarded-uri", "")
        return await self._judged(
            request,
            guard.application_in(uri),
            uri=uri,
            method=headers.get("x-forwarded-method", "GET"),
            https=headers.get("x-forwarded-proto", "") in ("https", "wss"),
        )

    async def nginx_guard(self, request: Request, identity: str) -> Response:
        """nginx's auth-url: 2xx lets the request pass, 401 and 403 refuse it; nginx knows no other answers.

        What a client says in X-Forwarded-* comes through here, so nothing of that is believed.
        """
        headers = request.headers
        url = urlsplit(headers.get("x-original-url", ""))
        answer = await self._judged(
            request,
            identity if identity.isalnum() else None,
            uri=url._replace(scheme="", netloc="").geturl(),
            method=headers.get("x-original-method", "GET"),
            https=url.scheme == "https",
            redirects=False,
        )
        return answer if answer.status_code == 200 else _html(pages.NO_ENTRY)

    async def _judged(
        self, request: Request, identity: str | None, *, uri: str, method: str, https: bool, redirects: bool = True
    ) -> Response:
        request.scope[OPERATION] = "guard"
        headers = request.headers
        asked = guard.Asked(
            uri=uri,
            method=method,
            https=https,
            cookie="; ".join(headers.getlist("cookie")),
            authorization=headers.get("authorization", ""),
            browser="text/html" in headers.get("accept", "") and "sec-websocket-key" not in headers,
            redirects=redirects,
        )
        secret = await self._secret(identity) if identity is not None else None
        if identity is None or not secret:
            return _html(pages.UNKNOWN)
        answer = guard.judge(asked, identity, secret)
        if answer.passed:
            return Response(status_code=200, headers=dict(answer.headers))
        if answer.redirect is not None:
            return RedirectResponse(answer.redirect, 302, dict(answer.headers))
        return _html(pages.NO_ENTRY)

    async def page(self, request: Request, identity: str) -> Response:
        """Nothing else took the request: there is no such application, or its container isn't there."""
        if self._starting(identity):  # asked again and again by who waits for it
            return _html(pages.STARTING)
        record = await anyio.to_thread.run_sync(self._store.find, identity) if identity.isalnum() else None
        sent = request.scope.get("raw_path", b"").decode("latin-1")
        if record is not None and record.active and sent == base_path(identity).rstrip("/"):
            query = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(base_path(identity) + query, 308)
        return _html(pages.page_for(record))

    def unreachable(self, url: str = "") -> Response:
        """There is a container, but nothing answers in it. `url` is what was asked for."""
        identity = guard.application_in(urlsplit(url).path)
        return _html(pages.page_for(self._store.find(identity) if identity is not None else None))

    async def _secret(self, identity: str) -> str | None:
        known = self._secrets.get(identity)
        if known is None:
            record = await anyio.to_thread.run_sync(self._store.find, identity)
            if record is None or not record.active:
                return None
            known = self._secrets[identity] = record.launch.secret
            if len(self._secrets) > _REMEMBERED:
                self._secrets.popitem(last=False)
        return known


def _html(page: Page) -> Response:
    return HTMLResponse(page.html, page.status, page.headers)
