"""Quick looks at the Docker engine, without its library: it takes longer to import than the answer takes to come."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from binder_control.config import Configuration
from binder_control.errors import ControlError
from binder_control.unix_http import UnixConnection

SOCKET = Path("/var/run/docker.sock")
_SECONDS = 5.0


@dataclass(frozen=True)
class EngineProbe:
    """The engine at `url`, as in $DOCKER_HOST. Those by other ways than a socket or plain TCP are taken to answer."""

    url: str
    base_image: str
    needed: bool = True

    @classmethod
    def of(cls, configuration: Configuration) -> EngineProbe:
        """The one that applications run on."""
        return cls(
            needed=getattr(configuration.services["deploy"], "backend", "docker") == "docker",
            url=str(getattr(configuration.services["deploy"], "docker_url", f"unix://{SOCKET}")),
            base_image=str(getattr(configuration.services["build"], "base_image", "binder-base:latest")),
        )

    def require(self) -> None:
        """Raises ControlError, with what mends it, where the engine doesn't answer or has no base image."""
        if not self.needed:
            return
        if not self.answers():
            raise ControlError(
                f"no Docker engine answers at {self.url}", "binder-control setup", "binder-control doctor"
            )
        if not self.has_image(self.base_image):
            raise ControlError(f"there is no base image {self.base_image} to build upon yet", "binder-control setup")

    def answers(self) -> bool:
        """Whether it says that it is there."""
        return self._status("/_ping") in (None, http.HTTPStatus.OK)

    def has_image(self, name: str) -> bool:
        """Whether it has this image."""
        return self._status(f"/images/{quote(name, safe=':/')}/json") in (None, http.HTTPStatus.OK)

    def _status(self, path: str) -> int | None:
        connection = self._connection()
        if connection is None:
            return None
        try:
            connection.request("GET", path, headers={"Host": "localhost"})
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return http.HTTPStatus.SERVICE_UNAVAILABLE
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection | None:
        url = urlsplit(self.url)
        if url.scheme == "unix":
            return UnixConnection(Path(url.path), _SECONDS)
        if url.scheme == "tcp" and url.hostname and url.port != 2376:
            return http.client.HTTPConnection(url.hostname, url.port or 2375, timeout=_SECONDS)
        return None
