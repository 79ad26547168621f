"""The application factory: the operations of a section on the methods of an object, and what every service answers."""

from __future__ import annotations

import asyncio
import functools
import importlib.metadata
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio.to_thread
import structlog
from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from binder_protocol import operations
from binder_protocol.errors import BinderError
from binder_protocol.models import WireModel
from binder_protocol.operations import Auth, Operation
from binder_protocol.service import edge, errors
from binder_protocol.service.answers import to_response
from binder_protocol.service.auth import KeyCheck
from binder_protocol.service.health import Check, Checks
from binder_protocol.service.metrics import CONTENT_TYPE, Metrics
from binder_protocol.service.routes import route_class
from binder_protocol.service.settings import ServiceSettings
from binder_protocol.service.storage import Database

log = structlog.get_logger()


class Resource(Protocol):
    """What lives as long as the service. Both may be coroutines; `stop` must end by itself."""

    def start(self) -> object: ...

    def stop(self) -> object: ...


class Closing:
    """Calls `close` when everything that comes after it has stopped. A resource."""

    def __init__(self, close: Callable[[], None]) -> None:
        self._close = close

    def start(self) -> None: ...

    def stop(self) -> None:
        self._close()


class ErrorBody(WireModel):
    """What every error looks like."""

    type: str
    error: str
    suggestions: list[str] = []
    details: dict[str, Any] = {}


@dataclass
class Service:
    """One service: facts, handlers, and what lives beside them.

    `api` has one method per operation of the settings' section, named as the operation; it takes the path's and the
    query's parameters by name, the request model as `request`, and Starlette's `Request` where it asks for one. It
    returns the response model, a Page, an Answer or a Response; a `def` runs on a thread, an `async def` on the loop.
    `resources` start in their order, after the database's migrations, and stop in the opposite one.
    """

    settings: ServiceSettings
    api: object
    checks: Sequence[Check] = ()
    resources: Sequence[Resource] = ()
    database: Database | None = None
    routers: Sequence[APIRouter] = ()
    public_launch: bool = False
    metrics: Metrics = field(default_factory=Metrics)


def create_app(service: Service) -> FastAPI:
    """The ASGI application of `service`. Raises TypeError where `api` lacks an operation's method."""
    app = FastAPI(
        title=f"Binder {service.settings.section}",
        version=version(),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=functools.partial(_lifespan, service),
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.service = service
    app.state.stopping = None
    app.router.route_class = route_class(KeyCheck(service.settings.api_key), service.public_launch)
    for operation in operations.OPERATIONS:
        if operation.section == service.settings.section:
            _mount(app, operation, _method(service.api, operation))
    for router in service.routers:
        app.include_router(router)
    _mount_common(app, service)
    errors.install(app)
    app.add_middleware(edge.Edge, metrics=service.metrics, max_body=service.settings.max_request_bytes)
    return app


def version() -> str:
    """The version of Binder that runs."""
    return importlib.metadata.version("binder")


@asynccontextmanager
async def _lifespan(service: Service, app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = service.settings.threads
    app.state.stopping = asyncio.get_running_loop().create_future()
    if service.database is not None:
        await anyio.to_thread.run_sync(service.database.migrate)
    started: list[Resource] = []
    try:
        for resource in service.resources:
            await _call(resource.start)
            started.append(resource)
        yield
    finally:
        for resource in reversed(started):
            try:
                await _call(resource.stop)
            except Exception:  # the others must still be stopped
                log.exception("a resource could not be stopped", resource=type(resource).__name__)
        if service.database is not None:
            service.database.close()


async def _call(step: Callable[[], object]) -> None:
    if inspect.iscoroutinefunction(step):
        await step()
    else:
        await anyio.to_thread.run_sync(step)


def _method(api: object, operation: Operation) -> Callable[..., Any]:
    method = getattr(api, operation.method_name, None)
    if not callable(method):
        raise TypeError(f"{type(api).__name__} has no method {operation.method_name}")
    return method  # type: ignore[no-any-return]


def _mount(app: FastAPI, operation: Operation, method: Callable[..., Any]) -> None:
    for number, verb in enumerate(filter(None, (operation.method, operation.also))):
        app.router.add_api_route(
            operation.path,
            _endpoint(operation, method),
            methods=[verb],
            name=f"{operation.section}.{operation.name}",
            operation_id=f"{operation.section}-{operation.name}" + (f"-{verb.lower()}" if number else ""),
            summary=operation.summary,
            tags=[operation.section],
            status_code=operation.status,
            response_model=list[operation.response] if operation.many else operation.response,  # type: ignore[name-defined]
            responses=_declared_errors(operation),
            openapi_extra={} if operation.auth is Auth.OPEN else {"security": [{"key": []}]},
        )


def _declared_errors(operation: Operation) -> dict[int | str, dict[str, Any]]:
    by_status: dict[int | str, list[type[BinderError]]] = {}
    declared: tuple[type[BinderError], ...] = (*operations.COMMON_ERRORS, *operation.errors)
    for error in declared:
        by_status.setdefault(error.status, []).append(error)
    return {
        status: {"model": ErrorBody, "description": ", ".join(sorted({cls.type for cls in classes}))}
        for status, classes in by_status.items()
    }


def _endpoint(operation: Operation, method: Callable[..., Any]) -> Callable[..., Any]:
    """`method` with its own parameters for FastAPI to fill, and one more; what it returns becomes a response here.

    FastAPI would check and copy every model once more before it writes it.
    """
    signature = inspect.signature(method, eval_str=True)
    wants = [name for name, each in signature.parameters.items() if each.annotation is Request]
    http = wants[0] if wants else "http_"

    if inspect.iscoroutinefunction(method):

        async def endpoint(**given: Any) -> Response:
            request = given[http] if wants else given.pop(http)
            return to_response(await method(**given), operation.status, request)
    else:

        def endpoint(**given: Any) -> Response:  # type: ignore[misc]
            request = given[http] if wants else given.pop(http)
            return to_response(method(**given), operation.status, request)

    parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in signature.parameters.values()]
    if not wants:
        parameters.append(inspect.Parameter(http, inspect.Parameter.KEYWORD_ONLY, annotation=Request))
    endpoint.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    endpoint.__doc__ = method.__doc__
    return endpoint


def _mount_common(app: FastAPI, service: Service) -> None:
    checks = Checks(service.checks)
    alive = JSONResponse({"status": "ok"})
    about = JSONResponse({"service": service.settings.section, "version": version()})

    async def healthz(_request: Request) -> Response:
        return alive

    async def readyz(_request: Request) -> Response:
        result = await checks.run()
        return JSONResponse({"ok": result.ok, "failing": result.failing}, 503 if result.failing else 200)

    async def metrics(_request: Request) -> Response:
        return Response(await anyio.to_thread.run_sync(service.metrics.page), media_type=CONTENT_TYPE)

    async def about_version(_request: Request) -> Response:
        return about

    pages: dict[str, Callable[[Request], Awaitable[Response]]] = {
        "/healthz": healthz,
        "/readyz": readyz,
        "/metrics": metrics,
        "/version": about_version,
    }
    for path, page in pages.items():
        app.router.add_route(path, _named(path, page), name=path, include_in_schema=False)


def _named(name: str, page: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def named(request: Request) -> Response:
        request.scope[edge.OPERATION] = name
        return await page(request)

    return named
