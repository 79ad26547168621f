"""The way from a repository to an open application and back, with the commands that people type."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import docker
import httpx2
import pytest

from tests.support.browser import page_of
from tests.support.eventually import eventually
from tests.support.git_server import git_server
from tests.support.kernels import run_in_kernel
from tests.support.suite import Suite, suite

pytestmark = pytest.mark.docker
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    with suite(tmp_path_factory.mktemp("journey") / "home", build='allow-hosts = ["127.0.0.1"]\n') as found:
        started = found.control("start-all")
        assert started.returncode == 0, started.stderr
        yield found


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The example `bare`, on a git server."""
    files = {
        str(file.relative_to(EXAMPLES / "bare")): file.read_bytes()
        for file in (EXAMPLES / "bare").rglob("*")
        if file.is_file()
    }
    with git_server(tmp_path_factory.mktemp("git")) as server:
        yield server.create("example/bare", files).url


@pytest.fixture(scope="module")
def template(running: Suite, repository: str) -> Iterator[str]:
    built = running.client("build", repository, "--json")
    assert built.returncode == 0, built.stderr
    build = json.loads(built.stdout)
    yield build["template"]
    engine = docker.from_env()
    engine.images.remove(build["image"], force=True)
    engine.close()


@pytest.fixture
def location(running: Suite, template: str) -> Iterator[str]:
    deployed = running.client("deploy", template)
    assert deployed.returncode == 0, deployed.stderr
    yield deployed.stdout.strip()
    running.client("stop", _running(running)[0])
    eventually(lambda: not _running(running), within=30, what="the application's end")


def _running(found: Suite) -> list[str]:
    listed = json.loads(found.client("fetch", "--json").stdout)
    return [f"{each['template-name']}/{each['id']}" for each in listed if each["status"] == "deployed"]


def _containers(found: Suite) -> int:
    """How many of this suite's containers run, as the engine says."""
    engine = docker.from_env()
    try:
        mark = f"org.binder.home={(found.home / 'instance').read_text().strip()}"
        return len(engine.containers.list(filters={"label": mark}))
    finally:
        engine.close()


def test_a_launched_repository_opens_at_the_address_that_was_printed(running: Suite, location: str) -> None:
    page = httpx2.get(location, follow_redirects=True, timeout=30)

    assert location.startswith(f"{running.url}/user/")
    assert page.status_code == 200
    assert "JupyterLab" in page.text


def test_without_its_token_it_stays_closed(location: str) -> None:
    page = httpx2.get(f"{location.partition('?')[0]}api/kernels", timeout=30)

    assert page.status_code in (401, 403)


def test_a_kernel_works_through_the_front_door(location: str) -> None:
    assert run_in_kernel(location, "print(1 + 1)") == "2"


@pytest.mark.browser
def test_a_browser_shows_the_laboratory(location: str, tmp_path: Path) -> None:
    page = page_of(location, tmp_path / "profile")

    assert "jp-LabShell" in page or "jp-Launcher" in page


def test_it_is_listed_has_a_log_and_ends_when_it_is_stopped(running: Suite, template: str) -> None:
    location = running.client("deploy", template).stdout.strip()
    (application,) = _running(running)

    logs = running.client("logs", "--application", application)
    stopped = running.client("stop", application)

    assert application.partition("/")[0] == template
    assert "jupyter" in (logs.stdout + logs.stderr).lower()
    assert stopped.returncode == 0, stopped.stderr
    eventually(lambda: not _running(running), within=30)
    assert httpx2.get(location, timeout=30).status_code in (404, 410)


def test_a_built_commit_is_answered_at_once(running: Suite, template: str, repository: str) -> None:
    again = running.client("build", repository, "--json")

    build = json.loads(again.stdout)
    assert build["template"] == template
    assert build["cached"] is True


def test_an_application_outlives_the_suite_and_is_found_again(running: Suite, location: str) -> None:
    before = _running(running)
    assert running.control("stop-all").returncode == 0
    left = _containers(running)
    assert running.control("start-all").returncode == 0

    assert left == 1
    assert _running(running) == before
    eventually(lambda: httpx2.get(location, follow_redirects=True).status_code == 200, within=30)


def test_stop_all_with_applications_leaves_none(running: Suite, template: str) -> None:
    running.client("deploy", template)

    stopped = running.control("stop-all", "--applications")

    assert stopped.returncode == 0, stopped.stderr
    assert "1 application stopped" in stopped.stderr
    eventually(lambda: _containers(running) == 0, within=15)
    assert running.control("start-all").returncode == 0


def test_the_health_service_has_built_and_launched_for_itself(tmp_path: Path) -> None:
    with suite(tmp_path / "home", health="delay = 0\ninterval = 3600\n") as found:
        started = found.control("start-all")
        assert started.returncode == 0, started.stderr

        def results() -> dict[str, str]:
            told = found.client("api", "health", "status")
            return {each["name"]: each["status"] for each in json.loads(told.stdout or "[]")}

        eventually(lambda: len(results()) == 2, within=120, every=0.5)
        assert results() == {"build": "running", "deploy": "running"}
        assert _running(found) == []
