"""What is kept of a build besides its row, and outlives its image: its lock, its bill of materials."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import Column, Integer, MetaData, String, Table, Text, insert, select

from binder_build.records import Attempt
from binder_protocol.service.storage import Database

_TABLE = Table(
    "build_documents",
    MetaData(),
    Column("attempt", Integer, primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("text", Text, nullable=False),
)


class Document(StrEnum):
    """`LOCK`: a requirement a line. `SBOM`: CycloneDX JSON."""

    LOCK = "lock"
    SBOM = "sbom"


class Documents:
    """Not in the attempt's row: rows are read by the hundred, and a bill of materials takes as much as all of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, attempt: Attempt, kind: Document, text: str) -> None:
        """Keeps it; one that an earlier try of this attempt made gives way."""
        mine = (_TABLE.c.attempt == attempt.id) & (_TABLE.c.kind == kind.value)
        with self._database.session() as connection:
            connection.execute(_TABLE.delete().where(mine))
            connection.execute(insert(_TABLE).values(attempt=attempt.id, kind=kind.value, text=text))

    def find(self, attempt: Attempt, kind: Document) -> str | None:
        """The document, where the attempt has one."""
        mine = (_TABLE.c.attempt == attempt.id) & (_TABLE.c.kind == kind.value)
        with self._database.reading() as connection:
            found: str | None = connection.execute(select(_TABLE.c.text).where(mine)).scalar_one_or_none()
            return found

    def inherit(self, attempt: Attempt, earlier: Attempt) -> None:
        """Keeps those of `earlier`, whose image the attempt takes."""
        for kind in Document:
            text = self.find(earlier, kind)
            if text is not None:
                self.keep(attempt, kind, text)
