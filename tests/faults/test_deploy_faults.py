"""The deploy service and its engine, killed at the worst moments: nothing is lost, nothing is left behind."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from binder_client.client import Client
from binder_deploy.main import instance_id
from binder_protocol.models import Access, Application, ApplicationStatus, TemplateSpec
from binder_registry.main import build_app as build_registry
from binder_registry.settings import RegistrySettings
from tests.support.deploying import DOCKER, IMAGE, KEY, SERVER, docker_backend, new_id, python, settings_for
from tests.support.engine import engine_program
from tests.support.eventually import eventually
from tests.support.frontdoor import Door, answers, free_door, front_door
from tests.support.processes import Running, service
from tests.support.server import running

pytestmark = pytest.mark.docker

NOWHERE = "http://127.0.0.1:9"
SLOW = "import time\ntime.sleep(2)\n" + SERVER


@dataclass
class Place:
    """A home, a registry and a front door, between which the deploy service comes and goes."""

    home: Path
    door: Door
    registry: str

    @contextlib.contextmanager
    def service(self) -> Iterator[tuple[Running, Client]]:
        environ = {
            "BINDER_API_KEY": KEY, "BINDER_REGISTRY_URL": self.registry, "BINDER_PUBLIC_URL": self.door.url,
            "BINDER_DEPLOY_FRONT_DOOR_URL": self.door.url, "BINDER_DEPLOY_DOCKER_URL": DOCKER,
            "BINDER_DEPLOY_FRONT_DOOR_METRICS_URL": self.door.metrics_url, "BINDER_DEPLOY_RECONCILE_EVERY": "0.5",
            "BINDER_DEPLOY_STOP_TIMEOUT": "1", "BINDER_DEPLOY_START_TIMEOUT": "20", "BINDER_DEPLOY_ISOLATION": "off",
        }  # fmt: skip
        with service("binder_deploy", self.home, environ) as process, Client(process.url, KEY) as client:
            yield process, client

    def containers(self) -> list[dict[str, Any]]:
        with contextlib.closing(docker.APIClient(base_url=DOCKER, timeout=60)) as api:
            wanted = {"label": [f"org.binder.home={instance_id(self.home)}"]}
            found: list[dict[str, Any]] = api.containers(all=True, filters=wanted)
            return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    home = tmp_path_factory.mktemp("faults")
    door = free_door()
    registry = build_registry(RegistrySettings(home=home, api_key=KEY, port=0))
    with (
        docker_backend(settings_for(home, door, isolation="off")),
        running(registry) as url,
        front_door(door, home / "front-door", urls={"deploy": NOWHERE}),
        Client(url, KEY) as client,
    ):
        for name, code in (("quick", SERVER), ("slow", SLOW)):
            spec = TemplateSpec(name=name, image=IMAGE, command=python(code), access=Access.PUBLIC)
            client.registry.register(spec)
        yield Place(home, door, url)


@pytest.fixture(autouse=True)
def nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "place" in request.fixturenames:
        place: Place = request.getfixturevalue("place")
        with contextlib.closing(docker.APIClient(base_url=DOCKER, timeout=60)) as api:
            for each in place.containers():
                api.remove_container(each["Id"], v=True, force=True)


def deployed(client: Client, asked: Application, within: float = 30) -> Application:
    def there() -> Application | None:
        now = client.deploy.status(asked.template_name, asked.id)
        assert not now.status.ended, now.failure
        return now if now.status is ApplicationStatus.DEPLOYED else None

    return eventually(there, within=within, what="the application")


@pytest.mark.parametrize("state", ["pending", "deploying", "deployed"])
def test_a_service_killed_in_any_state_of_a_launch_completes_it_when_it_is_back(place: Place, state: str) -> None:
    with place.service() as (process, client):
        asked = client.deploy.deploy("slow")
        if state == "deploying":
            eventually(lambda: [each for each in place.containers() if each["State"] == "running"])
        if state == "deployed":
            deployed(client, asked)
        process.kill()
    with place.service() as (_, client):
        application = deployed(client, asked)
        assert answers(application.location)
        assert len(place.containers()) == 1
        assert client.deploy.stop("slow", asked.id).status is ApplicationStatus.DELETED
        assert place.containers() == []


def test_what_ended_while_nobody_watched_is_started_again_and_what_was_removed_has_failed(place: Place) -> None:
    with place.service() as (process, client):
        ended, removed = client.deploy.deploy("quick"), client.deploy.deploy("quick")
        deployed(client, ended), deployed(client, removed)
        process.kill()
    with contextlib.closing(docker.APIClient(base_url=DOCKER, timeout=60)) as api:
        api.kill(f"binder-{ended.id}")
        api.remove_container(f"binder-{removed.id}", force=True)
    with place.service() as (_, client):
        eventually(lambda: client.deploy.status("quick", removed.id).status is ApplicationStatus.FAILED)
        eventually(lambda: [each for each in place.containers() if each["State"] == "running"], within=20)
        assert answers(deployed(client, ended).location)


def test_stopping_while_it_starts_leaves_nothing(place: Place) -> None:
    with place.service() as (_, client):
        for wait in (False, True):
            asked = client.deploy.deploy("slow")
            if wait:
                eventually(place.containers)
            assert client.deploy.stop("slow", asked.id).status is ApplicationStatus.DELETED
            eventually(lambda: place.containers() == [], what="the removal")
        states = [each.status for each in client.deploy.status_all("slow", limit=2)]
        assert states == [ApplicationStatus.DELETED] * 2


def test_orphans_of_this_suite_are_removed_and_strangers_left_alone(place: Place) -> None:
    config = {"Image": IMAGE, "Cmd": ["sleep", "60"], "Entrypoint": []}
    ours = {"org.binder.home": instance_id(place.home), "org.binder.application": new_id()}
    theirs = {"org.binder.home": "another", "org.binder.application": new_id()}
    with contextlib.closing(docker.APIClient(base_url=DOCKER, timeout=60)) as api:
        for labels in (ours, theirs):
            name = f"binder-{labels['org.binder.application']}"
            api.create_container_from_config({**config, "Labels": labels}, name)  # type: ignore[no-untyped-call]
            api.start(name)
        try:
            with place.service():
                eventually(lambda: place.containers() == [], what="the removal of the orphan")
            assert api.inspect_container(f"binder-{theirs['org.binder.application']}")["State"]["Running"]
        finally:
            api.remove_container(f"binder-{theirs['org.binder.application']}", force=True)


def test_two_services_on_one_home_do_no_harm(place: Place) -> None:
    with place.service() as (_, one), place.service() as (_, other):
        asked = [client.deploy.deploy("slow") for client in (one, other)]
        for each in asked:
            assert answers(deployed(one, each).location)
            deployed(other, each)
        assert len(place.containers()) == 2
        other.deploy.stop("slow", asked[0].id)
        eventually(lambda: len(place.containers()) == 1)
        assert answers(deployed(one, asked[1]).location)


def test_applications_come_back_with_their_engine_however_it_ends() -> None:
    if engine_program() is None:
        pytest.skip("docker: there is no program of the engine to start another one")
    # Two engines don't get along in one network, so all of this one's world has a network of its own.
    command = ["unshare", "--net", "--", sys.executable, "-m", "tests.faults.engine_restart"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert [line for line in done.stdout.splitlines() if line.startswith("came back")] == [
        "came back: engine stopped",
        "came back: engine killed",
        "came back: engine stopped, service restarted",
    ]
