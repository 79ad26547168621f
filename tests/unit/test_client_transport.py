"""The client's HTTP: errors by type, repeated only where it is safe, nothing without a limit, no secret shown."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from binder_client import Client, transport
from binder_client.address import base_url
from binder_protocol import errors
from tests.support import stub as wire
from tests.support.stub import Reply, Stub, failing, stub_server

KEY = "key-0123456789abcdef"


@pytest.fixture
def server() -> Iterator[Stub]:
    with stub_server() as stub:
        yield stub


@pytest.fixture
def client(server: Stub) -> Iterator[Client]:
    with Client(server.url, KEY, timeout=5) as client:
        yield client


def test_a_request_carries_key_agent_and_request_id(server: Stub) -> None:
    server.on("GET /builds/a", wire.build("a"))
    with Client(server.url, KEY, request_id=lambda: "id-7") as client:
        client.build.status("a")
    headers = server.seen[0].headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["user-agent"].startswith("binder-client/")
    assert headers["x-request-id"] == "id-7"


def test_an_error_is_raised_by_its_type_with_its_suggestions(server: Stub, client: Client) -> None:
    server.on("GET /builds/a", failing(errors.NoBuildInfo("no a", suggestions=["look elsewhere"])))
    with pytest.raises(errors.NoBuildInfo, match="no a") as caught:
        client.build.status("a")
    assert caught.value.suggestions == ("look elsewhere",)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, errors.AccessError), (401, errors.AccessError), (504, errors.Unavailable), (500, errors.BadResponse)],
)
def test_an_error_without_a_body_still_has_a_type(
    server: Stub, client: Client, status: int, kind: type[errors.BinderError]
) -> None:
    server.on("POST /builds", Reply(b"<html>Forbidden", status))
    with pytest.raises(kind):
        client.build.start("a/b")


def test_a_read_is_repeated_while_the_server_is_out_of_service(server: Stub, client: Client) -> None:
    unavailable = failing(errors.Unavailable("later"), Retry_After="0")
    server.on("GET /builds/a", unavailable, Reply(b"bad gateway", 502), Reply(wire.build("a")))
    assert client.build.status("a").name == "a"
    assert len(server.seen) == 3


def test_retry_after_is_waited_for(server: Stub, client: Client) -> None:
    server.on("GET /builds/a", failing(errors.Unavailable("later"), Retry_After="1"), Reply(wire.build("a")))
    began = time.monotonic()
    client.build.status("a")
    assert time.monotonic() - began >= 1


def test_a_long_retry_after_is_passed_on_instead(server: Stub, client: Client) -> None:
    server.on("GET /builds/a", failing(errors.Unavailable("later"), Retry_After="1000000000"))
    with pytest.raises(errors.Unavailable):
        client.build.status("a")
    server.on("GET /builds/a", failing(errors.Unavailable("later"), Retry_After="120"))
    with pytest.raises(errors.Unavailable) as caught:
        client.build.status("a")
    assert caught.value.retry_after == 120
    assert len(server.seen) == 2


def test_a_write_is_never_repeated(server: Stub, client: Client) -> None:
    server.on("POST /builds", failing(errors.QueueFull(), Retry_After="0"))
    server.on("DELETE /builds/a", failing(errors.Unavailable(), Retry_After="0"))
    with pytest.raises(errors.QueueFull):
        client.build.start("a/b")
    with pytest.raises(errors.Unavailable):
        client.build.cancel("a")
    assert len(server.seen) == 2


def test_an_unreachable_server_is_refused_after_the_repetitions() -> None:
    with Client("http://127.0.0.1:1", KEY) as client, pytest.raises(errors.Refused, match=r"127\.0\.0\.1:1"):
        client.build.status("a")


def test_a_server_that_never_answers_times_out(server: Stub) -> None:
    server.on("GET /builds/a", Reply(chunks=_pause_then(server, b"{}")))
    with Client(server.url, timeout=0.3) as client, pytest.raises(errors.TimedOut):
        client.build.status("a")


def test_a_server_that_drips_its_answer_times_out(server: Stub) -> None:
    server.on("GET /builds/a", Reply(chunks=_drip(server)))
    with Client(server.url, timeout=0.5) as client, pytest.raises(errors.TimedOut):
        client.build.status("a")


def test_an_endless_answer_is_given_up(server: Stub, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_BODY", 2**20)
    server.on("GET /builds/a", Reply(chunks=_endless(server, b"x" * 65_536)))
    with pytest.raises(errors.BadResponse, match="more than 1 MiB"):
        client.build.status("a")


@pytest.mark.parametrize("body", [b"hello", b"[]", b"{}", b'{"name": 1}', b"[" * 100_000])
def test_an_answer_outside_of_the_protocol_is_a_bad_response(server: Stub, client: Client, body: bytes) -> None:
    server.on("GET /builds/a", Reply(body))
    with pytest.raises(errors.BadResponse):
        client.build.status("a")


def test_a_redirect_on_the_same_host_is_followed_with_the_query(server: Stub, client: Client) -> None:
    server.on("GET /builds", Reply(b"", 308, {"Location": "/builds/?limit=1"}))
    server.on("GET /builds/", [wire.build("a")])
    assert [each.name for each in client.build.status_all(limit=1)] == ["a"]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_to_another_host_is_not_followed(server: Stub, client: Client, status: int) -> None:
    with stub_server() as other:
        server.on("GET /builds/a", Reply(b"", status, {"Location": f"{other.url}/builds/a"}))
        other.on("GET /builds/a", wire.build("a"))
        with pytest.raises(errors.BadResponse, match="isn't followed"):
            client.build.status("a")
        assert not other.seen


def test_redirects_in_a_circle_end(server: Stub, client: Client) -> None:
    server.on("GET /builds/a", Reply(b"", 302, {"Location": "/builds/a"}))
    with pytest.raises(errors.BadResponse, match="circle"):
        client.build.status("a")
    assert len(server.seen) < 10


def test_no_cookie_is_kept(server: Stub, client: Client) -> None:
    server.on("GET /builds/a", Reply(wire.build("a"), headers={"Set-Cookie": "a=b; Path=/"}))
    client.build.status("a")
    client.build.status("a")
    assert "cookie" not in server.seen[1].headers


def test_loopback_is_reached_past_the_proxy(server: Stub, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    server.on("GET /builds/a", wire.build("a"))
    assert client.build.status("a").name == "a"


def test_other_hosts_are_reached_through_the_proxy(server: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", server.url)
    server.on("GET /builds/a", wire.build("a"))
    with Client("http://binder.invalid", KEY) as client:
        assert client.build.status("a").name == "a"
    assert server.seen[0].headers["host"] == "binder.invalid"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SSL_CERT_FILE", "/no/such/file"),
        ("SSL_CERT_FILE", "/dev/null"),
        ("https_proxy", "gopher://user:s3cret@proxy"),
        ("https_proxy", "http://user:s3cret@proxy:many"),
        ("https_proxy", "socks5://user:s3cret@proxy"),
    ],
)
def test_an_environment_that_can_not_be_used_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with Client("https://binder.invalid", KEY) as client, pytest.raises(errors.Refused) as caught:
        client.build.status("a")
    assert name.upper() in "".join(caught.value.suggestions)
    assert "s3cret" not in str(caught.value)


def test_the_key_shows_nowhere(server: Stub, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Client(server.url, KEY, timeout=1) as client:
        with pytest.raises(errors.NotFound) as caught:
            client.build.status("a")
        shown = [repr(caught.value), str(caught.value), repr(client), repr(vars(client)), caplog.text]
    assert server.seen[0].headers["authorization"].endswith(KEY)
    assert not [text for text in shown if KEY in text]


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel", "tab\t", "nul\0"])
def test_a_key_that_no_header_carries_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(errors.RequestError) as caught:
        Client("http://127.0.0.1:1", key)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("binder.example.org", "http://binder.example.org"),
        ("localhost:8080/", "http://localhost:8080"),
        (" https://h/binder/ ", "https://h/binder"),
        ("http://[::1]:80", "http://[::1]:80"),
    ],
)
def test_an_address_is_taken_as_people_type_it(typed: str, url: str) -> None:
    assert base_url(typed) == url


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "http://",
        "ftp://h",
        "file:///etc",
        "http://u:p@h",
        "http://h?x",
        "http://h#x",
        "http://h:99999",
        "a b",
        "h\nh",
    ],
)
def test_what_is_no_address_of_a_server_is_refused(typed: str) -> None:
    with pytest.raises(errors.RequestError):
        base_url(typed)


@pytest.mark.parametrize("name", ["../templates", "a/b", "a?b#c", "ünï", "a b", "%2e%2e"])
def test_a_name_stays_one_part_of_the_path(server: Stub, client: Client, name: str) -> None:
    with pytest.raises(errors.NotFound):
        client.build.status(name)
    assert urlsplit(server.seen[0].path).path.count("/") == 2
    assert server.seen[0].path.startswith("/builds/")


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_a_path_would_lose_is_refused(client: Client, name: str) -> None:
    with pytest.raises(errors.RequestError):
        client.build.status(name)


def test_sections_may_have_servers_of_their_own(server: Stub) -> None:
    server.on("GET /templates/a", wire.template("a"))
    with Client("http://127.0.0.1:1", KEY, urls={"registry": server.url}) as client:
        assert client.registry.fetch("a").name == "a"


def test_a_wrong_argument_is_refused_before_it_is_sent_and_not_shown(server: Stub, client: Client) -> None:
    with pytest.raises(errors.RequestError, match="credential") as caught:
        client.build.start("a/b", credential="s3cret" * 1000)
    assert "s3cret" not in str(caught.value)
    assert not server.seen


def _pause_then(stub: Stub, chunk: bytes) -> Iterator[bytes]:
    stub.stopping.wait(10)
    yield chunk


def _drip(stub: Stub) -> Iterator[bytes]:
    while not stub.stopping.wait(0.05):
        yield b" "


def _endless(stub: Stub, chunk: bytes) -> Iterator[bytes]:
    while not stub.stopping.is_set():
        yield chunk


def test_threads_share_a_client(server: Stub, client: Client) -> None:
    server.on("GET /builds/a", wire.build("a"))
    names: list[str] = []

    def ask() -> None:
        names.extend(client.build.status("a").name for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert names == ["a"] * 160
