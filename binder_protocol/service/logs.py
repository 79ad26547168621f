"""Logs: one JSON object a line on standard output, each with the request it belongs to, none with a secret."""

from __future__ import annotations

import logging
import re
import secrets
import sys
from collections.abc import Iterable, MutableMapping
from contextvars import ContextVar
from typing import Any, Literal, TextIO

import structlog

HEADER = "X-Request-ID"
HIDDEN = "[hidden]"

_request_id: ContextVar[str | None] = ContextVar("binder_request_id", default=None)
_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SECRET_WORDS = frozenset({"key", "token", "secret", "password", "passwd", "credential", "authorization", "cookie"})
_USER_INFO = re.compile(r"(?<=://)[^/\s\"'@\\]+@")
_QUERY_SECRET = re.compile(r"([?&](?:token|key|api-key|password|access_token)=)[^&\s\"'\\]+", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")

Event = MutableMapping[str, Any]


def request_id() -> str | None:
    """The id of the request that this code works for, or None outside of one."""
    return _request_id.get()


def bind_request_id(given: str | None) -> str:
    """Makes `given`, or a new id where it is none that may be logged, that of the present context; returns it."""
    accepted = given if given is not None and _ACCEPTED_ID.fullmatch(given) else secrets.token_hex(8)
    _request_id.set(accepted)
    return accepted


def configure(
    *,
    service: str,
    level: Literal["debug", "info", "warning", "error"] = "info",
    style: Literal["json", "console"] = "json",
    secret_values: Iterable[str] = (),
    stream: TextIO | None = None,
) -> None:
    """Sends structlog's and the standard library's records to `stream`, without any of `secret_values`."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    renderer = structlog.processors.JSONRenderer() if style == "json" else _console()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _Context(service),
            structlog.processors.format_exc_info,
            redact,
            renderer,
            _Mask(secret_values),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stdout),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [_ToStructlog()]
    root.setLevel(max(threshold, logging.INFO))
    for noisy in ("docker", "urllib3", "httpx2", "httpcore2", "git", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def redact(_logger: object, _method: str, event: Event) -> Event:
    """A structlog processor: hides values whose names say that they are secret, and credentials within URLs."""
    for name, value in event.items():
        if _SECRET_WORDS.intersection(re.split(r"[-_ .]", name.lower())):
            event[name] = HIDDEN if value else value
        elif isinstance(value, str):
            event[name] = without_credentials(value)
    return event


def without_credentials(text: str) -> str:
    """`text` without user names and passwords in URLs and without secret query parameters."""
    if "@" in text:
        text = _USER_INFO.sub(f"{HIDDEN}@", text)
    return _QUERY_SECRET.sub(rf"\1{HIDDEN}", text) if "=" in text else text


class _Context:
    """Adds the service's name and the request's id."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, _logger: object, _method: str, event: Event) -> Event:
        event["service"] = self._service
        current = _request_id.get()
        if current is not None:
            event.setdefault("request_id", current)
        return event


class _Mask:
    """The last step: a configured secret never leaves, whatever field it slipped into."""

    def __init__(self, values: Iterable[str]) -> None:
        self._values = tuple(value for value in values if len(value) >= 4)

    def __call__(self, _logger: object, _method: str, rendered: Any) -> str:
        line = str(rendered)
        for value in self._values:
            if value in line:
                line = line.replace(value, HIDDEN)
        return line


def _console() -> Any:
    """A line for people. Control characters from outside are shown, not obeyed."""

    def render(_logger: object, _method: str, event: Event) -> str:
        moment, level, what = event.pop("timestamp", ""), event.pop("level", ""), event.pop("event", "")
        exception = event.pop("exception", None)
        fields = " ".join(f"{name}={value}" for name, value in event.items())
        line = _CONTROL.sub(lambda found: repr(found[0])[1:-1], f"{moment} {level:<7} {what} {fields}")
        return f"{line}\n{exception}" if exception else line

    return render


class _ToStructlog(logging.Handler):
    """Hands the records of other libraries on, so that there is one form and one place."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)
