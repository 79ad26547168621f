"""The library: streams that survive their connections, lists with pages, waiting, failures by type."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from binder_client import Client, streams
from binder_client.streams import Event, events, lines
from binder_protocol import errors
from binder_protocol.models import TemplateSpec
from tests.support import stub as wire
from tests.support.stub import Reply, Stub, event, failing, log_line, stub_server

LOGS = "GET /builds/a/logs"


@pytest.fixture
def server() -> Iterator[Stub]:
    with stub_server() as stub:
        yield stub


@pytest.fixture
def client(server: Stub) -> Iterator[Client]:
    with Client(server.url, "key", timeout=5) as client:
        yield client


def test_a_followed_log_ends_with_its_end(server: Stub, client: Client) -> None:
    end = event(2, log_line(2, kind="end", status="completed"), "end")
    server.on(LOGS, Reply(chunks=[b": hello\n\n", event(1, log_line(1, "one")), end]))
    entries = list(client.build.logs("a", follow=True, attempt=3))
    assert [(entry.id, entry.kind) for entry in entries] == [(1, "line"), (2, "end")]
    assert server.seen[0].query == {"follow": "true", "attempt": "3"}
    assert len(server.seen) == 1


def test_a_lost_connection_is_taken_up_behind_the_last_line(server: Stub, client: Client) -> None:
    server.on(
        LOGS,
        Reply(chunks=[event(1, log_line(1, "one")), event(2, log_line(2, "two")), b"id: 3\ndata: {half"]),
        failing(errors.Unavailable("starting"), Retry_After="0"),
        Reply(chunks=[event(2, log_line(2, "two")), event(3, log_line(3, "three")), b"event: end\ndata: {}\n\n"]),
    )
    assert [entry.text for entry in client.build.logs("a", follow=True)] == ["one", "two", "three"]
    assert [seen.headers.get("last-event-id") for seen in server.seen] == [None, "2", "2"]


def test_a_stream_that_is_silent_too_long_counts_as_lost(
    server: Stub, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("binder_client.calls.QUIET_SECONDS", 0.2)

    def stuck() -> Iterator[bytes]:
        yield event(1, log_line(1, "one"))
        server.stopping.wait(10)

    server.on(LOGS, Reply(chunks=stuck()), Reply(chunks=[event(2, log_line(2, "two")), b"event: end\ndata: {}\n\n"]))
    assert [entry.text for entry in client.build.logs("a", follow=True)] == ["one", "two"]


def test_a_server_that_closes_again_and_again_is_given_up() -> None:
    def closed(last: str | None) -> AbstractContextManager[Iterator[bytes]]:
        raise errors.Refused("nobody there")

    with pytest.raises(errors.Refused, match="nobody there"):
        list(streams.follow(closed, patience=0.3))


def test_an_error_event_is_raised_by_its_type(server: Stub, client: Client) -> None:
    server.on(LOGS, Reply(chunks=[event(1, errors.BadQuery("the database is gone").body(), "error")]))
    with pytest.raises(errors.BadQuery, match="gone"):
        list(client.build.logs("a", follow=True))


def test_an_error_that_time_does_not_mend_ends_the_following(server: Stub, client: Client) -> None:
    server.on(LOGS, Reply(chunks=[event(1, log_line(1, "one"))]), failing(errors.NoBuildInfo("removed")))
    with pytest.raises(errors.NoBuildInfo):
        list(client.build.logs("a", follow=True))


def test_an_unfollowed_log_is_read_line_by_line(server: Stub, client: Client) -> None:
    body = b"".join(json.dumps(log_line(number, "text")).encode() + b"\n" for number in (1, 2))
    server.on(LOGS, Reply(body))
    assert [entry.id for entry in client.build.logs("a")] == [1, 2]


@pytest.mark.parametrize("follow", [True, False])
def test_an_endless_line_is_given_up(server: Stub, client: Client, follow: bool) -> None:
    server.on(LOGS, Reply(chunks=itertools.chain([b"data: "], itertools.repeat(b"x" * 65_536, 100))))
    with pytest.raises(errors.BadResponse, match="a line of more than"):
        list(client.build.logs("a", follow=follow))


def test_an_endless_event_of_short_lines_is_given_up() -> None:
    with pytest.raises(errors.BadResponse):
        list(events(itertools.repeat(b"data: x\n", 10_000), limit=1_000))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
def test_events_are_read_however_the_bytes_arrive(size: int) -> None:
    text = 'data: a\r\ndata: ü\r\n\r\nevent: end\nid: 7\nunknown: x\nretry: 1\ndata:{"b": 1}\n\n: life\n\ndata: lost'
    whole = text.encode()
    chunks = (whole[place : place + size] for place in range(0, len(whole), size))
    assert list(events(chunks)) == [Event("message", "a\nü", None), Event("end", '{"b": 1}', "7"), None]


def test_what_is_not_utf8_is_replaced() -> None:
    assert list(lines(iter([b"a\xff\n"]))) == ["a�"]


def test_a_list_knows_its_length_and_goes_on_to_the_next_pages(server: Stub, client: Client) -> None:
    first = Reply([wire.build("a"), wire.build("b")], headers={"X-Total-Count": "3"})
    server.on("GET /builds", first, Reply([wire.build("c")], headers={"X-Total-Count": "3"}))
    page = client.build.status_all(search="x", limit=2)
    assert (len(page), page.total) == (2, 3)
    assert [each.name for each in page.all()] == ["a", "b", "c"]
    assert [seen.query.get("offset") for seen in server.seen] == [None, "2"]
    assert {seen.query["search"] for seen in server.seen} == {"x"}


def test_a_server_that_promises_more_than_it_has_ends_the_list(server: Stub, client: Client) -> None:
    server.on("GET /templates", Reply([wire.template()], headers={"X-Total-Count": "9"}), Reply([]))
    assert len(list(client.registry.fetch_all().all())) == 1


def test_waiting_returns_the_completed_build(server: Stub, client: Client) -> None:
    running = wire.build("a", status="running", phase="building")
    server.on("GET /builds/a", running, running, wire.build("a"))
    assert client.build.wait("a").status == "completed"


def test_waiting_raises_what_the_build_failed_of(server: Stub, client: Client) -> None:
    failure = {"type": "out-of-memory", "message": "killed", "step": "RUN make", "log": ["last"], "suggestions": ["s"]}
    server.on("GET /builds/a", wire.build("a", status="failed", error="killed", failure=failure))
    with pytest.raises(errors.OutOfMemory, match="killed") as caught:
        client.build.wait("a")
    assert caught.value.suggestions == ("s",)
    assert caught.value.details == {"step": "RUN make", "log": ["last"]}


def test_an_unknown_failure_of_a_build_is_still_a_failed_build(server: Stub, client: Client) -> None:
    failure = {"type": "of-tomorrow", "message": "new"}
    server.on("GET /builds/a", wire.build("a", status="failed", failure=failure))
    with pytest.raises(errors.BuildFailed, match="new"):
        client.build.wait("a")


def test_waiting_for_a_cancelled_build_says_so(server: Stub, client: Client) -> None:
    server.on("GET /builds/a", wire.build("a", status="cancelled"))
    with pytest.raises(errors.BuildCancelled):
        client.build.wait("a")


def test_waiting_has_an_end(server: Stub, client: Client) -> None:
    server.on("GET /builds/a", wire.build("a", status="running"))
    with pytest.raises(errors.TimedOut, match="it goes on"):
        client.build.wait("a", timeout=0.2)


def test_waiting_for_an_application_returns_its_location_or_its_failure(server: Stub, client: Client) -> None:
    path = "GET /applications/owner-repo/k3v9"
    server.on(path, wire.application(status="pending", location=None), wire.application())
    assert client.deploy.wait("owner-repo", "k3v9").location
    failure = {"type": "out-of-memory", "message": "over 64 MiB"}
    server.on(path, wire.application(status="failed", failure=failure))
    with pytest.raises(errors.ApplicationOutOfMemory):
        client.deploy.wait("owner-repo", "k3v9")
    server.on(path, wire.application(status="deleted", reason="idle"))
    with pytest.raises(errors.Conflict, match="idle"):
        client.deploy.wait("owner-repo", "k3v9")


def test_requests_go_in_kebab_case(server: Stub, client: Client) -> None:
    server.on("PUT /templates", wire.template())
    server.on("POST /applications", wire.application())
    client.registry.register(TemplateSpec(name="owner-repo", image="busybox", cull_timeout=1000))
    client.deploy.deploy("owner-repo", cull_timeout=60_000, environment={"A": "b"})
    assert server.seen[0].body["cull-timeout"] == 1000
    assert server.seen[1].body["template-name"] == "owner-repo"
    assert server.seen[1].body["environment"] == {"A": "b"}


def test_fields_of_a_newer_server_are_ignored(server: Stub, client: Client) -> None:
    server.on("GET /builds/a", wire.build("a", of_tomorrow=[1]))
    assert client.build.status("a").name == "a"


def test_the_documented_example_runs(server: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).parents[2] / "docs/client.md").read_text()
    example = text.partition("```python\n")[2].partition("```")[0].replace("https://binder.example.org", server.url)
    server.on("POST /builds", wire.build(status="queued", phase="queued"))
    server.on("GET /builds/owner-repo/logs", Reply(chunks=[event(1, log_line(1, "hi")), b"event: end\ndata: {}\n\n"]))
    server.on("GET /builds/owner-repo", wire.build())
    server.on("POST /applications", wire.application(status="pending", location=None))
    server.on("GET /applications/owner-repo/k3v9", wire.application())
    exec(compile(example, "docs/client.md", "exec"), {"key": "key"})
    assert capsys.readouterr().out.splitlines() == ["hi", wire.application()["location"]]
