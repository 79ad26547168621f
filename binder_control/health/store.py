"""Results of checks in the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Column, DateTime, Float, Integer, MetaData, Row, String, Table, Text, delete, insert, select

from binder_protocol.models import Health, HealthStatus
from binder_protocol.service.storage import Database

METADATA = MetaData()

RESULTS = Table(
    "health_results",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String(32), nullable=False),
    Column("status", String(16), nullable=False),
    Column("timestamp", DateTime, nullable=False),
    Column("seconds", Float),
    Column("message", Text),
)

_LONGEST_MESSAGE = 2_000


class ResultStore:
    """Keeps results for `retention`."""

    def __init__(self, database: Database, retention: timedelta) -> None:
        self._database = database
        self._retention = retention

    def add(self, result: Health) -> None:
        """Adds a result, and forgets those that are too old. Raises BadDatabase."""
        with self._database.session() as connection:
            connection.execute(
                insert(RESULTS).values(
                    name=result.name,
                    status=result.status.value,
                    timestamp=_naive(result.timestamp),
                    seconds=result.seconds,
                    message=None if result.message is None else result.message[:_LONGEST_MESSAGE],
                )
            )
            oldest = _naive(datetime.now(UTC) - self._retention)
            connection.execute(delete(RESULTS).where(RESULTS.c.timestamp < oldest))

    def newest(self, name: str, count: int) -> list[Health]:
        """The newest `count` results of one check, newest first. Raises BadQuery."""
        query = select(RESULTS).where(RESULTS.c.name == name).order_by(RESULTS.c.id.desc()).limit(count)
        with self._database.reading() as connection:
            return [_result(row) for row in connection.execute(query)]


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _result(row: Row[tuple[object, ...]]) -> Health:
    return Health(
        name=row.name,
        status=HealthStatus(row.status),
        timestamp=row.timestamp.replace(tzinfo=UTC),
        seconds=row.seconds,
        message=row.message,
    )
