"""Attempts in the database: one row each, one transaction for each method. Who runs them is `leases`' business."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Float,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from binder_build.queue import Waiting
from binder_build.records import Attempt, Subject
from binder_build.sources.source import Revision
from binder_protocol.errors import BadDatabase, QueueFull
from binder_protocol.models import (
    BuildPhase,
    BuildRequest,
    BuildStatus,
    Failure,
    PhaseTiming,
    TemplateSpec,
)
from binder_protocol.service.storage import Database

ATTEMPTS = Table(
    "build_attempts",
    MetaData(),
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(63), nullable=False),
    Column("number", Integer, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("repository", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("settings", String(64), nullable=False),
    Column("request", Text, nullable=False),
    Column("status", String(16), nullable=False, index=True),
    Column("phase", String(16), nullable=False),
    Column("start", Float, nullable=False),
    Column("end", Float),
    Column("commit", String(64)),
    Column("ref", Text),
    Column("subdir", Text),
    Column("recipe", String(64)),
    Column("buildpack", String(64)),
    Column("reference", Text, index=True),
    Column("spec", Text),
    Column("template", String(63)),
    Column("cached", Boolean, nullable=False),
    Column("timings", Text, nullable=False),
    Column("failure", Text),
    Column("tries", Integer, nullable=False),
    Column("cancelling", Boolean, nullable=False),
    Column("lease_owner", Text),
    Column("lease_until", Float),
    UniqueConstraint("name", "number", name="one_number_each"),
)

QUEUED, RUNNING, COMPLETED = BuildStatus.QUEUED.value, BuildStatus.RUNNING.value, BuildStatus.COMPLETED.value
ACTIVE = ATTEMPTS.c.status.in_((QUEUED, RUNNING))

Choose = Callable[[list[Attempt]], Attempt | None]

_TRIES = 10
_RETRY_AFTER = 30
_ESCAPE = "\\"


class AttemptStore:
    """Keeps all attempts, numbered within their name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def admit(
        self,
        subject: Subject,
        revision: Revision | None,
        recipe: str | None,
        *,
        queue_size: int,
        since: float,
        join: Choose,
    ) -> tuple[Attempt, bool]:
        """The attempt that `join` picks for this request, or a new one at the end of the queue (and True).

        `join` chooses among the active ones and those completed after `since`, the time at which the caller began to
        look for a finished one. Raises QueueFull where `queue_size` wait, and whatever `join` raises.
        """
        for _ in range(_TRIES):
            try:
                with self._database.session() as connection:
                    self._database.take_turn(connection, "queue")
                    present = or_(ACTIVE, (ATTEMPTS.c.status == COMPLETED) & (ATTEMPTS.c.end >= since))
                    joined = join(_attempts(connection, ATTEMPTS.c.name == subject.name, present))
                    if joined is not None:
                        return joined, False
                    queued = select(func.count()).select_from(ATTEMPTS).where(ATTEMPTS.c.status == QUEUED)
                    if connection.execute(queued).scalar_one() >= queue_size:
                        raise QueueFull(f"{queue_size} builds wait already", retry_after=_RETRY_AFTER)
                    return _append(connection, subject, revision, recipe), True
            except IntegrityError:
                continue  # another service's request took that number; SQLite's writers take turns
        raise BadDatabase("too many build this repository at once", retry_after=1)

    def find(self, name: str, number: int | None = None) -> Attempt | None:
        """That attempt, or the newest of its name."""
        which = ATTEMPTS.c.name == name
        if number is not None:
            which &= ATTEMPTS.c.number == number
        with self._database.reading() as connection:
            return next(iter(_attempts(connection, which, newest_first=True, limit=1)), None)

    def with_image(self, name: str, recipe: str) -> Attempt | None:
        """The newest attempt at `name` that made an image by `recipe`; its registration may have failed."""
        which = (ATTEMPTS.c.name == name, ATTEMPTS.c.recipe == recipe, ATTEMPTS.c.spec.is_not(None))
        with self._database.reading() as connection:
            return next(iter(_attempts(connection, *which, newest_first=True, limit=1)), None)

    def registered(self, name: str) -> TemplateSpec | None:
        """What the newest attempt at `name` that got so far registered."""
        which = (ATTEMPTS.c.name == name, ATTEMPTS.c.spec.is_not(None), ATTEMPTS.c.template.is_not(None))
        with self._database.reading() as connection:
            found = _attempts(connection, *which, newest_first=True, limit=1)
        return found[0].spec if found else None

    def newest(self, status: BuildStatus | None, words: str, limit: int, offset: int) -> tuple[list[Attempt], int]:
        """A page of the newest attempts of all names, newest first, and how many there are."""
        newest = select(func.max(ATTEMPTS.c.id)).group_by(ATTEMPTS.c.name)
        which: list[ColumnElement[bool]] = [ATTEMPTS.c.id.in_(newest)]
        if status is not None:
            which.append(ATTEMPTS.c.status == status.value)
        if words:
            pattern = f"%{_escaped(words.lower())}%"
            columns = (ATTEMPTS.c.name, ATTEMPTS.c.display_name, ATTEMPTS.c.repository)
            which.append(or_(*(func.lower(each).like(pattern, escape=_ESCAPE) for each in columns)))
        return self._page(which, limit, offset)

    def history(self, name: str, limit: int, offset: int) -> tuple[list[Attempt], int]:
        """A page of the attempts at `name`, newest first, and how many there are."""
        return self._page([ATTEMPTS.c.name == name], limit, offset)

    def turns(self) -> tuple[list[Waiting], list[Waiting]]:
        """Those that wait, and those that run."""
        with self._database.reading() as connection:
            return turns(connection)

    def update(self, attempt: Attempt, **columns: Any) -> None:
        """Changes what is known of an attempt, unless another service has started it over meanwhile."""
        same = (ATTEMPTS.c.id == attempt.id, ATTEMPTS.c.tries == attempt.tries)
        with self._database.session() as connection:
            connection.execute(update(ATTEMPTS).where(*same).values(**columns_of(columns)))

    def ask_cancel(self, name: str) -> list[Attempt]:
        """Ends the queued attempts at `name` as cancelled and marks the running ones; returns all of them, as they
        were."""
        with self._database.session() as connection:
            active = _attempts(connection, ATTEMPTS.c.name == name, ACTIVE)
            mine = update(ATTEMPTS).where(ATTEMPTS.c.name == name)
            connection.execute(mine.where(ATTEMPTS.c.status == RUNNING).values(cancelling=True))
            ended = {"status": BuildStatus.CANCELLED.value, "phase": BuildPhase.FINISHED.value, "end": time.time()}
            connection.execute(mine.where(ATTEMPTS.c.status == QUEUED).values(**ended))
            return active

    def reference_taken(self, reference: str, besides: Attempt) -> bool:
        """Whether another attempt made an image under this reference."""
        mine = (ATTEMPTS.c.reference == reference, ATTEMPTS.c.id != besides.id)
        with self._database.reading() as connection:
            return connection.execute(select(ATTEMPTS.c.id).where(*mine).limit(1)).first() is not None

    def with_images(self) -> list[Attempt]:
        """Every ended attempt whose image was kept, newest first."""
        with self._database.reading() as connection:
            return _attempts(connection, ATTEMPTS.c.reference.is_not(None), ~ACTIVE, newest_first=True)

    def _page(self, which: Iterable[ColumnElement[bool]], limit: int, offset: int) -> tuple[list[Attempt], int]:
        counted = select(func.count()).select_from(ATTEMPTS).where(*which)
        with self._database.reading() as connection:
            total = connection.execute(counted).scalar_one()
            return _attempts(connection, *which, newest_first=True, limit=limit, offset=offset), total


