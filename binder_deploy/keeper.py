"""What goes on between requests: activity is sampled, endings are watched, the reconciler's decisions carried out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from binder_deploy import activity
from binder_deploy.activity import Sample, Track
from binder_deploy.applications import Applications
from binder_deploy.backends import Backend, Endings, Instance
from binder_deploy.reconciler import Action, Fail, Remove, Restart, Resume, Stop, View, decide
from binder_deploy.records import Record
from binder_deploy.store import Store
from binder_protocol.errors import EngineError, Unavailable
from binder_protocol.models import ApplicationStatus

log = structlog.get_logger()

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_MISSED_SAMPLES = 3
_FORGET_EVERY = timedelta(hours=1)


class Closing:
    """Calls `close` when everything that comes after it has stopped. A resource."""

    def __init__(self, close: Callable[[], None]) -> None:
        self._close = close

    def start(self) -> None: ...

    def stop(self) -> None:
        self._close()


class Watcher:
    """Follows the backend's endings on a thread of its own. A resource."""

    def __init__(self, backend: Backend, on_ending: Callable[[str], None], on_return: Callable[[], None]) -> None:
        """`on_return` is called when watching begins, and begins again after the backend was away."""
        self.watching_since: datetime | None = None
        self._backend = backend
        self._on_ending = on_ending
        self._on_return = on_return
        self._endings: Endings | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._endings is not None:
            self._endings.close()
        self._thread.join(5)

    def _run(self) -> None:
        pause = _SHORTEST_PAUSE
        while not self._stopping.is_set():
            try:
                self._endings = self._backend.endings()
                self.watching_since = _now()
                pause = _SHORTEST_PAUSE
                self._on_return()
                for identity in self._endings:
                    self._on_ending(identity)
            except EngineError as error:
                log.warning("the engine is away", error=error.message)
            except Exception:  # nobody else would watch
                log.exception("watching failed")
            finally:
                self.watching_since = None
                if self._endings is not None:
                    self._endings.close()
            self._stopping.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)


class Sampler:
    """Notes which applications were used. `step` is called every so often."""

    def __init__(self, store: Store, backend: Backend, front_door: activity.FrontDoor, *, every: float) -> None:
        self._store = store
        self._backend = backend
        self._front_door = front_door
        self._every = every
        self._tracks: dict[str, Track] = {}
        self._sampled: float | None = None

    @property
    def known(self) -> bool:
        """Whether somebody counted lately; nobody is called idle when not."""
        return self._sampled is not None and time.monotonic() - self._sampled < _MISSED_SAMPLES * self._every + 1

    def step(self) -> None:
        """One sample, kept. Where the front door or the engine doesn't answer, nothing is known."""
        try:
            self._sample()
        except Unavailable as error:
            log.warning("activity is unknown", error=error.message)

    def _sample(self) -> None:
        records = {each.id: each for each in self._store.active() if each.status is ApplicationStatus.DEPLOYED}
        if not records:
            self._tracks, self._sampled = {}, time.monotonic()
            return
        counts, open_to = self._front_door.requests(), self._front_door.connections()
        instances = {each.id: each for each in self._backend.instances() if each.id in records}
        connected = {each.id for each in instances.values() if each.address in open_to and not each.jupyter}
        sample = Sample(time.monotonic(), counts, frozenset(connected))
        first = self._sampled is None or sample.at - self._sampled > _MISSED_SAMPLES * self._every + 1
        now = _now()
        self._tracks, used = activity.fold(self._tracks, sample, records)
        # What nobody looked at is not called idle: after a pause in the counting everything starts anew.
        moments = dict.fromkeys(records if first else used, now)
        for record in records.values():
            told = self._told_by_jupyter(record, instances.get(record.id), now) if record.id not in moments else None
            if told is not None:
                moments[record.id] = told
        self._store.touch(moments)
        self._sampled = sample.at

    def _told_by_jupyter(self, record: Record, instance: Instance | None, now: datetime) -> datetime | None:
        """Asked only in the second half of its idle time."""
        if instance is None or not instance.jupyter or instance.address is None or record.cull_time is None:
            return None
        if record.cull_time - now > timedelta(milliseconds=record.launch.cull_timeout) / 2:
            return None
        return activity.ask_jupyter(record.launch, instance.address, now)


@dataclass(frozen=True)
class Patience:
    """`grace`: nothing is culled sooner after it was deployed; `give_up`: the longest a launch takes; `keep`: how long
    the records of ended applications are kept; `look`: how often network and firewall are looked at.
    """

    grace: timedelta
    give_up: timedelta
    keep: timedelta
    look: timedelta


class Keeper:
    """The reconciler's loop body: looks at everything, decides, acts."""

    def __init__(
        self,
        applications: Applications,
        backend: Backend,
        patience: Patience,
        *,
        watching_since: Callable[[], datetime | None],
        activity_known: Callable[[], bool],
    ) -> None:
        self._applications = applications
        self._backend = backend
        self._patience = patience
        self._watching_since = watching_since
        self._activity_known = activity_known
        self._forgot = self._looked = datetime.min.replace(tzinfo=UTC)
        self._watched: datetime | None = None

    def step(self) -> None:
        """One pass; where the backend doesn't answer, nothing can be said of any application, and nothing is done."""
        try:
            self._pass()
        except Unavailable as error:
            log.warning("nothing could be reconciled", error=error.message)

    def _pass(self) -> None:
        watching_since = self._watching_since()
        looked = _now()
        # Not at every ending, for it costs several programs' runs; but whenever the engine was away.
        if looked - self._looked >= self._patience.look or watching_since != self._watched:
            self._backend.ping()
            self._looked, self._watched = looked, watching_since
        # In this order: a container has its record before it is made, so none is taken for an orphan.
        instances = {each.id: each for each in self._backend.instances()}
        records = self._applications.store.active()
        view = View(
            now=_now(),
            looked=looked,
            watching_since=watching_since,
            busy=self._applications.waits.busy,
            activity_known=self._activity_known(),
            grace=self._patience.grace,
            give_up=self._patience.give_up,
        )
        for action in decide(records, instances, view):
            self._act(action)
        self._forget(view.now)

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
            self._applications.store.forget(now - self._patience.keep)
            self._forgot = now


def _now() -> datetime:
    return datetime.now(UTC)
