"""The Docker engine as seen through docker-py: its client, what it says of itself, its errors as ours."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from requests.exceptions import RequestException

from binder_protocol.errors import EngineError

_API_SECONDS = 60
_PRUNE_SECONDS = 600


class Engine:
    """The engine at `host` (None: as `docker` finds it). Its client may be used from several threads."""

    def __init__(self, host: str | None = None, *, seconds: int = _API_SECONDS) -> None:
        """No answer may take longer than `seconds`."""
        self.host = host or os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        self._seconds = seconds
        self._lock = threading.Lock()
        self._client: Any = None

    def ping(self) -> None:
        """Raises `EngineError` where the engine doesn't answer."""
        with self.api() as client:
            client.ping()

    def close(self) -> None:
        """Lets go of the connections; the next use makes new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    @contextmanager
    def api(self) -> Iterator[Any]:
        """docker-py's low-level client. What goes wrong with it is an `EngineError`, but for what isn't there."""
        if self.is_local and not Path(self.host.removeprefix("unix://")).exists():
            raise EngineError(f"no Docker engine runs here: there is no {self.host.removeprefix('unix://')}")
        try:
            with self._lock:
                if self._client is None:
                    self._client = docker.APIClient(base_url=self.host, version="auto", timeout=self._seconds)
                client = self._client
            yield client
        except (ImageNotFound, NotFound):
            raise
        except APIError as error:
            raise EngineError(f"the Docker engine refused: {error.explanation or error}"[:500]) from error
        except (DockerException, RequestException) as error:
            raise EngineError("the Docker engine doesn't answer") from error

    def prune_cache(self, keep: int, *, unused_seconds: int | None = None) -> int:
        """Removes steps from the build cache, the least recently used first, until it holds `keep` bytes at most.

        Those used within `unused_seconds`, those a build uses and the layers of images stay. The bytes freed. Raises
        `EngineError`, also where it takes longer than ten minutes; what was removed until then is.
        """
        filters = {} if unused_seconds is None else {"until": f"{unused_seconds}s"}
        # A connection of its own: it takes a second per GB, and others wait no such time for an answer.
        other = Engine(self.host, seconds=_PRUNE_SECONDS)
        try:
            with other.api() as client:
                return int(client.prune_builds(filters=filters, keep_storage=keep, all=True).get("SpaceReclaimed") or 0)
        finally:
            other.close()

    @property
    def is_local(self) -> bool:
        """Whether the engine runs on this machine."""
        return self.host.startswith("unix://")

    @property
    def makes_groups(self) -> bool:
        """Whether it is on this machine and manages control groups itself, so that groups may be made for it."""
        return self.is_local and self._info.get("CgroupDriver") == "cgroupfs"

    @property
    def disk(self) -> Path | None:
        """Where it keeps its images, if this machine can see that."""
        place = Path(str(self._info.get("DockerRootDir") or "/nowhere"))
        return place if self.is_local and place.is_dir() else None

    @cached_property
    def _info(self) -> Mapping[str, Any]:
        with self.api() as client:
            found: Mapping[str, Any] = client.info()
            return found
