"""Server-sent events, told by the response itself to a caller that is a pair of functions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from binder_protocol.errors import NoRecord
from binder_protocol.service.streams import Event, last_event_id, sse


class Follower:
    """The server's side of one connection; `leave` is what a closed browser tab does."""

    def __init__(self) -> None:
        self.body = b""
        self.complete = False
        self.gone = asyncio.Event()

    def leave(self) -> None:
        self.gone.set()

    async def receive(self) -> dict[str, object]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, object]) -> None:
        if message["type"] == "http.response.body":
            self.body += bytes(message["body"])  # type: ignore[call-overload]
            self.complete = not message.get("more_body", False)

    async def follow(self, events: AsyncIterator[Event | list[Event]], heartbeat: float = 15) -> str:
        scope = {"type": "http"}
        await asyncio.wait_for(sse(events, heartbeat)(scope, self.receive, self.send), 10)  # type: ignore[arg-type]
        return self.body.decode()


async def numbered(count: int) -> AsyncIterator[Event]:
    for number in range(1, count + 1):
        yield Event(str(number), "line", f"text {number}")


def test_events_carry_name_id_and_data_and_an_end_follows() -> None:
    async def main() -> None:
        text = await Follower().follow(numbered(2))
        assert text == (
            "event: line\nid: 1\ndata: text 1\n\nevent: line\nid: 2\ndata: text 2\n\nevent: end\ndata: {}\n\n"
        )

    asyncio.run(main())


def test_an_end_of_the_source_is_the_only_one() -> None:
    async def source() -> AsyncIterator[list[Event]]:
        yield [Event("1", "line", "a"), Event("2", "end", '{"status":"completed"}')]

    async def main() -> None:
        follower = Follower()
        text = await follower.follow(source())
        assert text.count("event: end") == 1
        assert text.endswith('event: end\nid: 2\ndata: {"status":"completed"}\n\n')
        assert follower.complete

    asyncio.run(main())


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        ("a\nb", ["data: a", "data: b"]),
        ("a\r\nb\rc", ["data: a", "data: b", "data: c"]),
        ("x\n\nevent: end\n\n", ["data: x", "data: ", "data: event: end", "data: ", "data: "]),
    ],
)
def test_data_cannot_imitate_an_event(data: str, lines: list[str]) -> None:
    assert Event(None, "line", data).encoded.decode().split("\n") == ["event: line", *lines, "", ""]


def test_an_id_cannot_hold_a_line_end() -> None:
    assert Event("1\ndata: x", "li\r\nne", "").encoded == b"event: line\nid: 1data: x\ndata: \n\n"


def test_an_error_of_ours_is_told_and_then_the_end() -> None:
    async def source() -> AsyncIterator[Event]:
        yield Event("1", "line", "a")
        raise NoRecord("it is gone")

    async def main() -> None:
        text = await Follower().follow(source())
        assert 'event: error\ndata: {"type": "noRecord"' in text
        assert text.endswith("event: end\ndata: {}\n\n")

    asyncio.run(main())


def test_another_failure_of_the_source_looks_like_a_lost_connection() -> None:
    async def source() -> AsyncIterator[Event]:
        yield Event("1", "line", "a")
        raise ZeroDivisionError("on purpose")

    async def main() -> None:
        follower = Follower()
        with capture_logs() as records:
            text = await follower.follow(source())
        assert "event: end" not in text
        assert not follower.complete
        assert records[0]["event"] == "a stream's source failed"

    asyncio.run(main())


def test_silence_is_filled_with_heartbeats() -> None:
    async def source() -> AsyncIterator[Event]:
        await asyncio.sleep(0.2)
        yield Event("1", "line", "a")

    async def main() -> None:
        text = await Follower().follow(source(), heartbeat=0.03)
        assert text.startswith(": \n\n: \n\n")

    asyncio.run(main())


def test_a_follower_who_leaves_ends_the_source() -> None:
    async def main() -> None:
        cleaned_up = asyncio.Event()

        async def source() -> AsyncIterator[Event]:
            try:
                yield Event("1", "line", "a")
                await asyncio.sleep(3600)
            finally:
                cleaned_up.set()

        follower = Follower()
        following = asyncio.ensure_future(follower.follow(source()))
        while not follower.body:
            await asyncio.sleep(0)
        follower.leave()
        await asyncio.wait_for(following, 5)
        assert cleaned_up.is_set()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("given", "expected"), [("7", 7), ("", 0), ("-1", 0), ("x", 0), ("²", 0), ("9" * 400, 0), (None, 0)]
)
def test_the_last_event_id_is_a_number_or_nothing(given: str | None, expected: int) -> None:
    assert last_event_id({} if given is None else {"last-event-id": given}) == expected
