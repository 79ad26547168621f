"""Environments in the database: which have an image, when each was used last, which can't be made of wheels alone."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import Boolean, Column, Float, MetaData, String, Table, Text, insert, select, update

from binder_protocol.service.storage import Database

_TABLE = Table(
    "build_environments",
    MetaData(),
    Column("key", String(64), primary_key=True),
    Column("reference", Text),
    Column("used", Float, nullable=False),
    Column("sources", Boolean, nullable=False),
)


@dataclass(frozen=True, slots=True)
class EnvironmentImage:
    """An environment's image: its name on the engine, and when a build used it last, in seconds since 1970."""

    key: str
    reference: str
    used: float


class EnvironmentStore:
    """Keeps a row for each environment; one transaction for each method."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def needs_sources(self, key: str) -> bool:
        """Whether an earlier build found that a package of this environment has no wheel."""
        with self._database.reading() as connection:
            found = connection.execute(select(_TABLE.c.sources).where(_TABLE.c.key == key)).scalar_one_or_none()
            return bool(found)

    def note_sources(self, key: str) -> None:
        """A package of this environment has no wheel."""
        self._put(key, sources=True)

    def use(self, key: str, reference: str) -> None:
        """The environment has an image of this name, and a build uses it now."""
        self._put(key, reference=reference)

    def images(self) -> list[EnvironmentImage]:
        """Those with an image, the least recently used first."""
        with self._database.reading() as connection:
            query = select(_TABLE).where(_TABLE.c.reference.is_not(None)).order_by(_TABLE.c.used)
            return [EnvironmentImage(row.key, row.reference, row.used) for row in connection.execute(query)]

    def forget_image(self, key: str) -> None:
        """Its image is gone."""
        with self._database.session() as connection:
            connection.execute(update(_TABLE).where(_TABLE.c.key == key).values(reference=None))

    def _put(self, key: str, **facts: object) -> None:
        with self._database.session() as connection:
            self._database.take_turn(connection, key)
            known = connection.execute(select(_TABLE.c.key).where(_TABLE.c.key == key)).first()
            values = {"used": time.time(), **facts}
            if known is not None:
                connection.execute(update(_TABLE).where(_TABLE.c.key == key).values(**values))
            else:
                connection.execute(insert(_TABLE).values(**{"key": key, "sources": False, **values}))
