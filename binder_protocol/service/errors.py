"""The one renderer of errors: whatever goes wrong leaves a service as `type`, `error` and `suggestions`."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route

from binder_protocol.errors import BinderError, MethodNotAllowed, NotFound, RequestError, RequestTooLarge

INVALID = "binder.invalid"
"""The key in a request's scope under which stands what kind of error an invalid body is."""

_MAX_FAULTS = 10
_MAX_WORDS = 500


def install(app: FastAPI) -> None:
    """Makes `app` answer every error by `render`."""
    app.add_exception_handler(BinderError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_error)
    app.add_exception_handler(HTTPException, _on_error)


def render(error: BinderError) -> Response:
    """The response that tells `error`."""
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after is not None else {}
    return JSONResponse(error.body(), error.status, headers)


def unexpected(request_id: str) -> BinderError:
    """What the caller learns of a fault of ours: how to find it in the log, nothing else."""
    return BinderError(
        "the service failed in a way nobody foresaw",
        suggestions=[f"the operator finds the cause in the log under request id {request_id}"],
        details={"request-id": request_id},
    )


def from_validation(error: RequestValidationError, kind: type[RequestError] = RequestError) -> RequestError:
    """An error of that kind which names every faulty field, in the words of the wire."""
    faults = [_fault(each) for each in error.errors()[:_MAX_FAULTS]]
    return kind("; ".join(fault["error"] for fault in faults), details={"faults": faults})


async def _on_error(request: Request, error: Exception) -> Response:
    if isinstance(error, RequestValidationError):
        return render(from_validation(error, request.scope.get(INVALID, RequestError)))
    if isinstance(error, HTTPException):
        response = render(_from_http(request, error))
        if error.status_code == MethodNotAllowed.status:
            response.headers["Allow"] = ", ".join(sorted(_methods_here(request)))
        return response
    assert isinstance(error, BinderError)
    return render(error)


def _from_http(request: Request, error: HTTPException) -> BinderError:
    if isinstance(error.__cause__, BinderError):  # FastAPI wraps what reading the body raised
        return error.__cause__
    if error.status_code == NotFound.status:
        return NotFound(f"there is nothing at {request.url.path[:200]}")
    if error.status_code == MethodNotAllowed.status:
        return MethodNotAllowed(f"{request.url.path[:200]} doesn't take {request.method[:20]}")
    if error.status_code == RequestTooLarge.status:
        return RequestTooLarge()
    return RequestError(str(error.detail)[:_MAX_WORDS])


def _methods_here(request: Request) -> set[str]:
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    here = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return {method for route in here for method in route.methods or ()}


def _fault(fault: dict[str, Any]) -> dict[str, Any]:
    where = [str(part)[:100] for part in fault["loc"][1:]]
    field = ".".join(part.replace("_", "-") for part in where)
    words = str(fault["msg"]).removeprefix("Value error, ")[:_MAX_WORDS]
    return {"field": field, "error": f"{field}: {words}" if field else words}