def turns(connection: Connection) -> tuple[list[Waiting], list[Waiting]]:
    """Those that wait, and those that run."""
    columns = (ATTEMPTS.c.id, ATTEMPTS.c.name, ATTEMPTS.c.owner, ATTEMPTS.c.status)
    active = connection.execute(select(*columns).where(ACTIVE)).all()
    waiting = [Waiting(row.id, row.name, row.owner) for row in active if row.status == QUEUED]
    return waiting, [Waiting(row.id, row.name, row.owner) for row in active if row.status == RUNNING]


def columns_of(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts of an Attempt as its columns."""
    columns: dict[str, Any] = {}
    for name, value in facts.items():
        if name == "revision":
            columns |= {"commit": value.commit, "ref": value.ref, "subdir": value.subdir}
        elif name == "timings":
            columns[name] = json.dumps([each.wire() for each in value])
        elif name in ("spec", "failure"):
            columns[name] = None if value is None else json.dumps(value.wire())
        else:
            columns[name] = value.value if isinstance(value, BuildStatus | BuildPhase) else value
    return columns


def attempt_of(row: Row[Any]) -> Attempt:
    """The Attempt that a row holds."""
    request = BuildRequest.model_validate_json(row.request)
    return Attempt(
        id=row.id,
        number=row.number,
        subject=Subject(row.name, row.display_name, row.repository, row.owner, row.settings, request),
        status=BuildStatus(row.status),
        phase=BuildPhase(row.phase),
        start=row.start,
        end=row.end,
        revision=None if row.commit is None else Revision(row.commit, row.ref, row.subdir),
        recipe=row.recipe,
        buildpack=row.buildpack,
        reference=row.reference,
        spec=None if row.spec is None else TemplateSpec.model_validate_json(row.spec),
        template=row.template,
        cached=row.cached,
        timings=tuple(PhaseTiming.model_validate(each) for each in json.loads(row.timings)),
        failure=None if row.failure is None else Failure.model_validate_json(row.failure),
        tries=row.tries,
        cancelling=row.cancelling,
    )


def _attempts(
    connection: Connection,
    *which: ColumnElement[bool],
    newest_first: bool = False,
    limit: int | None = None,
    offset: int | None = None,
) -> list[Attempt]:
    order = ATTEMPTS.c.id.desc() if newest_first else ATTEMPTS.c.id
    rows = connection.execute(select(ATTEMPTS).where(*which).order_by(order).limit(limit).offset(offset))
    return [attempt_of(row) for row in rows]


def _append(connection: Connection, subject: Subject, revision: Revision | None, recipe: str | None) -> Attempt:
    newest = select(func.coalesce(func.max(ATTEMPTS.c.number), 0)).where(ATTEMPTS.c.name == subject.name)
    number = connection.execute(newest).scalar_one() + 1
    attempt = Attempt(0, number, subject, BuildStatus.QUEUED, BuildPhase.QUEUED, time.time())
    facts: dict[str, Any] = {
        "name": subject.name,
        "number": number,
        "display_name": subject.display_name,
        "repository": subject.repository,
        "owner": subject.owner,
        "settings": subject.settings,
        "request": json.dumps(subject.request.wire()),
        "status": attempt.status,
        "phase": attempt.phase,
        "start": attempt.start,
        "recipe": recipe,
        "cached": False,
        "timings": (),
        "tries": 0,
        "cancelling": False,
    }
    if revision is not None:
        facts["revision"] = revision
    row = connection.execute(insert(ATTEMPTS).values(**columns_of(facts)).returning(*ATTEMPTS.c)).one()
    return attempt_of(row)


def _escaped(words: str) -> str:
    for character in (_ESCAPE, "%", "_"):
        words = words.replace(character, _ESCAPE + character)
    return words
