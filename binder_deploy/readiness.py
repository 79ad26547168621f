"""When an application is there: asked by us over HTTP (see probe.py), or told by a backend that looks anyway."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from binder_deploy.backends import Instance, State
from binder_deploy.launches import Launch
from binder_protocol.errors import NotListening

_LOOK_SECONDS = 1.0

Pause = Callable[[float], bool]


class Readiness(Protocol):
    """Waits until an application answers."""

    def wait(self, launch: Launch, instance: Instance, pause: Pause) -> bool:
        """True once the application answers, False as soon as `pause` says that it makes no sense.

        Raises NotListening where it doesn't in time.
        """


@runtime_checkable
class Teller(Protocol):
    """A backend that knows whether its instances are ready."""

    def instance(self, identity: str) -> Instance | None: ...

    def wait(self, identity: str, wanted: Callable[[Instance | None], bool], seconds: float) -> None: ...

    def why_not_ready(self, identity: str) -> str: ...


class Told:
    """Readiness as the backend tells it, without a request of ours."""

    def __init__(self, backend: Teller, timeout: float) -> None:
        self.timeout = timeout
        self._backend = backend

    def wait(self, launch: Launch, instance: Instance, pause: Pause) -> bool:
        deadline = time.monotonic() + self.timeout
        now: Instance | None = instance
        while now is not None and now.state is not State.EXITED:
            if now.ready:
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                why = self._backend.why_not_ready(launch.id)
                raise NotListening(
                    f"the application didn't answer on port {launch.port} within {self.timeout:g} s{why}"
                )
            self._backend.wait(launch.id, _settled, min(left, _LOOK_SECONDS))
            if pause(0):
                return False
            now = self._backend.instance(launch.id)
        return False


def _settled(instance: Instance | None) -> bool:
    return instance is None or instance.ready is True or instance.state is State.EXITED
