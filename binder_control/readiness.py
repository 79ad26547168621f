"""Whether a program works: its readiness page, asked over HTTP."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from binder_control.programs import Program
from binder_control.unix_http import UnixConnection

_ASK_SECONDS = 5.0
_LONGEST_BODY = 65_536


@dataclass(frozen=True)
class Readiness:
    """Whether it is ready, and if not, why."""

    ready: bool
    why: str = ""


def ask(program: Program, key: str | None = None) -> Readiness:
    """What the program's readiness page says; a program without one is ready as soon as it runs."""
    if program.ready is None:
        return Readiness(ready=True)
    url = urlsplit(program.ready)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    connection = (
        http.client.HTTPConnection(url.hostname or "", url.port, timeout=_ASK_SECONDS)
        if program.socket is None
        else UnixConnection(program.socket, _ASK_SECONDS)
    )
    try:
        connection.request("GET", f"{url.path}?{url.query}" if url.query else url.path, headers=headers)
        answer = connection.getresponse()
        body = answer.read(_LONGEST_BODY)
    except (OSError, http.client.HTTPException) as error:
        return Readiness(ready=False, why=f"it doesn't answer: {error}")
    finally:
        connection.close()
    if answer.status == http.HTTPStatus.OK:
        return Readiness(ready=True)
    return Readiness(ready=False, why=_reason(body) or f"it answers {answer.status}")


def _reason(body: bytes) -> str:
    """The failing checks of a service, as one line."""
    try:
        said: object = json.loads(body)
    except ValueError:
        return ""
    failing = said.get("failing") if isinstance(said, Mapping) else None
    if not isinstance(failing, Mapping):
        return ""
    return "; ".join(f"{name}: {reason}" for name, reason in failing.items())
