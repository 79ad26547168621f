"""The health service as its callers see it, with services that answer what a test says."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from binder_client.client import Client
from binder_control.health.main import build_app
from binder_control.health.settings import HealthSettings
from binder_protocol.errors import AccessError, AtCapacity, BadQuery, LaunchFailed, NoRecord, RequestError
from binder_protocol.models import Health
from tests.support.eventually import eventually
from tests.support.server import running
from tests.support.stub import Stub, failing, stub_server

KEY = "sesame"
NAME = "binder-health-check"
NOW = "2026-11-23T12:00:00.000Z"
BUILD = {
    "name": NAME, "display-name": NAME, "repository": "http://x/y", "status": "completed", "phase": "finished",
    "start-time": NOW, "template": NAME,
}  # fmt: skip
TEMPLATE = {
    "name": NAME, "revision": 1, "image": "i", "image-name": "i", "image-source": "i", "port": 8888,
    "time-created": NOW, "time-modified": NOW,
}  # fmt: skip
APPLICATION = {
    "id": "abc", "template-name": NAME, "status": "deployed", "start-time": NOW, "location": "http://door/user/abc/",
}  # fmt: skip


class Pages:
    """Opens every address, until told that one can't be."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.failure: Exception | None = None

    def __call__(self, location: str, *, seconds: float) -> None:
        self.opened.append(location)
        if self.failure:
            raise self.failure


@pytest.fixture
def stub() -> Iterator[Stub]:
    with stub_server() as found:
        found.on("POST /builds", BUILD)
        found.on(f"GET /builds/{NAME}", BUILD)
        found.on(f"GET /templates/{NAME}", TEMPLATE)
        found.on(f"GET /applications/{NAME}", [])
        found.on("POST /applications", APPLICATION)
        found.on(f"GET /applications/{NAME}/abc", APPLICATION)
        found.on(f"DELETE /applications/{NAME}/abc", {**APPLICATION, "status": "deleted"})
        yield found


@pytest.fixture
def pages() -> Pages:
    return Pages()


@contextmanager
def service(home: Path, stub: Stub, pages: Pages, **more: Any) -> Iterator[Client]:
    urls = {f"{name}_url": stub.url for name in ("build", "registry", "deploy", "public")}
    values = {"home": home, "api_key": KEY, "delay": 0, "interval": 0.05, "check_seconds": 5, **urls, **more}
    app = build_app(HealthSettings.model_validate(values), open_location=pages)
    with running(app) as url, Client(url, KEY) as client:
        yield client


def result(client: Client, name: str, holds: Callable[[Health], bool]) -> Health:
    """The newest result of a check, once it is as wanted."""

    def probe() -> Health | None:
        return next((each for each in client.health.status() if each.name == name and holds(each)), None)

    found = eventually(probe, within=20, what=f"{name} as wanted")
    assert found is not None
    return found


def is_running(found: Health) -> bool:
    return found.status == "running"


def is_down(found: Health) -> bool:
    return found.status == "down"


def test_both_checks_are_told_with_their_time(tmp_path: Path, stub: Stub, pages: Pages) -> None:
    with service(tmp_path, stub, pages) as client:
        assert result(client, "build", is_running).seconds is not None
        assert result(client, "deploy", is_running).message is None
    assert set(pages.opened) == {"http://door/user/abc/"}


@pytest.mark.parametrize(("build_interval", "forced"), [(3_600, [True, False]), (0, [True, True])])
def test_the_image_is_made_anew_when_that_is_due(
    build_interval: float, forced: list[bool], tmp_path: Path, stub: Stub, pages: Pages
) -> None:
    def requests() -> list[Any]:
        return [seen.body for seen in stub.seen if seen.path == "/builds"]

    with service(tmp_path, stub, pages, build_interval=build_interval):
        eventually(lambda: len(requests()) >= 2, within=20, what="two builds")

    assert [each.get("force", False) for each in requests()[:2]] == forced
    assert requests()[0]["repository"].endswith("/binder/health-check.git")


def test_the_application_is_stopped_and_would_end_by_itself(tmp_path: Path, stub: Stub, pages: Pages) -> None:
    with service(tmp_path, stub, pages) as client:
        result(client, "deploy", is_running)

    launch = next(seen.body for seen in stub.seen if (seen.method, seen.path) == ("POST", "/applications"))
    assert launch["max-age"] <= 10_000
    assert any(seen.method == "DELETE" for seen in stub.seen)


def test_an_application_that_does_not_open_is_down_and_stopped(tmp_path: Path, stub: Stub, pages: Pages) -> None:
    pages.failure = LaunchFailed("the application's address answers 502")
    with service(tmp_path, stub, pages) as client:
        found = result(client, "deploy", is_down)

    assert found.message == "launch-failed: the application's address answers 502"
    assert any(seen.method == "DELETE" for seen in stub.seen)


