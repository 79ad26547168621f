"""The deploy service with applications in memory: its whole life without an engine, in milliseconds."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from binder_client.client import Client
from binder_deploy.backends.memory import MemoryBackend
from binder_deploy.main import build_app
from binder_protocol.errors import AccessError, Crashed, NotListening
from binder_protocol.models import Application, ApplicationStatus
from tests.support.deploying import KEY, Templates, settings_for
from tests.support.eventually import eventually
from tests.support.frontdoor import Door
from tests.support.server import running


@dataclass
class Deploying:
    client: Client
    stranger: Client
    backend: MemoryBackend
    url: str

    def launch(self, template: str) -> Application:
        return self.client.deploy.wait(template, self.client.deploy.deploy(template).id, timeout=10)


@pytest.fixture(scope="module")
def deploying(tmp_path_factory: pytest.TempPathFactory, database_url: str | None) -> Iterator[Deploying]:
    home: Path = tmp_path_factory.mktemp("memory")
    templates, backend = Templates(), MemoryBackend()
    for name, command in (("hello", ["print", "hello"]), ("crash", ["exit", "3"]), ("silent", ["silent"])):
        templates.add(name, command=command)
    settings = settings_for(
        home, Door(9, 9), backend="memory", start_timeout=1, public_launch=True, database_url=database_url
    )
    app = build_app(settings, backend=backend, templates=templates)
    with running(app) as url, Client(url, KEY) as client, Client(url) as stranger:
        yield Deploying(client, stranger, backend, url)


def test_an_application_lives_from_its_launch_to_its_stop(deploying: Deploying) -> None:
    application = deploying.launch("hello")
    with urllib.request.urlopen(application.location or "", timeout=5) as answer:
        assert answer.read().startswith(b"hello")
    assert [line.text for line in deploying.client.deploy.logs("hello", application.id)] == ["hello"]
    assert deploying.client.deploy.stop("hello", application.id).status is ApplicationStatus.DELETED
    assert deploying.backend.instance(application.id) is None


def test_failures_are_raised_by_type(deploying: Deploying) -> None:
    with pytest.raises(Crashed, match="exit code 3"):
        deploying.launch("crash")
    with pytest.raises(NotListening):
        deploying.launch("silent")
    assert deploying.client.deploy.status_all("silent")[0].status is ApplicationStatus.FAILED


def test_what_crashes_later_has_failed_soon(deploying: Deploying) -> None:
    application = deploying.launch("hello")
    deploying.backend.crash(application.id, 137)

    def failed() -> bool:
        now = deploying.client.deploy.status("hello", application.id)
        return now.failure is not None and now.failure.message.endswith("signal 9")

    eventually(failed)


def test_who_launches_without_a_key_learns_the_token_of_this_application_alone(deploying: Deploying) -> None:
    own = deploying.stranger.deploy.wait("hello", deploying.stranger.deploy.deploy("hello").id, timeout=10)
    assert "?token=" in (own.location or "")
    other = deploying.launch("hello")
    seen = deploying.stranger.deploy.status("hello", other.id)
    assert (seen.location or "").endswith(f"/user/{other.id}/")
    with pytest.raises(AccessError):
        deploying.stranger.deploy.stop("hello", own.id)


def test_nginx_asks_for_the_application_of_its_own_route_whatever_the_request_says(deploying: Deploying) -> None:
    one, other = deploying.launch("hello"), deploying.launch("hello")
    path, _, token = (one.location or "").partition("/user/")[2].partition("?")
    sent = f"https://binder.example/user/{path}?{token}"

    def asks(application: Application, **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx2.get(f"{deploying.url}/guard/nginx/{application.id}", headers=named)

    passed = asks(one, X_Original_URL=sent, Accept="text/html", Cookie="a=1")
    assert passed.status_code == 200
    assert passed.headers["Set-Cookie"].endswith(f"Path=/user/{one.id}/; HttpOnly; SameSite=Lax; Secure")
    assert passed.headers["Cookie"] == "a=1"
    for spelled in (sent, sent.replace(f"/user/{one.id}/", f"/user/{one.id}/../{other.id}/")):
        assert asks(other, X_Original_URL=spelled).status_code == 403
        assert asks(other, X_Forwarded_Uri=spelled, X_Original_URL=f"https://x/user/{other.id}/").status_code == 403
    assert asks(one).status_code == 403
    assert httpx2.get(f"{deploying.url}/guard/nginx/none", headers={"X-Original-URL": sent}).status_code == 403
