"""Applications, their events and the preloads in the database."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from binder_deploy.launches import Launch
from binder_deploy.records import Record
from binder_deploy.statements import ADD, ADVANCE, COUNT_IN_USE, FIND, FIND_IN_TURN, IN_USE, TELL
from binder_deploy.tables import APPLICATIONS, EVENTS, PRELOADS
from binder_protocol.errors import AtCapacity, NoRecord
from binder_protocol.models import ApplicationEvent, ApplicationStatus, Failure, Preload, PreloadStatus
from binder_protocol.service.storage import Database


class Store:
    """Each method is one transaction, and each change of state one row of the events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, record: Record, *, most: int) -> None:
        """Keeps a new application. Raises AtCapacity where `most` are in use already."""
        row = {
            "id": record.id,
            "template": record.launch.template,
            "status": record.status,
            "anonymous": record.anonymous,
            "launch": record.launch.model_dump_json(),
            "created": _stored(record.created),
            "since": _stored(record.since),
            "timings": json.dumps(record.timings),
        }
        with self._database.session() as connection:
            self._database.take_turn(connection, "places")
            if connection.execute(COUNT_IN_USE).scalar_one() >= most:
                raise AtCapacity(f"{most} applications are in use, and this host takes no more", retry_after=30)
            connection.execute(ADD, row)
            _tell(connection, record.id, record.status, "the launch was asked for", record.created, record.created)

    def find(self, identity: str) -> Record | None:
        """The record of that id."""
        with self._database.reading() as connection:
            return _find(connection, identity)

    def get(self, identity: str) -> Record:
        """The record of that id; raises NoRecord."""
        found = self.find(identity)
        if found is None:
            raise NoRecord(f"there is no application {identity[:64]}")
        return found

    def search(
        self, *, template: str | None, status: ApplicationStatus | None, limit: int, offset: int
    ) -> tuple[list[Record], int]:
        """Records, newest first, and how many there are in all."""
        wanted = []
        if template is not None:
            wanted.append(APPLICATIONS.c.template == template)
        if status is not None:
            wanted.append(APPLICATIONS.c.status == status)
        counted = select(func.count()).select_from(APPLICATIONS).where(*wanted)
        order = (APPLICATIONS.c.created.desc(), APPLICATIONS.c.id)
        found = select(APPLICATIONS).where(*wanted).order_by(*order).limit(limit).offset(offset)
        with self._database.reading() as connection:
            total = connection.execute(counted).scalar_one()
            return [_record(row) for row in connection.execute(found)], total

    def active(self) -> list[Record]:
        """All that take a place."""
        with self._database.reading() as connection:
            return [_record(row) for row in connection.execute(select(APPLICATIONS).where(IN_USE))]

    def count_active(self) -> int:
        """How many take a place."""
        with self._database.reading() as connection:
            return connection.execute(COUNT_IN_USE).scalar_one()

    def advance(
        self,
        identity: str,
        status: ApplicationStatus,
        message: str,
        *,
        among: Collection[ApplicationStatus],
        now: datetime,
        location: str | None = None,
        failure: Failure | None = None,
        reason: str | None = None,
        timings: Mapping[str, float] | None = None,
    ) -> Record | None:
        """Brings an application from one of the states `among` to `status`; None where it is in none of them.

        Of two that try at once one succeeds. `timings` are added to those it has, with the time of the state.
        """
        with self._database.session() as connection:
            record = _find(connection, identity, turn=True)
            if record is None or record.status not in among:
                return None
            seconds = max(0.0, (now - record.created).total_seconds())
            times = {**record.timings, **(timings or {})}
            times.setdefault(status.value, round(seconds, 4))
            advanced = replace(
                record, status=status, timings=times, location=location, failure=failure, reason=reason,
                since=record.since if status is record.status else now,
                last_activity=now if status is ApplicationStatus.DEPLOYED else record.last_activity,
                ended=now if status.ended else record.ended,
            )  # fmt: skip
            connection.execute(ADVANCE, _advanced(advanced))
            _tell(connection, identity, status, message, record.created, now, failure)
            return advanced

    def note(self, identity: str, message: str, failure: Failure | None, *, now: datetime) -> bool:
        """Keeps something about an application that stays deployed; False where it isn't."""
        with self._database.session() as connection:
            record = _find(connection, identity, turn=True)
            if record is None or record.status is not ApplicationStatus.DEPLOYED:
                return False
            row = {"failure": _json(failure), "reason": None if failure is None else failure.message}
            connection.execute(update(APPLICATIONS).where(APPLICATIONS.c.id == identity).values(**row))
            _tell(connection, identity, record.status, message, record.created, now, failure)
            return True

    def touch(self, moments: Mapping[str, datetime]) -> None:
        """Notes when applications were last active; a moment earlier than the known one changes nothing."""
        if not moments:
            return
        with self._database.session() as connection:
            for identity, moment in sorted(moments.items()):  # in one order, so that two never wait for each other
                known = APPLICATIONS.c.last_activity
                later = known.is_(None) | (known < _stored(moment))
                change = update(APPLICATIONS).where(APPLICATIONS.c.id == identity, later)
                connection.execute(change.values(last_activity=_stored(moment)))

    def retime(self, change: Callable[[Record], Record]) -> None:
        """Gives all that take a place the times that `change` gives them; it changes nothing else."""
        with self._database.session() as connection:
            found = connection.execute(select(APPLICATIONS).where(IN_USE).order_by(APPLICATIONS.c.id).with_for_update())
            for before in map(_record, found.all()):
                after = change(before)
                names = ("created", "since", "last_activity", "extended_until")
                times = {name: getattr(after, name) for name in names if getattr(after, name) != getattr(before, name)}
                if times:
                    row = {name: _stored(moment) for name, moment in times.items()}
                    connection.execute(update(APPLICATIONS).where(APPLICATIONS.c.id == before.id).values(**row))

    def extend(self, identity: str, until: datetime) -> Record | None:
        """It is not culled before `until`; None where it has ended."""
        with self._database.session() as connection:
            change = update(APPLICATIONS).where(APPLICATIONS.c.id == identity, IN_USE)
            connection.execute(change.values(extended_until=_stored(until)))
            record = _find(connection, identity)
            return record if record is not None and record.active else None

    def events(self, identity: str, after: int = 0) -> list[ApplicationEvent]:
        """The events behind number `after`."""
        wanted = select(EVENTS).where(EVENTS.c.application == identity, EVENTS.c.number > after)
        with self._database.reading() as connection:
            return [_event(row) for row in connection.execute(wanted.order_by(EVENTS.c.number))]

    def forget(self, before: datetime) -> None:
        """Removes the records of applications that ended before that moment."""
        with self._database.session() as connection:
            connection.execute(delete(APPLICATIONS).where(APPLICATIONS.c.ended < _stored(before)))

    def preload(self, template: str) -> Preload | None:
        """How the template's preload went, or goes."""
        with self._database.reading() as connection:
            row = connection.execute(select(PRELOADS).where(PRELOADS.c.template == template)).one_or_none()
        return None if row is None else _preload(row)

    def set_preload(self, template: str, image: str, status: PreloadStatus, failure: Failure | None = None) -> Preload:
        """Keeps the newest preload of the template."""
        row = {"image": image, "status": status, "failure": _json(failure)}
        with self._database.session() as connection:
            self._database.take_turn(connection, "preloads")
            if status is PreloadStatus.LOADING:
                connection.execute(delete(PRELOADS).where(PRELOADS.c.template == template))
                connection.execute(insert(PRELOADS).values(template=template, started=_stored(_now()), **row))
            else:
                connection.execute(update(PRELOADS).where(PRELOADS.c.template == template).values(**row))
            return _preload(connection.execute(select(PRELOADS).where(PRELOADS.c.template == template)).one())

    def interrupted_preloads(self) -> Iterable[tuple[str, str]]:
        """Templates and images whose preload a stopped service left unfinished."""
        wanted = select(PRELOADS.c.template, PRELOADS.c.image).where(PRELOADS.c.status == PreloadStatus.LOADING)
        with self._database.reading() as connection:
            return [(row.template, row.image) for row in connection.execute(wanted)]


