"""The build service over HTTP, as far as it comes without an engine: what it refuses, queues, joins and cancels."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from binder_protocol.errors import (
    BadRef,
    BadRepoSource,
    EngineError,
    NoBuildInfo,
    QueueFull,
    RefNotFound,
    RequestError,
    SourceNotFound,
)
from binder_protocol.models import BuildStatus
from tests.support.building import KEY, Suite, build_suite
from tests.support.eventually import eventually
from tests.support.git_server import GitServer, git_server
from tests.support.raw_http import Reply, exchange
from tests.support.stub import stub_server

JSON = ("Content-Type", "application/json")
BEARER = ("Authorization", f"Bearer {KEY}")
NO_ENGINE = "tcp://127.0.0.1:9"


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    with git_server(tmp_path_factory.mktemp("git")) as server:
        server.create("good/one", {"README": "hello"})
        server.hanging.update(f"/slow/{number}" for number in range(1, 9))
        yield server


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory, database_url: str | None) -> Iterator[Suite]:
    more = {"docker_host": NO_ENGINE, "workers": 1, "queue_size": 2, "answer_seconds": 1}
    with build_suite(tmp_path_factory.mktemp("home"), database_url=database_url, **more) as suite:
        yield suite


def post(suite: Suite, body: Any, *headers: tuple[str, str], path: str = "/builds/") -> Reply:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return exchange(suite.url, "POST", path, headers=[JSON, *headers], body=data)


def slow(git: GitServer, number: int) -> str:
    """A repository whose server takes the question and never answers."""
    return f"{git.url}/slow/{number}.git"


def known(suite: Suite, words: str) -> list[str]:
    return [build.name for build in suite.client.build.status_all(search=words)]


def test_an_unknown_repository_is_refused_at_once_and_leaves_no_record(suite: Suite, git: GitServer) -> None:
    with pytest.raises(SourceNotFound):
        suite.client.build.start(f"{git.url}/no/such.git")
    with pytest.raises(RefNotFound):
        suite.client.build.start(f"{git.url}/good/one.git", ref="nowhere")
    assert known(suite, "good") == known(suite, "no-such") == []


@pytest.mark.parametrize(
    "repository",
    [
        "--upload-pack=touch /tmp/x",
        "-u/tmp/x",
        "ext::sh -c touch% /tmp/x",
        "file:///etc",
        "/etc/passwd",
        "../x",
        "http://169.254.169.254/latest/meta-data",
        "http://10.1.2.3/owner/repo",
        "http://[::1]/owner/repo",
        "http://2130706433/owner/repo",
        "https://user:hunter2secret@github.com/owner/repo",
        "owner/repo\nX: y",
        "a" * 1_500,
        "owner/\u202erepo",
    ],
)
def test_what_is_no_repository_for_us_is_refused_without_being_repeated(suite: Suite, repository: str) -> None:
    with pytest.raises(BadRepoSource) as refused:
        suite.client.build.start(repository)
    assert "hunter2secret" not in str(refused.value.body())
    assert refused.value.suggestions


@pytest.mark.parametrize("ref", ["--upload-pack=x", "-u", "a..b", "a b", "x\n", "refs/heads/../x", "a.lock"])
def test_what_is_no_ref_is_refused(suite: Suite, git: GitServer, ref: str) -> None:
    with pytest.raises(BadRef):
        suite.client.build.start(f"{git.url}/good/one.git", ref=ref)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"null",
        b"{",
        b"{}",
        b'{"repository": 1}',
        b'{"repository": "o/r", "repo": "x"}',
        b'{"repository": "o/r", "force": "maybe"}',
        b'{"repository": "o/r", "options": {"privileged": true}}',
        b'{"repository": "o/r", "ref": "' + b"x" * 300 + b'"}',
        b"[" * 10_000,
    ],
)
def test_a_body_of_the_wrong_shape_is_refused(suite: Suite, body: bytes) -> None:
    reply = post(suite, body, BEARER)
    assert (reply.status, reply.json()["type"]) == (422, "malformedRequest")


def test_without_an_engine_a_build_is_refused_with_the_next_step(suite: Suite, git: GitServer) -> None:
    with pytest.raises(EngineError) as refused:
        suite.client.build.start(f"{git.url}/good/one.git")
    assert any("doctor" in each for each in refused.value.suggestions)
    assert exchange(suite.url, "GET", "/healthz").status == 200
    assert "engine" in exchange(suite.url, "GET", "/readyz", timeout=20).json()["failing"]


def test_a_server_that_does_not_answer_holds_up_a_build_but_no_request(suite: Suite, git: GitServer) -> None:
    began = time.monotonic()
    reply = post(suite, {"repository": slow(git, 1)}, BEARER)
    assert time.monotonic() - began < 3
    build = reply.json()
    assert reply.status == 202
    assert reply.headers["location"] == f"/builds/{build['name']}"
    eventually(lambda: suite.client.build.status(build["name"]).status is BuildStatus.RUNNING)

    second = suite.client.build.start(slow(git, 2))
    third = suite.client.build.start(slow(git, 3))
    assert [second.position, third.position] == [1, 2]
    with pytest.raises(QueueFull):
        suite.client.build.start(slow(git, 4))
    assert int(post(suite, {"repository": slow(git, 4)}, BEARER).headers["retry-after"]) > 0

    began = time.monotonic()
    assert suite.client.build.cancel(second.name).status is BuildStatus.CANCELLED
    assert suite.client.build.cancel(build["name"]).status is BuildStatus.CANCELLED
    assert time.monotonic() - began < 5
    assert suite.client.build.cancel(build["name"]).status is BuildStatus.CANCELLED, "twice is as once"
    eventually(lambda: suite.client.build.status(third.name).status is BuildStatus.RUNNING)
    assert suite.client.build.cancel(third.name).status is BuildStatus.CANCELLED
    eventually(lambda: suite.leftovers() == [], within=3)
    for name in (build["name"], second.name):
        last = list(suite.client.build.logs(name, follow=True))[-1]
        assert (last.kind, last.status) == ("end", "cancelled")


def test_many_identical_requests_make_one_build(suite: Suite, git: GitServer) -> None:
    with ThreadPoolExecutor(20) as pool:
        builds = list(pool.map(lambda _: suite.client.build.start(slow(git, 5)), range(40)))
    assert {(each.name, each.attempt) for each in builds} == {(builds[0].name, 1)}
    assert suite.client.build.cancel(builds[0].name).status is BuildStatus.CANCELLED
    again = suite.client.build.start(slow(git, 5))
    assert again.attempt == 2
    assert [each.attempt for each in suite.client.build.history(again.name)] == [2, 1]
    suite.client.build.cancel(again.name)


def test_a_follower_resumes_behind_the_last_line_it_saw(suite: Suite, git: GitServer) -> None:
    name = suite.client.build.start(slow(git, 6)).name
    eventually(lambda: suite.client.build.status(name).status is BuildStatus.RUNNING)
    suite.client.build.cancel(name)
    headers = [BEARER, ("Last-Event-ID", "1")]
    followed = exchange(suite.url, "GET", f"/builds/{name}/logs?follow=true", headers=headers).body.decode()
    whole = list(suite.client.build.logs(name))
    assert [line.id for line in whole] == list(range(1, len(whole) + 1))
    assert "id: 1\n" not in followed
    assert all(f"id: {line.id}\n" in followed for line in whole[1:])
    assert "event: end\n" in followed
    text = exchange(suite.url, "GET", f"/builds/{name}/logs?format=text", headers=[BEARER]).body.decode()
    assert "== fetching\n" in text
    assert "== cancelled\n" in text
    with pytest.raises(NoBuildInfo):
        list(suite.client.build.logs(name, attempt=7))


def test_the_client_of_2016_is_answered_as_it_was(suite: Suite, git: GitServer) -> None:
    raw = ("Authorization", KEY)
    started = post(suite, {"repository": slow(git, 7), "force": "false"}, raw)
    assert started.status == 200
    build = started.json()
    assert {"name", "display-name", "start-time", "repository"} <= build.keys()
    status = exchange(suite.url, "GET", f"/builds/{build['name']}")
    assert status.status == 200, "2016 asked for no key here"
    assert {"name", "display-name", "start-time", "status", "phase", "repository"} <= status.json().keys()
    everything = exchange(suite.url, "GET", "/builds/", headers=[raw])
    assert build["name"] in [each["name"] for each in everything.json()]
    assert everything.headers["x-total-count"] == str(len(everything.json()))
    suite.client.build.cancel(build["name"])


@pytest.mark.parametrize("name", ["nobody", "x" * 300, "%2e%2e%2fkey", "a%0ab", "%F0%9F%98%80", "-rf", "con"])
def test_a_name_that_no_build_has_is_not_found_whatever_it_looks_like(suite: Suite, name: str) -> None:
    for method, path in (("GET", ""), ("GET", "/history"), ("GET", "/logs"), ("DELETE", "")):
        reply = exchange(suite.url, method, f"/builds/{name}{path}", headers=[BEARER])
        assert reply.status == 404, (method, path)
        assert reply.json()["type"] in ("noBuildInfo", "not-found")


def test_nobody_starts_a_build_without_the_key(suite: Suite, git: GitServer) -> None:
    for headers in ([], [("Authorization", "Bearer wrong")], [("Authorization", "x" * 5_000)]):
        assert post(suite, {"repository": f"{git.url}/good/one.git"}, *headers).status == 403


def test_an_unknown_credential_is_refused_and_not_tried(suite: Suite, git: GitServer) -> None:
    asked = len(git.requests)
    with pytest.raises(RequestError, match="credential"):
        suite.client.build.start(f"{git.url}/good/one.git", credential="other")
    assert len(git.requests) == asked


def test_a_stopped_service_holds_no_connection_to_the_engine(tmp_path: Path) -> None:
    with stub_server() as engine:
        engine.on("GET /version", {"ApiVersion": "1.45"})
        engine.on("GET /v1.45/_ping", {})
        engine.on("GET /v1.45/images/binder-base:latest/json", {"Id": f"sha256:{'0' * 64}"})
        port = urlsplit(engine.url).port

        def connections() -> int:
            ours = psutil.Process().net_connections("tcp")
            return sum(
                1 for each in ours if each.raddr and each.raddr.port == port and each.status == psutil.CONN_ESTABLISHED
            )

        with build_suite(tmp_path, docker_host=engine.url.replace("http:", "tcp:")) as suite:
            exchange(suite.url, "GET", "/readyz")
            assert connections() > 0
        eventually(lambda: connections() == 0, what="the end of the connection")
