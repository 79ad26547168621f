"""The deploy service with a real engine and a real front door, through its API and through applications' addresses."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import websocket

from binder_protocol.errors import (
    ApplicationOutOfMemory,
    AtCapacity,
    Conflict,
    Crashed,
    DoesNotExist,
    ImageNotFound,
    InvalidTemplate,
    NoRecord,
    NotListening,
)
from binder_protocol.models import Access, Application, ApplicationStatus, Limits, PreloadStatus
from tests.support.deploying import IMAGE, SERVER, Deployment, deployment, python
from tests.support.eventually import eventually
from tests.support.kernels import run_in_kernel

pytestmark = pytest.mark.docker

TOO_MUCH_MEMORY = "import time\ntime.sleep(0.2)\nx = bytearray(512 * 2**20)\ntime.sleep(60)"
DEAF = "import time\nprint('deaf', flush=True)\ntime.sleep(600)"
CRASH = "import sys\nprint('no such file: data.csv', flush=True)\nsys.exit(7)"
DIES_LATER = SERVER.replace("def do_GET(self):", "def do_GET(self):\n        if 'die' in self.path: os._exit(5)")


@dataclass(frozen=True)
class Seen:
    status: int
    headers: dict[str, str]
    body: str


def see(location: str, path: str = "", *, browser: bool = False, **headers: str) -> Seen:
    """GETs it, without following redirects."""
    url = urlsplit(location)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=10)
    try:
        target = f"{url.path}{path}" + (f"?{url.query}" if url.query else "")
        accept = {"Accept": "text/html"} if browser else {}
        connection.request("GET", target, headers={**accept, **headers})
        answer = connection.getresponse()
        return Seen(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode())
    finally:
        connection.close()


def bare(location: str) -> str:
    return location.partition("?")[0]


def token(location: str) -> str:
    return location.partition("?token=")[2]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployment(tmp_path_factory.mktemp("deploy")) as made:
        made.templates.add("crash", command=python(CRASH))
        made.templates.add("deaf", command=python(DEAF))
        made.templates.add("dies-later", command=python(DIES_LATER))
        made.templates.add("greedy", command=python(TOO_MUCH_MEMORY), limits=Limits(memory="64M"))
        made.templates.add("public", access=Access.PUBLIC)
        made.templates.add("stripped", strip_prefix=True)
        yield made


@pytest.fixture(autouse=True)
def nothing_left(deployed: Deployment) -> Iterator[None]:
    yield
    for each in deployed.client.deploy.list(limit=1000):
        deployed.client.deploy.stop(each.template_name, each.id)
    eventually(lambda: deployed.backend.instances() == [], what="the removal of all containers")


def _state(deployed: Deployment, application: Application) -> Application:
    return deployed.client.deploy.status(application.template_name, application.id)


def _page(address: str, status: int, kind: str) -> Seen:
    """What is seen at the address once the front door knows that the container is gone."""

    def page() -> Seen | None:
        seen = see(address)
        return seen if (seen.status, seen.headers.get("x-binder-page")) == (status, kind) else None

    return eventually(page, within=5, what=f"the page {kind}")


def _ended(deployed: Deployment, application: Application, within: float = 15) -> Application:
    def ended() -> Application | None:
        now = _state(deployed, application)
        return now if now.status.ended else None

    return eventually(ended, within=within, what="the application's end")


def test_a_launched_application_answers_at_its_location_and_is_gone_after_its_stop(deployed: Deployment) -> None:
    application = deployed.launch()
    assert see(application.location).status == 200
    assert set(application.timings) >= {"pending", "deploying", "launch", "answer", "deployed"}
    events = list(deployed.client.deploy.events("server", application.id))
    assert [each.status for each in events] == ["pending", "deploying", "deployed"]
    assert [each.id for each in events] == [1, 2, 3]
    stopped = deployed.client.deploy.stop("server", application.id)
    assert (stopped.status, stopped.location) == (ApplicationStatus.DELETED, None)
    assert deployed.client.deploy.stop("server", application.id).status is ApplicationStatus.DELETED
    _page(bare(application.location), 410, "gone")
    assert deployed.backend.instance(application.id) is None


def test_the_application_gets_its_path_and_neither_cookie_nor_token(deployed: Deployment) -> None:
    application = deployed.launch(environment={"STATUS": "201"})
    cookie = f"theirs=1; binder-token={token(application.location)}"
    seen = see(bare(application.location), "deep/er", Cookie=cookie, X_Forwarded_For="6.6.6.6")
    assert seen.status == 201
    path, *headers = seen.body.splitlines()
    assert path == f"/user/{application.id}/deep/er"
    sent = dict(line.split(": ", 1) for line in headers if ": " in line)
    assert sent["Cookie"] == "theirs=1"
    assert sent["X-Forwarded-For"] == "127.0.0.1"
    assert token(application.location) not in seen.body


def test_the_prefix_is_stripped_on_request(deployed: Deployment) -> None:
    application = deployed.launch("stripped")
    seen = see(bare(application.location), "x", Authorization=f"token {token(application.location)}")
    assert seen.body.splitlines()[0] == "/x"


def test_without_its_token_an_application_is_closed_and_another_ones_token_opens_nothing(deployed: Deployment) -> None:
    one, other = deployed.launch(), deployed.launch()
    for headers in ({}, {"Authorization": f"token {token(other.location)}"}):
        seen = see(bare(one.location), **headers)
        assert (seen.status, seen.headers["x-binder-page"]) == (403, "no-entry")
    forged = {"X-Forwarded-Uri": f"/user/{other.id}/", "Authorization": f"token {token(other.location)}"}
    assert see(bare(one.location), **forged).status == 403


def test_a_browser_is_sent_to_the_address_without_token_and_opens_it_with_its_cookie(deployed: Deployment) -> None:
    application = deployed.launch()
    first = see(application.location, browser=True)
    assert (first.status, first.headers["location"]) == (302, f"/user/{application.id}/")
    cookie = first.headers["set-cookie"]
    assert f"Path=/user/{application.id}/" in cookie
    assert "HttpOnly" in cookie
    assert see(bare(application.location), browser=True, Cookie=cookie.partition(";")[0]).status == 200


def test_a_public_application_needs_no_token(deployed: Deployment) -> None:
    application = deployed.launch("public")
    assert "?" not in application.location
    assert see(application.location).status == 200


def test_without_a_key_the_status_tells_no_token(deployed: Deployment) -> None:
    application = deployed.launch()
    seen = see(f"{deployed.door.url}/applications/server/{application.id}")
    assert json.loads(seen.body)["location"] == bare(application.location)


def test_a_location_is_told_by_the_name_under_which_the_front_door_was_asked(deployed: Deployment) -> None:
    application = deployed.launch()
    address = f"{deployed.door.url}/applications/server/{application.id}"
    seen = see(address, Host="binder.example:99", X_Forwarded_Host="evil.example", X_Forwarded_Proto="https")
    assert json.loads(seen.body)["location"] == f"http://binder.example:99/user/{application.id}/"


def test_a_web_socket_passes_with_the_token_and_not_without(deployed: Deployment) -> None:
    application = _echo(deployed)
    address = bare(application.location).replace("http", "ws")
    socket = websocket.create_connection(address, timeout=10, cookie=f"binder-token={token(application.location)}")
    socket.send("hello")
    assert socket.recv() == "hello"
    socket.close()
    with pytest.raises(websocket.WebSocketBadStatusException):
        websocket.create_connection(address, timeout=10)


def test_a_notebook_kernel_works_through_the_front_door(deployed: Deployment) -> None:
    deployed.templates.add("notebook", command=None, health_path="/api", limits=Limits(memory="1G"))
    application = deployed.launch("notebook")
    assert run_in_kernel(application.location, "print(6 * 7)") == "42"
    assert see(bare(application.location), "api/kernels").status == 403


def test_an_address_without_its_last_slash_leads_to_the_one_with_it(deployed: Deployment) -> None:
    application = deployed.launch()
    seen = see(bare(application.location).rstrip("/") + "?a=1")
    assert (seen.status, seen.headers["location"]) == (308, f"/user/{application.id}/?a=1")


def test_an_unknown_address_says_so(deployed: Deployment) -> None:
    seen = see(f"{deployed.door.url}/user/{'0' * 32}/<script>alert(1)</script>")
    assert (seen.status, seen.headers["x-binder-page"]) == (404, "unknown")
    assert "<script" not in seen.body


def test_an_application_that_dies_at_once_fails_with_its_last_lines(deployed: Deployment) -> None:
    with pytest.raises(Crashed, match="exit code 7"):
        deployed.launch("crash")
    [failed] = deployed.client.deploy.status_all("crash", status=ApplicationStatus.FAILED, limit=1)
    assert failed.failure is not None
    assert failed.failure.log == ["no such file: data.csv"]
    assert [line.text for line in deployed.client.deploy.logs("crash", failed.id)] == ["no such file: data.csv"]
    assert "exit code 7" in _page(f"{deployed.door.url}/user/{failed.id}/", 502, "failed").body


def test_an_application_that_dies_later_fails_soon_and_says_so(deployed: Deployment) -> None:
    application = deployed.launch("dies-later")
    assert see(application.location, "die").status >= 500
    failed = _ended(deployed, application)
    assert failed.failure is not None
    assert (failed.failure.type, failed.location) == ("crashed", None)
    _page(bare(application.location), 502, "failed")


def test_an_application_over_its_memory_is_reported_as_such(deployed: Deployment) -> None:
    with pytest.raises(ApplicationOutOfMemory):
        deployed.launch("greedy")


def test_an_application_that_never_listens_is_given_up_and_shows_that_it_starts_until_then(
    tmp_path: Path,
) -> None:
    with deployment(tmp_path, start_timeout=2) as impatient:
        impatient.templates.add("deaf", command=python(DEAF))
        asked = impatient.client.deploy.deploy("deaf")
        address = f"{impatient.door.url}/user/{asked.id}/"
        starting = see(address, browser=True)
        assert (starting.status, starting.headers["x-binder-page"]) == (503, "starting")
        assert 'http-equiv="refresh"' in starting.body
        with pytest.raises(NotListening, match="port 8888"):
            impatient.client.deploy.wait("deaf", asked.id, timeout=15)
        _page(address, 504, "failed")
        assert impatient.backend.instances() == []


@pytest.mark.parametrize(
    ("values", "failure"),
    [
        ({"image": "sha256:" + "0" * 64}, ImageNotFound),
        ({"image": "127.0.0.1:1/nothing:here"}, ImageNotFound),
        ({"command": ["/no/such/program"]}, (InvalidTemplate, Crashed)),
        ({"limits": Limits(memory="1k")}, InvalidTemplate),
    ],
)
def test_a_template_that_can_not_be_run_fails_by_type(
    deployed: Deployment, values: dict[str, Any], failure: type[Exception] | tuple[type[Exception], ...]
) -> None:
    deployed.templates.add("impossible", **values)
    asked = deployed.client.deploy.deploy("impossible")
    ended = _ended(deployed, asked)
    assert ended.failure is not None
    kinds = failure if isinstance(failure, tuple) else (failure,)
    assert ended.failure.type in {each.type for each in kinds}  # type: ignore[attr-defined]
    assert ended.failure.suggestions or ended.failure.message


def test_what_asks_for_more_than_allowed_or_does_not_exist_is_refused_at_once(deployed: Deployment) -> None:
    with pytest.raises(InvalidTemplate, match=r"limits\.memory"):
        deployed.client.deploy.deploy("server", resources=Limits(memory="9Ti"))
    with pytest.raises(DoesNotExist):
        deployed.client.deploy.deploy("nothing")
    with pytest.raises(NoRecord):
        deployed.client.deploy.status("server", "0" * 32)
    application = deployed.launch()
    with pytest.raises(NoRecord):
        deployed.client.deploy.status("crash", application.id)


def test_no_more_are_launched_than_the_host_takes(tmp_path: Path) -> None:
    with deployment(tmp_path, max_applications=1) as small:
        small.client.deploy.deploy("server")
        with pytest.raises(AtCapacity):
            small.client.deploy.deploy("server")
        capacity = small.client.deploy.capacity()
        assert (capacity.running, capacity.capacity, capacity.available) == (1, 1, 0)


def test_an_idle_application_is_culled_and_a_used_one_is_not(deployed: Deployment) -> None:
    idle, used = deployed.launch(cull_timeout=3000), deployed.launch(cull_timeout=3000)

    def idle_has_ended() -> bool:
        assert see(used.location).status == 200
        return _state(deployed, idle).status.ended

    eventually(idle_has_ended, within=15, every=0.3)
    culled = _state(deployed, idle)
    assert culled.status is ApplicationStatus.DELETED
    assert "idle" in (culled.reason or "")
    assert _state(deployed, used).status is ApplicationStatus.DEPLOYED


def test_an_open_web_socket_keeps_an_application(deployed: Deployment) -> None:
    application, idle = _echo(deployed, cull_timeout=4000), deployed.launch(cull_timeout=4000)
    address = bare(application.location).replace("http", "ws")
    socket = websocket.create_connection(address, timeout=10, cookie=f"binder-token={token(application.location)}")
    _ended(deployed, idle, within=20)
    assert _state(deployed, application).status is ApplicationStatus.DEPLOYED
    socket.send("still here")
    assert socket.recv() == "still here"
    socket.close()
    _ended(deployed, application, within=20)


def test_an_extended_application_stays_but_not_beyond_its_max_age(deployed: Deployment) -> None:
    application = deployed.launch(cull_timeout=1500, max_age=6000)
    extended = deployed.client.deploy.extend("server", application.id, 3_600_000)
    assert extended.cull_time == extended.end_of_life
    ended = _ended(deployed, application, within=20)
    assert "max-age" in (ended.reason or "")
    assert ended.end_time is not None
    assert (ended.end_time - ended.start_time).total_seconds() >= 6
    with pytest.raises(Conflict):
        deployed.client.deploy.extend("server", application.id, 1000)


def test_events_and_logs_are_followed_to_their_end(deployed: Deployment) -> None:
    application = deployed.launch()
    events: list[Any] = []
    lines: list[Any] = []
    followers = [
        threading.Thread(
            target=lambda: events.extend(deployed.client.deploy.events("server", application.id, follow=True))
        ),
        threading.Thread(
            target=lambda: lines.extend(deployed.client.deploy.logs("server", application.id, follow=True))
        ),
    ]
    for each in followers:
        each.start()
    eventually(lambda: lines and len(events) == 3)
    deployed.client.deploy.stop("server", application.id)
    for each in followers:
        each.join(10)
        assert not each.is_alive()
    assert [each.status for each in events][-1] == ApplicationStatus.DELETED
    assert lines[0].text == "listening on 8888"


def test_an_image_is_preloaded_or_it_is_said_why_not(deployed: Deployment) -> None:
    deployed.templates.add("missing", image="sha256:" + "1" * 64)
    for template, expected in (("server", PreloadStatus.COMPLETED), ("missing", PreloadStatus.FAILED)):
        deployed.client.deploy.preload(template)

        def loaded(template: str = template) -> bool:
            return deployed.client.deploy.preload_status(template).status is not PreloadStatus.LOADING

        eventually(loaded)
        assert deployed.client.deploy.preload_status(template).status is expected
    with pytest.raises(DoesNotExist):
        deployed.client.deploy.preload_status("public")


def _echo(deployed: Deployment, **request: Any) -> Application:
    code = (Path(__file__).parent / "echo_server.py").read_text()
    deployed.templates.add("echo", image=IMAGE, command=["/opt/binder/env/bin/python", "-c", code])
    application: Application = deployed.launch("echo", **request)
    return application
