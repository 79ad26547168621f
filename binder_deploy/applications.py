"""Applications: launched, looked after while they start, stopped."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from binder_deploy import routes
from binder_deploy.backends import Backend, Instance, State
from binder_deploy.launches import Launch, Policy, settle, usual
from binder_deploy.readiness import Readiness
from binder_deploy.reconciler import why_it_ended
from binder_deploy.records import ACTIVE, Record, failure_of
from binder_deploy.store import Store
from binder_deploy.waits import Feed, Waits
from binder_protocol.errors import BinderError, Conflict, EngineError, LaunchFailed, NoRecord, QueueFull, Unavailable
from binder_protocol.models import ApplicationStatus, Capacity, LaunchRequest, Template
from binder_protocol.service.work import WorkerPool

log = structlog.get_logger()

_LOOK_SECONDS = 1.0
_LAST_LINES = 20
_PENDING = frozenset({ApplicationStatus.PENDING})
_STARTING = frozenset({ApplicationStatus.PENDING, ApplicationStatus.DEPLOYING})


class Templates(Protocol):
    """Where templates come from."""

    def fetch(self, name: str, *, revision: int | None = None) -> Template: ...


@dataclass(frozen=True)
class Rules:
    """`public_url` is the front door as people see it; None where applications are reached at their own address."""

    policy: Policy
    most: int
    public_url: str | None


class Applications:
    """The use case. The store says what was asked for, the backend what runs."""

    def __init__(
        self,
        store: Store,
        backend: Backend,
        templates: Templates,
        readiness: Readiness,
        pool: WorkerPool,
        rules: Rules,
        waits: Waits | None = None,
    ) -> None:
        self.store = store
        self.waits = waits or Waits()
        self.feed = Feed()
        self._backend = backend
        self._templates = templates
        self._readiness = readiness
        self._pool = pool
        self._rules = rules
        self._stopping = threading.Event()

    def start(self) -> None:
        """A resource; what a killed service left unfinished is the reconciler's to resume."""

    def stop(self) -> None:
        """Leaves the launches under way as they are: whoever comes next takes them up."""
        self._stopping.set()
        self.waits.wake_all()

    def launch(self, request: LaunchRequest, *, anonymous: bool = False) -> Record:
        """Takes the request on and returns at once; what follows is seen in the record."""
        template = self._templates.fetch(request.template_name, revision=request.revision)
        launch = settle(
            template, request, self._rules.policy, identity=secrets.token_hex(16), token=secrets.token_hex(24)
        )
        now = _now()
        record = Record(launch, ApplicationStatus.PENDING, now, now, anonymous, timings={"pending": 0.0})
        self.store.add(record, most=self._rules.most)
        self.resume(record.id)
        return record

    def resume(self, identity: str) -> None:
        """Brings the application up on another thread, unless one does already, or is about to."""
        if self.waits.expect(identity):
            try:
                self._pool.submit(lambda: self.bring_up(identity))
            except QueueFull:
                self.waits.expect_no_more(identity)
                log.warning("too many launches at once; the reconciler takes it up", application=identity)

    def bring_up(self, identity: str) -> None:
        """Starts the application, waits until it answers, and keeps how that went."""
        with self.waits.of(identity) as woken:
            if woken is None:
                return
            record = self._starting(identity)
            if record is None:
                return
            try:
                location, timings = self._until_it_answers(record.launch, woken)
            except Unavailable as error:
                # Of the engine or the database, not the application: the reconciler tries again, until time is over.
                log.warning("a launch was interrupted", application=identity, error=error.message)
                if record.reason != error.message:
                    self._to(
                        identity, ApplicationStatus.DEPLOYING, f"it is tried again: {error.message}",
                        among=_STARTING, reason=error.message,
                    )  # fmt: skip
            except BinderError as error:
                self.fail(identity, error, step="launch", among=_STARTING)
            else:
                if location is not None and self._to(
                    identity, ApplicationStatus.DEPLOYED, "it answers at its location",
                    among=_STARTING, location=location, timings=timings,
                ):  # fmt: skip
                    return  # whoever ends it from now on finds all there is of it
            self._remove_if_ended(identity)

    def end(self, identity: str, reason: str = "stopped on request") -> Record:
        """Ends the application; one that has ended stays as it is. Raises NoRecord."""
        with self.waits.ending(identity):
            self._to(identity, ApplicationStatus.DELETED, reason, reason=reason)
            record = self.store.get(identity)
            self.waits.wake(identity)
            self._backend.stop(identity)
        return record

    def fail(
        self, identity: str, error: BinderError, *, step: str, among: frozenset[ApplicationStatus] = ACTIVE
    ) -> None:
        """Keeps why the application failed, with its last lines, and removes what is left of it."""
        failure = failure_of(error, step=step, lines=self._last_lines(identity))
        log.info("an application failed", application=identity, type=error.type, reason=error.message)
        self._to(identity, ApplicationStatus.FAILED, error.message, among=among, failure=failure, reason=error.message)
        self.waits.wake(identity)
        self._remove_if_ended(identity)

    def doubt(self, identity: str, error: BinderError | None) -> None:
        """Keeps why nobody knows whether the application runs; with None, that it is known again to."""
        failure = None if error is None else failure_of(error, step="run", lines=[])
        message = "it is known again to run" if error is None else error.message
        if self.store.note(identity, message, failure, now=_now()):
            self.feed.tell(identity)

    def restart(self, identity: str) -> None:
        """Starts again what stopped with its engine; until it answers it has no location."""
        message = "it stopped with its engine and is started again"
        if self._to(identity, ApplicationStatus.DEPLOYING, message, among=ACTIVE) is not None:
            self.resume(identity)

    def extend(self, identity: str, milliseconds: int) -> Record:
        """Nothing culls it for so long, except that its max-age ends. Raises NoRecord, or Conflict where it ended."""
        record = self.store.get(identity)
        until = _now() + timedelta(milliseconds=milliseconds)
        if record.end_of_life is not None:
            until = min(until, record.end_of_life)
        extended = self.store.extend(identity, until)
        if extended is None:
            raise Conflict("the application has ended; launch it again")
        return extended

    def of(self, template: str, identity: str) -> Record:
        """The record of that id and template; raises NoRecord."""
        record = self.store.get(identity)
        if record.launch.template != template:
            raise NoRecord(f"template {template[:63]} has no application {identity[:64]}")
        return record

    def capacity(self) -> Capacity:
        """How many are in use, and how many may be: as many as the operator allows, and as have a place."""
        used = self.store.count_active()
        available = max(0, self._rules.most - used)
        room = self._backend.room(usual(self._rules.policy)) if available else None
        available = available if room is None else min(available, room)
        return Capacity(running=used, capacity=used + available, available=available)

    def _starting(self, identity: str) -> Record | None:
        """The record of an application that is to be brought up, or is so already; None where it has ended."""
        begun = self._to(identity, ApplicationStatus.DEPLOYING, "the container is started", among=_PENDING)
        if begun is not None:
            return begun
        record = self.store.find(identity)
        return record if record is not None and record.status is ApplicationStatus.DEPLOYING else None

    def _until_it_answers(self, launch: Launch, woken: threading.Event) -> tuple[str | None, dict[str, float]]:
        """Its location, or None where it was stopped meanwhile, or must wait for a place, which the reconciler sees.

        Raises what kept it from answering.
        """
        began = time.monotonic()
        instance = self._backend.launch(launch)
        if instance.waiting is not None:
            message = f"it waits for a place: {instance.waiting}"
            self._to(launch.id, ApplicationStatus.PENDING, message, among=_STARTING, reason=message)
            return None, {}
        started = time.monotonic()
        if not self._readiness.wait(launch, instance, self._pause(launch.id, woken)):
            record = self.store.find(launch.id)
            if record is None or not record.active:
                return None, {}
            raise why_it_ended(self._backend.instance(launch.id))
        answered = time.monotonic()
        timings = {"launch": round(started - began, 4), "answer": round(answered - started, 4)}
        return self._location(launch, instance), timings

    def _pause(self, identity: str, woken: threading.Event) -> Callable[[float], bool]:
        """Waits; True once the application has ended or is not wanted any more."""
        looked = time.monotonic()

        def pause(seconds: float) -> bool:
            nonlocal looked
            if not woken.wait(seconds) and time.monotonic() - looked < _LOOK_SECONDS:
                return False
            woken.clear()
            looked = time.monotonic()
            if self._stopping.is_set():
                raise EngineError("the service stops")
            record = self.store.find(identity)
            if record is None or not record.active:
                return True
            instance = self._backend.instance(identity)
            return instance is None or instance.state is not State.RUNNING

        return pause

    def _location(self, launch: Launch, instance: Instance) -> str:
        front_door = self._rules.public_url
        if front_door is None:
            host, port = instance.address or ("127.0.0.1", 0)
            front_door = f"http://{host}:{port}"
        return routes.location(front_door, launch.id, launch.secret)

    def _last_lines(self, identity: str) -> list[str]:
        try:
            lines = self._backend.logs(identity, tail=_LAST_LINES)
            return [line.text[:2_000] for line in lines][-_LAST_LINES:]
        except (NoRecord, EngineError):
            return []

    def _remove_if_ended(self, identity: str) -> None:
        if (record := self.store.find(identity)) is not None and record.active:
            return
        try:
            self._backend.stop(identity)
        except (EngineError, LaunchFailed) as error:
            log.warning("the reconciler will remove it", application=identity, error=error.message)

    def _to(
        self,
        identity: str,
        status: ApplicationStatus,
        message: str,
        *,
        among: frozenset[ApplicationStatus] = ACTIVE,
        **values: object,
    ) -> Record | None:
        changed = self.store.advance(identity, status, message, among=among, now=_now(), **values)  # type: ignore[arg-type]
        if changed is not None:
            self.feed.tell(identity)
        return changed


def _now() -> datetime:
    return datetime.now(UTC)
