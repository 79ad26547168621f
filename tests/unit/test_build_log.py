"""Build logs: ids without a gap, replay, many followers, bounds, and what isn't text."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import pytest

from binder_build.logs import tail as tail_module
from binder_build.logs.followers import follow
from binder_build.logs.log import LogName, Logs, as_text
from binder_protocol.models import BuildPhase, BuildStatus, LogLine
from binder_protocol.service.streams import END, Event

NAME = LogName("owner-repo", 1)
LIMIT = 2**20


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    return Logs(tmp_path, limit=LIMIT)


def lines(logs: Logs) -> list[LogLine]:
    return [LogLine.model_validate_json(line) for chunk in logs.chunks(NAME) for line in chunk]


def running() -> BuildStatus | None:
    return None


async def followed(logs: Logs, after: int = 0) -> list[Event]:
    return [event async for batch in follow(logs, NAME, after, running) for event in batch]


def test_ids_go_on_without_a_gap_after_a_death_in_the_middle_of_a_line(logs: Logs, tmp_path: Path) -> None:
    writer = logs.write(NAME)
    for number in range(3):
        writer.add(text=f"line {number}")
    writer.close()
    with (tmp_path / "owner-repo" / "1.jsonl").open("ab") as file:
        file.write(b'{"id":4,"time":"2026-')
    writer = Logs(tmp_path, limit=LIMIT).write(NAME)
    writer.add(text="after")
    writer.close()
    assert [(line.id, line.text) for line in lines(logs)] == [
        (1, "line 0"), (2, "line 1"), (3, "line 2"), (4, "after"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("\x1b]0;title\x07plain", "\ufffd]0;title\ufffdplain"),
        ('one\r\ndata: {"id":1}', 'one\ufffd\ufffddata: {"id":1}'),
        ("\ud800 lone", "\ufffd lone"),
        ("\u202egnp.exe", "\ufffdgnp.exe"),
        ("https://user:secret@host/x", "https://[hidden]@host/x"),
        ("x" * 5_000, "x" * 4_000 + "…"),
    ],
)
def test_what_a_reader_would_obey_is_shown_not_obeyed(logs: Logs, given: str, kept: str) -> None:
    writer = logs.write(NAME)
    writer.add(text=given)
    writer.close()
    assert [line.text for line in lines(logs)] == [kept]


def test_output_beyond_the_limit_is_dropped_and_the_log_says_so_and_still_ends(tmp_path: Path) -> None:
    logs = Logs(tmp_path, limit=100_000)
    writer = logs.write(NAME)
    for _ in range(2_000):
        writer.add(text="x" * 100)
    writer.add(kind="phase", phase=BuildPhase.REGISTERING)
    writer.end("completed", "")
    writer.close()
    kept = lines(logs)
    assert [line.id for line in kept] == list(range(1, len(kept) + 1))
    assert [line.kind for line in kept[-3:]] == ["note", "phase", "end"]
    assert "limit" in kept[-3].text
    assert (tmp_path / "owner-repo" / "1.jsonl").stat().st_size < 100_000


def test_only_the_logs_of_the_newest_attempts_are_kept(tmp_path: Path) -> None:
    logs = Logs(tmp_path, limit=LIMIT)
    for number in range(1, 13):
        logs.write(LogName("owner-repo", number)).close()
    logs.keep("owner-repo", 3)
    assert sorted(path.name for path in (tmp_path / "owner-repo").iterdir()) == ["10.jsonl", "11.jsonl", "12.jsonl"]


@pytest.mark.parametrize("after", [0, 1, 5, 10])
def test_a_follower_gets_what_was_and_what_comes_to_the_end(logs: Logs, after: int) -> None:
    async def run() -> list[Event]:
        writer = logs.write(NAME)
        for number in range(1, 6):
            writer.add(text=f"early {number}")
        task = asyncio.create_task(followed(logs, after))
        await asyncio.sleep(0.05)

        def write() -> None:
            for number in range(6, 11):
                writer.add(text=f"late {number}")
            writer.end("completed", "")
            writer.close()

        threading.Thread(target=write).start()
        return await asyncio.wait_for(task, 5)

    events = asyncio.run(run())
    assert [int(event.id or 0) for event in events] == list(range(after + 1, 12))
    assert [event.event for event in events] == ["message"] * (len(events) - 1) + [END]
    assert json.loads(events[-1].data)["status"] == "completed"


def test_a_follower_that_falls_behind_memory_goes_on_from_the_file(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail_module, "_MOST_EVENTS", 5)

    async def run() -> list[Event]:
        writer = logs.write(NAME)
        writer.add(text="first")
        stream = follow(logs, NAME, 0, running)
        events = [*await anext(stream)]
        for number in range(100):
            writer.add(text=f"line {number}")
        writer.end("failed", "")
        writer.close()
        async for batch in stream:
            events += batch
        return events

    events = asyncio.run(run())
    assert [int(event.id or 0) for event in events] == list(range(1, 103))


def test_a_log_whose_service_died_ends_for_its_followers_too(logs: Logs) -> None:
    logs.write(NAME).add(text="cut")

    async def run() -> list[Event]:
        stream = follow(logs, NAME, 0, lambda: BuildStatus.FAILED)
        return [event async for batch in stream for event in batch]

    events = asyncio.run(asyncio.wait_for(run(), 10))
    assert [event.event for event in events] == ["message", END]
    assert json.loads(events[-1].data) == {**json.loads(events[-1].data), "id": 2, "kind": "end", "status": "failed"}


def test_followers_share_events_and_their_bytes(logs: Logs) -> None:
    async def run() -> list[list[Event]]:
        tasks = [asyncio.create_task(followed(logs)) for _ in range(20)]
        await asyncio.sleep(0.2)
        writer = logs.write(NAME)
        writer.add(text="shared")
        writer.end("completed", "")
        writer.close()
        return await asyncio.wait_for(asyncio.gather(*tasks), 5)

    everybody = asyncio.run(run())
    assert all(events[0].encoded is everybody[0][0].encoded for events in everybody)


def test_a_log_reads_well_as_text() -> None:
    moment = "2026-01-01T00:00:00Z"
    kinds = [
        {"kind": "phase", "phase": "building"},
        {"kind": "step", "step": "install", "status": "done", "seconds": 1.25},
        {"kind": "line", "text": "Collecting numpy"},
        {"kind": "end", "status": "completed"},
    ]
    texts = [as_text(LogLine.model_validate({"id": 1, "time": moment, **kind})) for kind in kinds]
    assert texts == ["== building", "-- install: done (1.2 s)", "Collecting numpy", "== completed"]
