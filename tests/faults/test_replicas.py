"""Two of each service on one database, and the one that leads or works is killed: the other goes on with all of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from sqlalchemy import select

from binder_client.client import Client
from binder_deploy.main import instance_id
from binder_protocol.models import Access, Application, ApplicationStatus, BuildStatus, TemplateSpec
from binder_protocol.service.leases import lease_table
from binder_protocol.service.storage import Database
from binder_registry.main import build_app as build_registry
from binder_registry.settings import RegistrySettings
from tests.support.building import build_process, registry
from tests.support.deploying import DOCKER, IMAGE, KEY, SERVER, docker_backend, new_id, python, settings_for
from tests.support.eventually import eventually
from tests.support.frontdoor import Door, answers, free_door, front_door
from tests.support.git_server import git_server
from tests.support.postgres import Postgres
from tests.support.processes import Running, service
from tests.support.server import running

pytestmark = [pytest.mark.docker, pytest.mark.postgres]

REPLACED_SECONDS = 15
SLOW = "import time\ntime.sleep(3)\n" + SERVER


def holder(url: str, table: str, name: str) -> str | None:
    """Who holds that lease."""
    database = Database(url, "binder_deploy.migrations")
    leases = lease_table(table)
    try:
        with database.reading() as connection:
            return connection.execute(select(leases.c.holder).where(leases.c.name == name)).scalar_one_or_none()
    finally:
        database.close()


@dataclass
class Place:
    """A suite's home, registry and front door on one host, for two deploy services."""

    home: Path
    door: Door
    environ: dict[str, str]
    database_url: str

    @contextlib.contextmanager
    def service(self) -> Iterator[tuple[Running, Client]]:
        with service("binder_deploy", self.home, self.environ) as process, Client(process.url, KEY) as client:
            yield process, client

    @property
    def leader(self) -> str | None:
        return holder(self.database_url, "deploy_leases", "reconciler")

    def containers(self) -> list[dict[str, Any]]:
        with contextlib.closing(docker.APIClient(base_url=DOCKER, timeout=60)) as api:
            wanted = {"label": [f"org.binder.home={instance_id(self.home)}"]}
            found: list[dict[str, Any]] = api.containers(all=True, filters=wanted)
            return found

    def orphan(self) -> None:
        """Starts a container of this suite that nobody asked for."""
        identity = new_id()
        labels = {"org.binder.home": instance_id(self.home), "org.binder.application": identity}
        config = {"Image": IMAGE, "Cmd": ["sleep", "60"], "Entrypoint": [], "Labels": labels}
        with contextlib.closing(docker.APIClient(base_url=DOCKER, timeout=60)) as api:
            api.create_container_from_config(config, f"binder-{identity}")  # type: ignore[no-untyped-call]
            api.start(f"binder-{identity}")


@pytest.fixture
def place(tmp_path: Path, postgres: Postgres) -> Iterator[Place]:
    door, url = free_door(), postgres.new()
    app = build_registry(RegistrySettings(home=tmp_path, api_key=KEY, port=0))
    with (
        docker_backend(settings_for(tmp_path, door, isolation="off")),
        running(app) as registry_url,
        front_door(door, tmp_path / "front-door", urls={"deploy": "http://127.0.0.1:9"}),
        Client(registry_url, KEY) as client,
    ):
        client.registry.register(TemplateSpec(name="slow", image=IMAGE, command=python(SLOW), access=Access.PUBLIC))
        environ = {
            "BINDER_API_KEY": KEY, "BINDER_REGISTRY_URL": registry_url, "BINDER_PUBLIC_URL": door.url,
            "BINDER_DEPLOY_FRONT_DOOR_URL": door.url, "BINDER_DEPLOY_DOCKER_URL": DOCKER,
            "BINDER_DEPLOY_FRONT_DOOR_METRICS_URL": door.metrics_url, "BINDER_DEPLOY_RECONCILE_EVERY": "0.5",
            "BINDER_DEPLOY_STOP_TIMEOUT": "1", "BINDER_DEPLOY_START_TIMEOUT": "20", "BINDER_DEPLOY_ISOLATION": "off",
            "BINDER_DATABASE_URL": url,
        }  # fmt: skip
        yield Place(tmp_path, door, environ, url)


def deployed(client: Client, asked: Application, within: float) -> Application:
    def there() -> Application | None:
        now = client.deploy.status(asked.template_name, asked.id)
        assert not now.status.ended, now.failure
        return now if now.status is ApplicationStatus.DEPLOYED else None

    return eventually(there, within=within, what="the application")


