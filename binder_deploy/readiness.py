"""When an application is there: asked by us over HTTP (see probe.py), or told by a backend that looks anyway."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, runtime_checkable

from binder_deploy.backends import Instance, State
from binder_deploy.launches import Launch
from binder_deploy.probe import Pause, Probe, connects
from binder_protocol.errors import NotListening

_LOOK_SECONDS = 1.0
_SHORTEST, _LONGEST, _SHARE = 0.02, 0.5, 0.1
"""Seconds between two connections that are tried: at least, at most, and as a part of the time so far."""


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
    """Readiness as the backend tells it. Where its instances can be reached from here, a connection is tried as well:
    who looks once a second tells late. Then the application is asked through the front door, if `probe` knows one.
    """

    def __init__(self, backend: Teller, timeout: float, probe: Probe | None = None) -> None:
        self.timeout = timeout
        self._backend = backend
        self._probe = probe

    def wait(self, launch: Launch, instance: Instance, pause: Pause) -> bool:
        if not self._listens(launch, instance, pause):
            return False
        return self._probe is None or self._probe.wait(launch, replace(instance, address=None), pause)

    def _listens(self, launch: Launch, instance: Instance, pause: Pause) -> bool:
        began = time.monotonic()
        reached = instance.address is not None
        now: Instance | None = instance
        while now is not None and now.state is not State.EXITED:
            elapsed = time.monotonic() - began
            if now.ready:
                return True
            if reached and now.address is not None:
                try:
                    if connects(now.address):
                        return True
                except TimeoutError:
                    reached = False
            if elapsed > self.timeout:
                why = self._backend.why_not_ready(launch.id)
                raise NotListening(
                    f"the application didn't answer on port {launch.port} within {self.timeout:g} s{why}"
                )
            seconds = min(_LONGEST, max(_SHORTEST, elapsed * _SHARE)) if reached else _LOOK_SECONDS
            self._backend.wait(launch.id, _settled, seconds)
            if pause(0):
                return False
            now = self._backend.instance(launch.id)
        return False


def _settled(instance: Instance | None) -> bool:
    return instance is None or instance.ready is True or instance.state is State.EXITED
