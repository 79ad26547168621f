"""docker-py's failures and streams as ours; what `docker.py` beside it is made of."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import docker
import docker.errors
import requests.exceptions
import urllib3.exceptions

from binder_deploy.backends import Line
from binder_protocol.errors import EngineError, InvalidTemplate, LaunchFailed
from binder_protocol.labels import APPLICATION

_LONGEST_LINE = 65_536


class DockerLines:
    """Puts the engine's frames together to lines; each frame brings a time stamp of its own."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[Line]:
        text, stamped = b"", None
        with translated():
            for frame in self._stream:
                stamp, _, rest = frame.partition(b" ")
                stamped = stamped or moment(stamp.decode("ascii", "replace"))
                text += rest[: _LONGEST_LINE - len(text)]
                if rest.endswith(b"\n") or len(text) >= _LONGEST_LINE:
                    yield Line(_readable(text), stamped)
                    text, stamped = b"", None
        if text:
            yield Line(_readable(text), stamped)

    def close(self) -> None:
        with contextlib.suppress(OSError, ValueError, docker.errors.DockerException):
            self._stream.close()


class DockerEndings:
    """The engine's `die` events."""

    def __init__(self, api: docker.APIClient, stream: Any) -> None:
        self._api = api
        self._stream = stream

    def __iter__(self) -> Iterator[str]:
        with translated():
            for event in self._stream:
                yield event["Actor"]["Attributes"].get(APPLICATION, "")

    def close(self) -> None:
        with contextlib.suppress(OSError, ValueError, docker.errors.DockerException):
            self._stream.close()
        self._api.close()


@contextlib.contextmanager
def reached() -> Iterator[None]:
    """Raises EngineError where the engine doesn't answer; its answers, good or bad, pass."""
    try:
        yield
    except docker.errors.APIError:
        raise
    except (
        docker.errors.DockerException, requests.exceptions.RequestException, urllib3.exceptions.HTTPError,
        json.JSONDecodeError, OSError,
    ) as error:  # fmt: skip
        raise EngineError(f"the Docker engine doesn't answer: {type(error).__name__}") from error


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """As `reached`; that the engine failed is an EngineError, too."""
    try:
        with reached():
            yield
    except docker.errors.APIError as error:
        if error.status_code is not None and error.status_code < 500:
            raise
        raise EngineError(f"the Docker engine failed: {short(error)}") from error


def cannot_run(error: docker.errors.APIError) -> LaunchFailed | InvalidTemplate:
    """Why a container could not be made or started; an answer of the engine, so another try would not help."""
    words = short(error)
    if error.status_code == 400 or "executable file not found" in words or "permission denied" in words:
        return InvalidTemplate(f"the template can't be run as it is: {words}")
    if error.status_code == 409:
        return LaunchFailed(f"the engine is busy with the same container: {words}")
    return LaunchFailed(f"the Docker engine could not start it: {words}")


def short(error: docker.errors.APIError) -> str:
    """What the engine says."""
    return str(error.explanation or error)[:500]


def moment(text: str) -> datetime | None:
    """RFC 3339 with nanoseconds, as Go writes it; its zero time is None."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    try:
        moment = datetime.fromisoformat(whole).replace(tzinfo=UTC)
    except ValueError:
        return None
    if moment.year < 1970:
        return None
    digits = fraction[:6].ljust(6, "0")
    return moment.replace(microsecond=int(digits)) if digits.isdigit() else moment


def _readable(text: bytes) -> str:
    return text.decode("utf-8", "replace").rstrip("\r\n").replace("\0", "\N{REPLACEMENT CHARACTER}")
