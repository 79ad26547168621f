"""Who leads, where several equal services are at work on one database: one of them, and soon another when it dies."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Callable

import structlog

from binder_protocol.errors import Unavailable
from binder_protocol.service.leases import BEAT_SECONDS, TERM_SECONDS, Clock, FileLease, Lease, RowLease, lease_table
from binder_protocol.service.storage import Database
from binder_protocol.service.work import Loop

log = structlog.get_logger()

_TRUSTED_SECONDS = TERM_SECONDS - BEAT_SECONDS
"""A leader that could not renew stops leading before another one may begin."""


class Leadership:
    """Whether this process leads in the task `name`. A resource.

    A leader that is killed is replaced within 12 s, one that stops in good order within 2 s; until then nobody leads.
    What a leader does must do no harm where two do it for a moment: a process that was suspended in the middle of a
    step goes on with it when it wakes.
    """

    def __init__(self, name: str, lease: Lease, on_gained: Callable[[], object], clock: Clock = time.monotonic) -> None:
        """`on_gained` is called whenever this process begins to lead."""
        self._name = name
        self._lease = lease
        self._on_gained = on_gained
        self._clock = clock
        self._until = float("-inf")
        self._loop = Loop(f"leads-{name}", self.step, every=BEAT_SECONDS, longest=BEAT_SECONDS)

    @property
    def leading(self) -> bool:
        """Whether it leads now."""
        return self._clock() < self._until

    def only(self, step: Callable[[], object]) -> Callable[[], None]:
        """`step`, done only while this process leads."""

        def led() -> None:
            if self.leading:
                step()

        return led

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        """Gives the lead to another one at once."""
        self._loop.stop()
        if not self.leading:
            return
        self._until = float("-inf")
        try:
            self._lease.release()
        except Unavailable as error:
            log.warning("the lead could not be given back; it ends by itself", task=self._name, error=error.message)

    def step(self) -> None:
        """Takes or renews the lease. Where the database doesn't answer, the lead ends by itself."""
        asked = self._clock()
        led = self.leading
        try:
            held = self._lease.hold()
        except Unavailable as error:
            log.warning("the lead can't be renewed", task=self._name, leading=led, error=error.message)
            return
        self._until = asked + _TRUSTED_SECONDS if held else float("-inf")
        if held != led:
            log.info("leads" if held else "leads no more", task=self._name)
        if held and not led:
            self._on_gained()


def lease_of(database: Database, table: str, name: str) -> Lease:
    """The lease `name` of a service whose migrations made `table`, held by this process."""
    if not database.shared:
        return FileLease(database, name)
    return RowLease(database, lease_table(table), name, f"{socket.gethostname()}/{uuid.uuid4().hex}")
