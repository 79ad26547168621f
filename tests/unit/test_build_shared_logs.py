"""Logs of several services on one database: what one writes all can read, and go on with."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from binder_build.logs.archive import LogArchive
from binder_build.logs.followers import follow
from binder_build.logs.log import LogName, Logs
from binder_build.logs.shared import SharedLogs
from binder_protocol.errors import NoDatabase
from binder_protocol.models import BuildStatus, LogLine
from binder_protocol.service.storage import Database
from binder_protocol.service.streams import END
from tests.support.eventually import eventually

NAME = LogName("owner-repo", 1)
LIMIT = 2**20


@pytest.fixture
def database(tmp_path: Path, database_url: str | None) -> Iterator[Database]:
    made = Database(database_url or f"sqlite:///{tmp_path}/state.db", "binder_build.migrations")
    made.migrate()
    LogArchive(made).remove(NAME.build)
    yield made
    made.close()


@pytest.fixture
def archive(database: Database) -> LogArchive:
    return LogArchive(database)


@pytest.fixture
def here(tmp_path: Path, archive: LogArchive) -> SharedLogs:
    return SharedLogs(tmp_path / "here", archive, limit=LIMIT)


@pytest.fixture
def there(tmp_path: Path, archive: LogArchive) -> SharedLogs:
    return SharedLogs(tmp_path / "there", archive, limit=LIMIT)


def texts(logs: Logs) -> list[tuple[int, str | None]]:
    found = [LogLine.model_validate_json(line) for chunk in logs.chunks(NAME) for line in chunk]
    return [(line.id, line.text) for line in found]


def test_others_read_what_was_shipped_and_the_writer_reads_all(here: SharedLogs, there: SharedLogs) -> None:
    writer = here.write(NAME)
    writer.add(text="one")
    here.ship()
    writer.add(text="two")
    assert texts(here) == [(1, "one"), (2, "two")]
    assert texts(there) == [(1, "one")]
    writer.close()
    assert texts(there) == texts(here) == [(1, "one"), (2, "two")]


def test_another_service_goes_on_with_the_ids_and_a_suspended_one_has_no_say(
    here: SharedLogs, there: SharedLogs
) -> None:
    suspended = here.write(NAME)
    suspended.add(text="one")
    here.ship()
    writer = there.write(NAME)
    writer.add(text="two")
    there.ship()
    suspended.add(text="too late")
    here.ship()
    writer.end("completed", "")
    writer.close()
    suspended.close()
    assert texts(here) == texts(there) == [(1, "one"), (2, "two"), (3, "")]


def test_nothing_stays_in_files_and_large_logs_come_back_whole(here: SharedLogs, there: SharedLogs) -> None:
    writer = here.write(NAME)
    for number in range(2_000):
        writer.add(text=f"{number} " + "x" * 300)
    writer.close()
    assert [number for number, _ in texts(there)] == list(range(1, 2_001))
    assert not (here._directory / NAME.build).exists()


def test_only_the_newest_attempts_keep_their_logs(here: SharedLogs) -> None:
    for number in range(1, 6):
        writer = here.write(LogName(NAME.build, number))
        writer.add(text="x")
        writer.close()
    here.keep(NAME.build, 2)
    kept = [number for number in range(1, 6) if here.chunk(LogName(NAME.build, number), 0)[0]]
    assert kept == [4, 5]


def test_a_follower_elsewhere_sees_the_end(here: SharedLogs, there: SharedLogs) -> None:
    async def told() -> list[str | None]:
        seen = []
        async for batch in follow(there, NAME, 0, lambda: None):
            seen += [event.event for event in batch]
            if len(seen) == 1:
                await asyncio.to_thread(finish)
        return seen

    def finish() -> None:
        writer.end(BuildStatus.COMPLETED.value, "")
        writer.close()

    writer = here.write(NAME)
    writer.add(text="one")
    here.ship()
    assert asyncio.run(told()) == ["message", END]


def test_what_the_database_does_not_take_now_it_is_given_later(here: SharedLogs, there: SharedLogs) -> None:
    class Away(LogArchive):
        away = True

        def add(self, name: LogName, writer: int, start: int, data: bytes) -> None:
            if self.away:
                raise NoDatabase
            super().add(name, writer, start, data)

    archive = Away(there._archive._database)
    logs = SharedLogs(here._directory, archive, limit=LIMIT)
    writer = logs.write(NAME)
    writer.add(text="one")
    writer.close()
    assert texts(there) == []
    assert texts(logs) == [(1, "one")]
    archive.away = False
    logs.start()
    eventually(lambda: texts(there) == [(1, "one")])
    logs.stop()
