"""The reconciler's loop: looks at records and instances, lets the pure decision fall, acts on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from binder_deploy.applications import Applications
from binder_deploy.backends import Backend
from binder_deploy.reconciler import Action, Fail, Remove, Restart, Resume, Stop, View, decide, overdue
from binder_protocol.errors import Unavailable

log = structlog.get_logger()

_FORGET_EVERY = timedelta(hours=1)


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
    """The reconciler's loop body: looks at everything, decides, acts."""

    def __init__(
        self,
        applications: Applications,
        backend: Backend,
        periods: Periods,
        *,
        watching_since: Callable[[], datetime | None],
        activity_known: Callable[[], bool],
    ) -> None:
        self._applications = applications
        self._backend = backend
        self._periods = periods
        self._watching_since = watching_since
        self._activity_known = activity_known
        self._forgot = self._looked = datetime.min.replace(tzinfo=UTC)
        self._watched: datetime | None = None

    def step(self) -> None:
        """One pass; where the backend doesn't answer, nothing can be said of what runs, and only late launches end."""
        try:
            self._pass()
        except Unavailable as error:
            log.warning("nothing could be reconciled", error=error.message)
            self._give_up(error)

    def _pass(self) -> None:
        watching_since = self._watching_since()
        looked = datetime.now(UTC)
        # Not at every ending, for it costs several programs' runs; but whenever the engine was away.
        if looked - self._looked >= self._periods.look or watching_since != self._watched:
            self._backend.ping()
            self._looked, self._watched = looked, watching_since
        # In this order: a container has its record before it is made, so none is taken for an orphan.
        instances = {each.id: each for each in self._backend.instances()}
        records = self._applications.store.active()
        view = View(
            now=datetime.now(UTC),
            looked=looked,
            watching_since=watching_since,
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
        self._forget(view.now)

    def _give_up(self, error: Unavailable) -> None:
        now, busy = datetime.now(UTC), self._applications.waits.busy
        waiting = [each for each in self._applications.store.active() if each.id not in busy]
        for action in overdue(waiting, now, self._periods.give_up, error):
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

    def _forget(self, now: datetime) -> None:
        if now - self._forgot > _FORGET_EVERY:
            self._applications.store.forget(now - self._periods.keep)
            self._forgot = now
