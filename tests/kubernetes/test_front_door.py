"""Applications of a cluster through the front door that binder-control runs beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import websocket

from binder_client.client import Client
from binder_control.frontdoor import Ingresses
from binder_deploy.activity import FrontDoor
from binder_deploy.main import build_app
from binder_deploy.probe import PAGE_HEADER
from binder_protocol.models import Access, Application, ApplicationStatus
from tests.support.cluster import Cluster
from tests.support.deploying import IMAGE, KEY, Templates, settings_for
from tests.support.eventually import eventually
from tests.support.frontdoor import Door, free_door, front_door
from tests.support.places import kubernetes_backend
from tests.support.raw_http import exchange
from tests.support.server import running

pytestmark = pytest.mark.kubernetes

BROWSER = {"Accept": "text/html"}


@dataclass
class Beside:
    """A deploy service and a front door beside the cluster."""

    client: Client
    templates: Templates
    door: Door
    image: str

    def launch(self, name: str, **values: Any) -> Application:
        """Launches a template of these values, and waits until it answers."""
        self.templates.add(name, image=self.image, **values)
        asked = self.client.deploy.deploy(name)
        application: Application = self.client.deploy.wait(name, asked.id, timeout=60)
        return application

    def status(self, application: Application) -> ApplicationStatus:
        """Its state now."""
        return self.client.deploy.status(application.template_name, application.id).status

    def get(self, path: str, **headers: str) -> httpx2.Response:
        """The front door's answer; redirects are not followed."""
        return httpx2.get(f"{self.door.url}{path}", headers=headers, timeout=10)


@pytest.fixture(scope="module")
def beside(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    home, door, templates = tmp_path_factory.mktemp("home"), free_door(), Templates()
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(cluster.namespace("objects"))
        stack.enter_context(pytest.MonkeyPatch.context()).setenv("KUBECONFIG", str(cluster.kubeconfig))
        backend = stack.enter_context(kubernetes_backend(cluster.kubeconfig, place))
        settings = settings_for(home, door, backend="kubernetes")
        url = stack.enter_context(running(build_app(settings, backend=backend, templates=templates)))
        ingresses = Ingresses(namespace=place)
        stack.enter_context(front_door(door, home / "front-door", urls={"deploy": url}, ingresses=ingresses))
        client = stack.enter_context(Client(url, KEY))
        yield Beside(client, templates, door, cluster.image(IMAGE))


def test_an_application_answers_to_its_token_alone(beside: Beside) -> None:
    application = beside.launch("guarded")
    path, _, token = (application.location or "").removeprefix(beside.door.url).partition("?")
    assert path == f"/user/{application.id}/"

    answer = beside.get(f"{path}?{token}")
    assert (answer.status_code, answer.text.splitlines()[0]) == (200, f"{path}?{token}")
    assert beside.get(path, Authorization=token.replace("=", " ")).status_code == 200

    refused = beside.get(path)
    assert (refused.status_code, refused.headers[PAGE_HEADER]) == (403, "no-entry")
    assert beside.get(f"{path}?token=wrong").status_code == 403


def test_a_browser_keeps_the_token_in_a_cookie_that_the_application_never_sees(beside: Beside) -> None:
    application = beside.launch("browsed")
    path, _, token = (application.location or "").removeprefix(beside.door.url).partition("?")
    sent = beside.get(f"{path}?{token}", **BROWSER)
    assert (sent.status_code, sent.headers["Location"]) == (302, path)
    seen = beside.get(path, **BROWSER, Cookie=f"a=1; {sent.headers['Set-Cookie'].partition(';')[0]}")
    assert seen.status_code == 200
    assert "a=1" in seen.text
    assert token.removeprefix("token=") not in seen.text


def test_a_public_application_answers_to_everybody_and_sees_its_own_paths(beside: Beside) -> None:
    application = beside.launch("public", access=Access.PUBLIC, strip_prefix=True)
    answer = beside.get(f"/user/{application.id}/deep/path?a=1")
    assert (answer.status_code, answer.text.splitlines()[0]) == (200, "/deep/path?a=1")


def test_one_that_checks_its_token_itself_is_left_alone(beside: Beside) -> None:
    application = beside.launch("own-login", login=True)
    assert beside.get(f"/user/{application.id}/").status_code == 200


def test_requests_are_counted_as_the_applications(beside: Beside) -> None:
    application = beside.launch("counted", access=Access.PUBLIC)
    counts = FrontDoor(beside.door.metrics_url)
    before = counts.requests().get(application.id, 0.0)
    for _ in range(3):
        beside.get(f"/user/{application.id}/")
    eventually(lambda: counts.requests().get(application.id, 0.0) == before + 3, within=10, what="the count")


def test_where_an_application_was_there_is_a_page(beside: Beside) -> None:
    application = beside.launch("short", access=Access.PUBLIC)
    beside.client.deploy.stop("short", application.id)
    path = f"/user/{application.id}/"
    eventually(lambda: beside.get(path).status_code == 410, within=20, what="the page in its place")
    assert beside.get(path).headers[PAGE_HEADER] == "gone"
    assert beside.get(f"/user/{'0' * 32}/").headers[PAGE_HEADER] == "unknown"


@pytest.mark.parametrize("way", ["..", "%2e%2e", ".%2E", "%2e%2e%2fx%2f..", "..;", "//.."])
def test_no_spelling_of_a_path_opens_another_application_with_ones_own_token(beside: Beside, way: str) -> None:
    own, other = beside.launch("own"), beside.launch("other")
    _, _, token = (own.location or "").partition("?")
    reply = exchange(beside.door.url, "GET", f"/user/{own.id}/{way}/{other.id}/secret?{token}")
    assert reply.status != 200 or reply.body.startswith(f"/user/{own.id}/".encode())
    for application in (own, other):
        beside.client.deploy.stop(application.template_name, application.id)


def test_what_is_used_stays_and_what_is_idle_ends(beside: Beside) -> None:
    common = {"access": Access.PUBLIC, "cull_timeout": 4_000}
    code = (Path(__file__).parents[1] / "docker" / "echo_server.py").read_text()
    echo = beside.launch("echo", command=["/opt/binder/env/bin/python", "-c", code], **common)
    with contextlib.closing(
        websocket.create_connection((echo.location or "").replace("http", "ws"), timeout=10)
    ) as open_:
        used, idle = beside.launch("used", **common), beside.launch("idle", **common)

        def idle_has_ended() -> bool:
            assert beside.get(f"/user/{used.id}/").status_code == 200
            return beside.status(idle).ended

        eventually(idle_has_ended, within=30, every=0.3, what="the end of the idle one")
        open_.send("still here")
        assert open_.recv() == "still here"
        kept = (beside.status(used), beside.status(echo))
    assert kept == (ApplicationStatus.DEPLOYED, ApplicationStatus.DEPLOYED)
    eventually(lambda: beside.status(echo).ended and beside.status(used).ended, within=30, what="the end of all")
