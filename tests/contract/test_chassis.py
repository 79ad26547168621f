"""What every service does with a request before and after its handler: keys, limits, errors, ids, readiness."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from structlog.testing import capture_logs

from binder_protocol.errors import AtCapacity, error_classes, error_from
from binder_protocol.models import Application, Capacity, LaunchRequest
from binder_protocol.service.answers import Answer, Page
from binder_protocol.service.health import Check
from binder_protocol.service.streams import Event, sse
from tests.support.eventually import eventually
from tests.support.raw_http import Reply, exchange
from tests.support.server import running
from tests.support.stub_service import stub_app

KEY = "sesame"
JSON = ("Content-Type", "application/json")
GOOD = ("Authorization", KEY)

ERRORS = {f"{cls.type}-{cls.__name__}": cls for cls in error_classes()}


def application(**given: Any) -> Application:
    fields = {"id": "1", "template_name": "plot", "status": "pending", "start_time": "2026-11-23T10:00:00Z"}
    return Application.model_validate(fields | given)


def deploy(request: LaunchRequest, http: Request) -> Answer:
    location = "dialect-2016" if http.state.dialect_2016 else "today"
    return Answer(application(template_name=request.template_name), status=202, headers={"Location": location})


def status(template: str, id: str) -> Application:  # noqa: A002
    """Raises the error that `id` names."""
    if id in ERRORS:
        raise ERRORS[id]("words from the service", suggestions=["do this"], retry_after=7, details={"at": template})
    if id == "boom":
        raise ZeroDivisionError("/etc/secret-path")
    return application(id=id)


def status_all(template: str, status: str = "", limit: int = 2, offset: int = 0) -> Page:
    everything = [application(id=str(number)) for number in range(5)]
    return Page(everything[offset : offset + limit], len(everything), offset, limit)


def capacity() -> Capacity:
    return Capacity(running=1, capacity=2, available=1)


async def events(template: str, id: str, follow: bool = False, format: str = "") -> Response:  # noqa: A002
    """One event, then silence, for as long as the follower stays."""

    async def source() -> AsyncIterator[Event]:
        yield Event("1", "state", application(id=id).model_dump_json(by_alias=True))
        await asyncio.sleep(3600)

    return sse(source())


HANDLERS: dict[str, Callable[..., Any]] = {
    "deploy": deploy,
    "status": status,
    "status-all": status_all,
    "capacity": capacity,
    "events": events,
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    app = stub_app(tmp_path_factory.mktemp("home"), HANDLERS, key=KEY, max_request_bytes=10_000)
    with running(app) as address:
        yield address


def launch(url: str, body: bytes, *headers: tuple[str, str], **more: Any) -> Reply:
    return exchange(url, "POST", "/applications", headers=headers or (GOOD, JSON), body=body, **more)


# keys


@pytest.mark.parametrize("value", [KEY, f"Bearer {KEY}", f"token {KEY}", f"BEARER {KEY}", f"bearer  {KEY} "])
def test_the_key_is_taken_raw_and_behind_a_scheme_word(url: str, value: str) -> None:
    assert exchange(url, "GET", "/capacity", headers=[("Authorization", value)]).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", "")],
        [("Authorization", "wrong")],
        [("Authorization", "Bearer")],
        [("Authorization", f"Basic {KEY}")],
        [("Authorization", f"Bearer {KEY}x")],
        [("Authorization", KEY[:-1])],
        [("Authorization", KEY.upper())],
        [("Authorization", "\xff\xfe")],
        [("Authorization", f"Bearer Bearer {KEY}")],
        [("Authorization", KEY), ("Authorization", KEY)],
        [("Authorization", "wrong"), ("Authorization", KEY)],
    ],
)
def test_without_the_key_nothing_is_told(url: str, headers: list[tuple[str, str]]) -> None:
    reply = exchange(url, "GET", "/capacity", headers=headers)
    assert (reply.status, reply.json()["type"]) == (403, "unauthorized")
    assert reply.json()["suggestions"]


def test_a_key_of_a_megabyte_is_refused_cheaply(url: str) -> None:
    began = time.monotonic()
    reply = exchange(url, "GET", "/capacity", headers=[("Authorization", "x" * 1_000_000)])
    assert 400 <= reply.status < 500
    assert time.monotonic() - began < 2


def test_the_key_is_asked_for_before_the_body_is_read(url: str) -> None:
    assert launch(url, b"{not json", JSON).status == 403


@pytest.mark.parametrize(
    ("public_launch", "operation", "expected"),
    [
        (False, "POST /applications", 403),
        (True, "POST /applications", 202),
        (False, "GET /applications/plot/7", 200),
        (True, "GET /capacity", 403),
    ],
)
def test_who_may_call_is_what_the_table_says(
    tmp_path: Path, public_launch: bool, operation: str, expected: int
) -> None:
    method, target = operation.split()
    body = b'{"template-name": "plot"}' if method == "POST" else b""
    with running(stub_app(tmp_path, HANDLERS, public_launch=public_launch)) as url:
        assert exchange(url, method, target, headers=[JSON], body=body).status == expected


def test_without_a_key_everybody_on_this_machine_may_call(tmp_path: Path) -> None:
    with running(stub_app(tmp_path, HANDLERS, key=None)) as url:
        assert exchange(url, "GET", "/capacity").status == 200


@pytest.mark.parametrize(
    ("value", "expected"), [(KEY, "dialect-2016"), (f"Bearer {KEY}", "today"), (f"token {KEY}", "today")]
)
def test_a_raw_key_marks_the_dialect_of_2016(url: str, value: str, expected: str) -> None:
    reply = launch(url, b'{"template-name": "plot"}', ("Authorization", value), JSON)
    assert reply.headers["location"] == expected


# errors


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_every_error_survives_the_way_to_the_client(url: str, name: str) -> None:
    reply = exchange(url, "GET", f"/applications/plot/{name}")
    error = error_from(reply.json(), reply.status)
    raised = ERRORS[name]
    assert reply.status == raised.status
    assert (error.type, error.message, error.suggestions) == (raised.type, "words from the service", ("do this",))
    assert error.details == {"at": "plot"}
    assert reply.headers["retry-after"] == "7"


def test_an_unforeseen_failure_tells_the_request_id_and_nothing_else(url: str) -> None:
    with capture_logs() as records:
        reply = exchange(url, "GET", "/applications/plot/boom", headers=[("X-Request-ID", "find-me")])
    assert (reply.status, reply.json()["type"]) == (500, "unknownFailure")
    assert reply.json()["details"] == {"request-id": "find-me"}
    assert b"secret" not in reply.body
    assert b"Zero" not in reply.body
    logged = [record for record in records if record["event"] == "a request failed"]
    assert len(logged) == 1
    assert logged[0]["exc_info"]


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/nothing", (404, "not-found")),
        ("GET", "/", (404, "not-found")),
        ("GET", "/docs", (404, "not-found")),
        ("GET", "/applications/%2e%2e/etc/passwd", (404, "not-found")),
        ("PATCH", "/applications", (405, "method-not-allowed")),
        ("OPTIONS", "/applications", (405, "method-not-allowed")),
        ("POST", "/healthz", (405, "method-not-allowed")),
    ],
)
def test_what_the_router_refuses_looks_like_every_error(
    url: str, method: str, target: str, expected: tuple[int, str]
) -> None:
    reply = exchange(url, method, target, headers=[GOOD])
    assert (reply.status, reply.json()["type"]) == expected


def test_a_wrong_method_is_told_the_right_ones(url: str) -> None:
    assert exchange(url, "PATCH", "/applications", headers=[GOOD]).headers["allow"] == "GET, POST"


def test_nobody_else_s_page_may_read_the_answers(url: str) -> None:
    reply = exchange(url, "GET", "/capacity", headers=[GOOD, ("Origin", "https://evil.example")])
    assert not [name for name in reply.headers if name.startswith("access-control")]


# bodies


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", ""),
        (b"{", "not JSON"),
        (b"[]", ""),
        (b'"text"', ""),
        (b"null", ""),
        (b"{}", "template-name"),
        (b'{"template-name": 7}', "template-name"),
        (b'{"template-name": "plot", "extra": 1}', "extra"),
        (b'{"template-name": "plot", "template-name": "plot"}', "given twice"),
        (b'{"template-name": "plot", "templateName": "plot"}', "given twice"),
        (b'{"template-name": "plot", "cull-timeout": NaN}', "NaN"),
        (b'{"template-name": "plot", "cull-timeout": -Infinity}', "Infinity"),
        (b'{"template-name": "plot", "cull-timeout": 1e999}', "cull-timeout"),
        (b'{"template-name": "plot", "cull-timeout": ' + b"9" * 5_000 + b"}", ""),
        (b'{"template-name": "\xff"}', "not UTF-8"),
        (b'{"template-name": "\\ud800"}', ""),
        (b"[" * 40 + b"]" * 40, "nested"),
        (b"[" * 4_900 + b"]" * 4_900, "nested"),
        (b'{"a":' * 1_500 + b"1" + b"}" * 1_500, "nested"),
    ],
)
def test_a_bad_body_is_refused_and_the_fault_named(url: str, body: bytes, words: str) -> None:
    reply = launch(url, body)
    assert (reply.status, reply.json()["type"]) == (422, "malformedRequest")
    assert words in reply.json()["error"]


def test_a_validation_error_does_not_repeat_what_was_sent(url: str) -> None:
    reply = launch(url, b'{"template-name": "plot", "environment": {"A-B": "hunter2"}, "cull-timeout": "hunter2"}')
    assert reply.status == 422
    assert b"hunter2" not in reply.body


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_body_of_another_type_is_refused(url: str, kind: str) -> None:
    reply = launch(url, b'{"template-name": "plot"}', GOOD, *([("Content-Type", kind)] if kind else []))
    assert (reply.status, reply.json()["type"]) == (422, "malformedRequest")
    assert "application/json" in reply.json()["error"]


def test_a_charset_may_stand_behind_the_type(url: str) -> None:
    kind = ("Content-Type", "application/json; charset=utf-8")
    assert launch(url, b'{"template-name": "plot"}', GOOD, kind).status == 202


def test_a_body_over_the_limit_is_refused(url: str) -> None:
    reply = launch(url, b" " * 10_001)
    assert (reply.status, reply.json()["type"]) == (413, "request-too-large")


def test_a_body_over_the_limit_is_refused_when_no_length_is_given(url: str) -> None:
    reply = launch(url, b"", chunks=[b" " * 5_000] * 20)
    assert (reply.status, reply.json()["type"]) == (413, "request-too-large")


def test_a_body_in_pieces_is_taken(url: str) -> None:
    assert launch(url, b"", chunks=[b'{"template-', b'name": "plot"}']).status == 202


# addresses and headers


@pytest.mark.parametrize("target", ["/applications/plot/7", "/applications/plot/7/"])
def test_a_trailing_slash_makes_no_difference(url: str, target: str) -> None:
    assert exchange(url, "GET", target).json()["id"] == "7"


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("/applications/plot?limti=2", "limti"),
        ("/applications/plot?limit=1&limit=2", "twice"),
        ("/applications/plot?limit=many", "limit"),
        ("/applications/plot?" + "&".join(f"a{n}=1" for n in range(100)), "query"),
        ("/applications/plot?limit=%ff", "query"),
    ],
)
def test_a_bad_query_is_refused_and_the_fault_named(url: str, target: str, words: str) -> None:
    reply = exchange(url, "GET", target, headers=[GOOD])
    assert (reply.status, reply.json()["type"]) == (422, "malformedRequest")
    assert words in reply.json()["error"]


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/capacity?" + "a" * 9_000, [GOOD]),
        ("/" + "a" * 5_000, [GOOD]),
        ("/capacity", [GOOD, *((f"X-{number}", "1") for number in range(120))]),
        ("/capacity", [GOOD, ("X-Long", "a" * 40_000)]),
    ],
)
def test_addresses_and_headers_have_limits(url: str, target: str, headers: list[tuple[str, str]]) -> None:
    reply = exchange(url, "GET", target, headers=headers)
    assert (reply.status, reply.json()["type"]) == (413, "request-too-large")


def test_a_list_says_how_long_it_is_and_where_it_goes_on(url: str) -> None:
    first = exchange(url, "GET", "/applications/plot?status=deployed", headers=[GOOD])
    assert [each["id"] for each in first.json()] == ["0", "1"]
    assert first.headers["x-total-count"] == "5"
    assert first.headers["link"] == '</applications/plot?status=deployed&limit=2&offset=2>; rel="next"'
    last = exchange(url, "GET", "/applications/plot?offset=4", headers=[GOOD])
    assert [each["id"] for each in last.json()] == ["4"]
    assert "link" not in last.headers


def test_fields_without_a_value_are_absent(url: str) -> None:
    reply = exchange(url, "GET", "/applications/plot/7")
    assert set(reply.json()) == {"id", "template-name", "status", "start-time", "timings"}
    assert reply.json()["start-time"] == "2026-11-23T10:00:00.000Z"


# request ids


def test_a_request_id_comes_back(url: str) -> None:
    reply = exchange(url, "GET", "/healthz", headers=[("X-Request-ID", "my.request_7-a")])
    assert reply.headers["x-request-id"] == "my.request_7-a"


@pytest.mark.parametrize("given", [None, "", "x" * 65, "two words", 'quote"', "semi;colon", "\xe9"])
def test_a_request_without_a_usable_id_gets_one(url: str, given: str | None) -> None:
    reply = exchange(url, "GET", "/healthz", headers=[] if given is None else [("X-Request-ID", given)])
    assert len(reply.headers["x-request-id"]) == 16
    assert reply.headers["x-request-id"] != given


def test_a_request_id_stands_in_errors_too(url: str) -> None:
    assert exchange(url, "GET", "/nothing", headers=[("X-Request-ID", "mine")]).headers["x-request-id"] == "mine"


# the common pages


def test_a_ready_service_names_its_checks(tmp_path: Path) -> None:
    with running(stub_app(tmp_path, {}, checks=[Check("disk", lambda: None)])) as url:
        reply = exchange(url, "GET", "/readyz")
    assert (reply.status, reply.json()) == (200, {"ok": ["disk"], "failing": {}})


def test_failing_checks_are_named_with_their_reasons_and_hanging_ones_wait_for_nobody(tmp_path: Path) -> None:
    gate = threading.Event()
    started: list[int] = []

    def hang() -> None:
        started.append(1)
        gate.wait(30)

    def refuse() -> None:
        raise AtCapacity("the house is full")

    def crash() -> None:
        raise ZeroDivisionError("/etc/secret-path")

    checks = [Check("a", lambda: None), Check("b", refuse), Check("c", crash), Check("d", hang, deadline=0.2)]
    with running(stub_app(tmp_path, {}, checks=checks)) as url, capture_logs():
        began = time.monotonic()
        with ThreadPoolExecutor(5) as pool:
            replies = list(pool.map(lambda _: exchange(url, "GET", "/readyz"), range(5)))
        took = time.monotonic() - began
        gate.set()
    assert took < 2
    assert {reply.status for reply in replies} == {503}
    assert replies[0].json() == {
        "ok": ["a"],
        "failing": {"b": "the house is full", "c": "ZeroDivisionError", "d": "no answer within 0.2 s"},
    }
    assert len(started) == 1


def test_healthz_metrics_and_version_ask_for_no_key(url: str) -> None:
    assert exchange(url, "GET", "/healthz").json() == {"status": "ok"}
    assert exchange(url, "GET", "/version").json()["service"] == "deploy"
    exchange(url, "GET", "/applications/plot/7")
    page = exchange(url, "GET", "/metrics").body.decode()
    assert 'binder_requests_total{operation="deploy.status",status="200"}' in page
    assert 'binder_request_seconds_bucket{le="0.1",operation="deploy.status"}' in page


def test_every_operation_has_its_place_in_the_description(url: str) -> None:
    described = json.loads(exchange(url, "GET", "/openapi.json").body)
    assert set(described["paths"]["/applications"]) == {"get", "post"}
    assert described["paths"]["/applications/{template}/{id}"]["delete"]["operationId"] == "deploy-stop"


# stopping


def test_a_request_that_runs_is_answered_before_the_service_stops(tmp_path: Path) -> None:
    entered, gate = threading.Event(), threading.Event()

    def slow() -> Capacity:
        entered.set()
        gate.wait(10)
        return capacity()

    with ThreadPoolExecutor(1) as pool:
        with running(stub_app(tmp_path, {"capacity": slow})) as url:
            pending = pool.submit(exchange, url, "GET", "/capacity", headers=[GOOD])
            assert entered.wait(5)
            threading.Timer(0.2, gate.set).start()
        assert pending.result(10).status == 200


def test_followers_do_not_hold_up_the_stop(tmp_path: Path) -> None:
    followed: list[str] = []

    async def counted(template: str, id: str, follow: bool = False, format: str = "") -> Response:  # noqa: A002
        followed.append(id)
        return await events(template, id)

    with ThreadPoolExecutor(20) as pool:
        with running(stub_app(tmp_path, {"events": counted})) as url:
            target = "/applications/plot/7/events?follow=true"
            following = [pool.submit(exchange, url, "GET", target, headers=[GOOD]) for _ in range(20)]
            eventually(lambda: len(followed) == 20)
            began = time.monotonic()
        assert time.monotonic() - began < 5
        for each in following:
            reply = each.result(10)
            assert reply.headers["content-type"].startswith("text/event-stream")
            assert b"event: end" not in reply.body
