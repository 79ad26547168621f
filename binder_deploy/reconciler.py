"""What was asked for and what runs are brought together: a pure decision over all that is there, and a loop that acts.

Level-triggered: every pass looks at everything, so a lost event, a killed service or a restarted engine only delay it.
Two reconcilers at once do no harm, for each change of a record is conditional and each verb of a backend idempotent.

An application whose container has stopped either crashed, or was stopped with its engine (or unseen, while this service
was down). One that crashed while the engine's events were being watched has failed and says why. Of any other one it
isn't known that it is to blame, and what somebody wrote in it is still there: it is started again, once per such
interruption, for from then on it is watched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from binder_deploy.backends import Instance, State
from binder_deploy.records import Record
from binder_protocol.errors import ApplicationOutOfMemory, BinderError, Crashed, EngineError, Unschedulable
from binder_protocol.models import ApplicationStatus

_KILLED = 128


@dataclass(frozen=True)
class Stop:
    """End it: it is idle, or too old."""

    id: str
    reason: str


@dataclass(frozen=True)
class Fail:
    """It has failed."""

    id: str
    error: BinderError


@dataclass(frozen=True)
class Resume:
    """Take its launch up again; nobody works on it."""

    id: str


@dataclass(frozen=True)
class Restart:
    """Start again what stopped with its engine."""

    id: str


@dataclass(frozen=True)
class Remove:
    """Remove what nobody asked for, or not any more."""

    id: str


@dataclass(frozen=True)
class Doubt:
    """Say that nobody knows whether it runs, and why; or, with None, that it is known again."""

    id: str
    error: BinderError | None


Action = Stop | Fail | Resume | Restart | Remove | Doubt


@dataclass(frozen=True)
class View:
    """`looked`: when the instances were listed, before the records were read. `watching_since`: from when on every
    ending is told; None where nobody watches. `activity_known`: whether somebody counts what passes the front door.
    `grace`: nothing is culled sooner after it was deployed. `give_up`: the longest that a launch may take; `queue`: the
    longest that one may wait for a place before.
    """

    now: datetime
    looked: datetime
    watching_since: datetime | None
    busy: frozenset[str] = frozenset()
    activity_known: bool = True
    grace: timedelta = timedelta(0)
    give_up: timedelta = timedelta(minutes=5)
    queue: timedelta = timedelta(minutes=10)


def decide(records: Iterable[Record], instances: Mapping[str, Instance], view: View) -> list[Action]:
    """What is to be done. `records` are all that are active, `instances` all that there are."""
    actions: list[Action] = []
    wanted = set()
    for record in records:
        wanted.add(record.id)
        actions += _for_one(record, instances.get(record.id), view)
    actions += [Remove(identity) for identity in sorted(instances.keys() - wanted - view.busy)]
    return actions


def overdue(records: Iterable[Record], now: datetime, give_up: timedelta, why: BinderError) -> list[Action]:
    """Launches that took too long while the backend doesn't answer."""
    late = [each for each in records if each.status is ApplicationStatus.DEPLOYING and now - each.since > give_up]
    return [Fail(each.id, EngineError(f"it could not be started in time: {why.message}")) for each in late]


def why_it_ended(instance: Instance | None) -> BinderError:
    """The typed reason of an instance that doesn't run."""
    if instance is None:
        return Crashed("its container was removed by somebody else")
    if instance.failure is not None:
        return instance.failure
    if instance.out_of_memory:
        return ApplicationOutOfMemory()
    code = instance.exit_code
    if code is not None and code > _KILLED:
        return Crashed(f"the application was ended by signal {code - _KILLED}")
    return Crashed(f"the application ended by itself, with exit code {code}")


def _for_one(record: Record, instance: Instance | None, view: View) -> Iterator[Action]:
    if record.end_of_life is not None and view.now >= record.end_of_life:
        yield Stop(record.id, "its max-age was reached")
    elif record.id in view.busy or record.since >= view.looked:
        return  # somebody works on it, or it changed after we looked
    elif record.status is not ApplicationStatus.DEPLOYED:
        yield from _for_starting(record, instance, view)
    elif instance is None:
        yield Fail(record.id, why_it_ended(None))
    elif instance.state is not State.RUNNING:
        yield from _for_stopped(record, instance, view)
    elif (error := instance.doubt) is not None or record.failure is not None:
        if (error and error.type) != (record.failure and record.failure.type):
            yield Doubt(record.id, error)
    elif view.activity_known and _idle(record, view):
        idle = view.now - (record.last_activity or record.since)
        yield Stop(record.id, f"it was idle for {max(0, round(idle.total_seconds()))} s")


def _for_starting(record: Record, instance: Instance | None, view: View) -> Iterator[Action]:
    waited = view.now - record.since
    if record.status is ApplicationStatus.PENDING and instance is not None and instance.waiting is not None:
        if waited > view.queue:
            seconds = round(waited.total_seconds())
            yield Fail(record.id, Unschedulable(f"there was no place for it within {seconds} s: {instance.waiting}"))
    elif waited > view.give_up:
        why = f": {record.reason}" if record.reason else ""
        yield Fail(record.id, EngineError(f"it could not be started in time{why}"))
    else:
        yield Resume(record.id)


def _for_stopped(record: Record, instance: Instance, view: View) -> Iterator[Action]:
    if instance.out_of_memory or instance.failure is not None:
        yield Fail(record.id, why_it_ended(instance))
    elif view.watching_since is None:
        return  # the engine is just coming back
    elif instance.ended is not None and instance.ended >= view.watching_since:
        yield Fail(record.id, why_it_ended(instance))
    else:
        yield Restart(record.id)


def _idle(record: Record, view: View) -> bool:
    return record.cull_time is not None and view.now >= max(record.cull_time, record.since + view.grace)
