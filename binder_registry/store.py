"""Templates in the database: one row per revision, and per template one that says which is the newest."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    ForeignKey,
    Integer,
    MetaData,
    Row,
    Select,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from binder_protocol.errors import BadDatabase, Conflict
from binder_protocol.models import TemplateSpec
from binder_protocol.service.storage import Database
from binder_registry.templates import Revision

METADATA = MetaData()

TEMPLATES = Table(
    "templates",
    METADATA,
    Column("name", String(63), primary_key=True),
    Column("display_name", String(500)),
    Column("newest", Integer, nullable=False),
    Column("created", DateTime, nullable=False),
)

REVISIONS = Table(
    "template_revisions",
    METADATA,
    Column("name", String(63), ForeignKey("templates.name", ondelete="CASCADE"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("created", DateTime, nullable=False),
    Column("spec", Text, nullable=False),
)

T = TypeVar("T")
_TRIES = 10
_ESCAPE = "\\"
_COLUMNS = (REVISIONS.c.spec, REVISIONS.c.revision, TEMPLATES.c.created, REVISIONS.c.created.label("modified"))
_NEWEST = REVISIONS.c.revision == TEMPLATES.c.newest


class TemplateStore:
    """The store of `templates.Store`. Of two writers at once both revisions stay, one after the other."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, spec: TemplateSpec, now: datetime) -> Revision:
        return self._writing(lambda connection: _append(connection, spec, now))

    def append_copy(self, name: str, number: int | None, now: datetime) -> Revision | None:
        return self._writing(lambda connection: _append_copy(connection, name, number, now))

    def find(self, name: str, number: int | None) -> Revision | None:
        with self._database.reading() as connection:
            return _find(connection, name, number)

    def search(self, words: str, limit: int, offset: int) -> tuple[list[Revision], int]:
        pattern = f"%{_escaped(words.lower())}%"
        matches = or_(
            TEMPLATES.c.name.like(pattern, escape=_ESCAPE),
            func.lower(TEMPLATES.c.display_name).like(pattern, escape=_ESCAPE),
        )
        counted = select(func.count()).select_from(TEMPLATES)
        found = _revisions().where(_NEWEST).order_by(TEMPLATES.c.name).limit(limit).offset(offset)
        if words:
            counted, found = counted.where(matches), found.where(matches)
        with self._database.reading() as connection:
            total = connection.execute(counted).scalar_one()
            return [_revision(row) for row in connection.execute(found)], total

    def history(self, name: str, limit: int, offset: int) -> tuple[list[Revision], int]:
        counted = select(func.count()).select_from(REVISIONS).where(REVISIONS.c.name == name)
        found = _revisions().where(REVISIONS.c.name == name).order_by(REVISIONS.c.revision.desc())
        with self._database.reading() as connection:
            total = connection.execute(counted).scalar_one()
            return [_revision(row) for row in connection.execute(found.limit(limit).offset(offset))], total

    def remove(self, name: str) -> Revision | None:
        with self._database.session() as connection:
            newest = _find(connection, name, None)
            connection.execute(delete(TEMPLATES).where(TEMPLATES.c.name == name))
            return newest

    def _writing(self, work: Callable[[Connection], T]) -> T:
        for _ in range(_TRIES):
            try:
                with self._database.session() as connection:
                    return work(connection)
            except IntegrityError:
                continue  # another writer made the template at the same moment; now there is a row to take turns by
        raise BadDatabase("too many change this template at once", retry_after=1)


def _append(connection: Connection, spec: TemplateSpec, now: datetime) -> Revision:
    _take_turn(connection, spec.name)
    newest = _find(connection, spec.name, None)
    if newest is not None and newest.spec == spec:
        return newest
    number = 1 if newest is None else newest.number + 1
    row = {"display_name": spec.display_name, "newest": number}
    if newest is None:
        connection.execute(insert(TEMPLATES).values(name=spec.name, created=_stored(now), **row))
    else:
        connection.execute(update(TEMPLATES).where(TEMPLATES.c.name == spec.name).values(**row))
    text = json.dumps(spec.wire(), ensure_ascii=False, sort_keys=True)
    connection.execute(insert(REVISIONS).values(name=spec.name, revision=number, created=_stored(now), spec=text))
    return Revision(spec, number, now if newest is None else newest.created, now)


def _append_copy(connection: Connection, name: str, number: int | None, now: datetime) -> Revision | None:
    _take_turn(connection, name)
    newest = _find(connection, name, None)
    if newest is None:
        return None
    wanted = newest.number - 1 if number is None else number
    if wanted == newest.number:
        raise Conflict(f"revision {wanted} of template {name} is the newest already")
    earlier = _find(connection, name, wanted)
    return None if earlier is None else _append(connection, earlier.spec, now)


def _take_turn(connection: Connection, name: str) -> None:
    """Makes other writers of this template wait. SQLite's writers take turns anyway, and it leaves the lock out."""
    connection.execute(select(TEMPLATES.c.name).where(TEMPLATES.c.name == name).with_for_update())


def _find(connection: Connection, name: str, number: int | None) -> Revision | None:
    which = _NEWEST if number is None else REVISIONS.c.revision == number
    row = connection.execute(_revisions().where(REVISIONS.c.name == name, which)).one_or_none()
    return None if row is None else _revision(row)


def _revisions() -> Select[tuple[str, int, datetime, datetime]]:
    return select(*_COLUMNS).join(TEMPLATES, TEMPLATES.c.name == REVISIONS.c.name)


def _revision(row: Row[tuple[str, int, datetime, datetime]]) -> Revision:
    spec = TemplateSpec.model_validate_json(row.spec)
    return Revision(spec, row.revision, _loaded(row.created), _loaded(row.modified))


def _stored(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _loaded(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def _escaped(words: str) -> str:
    for character in (_ESCAPE, "%", "_"):
        words = words.replace(character, _ESCAPE + character)
    return words
