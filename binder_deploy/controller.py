"""The reconciler's loop: looks at records and instances, lets the pure decision fall, acts on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from binder_deploy.applications import Applications
from binder_deploy.backends import Backend
from binder_deploy.clocks import Clocks, Look, is_ahead, set_right
from binder_deploy.reconciler import Action, Doubt, Fail, Remove, Restart, Resume, Stop, View, decide, overdue
from binder_deploy.records import Record
from binder_protocol.errors import Unavailable

log = structlog.get_logger()

_FORGET_SECONDS = 3600.0


@dataclass(frozen=True)
class Periods:
    """`grace`: nothing is culled sooner after it was deployed; `give_up`: the longest a launch takes; `queue`: the
    longest it waits for a place; `keep`: how long the records of ended applications are kept; `look`: how often network
    and firewall are looked at.
    """

    grace: timedelta
    give_up: timedelta
    queue: timedelta
    keep: timedelta
    look: timedelta


class Controller:
    """The reconciler's loop body: looks at everything, decides, acts.

    `watching_since` and what is kept here are in seconds of the clock that only goes forward.
    """

    def __init__(
        self,
        applications: Applications,
        backend: Backend,
        periods: Periods,
        *,
        watching_since: Callable[[], float | None],
        activity_known: Callable[[], bool],
        clocks: Clocks | None = None,
    ) -> None:
        self._applications = applications
        self._backend = backend
        self._periods = periods
        self._watching_since = watching_since
        self._activity_known = activity_known
        self._clocks = clocks or Clocks()
        self._forgot = self._looked = -float("inf")
        self._watched: float | None = None

    def begin(self) -> None:
        """This service leads from now on; before, others may have."""
        self._clocks.forget()

    def step(self) -> None:
        """One pass; where the backend doesn't answer, nothing can be said of what runs, and only late launches end."""
        look = self._clocks.look()
        if look.jump:
            self._applications.store.retime(lambda record: set_right(record, look))
            log.warning("the clock was set, and the times of records with it", seconds=round(look.jump.total_seconds()))
        self._clocks.settle(look)
        try:
            self._pass(look)
        except Unavailable as error:
            log.warning("nothing could be reconciled", error=error.message)
            self._give_up(look, error)

    def _pass(self, look: Look) -> None:
        watching_since = self._watching_since()
        # Not at every ending, for it costs several programs' runs; but whenever the engine was away.
        if look.steady - self._looked >= self._periods.look.total_seconds() or watching_since != self._watched:
            self._backend.ping()
            self._looked, self._watched = look.steady, watching_since
        # In this order: a container has its record before it is made, so none is taken for an orphan.
        instances = {each.id: each for each in self._backend.instances()}
        records = self._active(look)
        view = View(
            now=look.now + timedelta(seconds=time.monotonic() - look.steady),  # whatever the wall says by now
            looked=look.now,
            watching_since=None
            if watching_since is None
            else look.now - timedelta(seconds=look.steady - watching_since),
            busy=self._applications.waits.busy,
            activity_known=self._activity_known(),
            grace=self._periods.grace,
            give_up=self._periods.give_up,
            queue=self._periods.queue,
        )
        for action in decide(records, instances, view):
            # What the list didn't have may have been made by another service since: a failure is final, so look again.
            missing = isinstance(action, Fail) and action.id not in instances
            if not missing or self._backend.instance(action.id) is None:
                self._act(action)
        self._forget(look)

    def _active(self, look: Look) -> list[Record]:
        store = self._applications.store
        records = store.active()
        if any(is_ahead(each, look.now) for each in records):
            log.warning("records are ahead of the clock; it was set back")
            store.retime(lambda record: set_right(record, Look(look.now)))
            records = store.active()
        return records

    def _give_up(self, look: Look, error: Unavailable) -> None:
        busy = self._applications.waits.busy
        waiting = [each for each in self._applications.store.active() if each.id not in busy]
        for action in overdue(waiting, look.now, self._periods.give_up, error):
            self._act(action)

    def _act(self, action: Action) -> None:
        log.info("reconciled", action=type(action).__name__.lower(), application=action.id)
        match action:
            case Stop(identity, reason):
                self._applications.end(identity, reason)
            case Fail(identity, error):
                self._applications.fail(identity, error, step="run")
            case Resume(identity):
                self._applications.resume(identity)
            case Restart(identity):
                self._applications.restart(identity)
            case Remove(identity):
                self._backend.stop(identity)
            case Doubt(identity, error):
                self._applications.doubt(identity, error)

    def _forget(self, look: Look) -> None:
        if look.steady - self._forgot > _FORGET_SECONDS:
            # The records of what has ended don't move along: they are looked at by the time that they were written in.
            self._applications.store.forget(look.now - self._clocks.drift - self._periods.keep)
            self._forgot = look.steady