def _find(connection: Connection, identity: str, *, turn: bool = False) -> Record | None:
    row = connection.execute(FIND_IN_TURN if turn else FIND, {"identity": identity}).one_or_none()
    return None if row is None else _record(row)


def _advanced(record: Record) -> dict[str, Any]:
    """What a change of state may change, as ADVANCE takes it."""
    return {
        "identity": record.id,
        "new_status": record.status,
        "new_since": _stored(record.since),
        "new_ended": None if record.ended is None else _stored(record.ended),
        "new_last_activity": None if record.last_activity is None else _stored(record.last_activity),
        "new_location": record.location,
        "new_timings": json.dumps(record.timings),
        "new_failure": _json(record.failure),
        "new_reason": record.reason,
    }


def _tell(
    connection: Connection,
    identity: str,
    status: ApplicationStatus,
    message: str,
    created: datetime,
    now: datetime,
    failure: Failure | None = None,
) -> None:
    row = {
        "identity": identity,
        "time": _stored(now),
        "status": status,
        "message": message,
        "seconds": max(0.0, round((now - created).total_seconds(), 4)),
        "failure": _json(failure),
    }
    connection.execute(TELL, row)


def _record(row: Row[Any]) -> Record:
    return Record(
        launch=Launch.model_validate_json(row.launch),
        status=ApplicationStatus(row.status),
        created=row.created.replace(tzinfo=UTC),
        since=row.since.replace(tzinfo=UTC),
        anonymous=row.anonymous,
        location=row.location,
        ended=_loaded(row.ended),
        last_activity=_loaded(row.last_activity),
        extended_until=_loaded(row.extended_until),
        timings=json.loads(row.timings),
        failure=_failure(row.failure),
        reason=row.reason,
    )


def _event(row: Row[Any]) -> ApplicationEvent:
    return ApplicationEvent(
        id=row.number,
        time=row.time.replace(tzinfo=UTC),
        status=ApplicationStatus(row.status),
        message=row.message,
        seconds=row.seconds,
        failure=_failure(row.failure),
    )


def _preload(row: Row[Any]) -> Preload:
    return Preload(
        name=row.template,
        template=row.template,
        image=row.image,
        status=PreloadStatus(row.status),
        start_time=row.started.replace(tzinfo=UTC),
        failure=_failure(row.failure),
    )


def _json(failure: Failure | None) -> str | None:
    return None if failure is None else failure.model_dump_json()


def _failure(text: str | None) -> Failure | None:
    return None if text is None else Failure.model_validate_json(text)


def _stored(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _loaded(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


def _now() -> datetime:
    return datetime.now(UTC)