def test_what_an_earlier_check_left_running_is_stopped(tmp_path: Path, stub: Stub, pages: Pages) -> None:
    stub.on(f"GET /applications/{NAME}", [{**APPLICATION, "id": "old"}], [])
    stub.on(f"DELETE /applications/{NAME}/old", {**APPLICATION, "id": "old", "status": "deleted"})
    with service(tmp_path, stub, pages) as client:
        result(client, "deploy", is_running)

    assert any((seen.method, seen.path) == ("DELETE", f"/applications/{NAME}/old") for seen in stub.seen)


def test_checks_go_on_while_a_service_fails_and_after(tmp_path: Path, stub: Stub, pages: Pages) -> None:
    with service(tmp_path, stub, pages) as client:
        result(client, "deploy", is_running)
        stub.on("POST /applications", failing(AtCapacity()))
        assert "at-capacity" in (result(client, "deploy", is_down).message or "")
        stub.on("POST /applications", APPLICATION)
        result(client, "deploy", is_running)


def test_checks_go_on_where_a_service_is_not_there_at_all(tmp_path: Path, stub: Stub, pages: Pages) -> None:
    with service(tmp_path, stub, pages, build_url="http://127.0.0.1:9") as client:
        first = result(client, "build", is_down)
        result(client, "build", lambda found: found.timestamp > first.timestamp)


def test_checks_go_on_while_the_database_fails_and_after(tmp_path: Path, stub: Stub, pages: Pages) -> None:
    with service(tmp_path, stub, pages) as client, sqlite3.connect(tmp_path / "health" / "state.db") as database:
        before = result(client, "build", is_running)
        database.execute("ALTER TABLE health_results RENAME TO away")
        database.commit()
        opened = len(pages.opened)
        eventually(lambda: len(pages.opened) > opened + 1, within=20)
        with pytest.raises(BadQuery):
            client.health.status()
        database.execute("ALTER TABLE away RENAME TO health_results")
        database.commit()
        result(client, "build", lambda found: found.timestamp > before.timestamp)
    database.close()


def test_a_fault_of_the_check_itself_is_a_result_too(tmp_path: Path, stub: Stub, pages: Pages) -> None:
    pages.failure = ZeroDivisionError()
    with service(tmp_path, stub, pages) as client:
        assert result(client, "deploy", is_down).message == "ZeroDivisionError"


def test_a_stop_that_finds_nothing_is_a_result(tmp_path: Path, stub: Stub, pages: Pages) -> None:
    stub.on(f"DELETE /applications/{NAME}/abc", failing(NoRecord()))
    with service(tmp_path, stub, pages) as client:
        assert "noRecord" in (result(client, "deploy", is_down).message or "")


def test_older_results_come_when_asked_for_newest_first(tmp_path: Path, stub: Stub, pages: Pages) -> None:
    with service(tmp_path, stub, pages) as client:

        def older() -> list[Health]:
            found = next((each for each in client.health.status(history=3) if each.name == "build"), None)
            return found.history if found and len(found.history) == 3 else []

        times = [each.timestamp for each in eventually(older, within=20)]
        assert times == sorted(times, reverse=True)
        assert client.health.status()[0].history == []
        with pytest.raises(RequestError):
            client.health.status(history=-1)


def test_results_survive_a_restart_and_old_ones_are_forgotten(tmp_path: Path, stub: Stub, pages: Pages) -> None:
    with service(tmp_path, stub, pages) as client:
        kept = result(client, "build", is_running)
    with service(tmp_path, stub, pages, delay=3600) as client:
        assert result(client, "build", is_running).timestamp >= kept.timestamp
    with service(tmp_path, stub, pages, retention_days=1e-9) as client:
        eventually(lambda: len(client.health.status(history=100)) <= 1, within=20)


def test_without_the_key_nothing_is_told(tmp_path: Path, stub: Stub, pages: Pages) -> None:
    with (
        service(tmp_path, stub, pages) as client,
        Client(client.calls._bases["health"]) as stranger,
        pytest.raises(AccessError),
    ):
        stranger.health.status()


def test_its_own_repository_is_cloned_by_git_is_always_the_same_and_takes_no_push(
    tmp_path: Path, stub: Stub, pages: Pages
) -> None:
    commits = []
    for number in range(2):
        with service(tmp_path / f"home{number}", stub, pages, delay=3600) as client:
            url = f"{client.calls._bases['health']}/binder/health-check.git"
            copy = tmp_path / f"copy{number}"
            clone = ["git", "clone", "--quiet", "--depth=1", url, str(copy)]
            subprocess.run(clone, check=True, timeout=30, capture_output=True)
            commits.append(
                subprocess.run(["git", "rev-parse", "HEAD"], cwd=copy, check=True, capture_output=True).stdout
            )
            push = subprocess.run(["git", "push", "origin", "HEAD:x"], cwd=copy, capture_output=True, timeout=30)
            assert push.returncode != 0
    assert (copy / "serve.py").is_file()
    assert commits[0] == commits[1]