def test_a_deploy_service_that_leads_is_replaced_when_it_is_killed(place: Place) -> None:
    with contextlib.ExitStack() as stack:
        first, one = stack.enter_context(place.service())
        leader = eventually(lambda: place.leader, what="a leader")
        _, other = stack.enter_context(place.service())
        asked = [client.deploy.deploy("slow") for client in (one, other, one, other)]
        eventually(lambda: len(place.containers()) == len(asked))
        made = {each["Id"] for each in place.containers()}
        first.kill()
        killed = time.monotonic()
        place.orphan()
        eventually(lambda: place.leader != leader, within=REPLACED_SECONDS, what="another leader")
        within = REPLACED_SECONDS - (time.monotonic() - killed)
        eventually(
            lambda: {each["Id"] for each in place.containers()} == made, within=within, what="no orphan, no copy"
        )
        for each in asked:
            assert answers(deployed(other, each, within=30).location)
        assert {each["Id"] for each in place.containers()} == made, "nothing was launched twice"
        begun = [event.message for event in other.deploy.events("slow", asked[1].id)].count("the container is started")
        assert begun == 1, "the leader left it to who was asked for it"


def test_a_deploy_service_that_stops_in_good_order_is_replaced_at_once(place: Place) -> None:
    with contextlib.ExitStack() as stack:
        first, _ = stack.enter_context(place.service())
        leader = eventually(lambda: place.leader, what="a leader")
        stack.enter_context(place.service())
        assert first.terminate() == 0
        eventually(lambda: place.leader not in (None, leader), within=5, what="another leader")


def test_a_build_whose_service_is_killed_is_finished_by_the_other_with_one_log(
    tmp_path: Path, postgres: Postgres
) -> None:
    url = postgres.new()
    step = f"for i in 1 2 3 4 5 6 7 8; do echo tick $i; sleep 0.5; done; echo {time.time_ns()}"
    with contextlib.ExitStack() as stack:
        git = stack.enter_context(git_server(tmp_path / "git"))
        source = git.create("faults/replicas", {"Dockerfile": f"FROM {IMAGE}\nRUN {step}\n"})
        registry_url = stack.enter_context(registry(tmp_path / "r"))
        settings = {"registry_url": registry_url, "database_url": url, "answer_seconds": "0.3"}
        first = stack.enter_context(build_process(tmp_path / "one", **settings))
        name = first.client.build.start(source.url).name

        def ticks() -> list[str]:
            return [line.text or "" for line in first.client.build.logs(name)]

        eventually(lambda: "tick 1" in ticks(), within=60)
        second = stack.enter_context(build_process(tmp_path / "other", **settings))
        seen = eventually(
            lambda: [e for e in second.client.build.logs(name) if e.text == "tick 1"], what="its log here"
        )
        assert seen
        first.kill()

        def taken_over() -> bool:
            lines = list(second.client.build.logs(name))
            return any("starts over" in (line.text or "") for line in lines)

        eventually(taken_over, within=REPLACED_SECONDS, what="the build's new start")
        lines = list(second.client.build.logs(name, follow=True))
        assert lines[-1].status == "completed"
        assert [line.id for line in lines] == list(range(1, len(lines) + 1))
        build = second.client.build.status(name)
        assert (build.status, build.attempt) == (BuildStatus.COMPLETED, 1)
        with contextlib.closing(docker.from_env()) as engine:
            engine.images.remove(build.image or "", force=True)


def test_a_build_of_another_service_can_be_cancelled(tmp_path: Path, postgres: Postgres) -> None:
    with contextlib.ExitStack() as stack:
        git = stack.enter_context(git_server(tmp_path / "git"))
        source = git.create("faults/elsewhere", {"Dockerfile": f"FROM {IMAGE}\nRUN sleep 60\n"})
        registry_url = stack.enter_context(registry(tmp_path / "r"))
        settings = {"registry_url": registry_url, "database_url": postgres.new(), "answer_seconds": "0.3"}
        first = stack.enter_context(build_process(tmp_path / "one", **settings))
        name = first.client.build.start(source.url).name
        eventually(lambda: first.client.build.status(name).status is BuildStatus.RUNNING, within=30)
        second = stack.enter_context(build_process(tmp_path / "other", **settings))
        assert second.client.build.cancel(name).status is BuildStatus.CANCELLED
        assert list(first.client.build.logs(name, follow=True))[-1].status == "cancelled"
