"""Readiness: an application is there once it answers HTTP through its route.

Most of the time before is spent waiting for its port, so that is looked at first and cheaply, by connecting to it;
only then is it asked through the front door, as people will.
"""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from binder_deploy.backends import Instance
from binder_deploy.launches import Launch
from binder_protocol.errors import NotListening

PAGE_HEADER = "X-Binder-Page"
"""Marks pages that come from us and not from the application."""

_SHORTEST, _LONGEST, _SHARE = 0.005, 0.25, 0.02
"""Seconds between two looks: for each application that is waited for, at most, and as a part of the time so far. Looks
of many at once must not take the time that the applications need to start."""

_CONNECT_SECONDS = 0.5
_ANSWER_SECONDS = 10.0

Pause = Callable[[float], bool]
"""Waits so many seconds; True where the wait makes no sense any more."""


class Probe:
    """`front_door` is Traefik's URL; without one an application is asked at its own address. `host` is the name that
    routes are for, where they are for one.
    """

    def __init__(self, front_door: str | None, timeout: float, host: str | None = None) -> None:
        self.front_door = front_door
        self.host = host
        self.timeout = timeout
        self._lock = threading.Lock()
        self._waiting = 0

    def wait(self, launch: Launch, instance: Instance, pause: Pause) -> bool:
        """True once the application answers, False as soon as `pause` says that it makes no sense.

        Raises NotListening at the deadline.
        """
        self._count(+1)
        try:
            return self._wait(launch, instance, pause)
        finally:
            self._count(-1)

    def _wait(self, launch: Launch, instance: Instance, pause: Pause) -> bool:
        began = time.monotonic()
        listening, last = False, "nothing listens on its port"
        while (elapsed := time.monotonic() - began) < self.timeout:
            listening = listening or instance.address is None or _listens(instance.address)
            if listening:
                answer = self._ask(launch, instance, min(_ANSWER_SECONDS, max(0.1, self.timeout - elapsed)))
                if answer is None:
                    return True
                last = answer
            if pause(min(_LONGEST, max(_SHORTEST * self._waiting, elapsed * _SHARE))):
                return False
        raise NotListening(f"the application didn't answer on port {launch.port} within {self.timeout:g} s: {last}")

    def _ask(self, launch: Launch, instance: Instance, seconds: float) -> str | None:
        """None where it answers, or why that is no answer. A redirect is an answer, and isn't followed."""
        host, port, prefix = self._target(instance)
        connection = http.client.HTTPConnection(host, port, timeout=seconds)
        try:
            path = prefix + launch.base_path.rstrip("/") + launch.health_path
            headers = {"Authorization": f"token {launch.secret}"} if launch.secret else {}
            if self.host is not None:
                headers["Host"] = self.host
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()  # its body is left unread: it may have no end
        except (OSError, http.client.HTTPException) as error:
            return f"no HTTP answer ({type(error).__name__})"
        finally:
            connection.close()
        if response.headers.get(PAGE_HEADER) is not None:
            return "the front door has no route to it yet"
        return f"its answer was status {response.status}" if response.status >= 500 else None

    def _count(self, change: int) -> None:
        with self._lock:
            self._waiting += change

    def _target(self, instance: Instance) -> tuple[str, int, str]:
        if self.front_door is None:
            host, port = instance.address or ("127.0.0.1", 9)
            return host, port, ""
        url = urlsplit(self.front_door)
        return url.hostname or "127.0.0.1", url.port or 80, url.path.rstrip("/")


def connects(address: tuple[str, int]) -> bool:
    """Whether somebody listens there. Raises TimeoutError where nobody says so or no."""
    try:
        with socket.create_connection(address, timeout=_CONNECT_SECONDS):
            return True
    except TimeoutError:
        raise
    except OSError:
        return False


def _listens(address: tuple[str, int]) -> bool:
    try:
        return connects(address)
    except TimeoutError:
        return False
