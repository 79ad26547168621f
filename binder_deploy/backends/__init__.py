"""Where applications run: the few verbs that a backend has, and the laws they keep.

Every verb is keyed by our id and idempotent: doing it twice equals doing it once. A backend keeps no state of its own
that matters: identity is a label on what runs, so that a new process finds all that an old one started. It sees only
what belongs to this suite. tests/contract/test_backend_laws.py holds every implementation to this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from binder_deploy.launches import Launch
from binder_protocol.errors import BinderError
from binder_protocol.models import Placement, PreloadStatus


class State(StrEnum):
    """`created`: there, but not started yet."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


@dataclass(frozen=True)
class Instance:
    """One application as it runs, or as it ended. `address`: host and port at which this process reaches it.

    `ready`: whether it answers, where the backend finds that out itself. `waiting`: why there is no place for it yet.
    `failure`: why it will never run, or runs no more, where the backend knows more than an exit code. `doubt`: why
    nobody knows whether it still runs.
    """

    id: str
    state: State
    address: tuple[str, int] | None = None
    jupyter: bool = False
    exit_code: int | None = None
    out_of_memory: bool = False
    ended: datetime | None = None
    ready: bool | None = None
    waiting: str | None = None
    failure: BinderError | None = field(default=None, compare=False)
    doubt: BinderError | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Line:
    """A line an application printed."""

    text: str
    time: datetime | None = None


class Lines(Protocol):
    """Lines as they come. `close`, from any thread, ends a wait for more."""

    def __iter__(self) -> Iterator[Line]: ...

    def close(self) -> None: ...


class Endings(Protocol):
    """Ids of instances as they end. Ends when the backend is lost; `close`, from any thread, ends a wait."""

    def __iter__(self) -> Iterator[str]: ...

    def close(self) -> None: ...


class Backend(Protocol):
    """Runs applications. Every verb may raise EngineError where it doesn't answer, and waits a bounded time."""

    def launch(self, launch: Launch) -> Instance:
        """Starts it, or starts again what has stopped, or leaves alone what runs. It need not listen yet; where there
        is no place for it, it need not even run: it is `waiting` then, and starts when there is.

        Raises ImageNotFound, InvalidTemplate (it can't be run like that) or LaunchFailed; nothing stays behind then.
        """

    def instance(self, identity: str) -> Instance | None:
        """What there is of that id, running or not."""

    def instances(self) -> list[Instance]:
        """All there are of this suite, running or not."""

    def stop(self, identity: str) -> None:
        """Ends and removes it with all it wrote. Nothing of that id is fine too."""

    def logs(self, identity: str, *, follow: bool = False, tail: int | None = None) -> Lines:
        """What it printed, and with `follow` what it prints until it ends. Raises NoRecord."""

    def endings(self) -> Endings:
        """The ids of instances that end from now on. A hint only: what is true is told by `instances`."""

    def preload(self, image: str, placement: Placement | None = None) -> None:
        """Brings the image to where such applications run; returns when it is there. Raises ImageNotFound."""

    def preloaded(self, image: str) -> Mapping[str, PreloadStatus]:
        """How far the preload of the image is on each node; empty where there is but this host."""

    def room(self, launch: Launch) -> int | None:
        """How many more of that size have a place; None where nothing but the operator's limit counts."""

    def ping(self) -> None:
        """Returns where launches can work; raises EngineError, or Unavailable with what is missing."""

    def close(self) -> None:
        """Gives back what it holds, for this process ends. Applications run on; what only they need stays."""
