"""A service whose handlers are functions of a test: the chassis alone, on any section of the table."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

from fastapi import FastAPI
from starlette.requests import Request

from binder_protocol.operations import OPERATIONS, Operation
from binder_protocol.service.app import Service, create_app
from binder_protocol.service.health import Check
from binder_protocol.service.settings import ServiceSettings

Handler = Callable[..., Any]


class StubSettings(ServiceSettings):
    """Those of a deploy service without any of its own."""

    section: ClassVar[str] = "deploy"
    port: int = 0


def stub_app(
    home: Path,
    handlers: dict[str, Handler],
    *,
    key: str | None = "sesame",
    public_launch: bool = False,
    checks: list[Check] | None = None,
    **settings: Any,
) -> FastAPI:
    """A deploy service: operations without a handler raise NotImplementedError, which nobody foresees."""
    mine = [each for each in OPERATIONS if each.section == StubSettings.section]
    api = SimpleNamespace(**{each.method_name: handlers.get(each.name, _unforeseen(each)) for each in mine})
    facts = StubSettings.model_validate({"home": home, "api_key": key} | settings)
    return create_app(Service(settings=facts, api=api, checks=checks or [], public_launch=public_launch))


def _unforeseen(operation: Operation) -> Handler:
    def handler(**_: Any) -> Any:
        raise NotImplementedError("the innermost secret of the service")

    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter(name, kind, annotation=str) for name in operation.path_parameters]
    parameters += [inspect.Parameter(name, kind, annotation=str, default="") for name in operation.query]
    if operation.request is not None:
        parameters.append(inspect.Parameter("request", kind, annotation=operation.request))
    parameters.append(inspect.Parameter("http", kind, annotation=Request))
    handler.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return handler
