"""Running a service: uvicorn on one socket, with the words and exit codes that an operator needs."""

from __future__ import annotations

import ipaddress
import signal
import socket
import sys
from types import FrameType
from urllib.parse import urlsplit

import structlog
import uvicorn
from fastapi import FastAPI

from binder_protocol.errors import BinderError
from binder_protocol.service import logs
from binder_protocol.service.settings import ServiceSettings

log = structlog.get_logger()

EXIT_START_FAILED = 3
EXIT_PORT_TAKEN = 69
EXIT_CONFIG = 78
_BACKLOG = 1_024


class Server(uvicorn.Server):
    """uvicorn, but streams are told to end before it waits for the connections to."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app = self.config.app
        stopping = getattr(app.state, "stopping", None) if isinstance(app, FastAPI) else None
        if stopping is not None and not stopping.done():
            stopping.set_result(None)
        await super().shutdown(sockets)


def server_for(app: FastAPI, settings: ServiceSettings) -> Server:
    """The server that runs `app`; logging and signals are left to who calls it."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=max(1, round(settings.stop_seconds)),
    )
    return Server(config)


def serve(app: FastAPI, settings: ServiceSettings) -> None:
    """Serves until SIGTERM or SIGINT, and returns.

    Exits with 78 where there is no key and others than this machine reach the port, 69 where the port is taken,
    3 where the start failed; the reason is on standard error.
    """
    logs.configure(
        service=settings.section, level=settings.log_level, style=settings.log_format, secret_values=_secrets(settings)
    )
    if settings.api_key is None and not is_loopback(settings.host):
        _refuse(
            EXIT_CONFIG,
            f"{settings.section} has no API key and would listen on {settings.host}, where others reach it. "
            f"Write a key to {settings.home / 'key'} (binder-control setup does), or listen on 127.0.0.1.",
        )
    sock = _bind(settings)
    database = app.state.service.database
    try:
        if database is not None:
            database.migrate_apart()
    except BinderError as error:
        cause = getattr(error.__cause__, "orig", error.__cause__)
        _refuse(EXIT_START_FAILED, f"{error.message} ({cause})" if cause else error.message)
    server = server_for(app, settings)
    log.info("listening", host=settings.host, port=sock.getsockname()[1])
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, _stopped)  # uvicorn raises the signal again once it has stopped
    server.run(sockets=[sock])
    if not server.started:
        sys.exit(EXIT_START_FAILED)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _secrets(settings: ServiceSettings) -> list[str]:
    key = None if settings.api_key is None else settings.api_key.get_secret_value()
    password = urlsplit(settings.database).password
    return [secret for secret in (key, password) if secret]


def _stopped(_number: int, _frame: FrameType | None) -> None:
    log.info("stopped")


def _bind(settings: ServiceSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((settings.host, settings.port))
    except OSError as error:
        sock.close()
        _refuse(
            EXIT_PORT_TAKEN,
            f"{settings.section} can't listen on {settings.host} port {settings.port}: {error.strerror}. "
            f"Stop the program that does, or set `port` below [{settings.section}] in binder.toml.",
        )
    sock.listen(_BACKLOG)
    sock.set_inheritable(False)
    return sock


def _refuse(code: int, words: str) -> None:
    log.error(words)
    print(words, file=sys.stderr)
    sys.exit(code)
